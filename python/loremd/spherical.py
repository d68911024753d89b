# SPDX-License-Identifier: BSD-3-Clause
"""Real spherical harmonics in the order and normalisation of LOREM.

Degree ``l`` occupies the components ``l² .. (l+1)²-1``, inside a degree in the order
``m = +l, -l, +(l-1), -(l-1), ..., +1, -1, 0``, so that degree 1 is (x, y, z). Racah normalisation
(the squares of one degree sum to 1), no Condon-Shortley phase::

    Y_l^0  = P_l(z)
    Y_l^±m = √2 √((l-m)!/(l+m)!) P_l^(m)(z) {Re, Im} (x+iy)^m        with P_l^(m) = dᵐP_l/dzᵐ
"""

from __future__ import annotations

import math
from typing import List

import torch
from torch import Tensor


def component_degrees(max_degree: int) -> List[int]:
    """The degree of each of the (max_degree+1)² components: [0, 1, 1, 1, 2, ...]."""
    return [degree for degree in range(max_degree + 1) for _ in range(2 * degree + 1)]


def harmonics(directions: Tensor, max_degree: int) -> Tensor:
    """Evaluate the explicit formula: the reference for tables and tests.

    Args:
        directions: (n, 3) unit vectors, any floating dtype.
        max_degree: highest degree, 0 or larger.
    Returns:
        (n, (max_degree+1)²) harmonics, dtype of the directions.
    """
    x, y, z = directions.unbind(1)
    legendre = _legendre_derivatives(z, max_degree)
    real, imaginary = [torch.ones_like(x)], [torch.zeros_like(x)]
    for m in range(max_degree):
        real.append(x * real[m] - y * imaginary[m])
        imaginary.append(x * imaginary[m] + y * real[m])
    columns: List[Tensor] = []
    for degree in range(max_degree + 1):
        for m in range(degree, 0, -1):
            ratio = math.factorial(degree - m) / math.factorial(degree + m)
            radial = math.sqrt(2.0 * ratio) * legendre[degree][m]
            columns += [radial * real[m], radial * imaginary[m]]
        columns.append(legendre[degree][0])
    return torch.stack(columns, dim=1)


def _legendre_derivatives(z: Tensor, max_degree: int) -> List[List[Tensor]]:
    """Return P[l][m] = dᵐP_l/dzᵐ from l P_l = (2l-1) z P_{l-1} - (l-1) P_{l-2}, differentiated."""
    zero = torch.zeros_like(z)
    table: List[List[Tensor]] = [[torch.ones_like(z)]]
    for degree in range(1, max_degree + 1):
        row = []
        for m in range(degree + 1):
            lower = table[degree - 1][m] if m < degree else zero
            value = z * lower
            if m > 0:
                value = value + m * table[degree - 1][m - 1]
            before = table[degree - 2][m] if degree > 1 and m <= degree - 2 else zero
            row.append(((2 * degree - 1) * value - (degree - 1) * before) / degree)
        table.append(row)
    return table
