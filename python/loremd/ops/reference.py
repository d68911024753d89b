# SPDX-License-Identifier: BSD-3-Clause
"""Every op of :mod:`loremd.ops` in a few lines of plain torch: what the kernels are compared with.

Same signatures, slow, and differentiable by torch itself.
"""

import math
from typing import List, Optional, Tuple

import numpy as np
import torch
from torch import Tensor


def bspline(order: int, x: Tensor) -> Tensor:
    """Cardinal B-spline M_order(x), support [0, order], by its recursion."""
    if order == 1:
        return ((x >= 0) & (x < 1)).to(x.dtype)
    return (x * bspline(order - 1, x) + (order - x) * bspline(order - 1, x - 1)) / (order - 1)


def legendre_series(series: Tensor, t: Tensor) -> Tensor:
    """sum_j series[j] P_2j(t) for |t| <= 1, and 0 outside."""
    before, current = torch.zeros_like(t), torch.ones_like(t)  # P_-1, P_0
    total = torch.zeros_like(t)
    for n in range(2 * len(series) - 1):
        if n % 2 == 0:
            total = total + series[n // 2] * current
        before, current = current, ((2 * n + 1) * t * current - n * before) / (n + 1)
    return torch.where((t >= -1) & (t < 1), total, 0.0)


def axis_weights(
    fraction: Tensor, points: int, order: int, window: Optional[Tensor] = None
) -> Tensor:
    """Weights (n, points) of all mesh points of one periodic axis; nearest periodic image."""
    mesh = torch.arange(points, dtype=fraction.dtype)
    distance = fraction[:, None] * points - mesh
    images = torch.floor(distance / points + 0.5).detach()

    def weight(x: Tensor) -> Tensor:
        if window is None:
            return bspline(order, order / 2 + x)
        return legendre_series(window, 2 * x / order) / order

    return sum(weight(distance - points * (images + shift)) for shift in (-1, 0, 1))


def weights(
    positions: Tensor,
    cell: Tensor,
    mesh_shape: List[int],
    order: int,
    window: Optional[Tensor] = None,
) -> Tensor:
    """Weights (n, nx, ny, nz)."""
    fractions = positions @ torch.linalg.inv(cell)
    x, y, z = (axis_weights(fractions[:, a], mesh_shape[a], order, window) for a in range(3))
    return torch.einsum("ix,iy,iz->ixyz", x, y, z)


def spread(
    positions: Tensor,
    charges: Tensor,
    cell: Tensor,
    mesh_shape: List[int],
    order: int,
    window: Optional[Tensor] = None,
) -> Tensor:
    w = weights(positions, cell, mesh_shape, order, window).to(charges.dtype)
    return torch.einsum("ixyz,ic->xyzc", w, charges)


def interpolate(
    positions: Tensor, mesh: Tensor, cell: Tensor, order: int, window: Optional[Tensor] = None
) -> Tensor:
    w = weights(positions, cell, list(mesh.shape[:3]), order, window).to(mesh.dtype)
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


def gauss_legendre(x: Tensor, points: int) -> Tuple[Tensor, Tensor]:
    """Nodes and weights on [0, 1], of the dtype of x."""
    nodes, weights = np.polynomial.legendre.leggauss(points)
    return torch.from_numpy(0.5 + 0.5 * nodes).to(x.dtype), torch.from_numpy(0.5 * weights).to(x)


def gamma_tail(x: Tensor, a: float, b: float, derivative: int = 0) -> Tensor:
    """b^a times the integral over s > 1 of s^(a-1) (-b s)^derivative exp(-b x s), by s = e^v."""
    v, weights = gauss_legendre(x, 200)
    end = torch.log1p(50 / (b * x.detach())).unsqueeze(-1)
    s = torch.exp(v * end)
    terms = s**a * (-b * s) ** derivative * torch.exp(-b * x.unsqueeze(-1) * s)
    return b**a * ((end * terms) @ weights)


def compact_sharp(x: Tensor, range: float, series: Tensor, derivative: int = 0) -> Tensor:
    if derivative > 0:
        x = x if x.requires_grad else x.detach().requires_grad_()
        lower = compact_sharp(x, range, series, derivative - 1)
        return torch.autograd.grad(lower.sum(), x, create_graph=True)[0]
    v, weights = gauss_legendre(x, len(series) + 1)
    t = x.sqrt() / range
    smooth = legendre_series(series, v * t.clamp(max=1).unsqueeze(-1)) @ weights / range
    return torch.where(t < 1, 1 / x.sqrt() - smooth, 0.0)
