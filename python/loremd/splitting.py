# SPDX-License-Identifier: BSD-3-Clause
"""The Gaussian splitting 1/r^p = sharp(r) + smooth(r), smearing η, as functions of x = r² or k².

With β = 1/2η²::

    sharp(r)  = Γ(p/2, βr²) / Γ(p/2) / r^p          (p = 1: erfc(r/√2η)/r)
    smooth(r) = γ(p/2, βr²) / Γ(p/2) / r^p,         smooth(0) = β^{p/2} / Γ(p/2 + 1)
    R(k)      = C k^{-2a} Γ(a, η²k²/2),             C = π^{3/2} 2^{3-p} / Γ(p/2),  a = (3 - p)/2

R is the transform of smooth. Williams 1971, DOI 10.1107/S0567739471000998. All functions are twice
differentiable and scriptable; those of 1/r are plain torch and have every derivative.
"""

import math

import torch
from torch import Tensor

from . import ops


def sharp(squared: Tensor, exponent: float, smearing: float, derivative: int = 0) -> Tensor:
    """The part that ends within a few smearings, by r² > 0; or its derivative by r²."""
    beta = 0.5 / smearing**2
    if exponent == 1.0 and derivative == 0:
        r = squared.sqrt()
        return torch.erfc(math.sqrt(beta) * r) / r
    tail = ops.gamma_tail(squared, 0.5 * exponent, beta, derivative)
    return tail / math.gamma(0.5 * exponent)


def smooth(squared: Tensor, exponent: float, smearing: float) -> Tensor:
    """What goes to the mesh or the reciprocal lattice, by r² > 0."""
    beta = 0.5 / smearing**2
    if exponent == 1.0:
        r = squared.sqrt()
        return torch.erf(math.sqrt(beta) * r) / r
    half = torch.full_like(squared, 0.5 * exponent)
    return torch.special.gammainc(half, beta * squared) * squared.pow(-0.5 * exponent)


def smooth_at_zero(exponent: float, smearing: float) -> float:
    """smooth(0), which a charge must not feel of itself."""
    return (0.5 / smearing**2) ** (0.5 * exponent) / math.gamma(0.5 * exponent + 1.0)


def transform(k_squared: Tensor, exponent: float, smearing: float) -> Tensor:
    """R(k), by k² > 0."""
    b = 0.5 * smearing**2
    if exponent == 1.0:
        return 4.0 * math.pi * torch.exp(-b * k_squared) / k_squared
    return _transform_scale(exponent) * ops.gamma_tail(k_squared, 0.5 * (3.0 - exponent), b)


def transform_at_zero(exponent: float, smearing: float) -> float:
    """The term of k = 0, times volume / Σq: -C b^a / a, b = η²/2; 0 for p = 3, which has none.

    For p < 3 it is the uniform neutralising background, for p > 3 the finite R(0).
    """
    if exponent == 3.0:
        return 0.0
    a = 0.5 * (3.0 - exponent)
    return -_transform_scale(exponent) * (0.5 * smearing**2) ** a / a


def _transform_scale(exponent: float) -> float:
    return math.pi**1.5 * 2.0 ** (3.0 - exponent) / math.gamma(0.5 * exponent)


def exclusion(squared: Tensor, radius: float, degree: int) -> Tensor:
    """Share of the potential taken away at r, by r²: 1 at 0, falling smoothly to 0 at the radius.

    1 - ((1 - cos πr/radius)/2)^degree, the cutoff function of torch-pme's exterior potentials.
    """
    inside = squared < radius * radius
    r = torch.where(inside, squared, torch.full_like(squared, radius * radius)).sqrt()
    kept = torch.sin((0.5 * math.pi / radius) * r).square().pow(degree)
    return torch.where(inside, 1.0 - kept, torch.zeros_like(squared))
