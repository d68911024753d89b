# SPDX-License-Identifier: BSD-3-Clause
"""Coupling coefficients of real spherical harmonics, for proper tensors (l1 + l2 + l3 even).

For an even sum of degrees the coefficients are the Gaunt integrals ``∫ Y₁ Y₂ Y₃ dΩ`` times the
positive constant that makes ``Σ_{m1 m2} C² = 1`` for every component of the third degree. The
quadrature (Gauss-Legendre in z, equidistant in φ) is exact for these polynomials.
"""

from __future__ import annotations

from functools import lru_cache
from typing import List, Tuple

import numpy as np
import torch
from torch import Tensor

from .spherical import harmonics


def allowed(l1: int, l2: int, l3: int) -> bool:
    """Whether degrees l1 and l2 couple to l3 without changing parity."""
    return abs(l1 - l2) <= l3 <= l1 + l2 and (l1 + l2 + l3) % 2 == 0


def paths(l1_max: int, l2_max: int, l3_max: int) -> List[Tuple[int, int, int]]:
    """All allowed (l1, l2, l3) up to the given degrees."""
    return [
        (l1, l2, l3)
        for l1 in range(l1_max + 1)
        for l2 in range(l2_max + 1)
        for l3 in range(l3_max + 1)
        if allowed(l1, l2, l3)
    ]


@lru_cache(maxsize=32)
def clebsch_gordan(l1_max: int, l2_max: int, l3_max: int) -> Tensor:
    """Return the table C of shape ((l1_max+1)², (l2_max+1)², (l3_max+1)²), float64.

    Forbidden couplings, odd sums of degrees included, are zero. Entries below 1e-13 are rounding
    errors of the quadrature and are set to zero, so that nonzero entries can be listed.
    """
    first, second, third, weights = _quadrature(l1_max, l2_max, l3_max)
    table = np.zeros((first.shape[1], second.shape[1], third.shape[1]))
    for l1, l2, l3 in paths(l1_max, l2_max, l3_max):
        block1, block2, block3 = (slice(k * k, (k + 1) ** 2) for k in (l1, l2, l3))
        products = (first[:, block1, None] * second[:, None, block2]).reshape(len(weights), -1)
        gaunt = products.T @ (weights[:, None] * third[:, block3])
        gaunt[np.abs(gaunt) < 1e-13] = 0.0
        gaunt *= np.sqrt((2 * l3 + 1) / np.sum(gaunt**2))
        table[block1, block2, block3] = gaunt.reshape(2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1)
    return torch.from_numpy(table)


def _quadrature(l1: int, l2: int, l3: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Harmonics of the three maximal degrees on quadrature nodes, and the weights (sum 4π)."""
    total = l1 + l2 + l3
    z, z_weights = np.polynomial.legendre.leggauss(total // 2 + 2)
    n_phi = total + 2
    phi = 2 * np.pi * (np.arange(n_phi) + 0.25) / n_phi
    z_grid, phi_grid = (grid.ravel() for grid in np.meshgrid(z, phi, indexing="ij"))
    rho = np.sqrt(1 - z_grid**2)
    nodes = np.stack([rho * np.cos(phi_grid), rho * np.sin(phi_grid), z_grid], axis=1)
    values = harmonics(torch.from_numpy(nodes), max(l1, l2, l3)).numpy()
    weights = np.repeat(z_weights, n_phi) * (2 * np.pi / n_phi)
    first, second, third = (values[:, : (k + 1) ** 2] for k in (l1, l2, l3))
    return first, second, third, weights
