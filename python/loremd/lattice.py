# SPDX-License-Identifier: BSD-3-Clause
"""Sums over reciprocal vectors in three and two periodic directions; see :mod:`loremd.ewald`.

Positions (n, 3), charges (n, C), cell (3, 3), all float64. Vectors are handled in chunks, so that
memory does not grow with their number.
"""

from __future__ import annotations

import math
from typing import List, Optional, Tuple

import torch
from torch import Tensor

from .geometry import checked_volume
from .splitting import transform, transform_at_zero


def _chunk(rows: int) -> int:
    """Number of wave vectors handled at a time, so that a matrix of phases stays below 16 MB."""
    return max(1, 2097152 // max(1, rows))


def _half_space(inverse_cell: Tensor, cell: Tensor, k_max: float) -> Tensor:
    """Integer vectors m with 0 < |k| ≤ k_max, k = 2π m A^-T, one of each ±m; (K, 3) float64."""
    lengths = cell.norm(2.0, 1)
    axes: List[Tensor] = []
    for a in range(3):
        # m_a = k · A_a / 2π
        bound = int(k_max * float(lengths[a]) / (2.0 * math.pi))
        axes.append(torch.arange(-bound, bound + 1, dtype=cell.dtype, device=cell.device))
    axes[0] = axes[0][axes[0] >= 0]
    grid = torch.cartesian_prod(axes[0], axes[1], axes[2])
    x, y, z = grid[:, 0], grid[:, 1], grid[:, 2]
    upper = (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))
    k = 2.0 * math.pi * grid @ inverse_cell.t()
    return grid[upper & (k.square().sum(1) <= k_max * k_max)]


def reciprocal_sum(
    positions: Tensor,
    charges: Tensor,
    cell: Tensor,
    smearing: float,
    k_max: float,
    exponent: float = 1.0,
    dipoles: Optional[Tensor] = None,
) -> Tensor:
    """Reciprocal sum of 2V and its term of k = 0 with three periodic directions, (n, C)."""
    volume = checked_volume(cell)
    inverse = torch.linalg.inv(cell)
    fractional = positions @ inverse
    integers = _half_space(inverse.detach(), cell.detach(), k_max)
    mean = charges.sum(0, keepdim=True) / volume
    result = torch.zeros_like(charges) + transform_at_zero(exponent, smearing) * mean
    chunk = _chunk(positions.shape[0])
    for begin in range(0, integers.shape[0], chunk):
        m = 2.0 * math.pi * integers[begin : begin + chunk]
        k_squared = (m @ inverse.t()).square().sum(1)
        # twice R(k), as each vector stands for ±k
        weights = (2.0 / volume * transform(k_squared, exponent, smearing)).unsqueeze(1)
        phases = fractional @ m.t()
        cosine, sine = torch.cos(phases), torch.sin(phases)
        even, odd = cosine.t() @ charges, sine.t() @ charges
        if dipoles is not None:
            moments = dipoles @ inverse
            for a in range(3):  # the derivative of the phase is k
                even = even - m[:, a : a + 1] * (sine.t() @ moments[:, :, a])
                odd = odd + m[:, a : a + 1] * (cosine.t() @ moments[:, :, a])
        result = result + cosine @ (weights * even) + sine @ (weights * odd)
    return result


def plane_normal(cell: Tensor, axis: int) -> Tuple[Tensor, Tensor]:
    """Unit normal of the two periodic lattice vectors, and the area they span."""
    product = torch.linalg.cross(cell[(axis + 1) % 3], cell[(axis + 2) % 3])
    area = product.square().sum().sqrt()
    if not (float(area.detach()) > 0.0):
        raise ValueError(
            f"cell: the two periodic lattice vectors span the area {float(area.detach())}; they "
            "must be linearly independent and finite"
        )
    return product / area, area


def shrink_open_vector(positions: Tensor, cell: Tensor, axis: int) -> Tuple[Tensor, Tensor]:
    """The cell of the lattice sum in lorem-jax's scheme, its open row a constant; and the normal.

    The open row is shortened to (or, if it is zero, made) the thickness of the slab plus 1.5 times
    the longer periodic vector.
    """
    normal, _ = plane_normal(cell, axis)
    with torch.no_grad():
        height = float(torch.dot(cell[axis], normal).abs())
        z = positions @ normal
        periodic = torch.stack([cell[(axis + 1) % 3], cell[(axis + 2) % 3]])
        longest = float(periodic.norm(2.0, 1).max())
        minimum = float(z.max() - z.min()) + 1.5 * longest
        row = cell[axis].detach().clone()
        if float(row.norm()) == 0.0:
            row = normal.detach() * minimum
        elif height > minimum:
            row = row * (minimum / height)
    rows = [cell[0], cell[1], cell[2]]
    rows[axis] = row
    return torch.stack(rows), normal


def slab_correction(
    positions: Tensor, charges: Tensor, cell: Tensor, axis: int, normal: Tensor
) -> Tensor:
    """What turns the three-dimensional sum into that of a single slab, (n, C)."""
    z = (positions @ normal).unsqueeze(1)
    height = torch.dot(cell[axis].detach(), normal)
    net = charges.sum(0, keepdim=True)
    first = (charges * z).sum(0, keepdim=True)
    second = (charges * z.square()).sum(0, keepdim=True)
    bracket = z * first - 0.5 * (second + net * z.square()) - net * (height.square() / 12.0)
    return (4.0 * math.pi / checked_volume(cell)) * bracket


def two_periodic_sum(
    positions: Tensor, charges: Tensor, cell: Tensor, axis: int, smearing: float, k_max: float
) -> Tensor:
    """Smooth part of 2V with two periodic directions, (n, C).

    With α = 1/(√2 η), g = G/2α, in-plane reciprocal vectors G and z along the normal
    (Grzybowski, Gwóźdź and Bródka, DOI 10.1103/PhysRevB.61.6706)::

        Σ_j q_j { π/A Σ_{G≠0} cos(G·R_ij)/G [h(z_ij) + h(-z_ij)]
                  - 2√π/A [exp(-α²z_ij²)/α + √π z_ij erf(α z_ij)] },   h(z) = e^{Gz} erfc(g + αz)
    """
    normal, area = plane_normal(cell, axis)
    rows = [cell[0], cell[1], cell[2]]
    rows[axis] = normal
    inverse = torch.linalg.inv(torch.stack(rows))
    fractional = positions @ inverse
    alpha = 1.0 / (math.sqrt(2.0) * smearing)
    height = positions @ normal
    z = height.unsqueeze(1) - height.unsqueeze(0)
    flat = torch.exp(-(alpha**2) * z.square()) / alpha
    flat = flat + math.sqrt(math.pi) * z * torch.erf(alpha * z)
    kernel = (-2.0 * math.sqrt(math.pi) / area) * flat
    integers = _half_space(inverse.detach(), torch.stack(rows).detach(), k_max)
    integers = integers[integers[:, axis] == 0.0]
    chunk = _chunk(z.numel())
    for begin in range(0, integers.shape[0], chunk):
        m = 2.0 * math.pi * integers[begin : begin + chunk]
        length = (m @ inverse.t()).square().sum(1).sqrt().reshape(-1, 1, 1)
        phases = m @ fractional.t()
        wave = torch.cos(phases.unsqueeze(2) - phases.unsqueeze(1))
        decay = _rising(length, z, alpha) + _rising(length, -z, alpha)
        kernel = kernel + (2.0 * math.pi / area) * (wave * decay / length).sum(0)
    return kernel @ charges


def _rising(length: Tensor, z: Tensor, alpha: float) -> Tensor:
    """e^{Gz} erfc(G/2α + αz) without overflow: by erfcx where the argument is positive."""
    g = length / (2.0 * alpha)
    argument = g + alpha * z
    positive = argument > 0.0
    zero = torch.zeros_like(argument)
    above = torch.exp(-g.square() - (alpha * z).square()) * torch.special.erfcx(
        torch.where(positive, argument, zero)
    )
    exponent = torch.where(positive, zero, length * z)
    below = torch.exp(exponent) * torch.erfc(torch.where(positive, zero, argument))
    return torch.where(positive, above, below)
