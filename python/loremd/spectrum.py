# SPDX-License-Identifier: BSD-3-Clause
"""Errors to expect of a mesh sum for the charges of one structure.

csrc/core/tuning/error_estimate.hpp assumes charges at random places. Here their structure factor
takes part, so that what a crystal adds up or leaves out is known. With the aliases m of a wave k of
the mesh, R the transform of the smooth part, U that of the window, G the influence function and
S = Σ_m U_m², a charge wave ρ(k_m) causes the squared error of the potential

    U_m² G (G S - 2 R_m) + R_m²

and, with T = Σ_m k_m² U_m², that of its gradient, which is the gradient of the window,

    U_m² G (G T - 2 k_m² R_m) + k_m² R_m²

(Ballenegger, Cerdà, Holm 2012, DOI 10.1021/ct2001792), summed over all waves as if the places where
the potential is felt were random. What the splitting leaves out is summed at the atoms themselves.
"""

from __future__ import annotations

import math
from typing import Optional

import numpy as np
import torch
from torch import Tensor

from . import ops
from .geometry import pair_vectors
from .neighbors import neighbor_list
from .splitting import sharp, transform

_ORDER = 10  # of the B-spline that samples the charges
_FINER = 3  # the waves of the sampled charges reach over the aliases -1, 0, 1


class ChargeWaves:
    """The charges' Fourier components on the half spectrum of a mesh `_FINER` times as fine."""

    def __init__(self, positions: Tensor, charges: Tensor, cell: Tensor, mesh: list[int]):
        self.cell, self.mesh = cell, mesh
        self.fine = [max(_ORDER, _FINER * n) for n in mesh]
        self.volume = float(torch.linalg.det(cell).abs())
        sampled = ops.spread(positions, charges, cell, self.fine, _ORDER)
        self.waves = torch.fft.rfftn(sampled, dim=(0, 1, 2))
        self.axes = [torch.fft.fftfreq(n, 1 / n, dtype=torch.float64) for n in self.fine]
        self.axes[2] = torch.fft.rfftfreq(self.fine[2], 1 / self.fine[2], dtype=torch.float64)
        self.window = self.outer(
            [torch.sinc(f / n) ** _ORDER for f, n in zip(self.axes, self.fine)]
        )
        frequencies = torch.stack(torch.meshgrid(*self.axes, indexing="ij"), -1)
        k = 2 * math.pi * frequencies @ torch.linalg.inv(cell).t()
        self.k_squared = k.square().sum(-1)
        self.k_squared[0, 0, 0] = math.inf

    def outer(self, factors: list[Tensor]) -> Tensor:
        return factors[0][:, None, None] * factors[1][:, None] * factors[2]

    def power(self, weights: Tensor) -> Tensor:
        """Σ_c weights |ρ_c(k)|² over the half spectrum, ±k counted together."""
        power = self.waves.abs().square() @ weights / self.window**2
        both = (self.axes[2] > 0) & (2 * self.axes[2] < self.fine[2])
        return power * torch.where(both, 2.0, 1.0)

    def potential(self, kernel: Tensor, places: Tensor) -> Tensor:
        """Σ_k kernel(k) ρ(k) exp(ikr) / volume at places (m, 3)."""
        product = self.waves * (kernel / self.window**2).unsqueeze(-1)
        values = torch.fft.irfftn(product, self.fine, dim=(0, 1, 2))
        scale = math.prod(self.fine) / self.volume
        return scale * ops.interpolate(places, values, self.cell, _ORDER)


class CompactTransform:
    """R(k) = 4π/k² F(k range) of a compact splitting, of all k and up to the first zero of F."""

    _STEP = 0.02  # of the table of F and its slope, cubic in between: good to 1e-10

    def __init__(self, bandlimit: float, reach: float, largest: float):
        self.reach = reach
        self.shape = PolynomialShape(bandlimit)
        points = torch.arange(int(largest * reach / self._STEP) + 3, dtype=torch.float64)
        self.table, self.slopes = self.shape.transform(self._STEP * points)
        self.end = self._STEP * float((self.table < 0).to(torch.int8).argmax())

    def __call__(self, k_squared: Tensor) -> tuple[Tensor, Tensor]:
        u = self.reach * k_squared.sqrt()
        place = torch.where(u.isfinite(), u, 0.0) / self._STEP
        i = place.long()
        t = place - i
        change = self.table[i + 1] - self.table[i]
        left = self._STEP * self.slopes[i] - change
        right = change - self._STEP * self.slopes[i + 1]
        value = self.table[i] + t * (change + (1 - t) * ((1 - t) * left + t * right))
        full = 4 * math.pi / k_squared * value
        return full, torch.where(u < self.end, full, 0.0)


class PolynomialShape:
    """A prolate shape at the nodes of a Gauss rule over [0, 1]: for u below the number of nodes."""

    def __init__(self, bandlimit: float, nodes: int = 120):
        nodes, weights = np.polynomial.legendre.leggauss(nodes)
        terms = ops.prolate_shape(bandlimit).numpy()
        series = np.zeros(2 * len(terms))
        series[::2] = terms
        nodes = 0.5 * (nodes + 1)
        values = 0.5 * weights * np.polynomial.legendre.legval(nodes, series)
        self.nodes, self.values = torch.from_numpy(nodes), torch.from_numpy(values)

    def transform(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """F(u) = ∫ shape(t) cos(ut) dt over [0, 1], and its derivative."""
        phases = u[:, None] * self.nodes
        return phases.cos() @ self.values, -phases.sin() @ (self.nodes * self.values)


def expected_errors(
    positions: Tensor,
    charges: Tensor,
    cell: Tensor,
    *,
    cutoff: float,
    exponent: float,
    smearing: float,
    splitting_bandlimit: float,
    mesh: list[int],
    order: int,
    window_bandlimit: float,
) -> tuple[float, float, float, float]:
    """RMS errors of the potential (charge / length^p) from the splitting and from the mesh.

    Then those of the force (charge² / length^(p+1), all channels), likewise.

    positions (n, 3), charges (n, C), cell (3, 3), all float64; bandlimits 0 for Gaussian and
    B-spline. Needs 27 times the mesh.
    """
    felt_at = positions.clone().requires_grad_()
    waves = ChargeWaves(positions, charges, cell, mesh)
    shape = None
    if splitting_bandlimit > 0:
        shape = ops.prolate_shape(splitting_bandlimit)
        largest = float(waves.k_squared[waves.k_squared.isfinite()].max().sqrt())
        full, used = CompactTransform(splitting_bandlimit, cutoff, largest)(waves.k_squared)
        left_out = waves.potential(full - used, felt_at)
    else:
        finite = waves.k_squared.clamp(max=200.0 / smearing**2)
        used = torch.where(finite < waves.k_squared, 0.0, transform(finite, exponent, smearing))
        left_out = beyond_cutoff(felt_at, charges, cell, cutoff, exponent, smearing)
    (force,) = torch.autograd.grad((left_out * charges).sum(), felt_at)
    if splitting_bandlimit == 0:
        force = 0.5 * force  # every pair has been differentiated by both of its places
    window = ops.prolate_shape(window_bandlimit) if window_bandlimit > 0 else None
    influence = _unfolded_influence(waves, order, smearing or cutoff, window, exponent, shape)
    windows = WindowSums(waves, order, window_bandlimit)
    k_squared = waves.k_squared.clone()
    k_squared[0, 0, 0] = 0.0
    error = windows.own * influence * (influence * windows.total - 2 * used) + used**2
    slope_error = (
        windows.own * influence * (influence * windows.total_k_squared - 2 * k_squared * used)
        + k_squared * used**2
    )
    channels = charges.shape[1]
    equal = torch.full((channels,), 1 / channels, dtype=torch.float64)
    mesh_error = float((error.clamp(min=0) * waves.power(equal)).sum())
    felt = charges.square().mean(0)
    mesh_force = float((slope_error.clamp(min=0) * waves.power(felt)).sum())
    return (
        0.5 * float(left_out.detach().square().mean().sqrt()),
        0.5 * math.sqrt(mesh_error) / waves.volume,
        float(force.square().sum(1).mean().sqrt()),
        math.sqrt(mesh_force) / waves.volume,
    )


def beyond_cutoff(
    positions: Tensor,
    charges: Tensor,
    cell: Tensor,
    cutoff: float,
    exponent: float,
    smearing: float,
) -> Tensor:
    """Σ_j q_j sharp(r) of the shell in which it falls by e^-12, less that of the mean charge."""
    last = math.sqrt(cutoff**2 + 24 * smearing**2)
    pairs, shifts = neighbor_list(positions, cell, True, last)
    squared = pair_vectors(positions, cell.unsqueeze(0), pairs, shifts, None).square().sum(1)
    outside = squared > cutoff**2
    terms = sharp(squared[outside], exponent, smearing)
    sums = ops.pair_sum(terms, charges, pairs[:, outside], len(positions))
    r = torch.linspace(cutoff, last, 2001, dtype=torch.float64)
    shell = torch.trapezoid(4 * math.pi * r**2 * sharp(r**2, exponent, smearing), r)
    return sums - float(shell) * charges.sum(0) / torch.linalg.det(cell).abs()


def _unfolded_influence(
    waves: ChargeWaves,
    order: int,
    length: float,
    window: Optional[Tensor],
    exponent: float,
    shape: Optional[Tensor],
) -> Tensor:
    """G at the waves of the finer mesh: periodic in k and even, stored for half of the mesh."""
    mesh = waves.mesh
    table = ops.influence(
        waves.cell, mesh, order, length, window, ops.interaction(exponent, shape)
    ) * (waves.volume / math.prod(mesh))
    x, y, z = (f.long() % n for f, n in zip(waves.axes, mesh))
    mirrored = (2 * z > mesh[2])[None, None, :]
    direct = table[x][:, y][:, :, torch.where(2 * z > mesh[2], 0, z)]
    other = table[-x % mesh[0]][:, -y % mesh[1]][:, :, torch.where(2 * z > mesh[2], mesh[2] - z, 0)]
    return torch.where(mirrored, other, direct)


class WindowSums:
    """Of every wave of the finer mesh U² (`own`), Σ_m U_m² and Σ_m k_m² U_m² over its aliases."""

    # the transform of a prolate window, which has kinks, falls slowly: its square as k^-4
    _ALIASES = 12

    def __init__(self, waves: ChargeWaves, order: int, bandlimit: float):
        largest = math.pi * order * (self._ALIASES + 1)
        shape = PolynomialShape(bandlimit, int(largest)) if bandlimit > 0 else None
        own, sums = [], []
        for n, axis in zip(waves.mesh, waves.axes):
            cycles = axis / n
            own.append(self._squares(cycles, order, shape))
            first = (cycles - cycles.round())[:, None]
            aliases = first + torch.arange(-self._ALIASES, self._ALIASES + 1)
            squares = self._squares(aliases.flatten(), order, shape).reshape(aliases.shape)
            frequencies = n * aliases
            sums.append([(frequencies**power * squares).sum(1) for power in range(3)])
        self.own = waves.outer(own)
        self.total = waves.outer([s[0] for s in sums])
        metric = (2 * math.pi) ** 2 * torch.linalg.inv(waves.cell @ waves.cell.t())
        self.total_k_squared = torch.zeros_like(self.total)
        for a in range(3):
            for b in range(3):
                powers = [(a == axis) + (b == axis) for axis in range(3)]
                product = waves.outer([s[power] for s, power in zip(sums, powers)])
                self.total_k_squared += metric[a, b] * product

    @staticmethod
    def _squares(cycles: Tensor, order: int, shape: Optional[PolynomialShape]) -> Tensor:
        if shape is None:
            return torch.sinc(cycles) ** (2 * order)
        return shape.transform(math.pi * order * cycles)[0].square()
