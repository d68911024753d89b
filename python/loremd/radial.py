# SPDX-License-Identifier: BSD-3-Clause
"""Tables of radial functions: piecewise cubic polynomials for ops.neighbor_density_tabulated."""

import math
from typing import Tuple

import torch
from torch import Tensor
from torch.nn import functional


def radial_table(
    coefficients: Tensor, cutoff: float, smooth: bool = False, intervals: int = 256
) -> Tensor:
    """Tabulate rho_k and their contractions with coefficients, as cubic Hermite interpolation.

    Between the ends of an interval of length h a function deviates by at most h^4 / 384 times its
    largest fourth derivative. With 256 intervals and K = 32 this is 1e-7 of the largest value from
    a tenth of the cutoff on, where float32 rounds to 6e-8, and 5e-6 below, where rho_0 and the next
    few are steep. :func:`table_error` measures it.

    Args:
        coefficients: (S, S, K, L+1, s) as in ops.neighbor_density.
        cutoff, smooth: as there.
    Returns:
        (S, S, intervals, 4, functions) float32. Functions are the K rho_k and the (L+1) s sums over
        k of coefficients and rho_k, each set padded with zeros to a multiple of 16. Powers of the
        place in the interval, from 0 to 1, rise along the axis of 4. Computed in float64.
    """
    step = cutoff / intervals
    ends = step * torch.arange(intervals + 1, dtype=torch.float64, device=coefficients.device)
    values, slopes = radial_functions(ends, coefficients, cutoff, smooth)
    f0, f1 = values[:, :, :-1], values[:, :, 1:]
    d0, d1 = step * slopes[:, :, :-1], step * slopes[:, :, 1:]
    rise = f1 - f0
    powers = [f0, d0, 3.0 * rise - 2.0 * d0 - d1, d0 + d1 - 2.0 * rise]
    return torch.stack(powers, 3).to(torch.float32)


def table_error(
    table: Tensor,
    coefficients: Tensor,
    cutoff: float,
    smooth: bool = False,
    shortest: float = 0.0,
) -> float:
    """Largest deviation of a table from the functions, over the largest value of the same kind.

    Measured in the middle of the intervals, where it is largest, from the distance `shortest` on.
    The kinds are rho_k and the sums of one pair of species.
    """
    intervals = table.shape[2]
    middle = (cutoff / intervals) * (torch.arange(intervals, dtype=torch.float64) + 0.5)
    exact = radial_functions(middle.to(table.device), coefficients, cutoff, smooth)[0]
    powers = 0.5 ** torch.arange(4, dtype=torch.float64, device=table.device)
    error = torch.einsum("abqtf,t->abqf", table.to(torch.float64), powers) - exact
    error = error[:, :, middle.to(table.device) > shortest]
    first = padded(coefficients.shape[2])
    worst = 0.0
    for part in (slice(0, first), slice(first, None)):
        largest = exact[..., part].abs().amax((2, 3))
        relative = error[..., part].abs().amax((2, 3)) / largest.clamp(min=1e-300)
        worst = max(worst, float(relative.max()))
    return worst


def padded(n: int) -> int:
    """The next multiple of 16."""
    return (n + 15) // 16 * 16


def radial_functions(
    distances: Tensor, coefficients: Tensor, cutoff: float, smooth: bool
) -> Tuple[Tensor, Tensor]:
    """All functions of a table and their derivatives at distances (n,): (S, S, n, functions)."""
    n_radial = coefficients.shape[2]
    n_functions = coefficients.shape[3] * coefficients.shape[4]
    maps = coefficients.to(torch.float64).flatten(3)
    rho, slopes = radial_basis(distances, n_radial, cutoff, smooth)
    widths = [padded(n_radial) - n_radial, padded(n_functions) - n_functions]
    results = []
    for basis in (rho, slopes):
        own = functional.pad(basis, [0, widths[0]])
        own = own.expand(maps.shape[0], maps.shape[1], own.shape[0], own.shape[1])
        results.append(torch.cat([own, functional.pad(basis @ maps, [0, widths[1]])], 3))
    return results[0], results[1]


def radial_basis(
    distances: Tensor, n_radial: int, cutoff: float, smooth: bool
) -> Tuple[Tensor, Tensor]:
    """rho_k of csrc/core/math/radial.hpp and its derivatives: (n, K) each."""
    # at the cutoff itself both cutoff functions and their slopes are zero, one as 0 times infinity
    x = (distances / cutoff).clamp(max=1.0 - 1e-12).unsqueeze(1)
    y = 1.0 - x
    degree = n_radial - 1
    k = torch.arange(degree, dtype=x.dtype, device=x.device)
    ratios = (degree - 1.0 - k[:-1]) / (k[:-1] + 1.0)
    binomials = torch.cumprod(torch.cat([torch.ones_like(k[:1]), ratios]), 0)
    lower = binomials * x**k * y ** (degree - 1.0 - k)  # Bernstein polynomials of one degree less
    above, below = functional.pad(lower, [0, 1]), functional.pad(lower, [1, 0])
    values = y * above + x * below if degree > 0 else torch.ones_like(x)
    slopes = degree * (below - above) if degree > 0 else torch.zeros_like(x)
    if smooth:
        q = 1.0 / (y * (1.0 + x))
        envelope = torch.exp(1.0 - q)
        envelope_slope = -2.0 * x * q * q * envelope
    else:
        envelope = torch.sin(0.5 * math.pi * y).square()
        envelope_slope = -0.5 * math.pi * torch.sin(math.pi * y)
    return values * envelope, (slopes * envelope + values * envelope_slope) / cutoff
