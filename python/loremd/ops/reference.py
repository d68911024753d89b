# SPDX-License-Identifier: BSD-3-Clause
"""Every op of :mod:`loremd.ops` in a few lines of plain torch: what the kernels are compared with.

Same signatures, slow, and differentiable by torch itself.
"""

import math
from typing import List

import torch
from torch import Tensor


def bspline(order: int, x: Tensor) -> Tensor:
    """Cardinal B-spline M_order(x), support [0, order], by its recursion."""
    if order == 1:
        return ((x >= 0) & (x < 1)).to(x.dtype)
    return (x * bspline(order - 1, x) + (order - x) * bspline(order - 1, x - 1)) / (order - 1)


def axis_weights(fraction: Tensor, points: int, order: int) -> Tensor:
    """Weights (n, points) of all mesh points of one periodic axis; nearest periodic image."""
    mesh = torch.arange(points, dtype=fraction.dtype)
    distance = fraction[:, None] * points - mesh
    images = torch.floor(distance / points + 0.5).detach()
    return sum(
        bspline(order, order / 2 + distance - points * (images + shift)) for shift in (-1, 0, 1)
    )


def weights(positions: Tensor, cell: Tensor, mesh_shape: List[int], order: int) -> Tensor:
    """Weights (n, nx, ny, nz)."""
    fractions = positions @ torch.linalg.inv(cell)
    x, y, z = (axis_weights(fractions[:, a], mesh_shape[a], order) for a in range(3))
    return torch.einsum("ix,iy,iz->ixyz", x, y, z)


def spread(
    positions: Tensor, charges: Tensor, cell: Tensor, mesh_shape: List[int], order: int
) -> Tensor:
    w = weights(positions, cell, mesh_shape, order).to(charges.dtype)
    return torch.einsum("ixyz,ic->xyzc", w, charges)


def interpolate(positions: Tensor, mesh: Tensor, cell: Tensor, order: int) -> Tensor:
    w = weights(positions, cell, list(mesh.shape[:3]), order).to(mesh.dtype)
    return torch.einsum("ixyz,xyzc->ic", w, mesh)


def convolve(mesh: Tensor, influence: Tensor) -> Tensor:
    spectrum = torch.fft.rfftn(mesh, dim=(0, 1, 2)) * influence[..., None]
    return torch.fft.irfftn(spectrum, s=list(mesh.shape[:3]), dim=(0, 1, 2))


def influence(cell: Tensor, mesh_shape: List[int], order: int, smearing: float) -> Tensor:
    reciprocal = 2 * math.pi * torch.linalg.inv(cell).T
    nx, ny, nz = mesh_shape
    indices = torch.meshgrid(
        torch.fft.fftfreq(nx, 1 / nx, dtype=torch.float64),
        torch.fft.fftfreq(ny, 1 / ny, dtype=torch.float64),
        torch.fft.rfftfreq(nz, 1 / nz, dtype=torch.float64),
        indexing="ij",
    )
    frequencies = torch.stack(indices, -1)
    points = torch.tensor(mesh_shape, dtype=torch.float64)
    zero = (frequencies == 0).all(-1)
    numerator = torch.zeros_like(frequencies[..., 0])
    span = (-2, -1, 0, 1, 2)  # the Gaussian ends the sum
    for m in [(a, b, c) for a in span for b in span for c in span]:
        alias = frequencies + torch.tensor(m, dtype=torch.float64) * points
        window = torch.sinc(alias / points).prod(-1) ** (2 * order)
        k2 = torch.where(zero, 1.0, ((alias @ reciprocal) ** 2).sum(-1))
        smooth = 4 * math.pi / k2 * torch.exp(-0.5 * smearing**2 * k2)
        numerator = numerator + torch.where(zero, 0.0, window * smooth)
    aliases = torch.arange(-200, 201, dtype=torch.float64)[:, None, None, None, None]
    windows = torch.sinc(frequencies / points + aliases) ** (2 * order)
    denominator = windows.sum(0).prod(-1)  # nothing but the window ends this one
    return numerator / denominator**2 * points.prod() / torch.abs(torch.linalg.det(cell))


def pair_sum(weights: Tensor, charges: Tensor, pairs: Tensor, n_out: int) -> Tensor:
    out = charges.new_zeros(n_out, charges.shape[1])
    return out.index_add(0, pairs[0], weights[:, None] * charges[pairs[1]])
