# SPDX-License-Identifier: BSD-3-Clause
"""The systems of the benchmarks, in cubic boxes of density one, and their converged forces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import vesin

DISPLACEMENT = 0.05  # standard deviation along each axis, in nearest-neighbour distances
CLOSEST = 0.5  # no two particles of the gas are closer


@dataclass(frozen=True)
class System:
    """Positions (n, 3), cell (3, 3), and charges (n, C) float64 whose first channel is ±1.

    The other channels are normal deviates, each with its sum subtracted.
    """

    positions: np.ndarray
    cell: np.ndarray
    charges: np.ndarray


def build(kind: str, box: int, channels: int) -> System:
    """`nacl`: displaced rock salt with nearest-neighbour distance one; `gas`: random points."""
    random = np.random.default_rng(box)
    cell = float(box) * np.eye(3)
    lattice = np.stack(np.meshgrid(*[np.arange(box)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    if kind == "nacl":
        positions = lattice + DISPLACEMENT * random.standard_normal(lattice.shape)
        signs = 1.0 - 2.0 * (lattice.sum(axis=1) % 2)
    else:
        positions = _random_points(random, len(lattice), cell)
        signs = 1.0 - 2.0 * (np.arange(len(lattice)) % 2)
    others = random.standard_normal((len(lattice), channels - 1))
    others -= others.mean(axis=0)
    return System(positions, cell, np.concatenate([signs[:, None], others], axis=1))


def _random_points(random: np.random.Generator, n: int, cell: np.ndarray) -> np.ndarray:
    """Uniformly random points; the second of each pair that is too close is drawn again."""
    points = random.random((n, 3)) @ cell
    search = vesin.NeighborList(cutoff=CLOSEST, full_list=False, n_threads=1)
    while True:
        _, second = search.compute(points, cell, True, quantities="ij")
        if len(second) == 0:
            return points
        again = np.unique(second.astype(np.int64))
        points[again] = random.random((len(again), 3)) @ cell


def converged_forces(kind: str, box: int) -> np.ndarray:
    """Forces (n, 3) of the first channel by Ewald's sum in float64, converged to 1e-9."""
    import torch

    from loremd import EwaldPotential
    from loremd.neighbors import neighbor_list

    cutoff = 5.5  # balances the two sums; the result does not depend on it
    system = build(kind, box, 1)
    positions = torch.from_numpy(system.positions).requires_grad_()
    charges, cell = torch.from_numpy(system.charges), torch.from_numpy(system.cell)
    pairs, shifts = neighbor_list(system.positions, system.cell, True, cutoff)
    potentials = EwaldPotential(cutoff, accuracy=1e-10)(positions, charges, cell, pairs, shifts)
    (gradient,) = torch.autograd.grad((charges * potentials).sum(), positions)
    return -gradient.numpy()


def rms_difference(forces: np.ndarray, reference: np.ndarray) -> float:
    """RMS over particles of |F - F_reference|; unit: force of two unit charges at distance 1."""
    return float(np.sqrt(np.mean(np.sum((forces - reference) ** 2, axis=1))))


def coarsest(at_least: float, factors: tuple[int, ...]) -> int:
    """The smallest product of powers of the factors (without them: whole number) not below."""
    n = max(int(np.ceil(at_least - 1e-9)), 1)
    while factors and not _is_product(n, factors):
        n += 1
    return n


def finest_below(below: float, factors: tuple[int, ...]) -> int:
    """The largest such number below `below`."""
    n = int(np.ceil(below - 1e-9)) - 1
    while n > 1 and factors and not _is_product(n, factors):
        n -= 1
    return max(n, 1)


def _is_product(n: int, factors: tuple[int, ...]) -> bool:
    for factor in factors:
        while n % factor == 0:
            n //= factor
    return n == 1
