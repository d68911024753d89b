# SPDX-License-Identifier: BSD-3-Clause
"""Every op of :mod:`loremd.ops` in a few lines of plain torch: what the kernels are compared with.

Same signatures, slow, and differentiable by torch itself.
"""

import math
from typing import List, Optional, Tuple

import numpy as np
import torch
from torch import Tensor

from ..clebsch_gordan import clebsch_gordan
from ..spherical import component_degrees, harmonics


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


def cosine_transform(u: Tensor, series: Tensor) -> Tensor:
    """Integral of a Legendre series times cos(u t) over 0 <= t <= 1."""
    points = len(series) + 20 + int(u.detach().abs().max()) if u.numel() else 1
    t, weights = gauss_legendre(u, points)
    return torch.cos(u.unsqueeze(-1) * t) @ (weights * legendre_series(series, t))


def window_power(cycles: Tensor, order: int, window: Optional[Tensor] = None) -> Tensor:
    """Square of the transform of a window, by cycles per mesh point."""
    if window is None:
        return torch.sinc(cycles) ** (2 * order)
    return cosine_transform(math.pi * order * cycles, window) ** 2


def smooth_transform(k2: Tensor, range: float, interaction: Tensor) -> Tensor:
    """R(k) by k^2 > 0 of what ops.interaction describes, with nothing cut; 0 where it is nothing
    in double precision, for a compact shape of a bandlimit up to 40."""
    exponent, shape = float(interaction[0]), interaction[5:]
    near = k2.sqrt() * range < (50 if len(shape) else 10)
    x = k2[near]
    if len(shape) > 0:
        values = 4 * math.pi / x * cosine_transform(x.sqrt() * range, shape)
    elif exponent == 1:
        values = 4 * math.pi / x * torch.exp(-0.5 * range**2 * x)
    else:
        scale = math.pi**1.5 * 2 ** (3 - exponent) / math.gamma(exponent / 2)
        values = scale * gamma_tail(x, (3 - exponent) / 2, range**2 / 2)
    return torch.zeros_like(k2).masked_scatter(near, values)


def cut(k: Tensor, interaction: Tensor) -> Tensor:
    """Factor on R(k) of 1/r with open directions, by k (..., 3) != 0."""
    periodic, axis, reach = int(interaction[1]), int(interaction[2]), float(interaction[3])
    if periodic == 3:
        return torch.ones_like(k[..., 0])
    if periodic == 0:
        return 1 - torch.cos((k**2).sum(-1).sqrt() * reach)
    plane = (k**2).sum(-1) - k[..., axis] ** 2  # the open axis is a coordinate axis here
    in_plane = torch.where(plane > 1e-12, plane, 1.0).sqrt()
    decay = torch.where(plane > 1e-12, torch.exp(-in_plane * reach), 1.0)
    return 1 - decay * torch.cos(k[..., axis] * reach)


def influence(
    cell: Tensor,
    mesh_shape: List[int],
    order: int,
    smearing: float,
    window: Optional[Tensor] = None,
    interaction: Optional[Tensor] = None,
) -> Tensor:
    """The aliases summed one by one: 5 per direction with the smooth part, which ends them, and
    as many as a window needs without."""
    numbers = torch.tensor([1.0, 3, 2, 0, 1]).double() if interaction is None else interaction
    reciprocal = 2 * math.pi * torch.linalg.inv(cell).T
    points = torch.tensor(mesh_shape, dtype=torch.float64)
    axes = [torch.fft.fftfreq(n, 1 / n, dtype=torch.float64) for n in mesh_shape[:2]]
    axes.append(torch.fft.rfftfreq(mesh_shape[2], 1 / mesh_shape[2], dtype=torch.float64))
    frequencies = torch.stack(torch.meshgrid(axes, indexing="ij"), -1)
    zero = (frequencies == 0).all(-1)
    span, ends = 2, 200 if window is None else 80
    cycles = [f / n + torch.arange(-ends, ends + 1)[:, None] for f, n in zip(axes, mesh_shape)]
    powers = [window_power(c.double(), order, window) for c in cycles]
    numerator = torch.zeros_like(frequencies[..., 0])
    around = range(-span, span + 1)
    for m in [(a, b, c) for a in around for b in around for c in around]:
        x, y, z = (power[ends + shift] for power, shift in zip(powers, m))
        k = (frequencies + torch.tensor(m, dtype=torch.float64) * points) @ reciprocal
        k = torch.where(zero.unsqueeze(-1), 1.0, k)
        smooth = smooth_transform((k**2).sum(-1), smearing, numbers) * cut(k, numbers)
        weight = torch.einsum("x,y,z->xyz", x, y, z)
        numerator = numerator + torch.where(zero, 0.0, weight * smooth)
    sums = numerator / torch.einsum("x,y,z->xyz", *(p.sum(0) for p in powers)) ** 2
    # k = 0 stays out with three periodic directions; else the limit of 4 pi / k^2 times the cut
    periodic, reach = int(numbers[1]), float(numbers[3])
    limit = 2 * math.pi * reach**2 * {3: 0, 2: -1, 0: 1}[periodic]
    return torch.where(zero, limit, sums) * points.prod() / torch.abs(torch.linalg.det(cell))


def pair_sum(weights: Tensor, charges: Tensor, pairs: Tensor, n_out: int) -> Tensor:
    out = charges.new_zeros(n_out, charges.shape[1])
    return out.index_add(0, pairs[0], weights[:, None] * charges[pairs[1]])


def radial_basis(distances: Tensor, n_radial: int, cutoff: float, smooth: bool) -> Tensor:
    """rho_k of all distances below the cutoff: (P, K)."""
    x = (distances / cutoff).unsqueeze(1)
    k = torch.arange(n_radial, dtype=torch.float64)
    binomials = torch.tensor([math.comb(n_radial - 1, i) for i in range(n_radial)]).to(x)
    envelope = torch.exp(1 - 1 / (1 - x**2)) if smooth else 0.5 * (1 + torch.cos(math.pi * x))
    return binomials * x**k * (1 - x) ** (n_radial - 1 - k) * envelope


def neighbor_density(
    positions: Tensor,
    cell: Tensor,
    pairs: Tensor,
    shifts: Tensor,
    species: Tensor,
    coefficients: Tensor,
    n_out: int,
    cutoff: float,
    smooth: bool = False,
) -> Tuple[Tensor, Tensor]:
    """Everything in float64, for every pair by itself."""
    vectors = positions[pairs[1]] - positions[pairs[0]] + shifts.to(cell.dtype) @ cell
    kept = (vectors.detach().norm(dim=1) < cutoff) & (pairs[0] < n_out)
    (centres, neighbors), vectors = pairs[:, kept], vectors[kept]
    distances = vectors.norm(dim=1)
    n_species, _, n_radial, degrees, features = coefficients.shape
    rho = radial_basis(distances, n_radial, cutoff, smooth)
    own = coefficients.to(rho.dtype)[species[centres], species[neighbors]]
    functions = torch.einsum("pk,pklf->plf", rho, own)
    of_component = [degree for degree in range(degrees) for _ in range(2 * degree + 1)]
    angular = harmonics(vectors / distances.unsqueeze(1), degrees - 1)
    terms = functions[:, of_component] * angular.unsqueeze(2)
    spherical = terms.new_zeros(n_out, degrees**2, features).index_add(0, centres, terms)
    sums = rho.new_zeros(n_out * n_species, n_radial)
    sums = sums.index_add(0, centres * n_species + species[neighbors], rho)
    results = sums.reshape(n_out, n_species, n_radial), spherical
    return results[0].to(coefficients.dtype), results[1].to(coefficients.dtype)


def neighbor_density_tabulated(
    positions: Tensor,
    cell: Tensor,
    pairs: Tensor,
    shifts: Tensor,
    species: Tensor,
    table: Tensor,
    n_out: int,
    cutoff: float,
    n_radial: int,
    degrees: int,
    features: int,
) -> Tuple[Tensor, Tensor]:
    """The polynomials in float64, for every pair by itself."""
    vectors = positions[pairs[1]] - positions[pairs[0]] + shifts.to(cell.dtype) @ cell
    kept = (vectors.detach().norm(dim=1) < cutoff) & (pairs[0] < n_out)
    (centres, neighbors), vectors = pairs[:, kept], vectors[kept]
    distances = vectors.norm(dim=1)
    place = distances / cutoff * table.shape[2]
    interval = place.detach().floor().long()
    own = table.double()[species[centres], species[neighbors], interval]
    powers = (place - interval).unsqueeze(1) ** torch.arange(4)
    values = torch.einsum("pt,ptf->pf", powers, own)
    first = (n_radial + 15) // 16 * 16
    functions = values[:, first : first + degrees * features].reshape(-1, degrees, features)
    of_component = [degree for degree in range(degrees) for _ in range(2 * degree + 1)]
    angular = harmonics(vectors / distances.unsqueeze(1), degrees - 1)
    terms = functions[:, of_component] * angular.unsqueeze(2)
    spherical = terms.new_zeros(n_out, degrees**2, features).index_add(0, centres, terms)
    n_species = table.shape[0]
    sums = terms.new_zeros(n_out * n_species, n_radial)
    sums = sums.index_add(0, centres * n_species + species[neighbors], values[:, :n_radial])
    return sums.reshape(n_out, n_species, n_radial).float(), spherical.float()


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


def tensor_product(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    degrees = [size - 1 for size in weight.shape[:3]]
    table = clebsch_gordan(*degrees).to(a.dtype)
    l1, l2, l3 = (torch.tensor(component_degrees(degree)) for degree in degrees)
    of_components = weight[l1[:, None, None], l2[:, None], l3]
    coupled = torch.where(table[..., None] != 0, table[..., None] * of_components, 0.0)
    return torch.einsum("naf,nbf,abcf->ncf", a, b, coupled)


def equivariant_dense(t: Tensor, weight: Tensor) -> Tensor:
    degrees = torch.tensor(component_degrees(len(weight) - 1))
    return torch.einsum("nci,cij->ncj", t, weight[degrees])


def norm_features(t: Tensor, epsilon: float = 0.0) -> Tensor:
    degrees = torch.tensor(component_degrees(math.isqrt(t.shape[1]) - 1))
    shape = (t.shape[0], int(degrees[-1]) + 1, t.shape[2])
    squares = t.new_zeros(shape).index_add(1, degrees, t.square()) + epsilon**2
    positive = squares > 0  # the derivative of the root at zero would be infinite
    norms = torch.where(positive, torch.where(positive, squares, 1.0).sqrt(), 0.0) - epsilon
    factors = (2 * torch.arange(shape[1], dtype=t.dtype) + 1) ** 0.25
    return (norms * factors[:, None]).flatten(1)


def mlp(x: Tensor, weights: List[Tensor], biases: List[Tensor]) -> Tensor:
    for k, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = (x if k == 0 else x / (1 + torch.exp(-x))) @ weight + bias
    return x


def residual_mlp(
    x: Tensor,
    y: Tensor,
    weights: List[Tensor],
    biases: List[Tensor],
    scale: Tensor,
    shift: Tensor,
) -> Tensor:
    z = x + mlp(y, weights, biases)
    centred = z - z.mean(1, keepdim=True)
    return centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt() * scale + shift
