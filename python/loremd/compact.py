# SPDX-License-Identifier: BSD-3-Clause
"""Gaussian or compact splitting of 1/r^p under one call, as the mesh sum needs them.

A splitting is a length and the Legendre terms of a shape. Without terms it is Gaussian with the
length as smearing (splitting.py); with terms (p = 1) it is compact: smooth(r) = ∫₀^{r/length} shape
/ r, so that sharp(r) is zero from there on (ESP, arXiv 2505.09727).
"""

import math
from typing import List

import torch
from torch import Tensor

from . import ops, splitting


def smooth_at_zero(exponent: float, length: float, shape: Tensor) -> float:
    """smooth(0), which a charge must not feel of itself: of a compact splitting shape(0) / length.

    P_2j(0) = (-1)^j (2j-1)!! / (2j)!!.
    """
    if shape.numel() == 0:
        return splitting.smooth_at_zero(exponent, length)
    total, legendre = 0.0, 1.0
    terms: List[float] = shape.tolist()
    for j, term in enumerate(terms):
        total += term * legendre
        legendre *= -(2.0 * j + 1.0) / (2.0 * j + 2.0)
    return total / length


def uniform_part(exponent: float, length: float, shape: Tensor, cutoff: float) -> float:
    """The term of k = 0, times volume / Σq, and ∫ sharp d³r from the cutoff on.

    That integral is the mean of what the sum over pairs leaves out. Without exponent 3.
    """
    if shape.numel() > 0:
        # -∫ sharp d³r = -2π length² ∫₀¹ t² shape dt, with t² = (P_0 + 2 P_2) / 3
        second = float(shape[1]) if shape.numel() > 1 else 0.0
        moment = float(shape[0]) / 3.0 + 2.0 / 15.0 * second
        return -2.0 * math.pi * length * length * moment
    a, b = 0.5 * (3.0 - exponent), 0.5 / (length * length)
    # ∫ 4π r² sharp dr from the cutoff on, by parts
    x = torch.full([1], b * cutoff * cutoff, dtype=torch.float64)
    beyond = float(ops.gamma_tail(x, 1.5, 1.0)) * math.pow(float(x), 1.5) * math.pow(b, -a)
    sharp_at_cutoff = float(ops.gamma_tail(x, 0.5 * exponent, 1.0)) * math.pow(b, 0.5 * exponent)
    beyond -= math.pow(cutoff, 3.0) * sharp_at_cutoff
    scale = 2.0 * math.pi / (a * math.gamma(0.5 * exponent))
    return splitting.transform_at_zero(exponent, length) + scale * beyond
