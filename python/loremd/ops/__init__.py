# SPDX-License-Identifier: BSD-3-Clause
"""The kernels as functions of tensors: the only place that names `torch.ops.loremd`.

Everything here is differentiable twice, scriptable (`torch.jit.script`) and traceable
(`torch.compile`).
"""

from typing import Dict, List, Optional, Tuple

import torch
from torch import Tensor

from .._library import load
from . import reference

load()

__all__ = [
    "compact_sharp",
    "convolve",
    "equivariant_dense",
    "fractional",
    "gamma_tail",
    "halo_exchange",
    "halo_reduce",
    "influence",
    "interaction",
    "interpolate",
    "max_over_ranks",
    "mesh_bytes",
    "mesh_energy",
    "mesh_errors",
    "mesh_potential",
    "mlp",
    "neighbor_density",
    "neighbor_density_tabulated",
    "norm_features",
    "pair_potential",
    "pair_sum",
    "plan",
    "plan_cost",
    "plan_errors",
    "plan_mesh",
    "prolate_shape",
    "reference",
    "residual_mlp",
    "residual_mlp_again",
    "residual_mlp_forward",
    "residual_mlp_slopes",
    "set_cost_model",
    "spread",
    "sum_over_ranks",
    "tensor_dense",
    "tensor_dense_gradient",
    "tensor_product",
    "tensor_product_gradient",
]


def fractional(positions: Tensor, cell: Tensor, inverse: Optional[Tensor] = None) -> Tensor:
    """Positions (n, 3) in units of the cell vectors (3, 3): (n, 3), float64.

    `inverse` is that of the cell, where it is known already.
    """
    if inverse is None:
        inverse = torch.linalg.inv(cell)
    return torch.ops.loremd.row_products(positions, inverse)


def spread(
    positions: Tensor,
    charges: Tensor,
    cell: Tensor,
    mesh_shape: List[int],
    order: int,
    window: Optional[Tensor] = None,
) -> Tensor:
    """Spread charges onto a periodic mesh.

    Shapes: positions (n, 3) float64, charges (n, C), cell (3, 3) float64 -> mesh (nx, ny, nz, C) in
    the dtype of the charges. The window covers `order` (3 to 10) points per direction. It is the
    B-spline of that order, whose weights add up to one, so that charge is conserved
    (Essmann et al. 1995, DOI 10.1063/1.470117); or `window`, the coefficients (terms,) float64 of
    a series f(t) = sum_j window[j] P_2j(t) in Legendre polynomials: the weight of a point x mesh
    spacings away is f(2 x / order) / order per direction, within 1e-4 of the step of f or its slope
    at the ends, where f(t) is cut off (1e-5 of the largest weight at most, rounding at least). The
    transpose is :func:`interpolate`. The mesh is a view: its rows are a few points further apart
    than they are long.

    Raises ValueError on wrong shapes, an order out of range, a mesh with fewer points than the
    order, a window too sharp for the order, a position that is not finite; TypeError on wrong
    dtypes.
    """
    return torch.ops.loremd.spread(fractional(positions, cell), charges, mesh_shape, order, window)


def interpolate(
    positions: Tensor, mesh: Tensor, cell: Tensor, order: int, window: Optional[Tensor] = None
) -> Tensor:
    """Values of a mesh (nx, ny, nz, C) at positions (n, 3) float64: (n, C), dtype of the mesh.

    The transpose of :func:`spread`, with the same window and the same errors.
    """
    return torch.ops.loremd.interpolate(fractional(positions, cell), mesh, order, window)


def convolve(mesh: Tensor, influence: Tensor) -> Tensor:
    """Convolve every channel of mesh (nx, ny, nz, C) with one influence function.

    `influence` (nx, ny, nz // 2 + 1), of the dtype of the mesh, multiplies the half spectrum of the
    real FFT. It is real, so the operation is self-adjoint. The derivative by `influence` is exact
    for any values, symmetric or not. Raises ValueError where the shapes do not fit.
    """
    return torch.ops.loremd.convolve(mesh, influence)


def interaction(
    exponent: float = 1.0,
    splitting: Optional[Tensor] = None,
    periodic: int = 3,
    open_axis: int = 2,
    reach: float = 0.0,
    ends_at_zero: bool = True,
) -> Tensor:
    """What :func:`influence` puts on the mesh, as one tensor of numbers.

    1/r^exponent, above 0 to 6, Gaussian splitting; or 1/r with the compact splitting of which
    `splitting` holds the Legendre terms (:func:`prolate_shape`). Its transform is cut at its first
    zero unless `ends_at_zero` is False, which other shapes than prolate ones need. With 2 or 0
    instead of 3 periodic directions (1/r only) the interaction ends at `reach`: at that distance
    along the open axis, which must be perpendicular to the others and 2 `reach` high, or in all
    directions.
    """
    numbers = torch.empty(5, dtype=torch.float64)
    numbers[0], numbers[1], numbers[2], numbers[3] = exponent, periodic, open_axis, reach
    numbers[4] = 1.0 if ends_at_zero else 0.0
    if splitting is None:
        return numbers
    return torch.cat([numbers, splitting])


def prolate_shape(bandlimit: float) -> Tensor:
    """Legendre terms (terms,) float64 of the prolate shape of windows and compact splittings.

    The prolate spheroidal wave function of order zero of a bandlimit, above 0 to 100, less its
    value at the edge; csrc/core/math/pswf.hpp.
    """
    return torch.ops.loremd.prolate_shape(bandlimit)


def influence(
    cell: Tensor,
    mesh_shape: List[int],
    order: int,
    smearing: float,
    window: Optional[Tensor] = None,
    interaction: Optional[Tensor] = None,
    comm: int = 0,
    factor: float = 1.0,
    reciprocal: Optional[Tuple[Tensor, Tensor]] = None,
) -> Tensor:
    """Optimal influence function of a mesh: (nx, ny, nz // 2 + 1) float64.

    G(k) = N / V * sum_m U(k_m)^2 R(k_m) / (sum_m U(k_m)^2)^2 over the aliases k_m of k, with U the
    transform of the window, N the number of mesh points, V the volume, R the transform of the
    smooth part of the interaction: without `interaction` 1/r with Gaussian splitting,
    R(k) = 4 pi exp(-smearing^2 k^2 / 2) / k^2. It is 0 at k = 0 with three periodic directions,
    where :func:`loremd.splitting.uniform_part` comes in. Convolution with it turns a charge mesh
    into that of sum_j q_j smooth(r). Ballenegger, Cerda, Holm 2012, DOI 10.1021/ct2001792.

    cell (3, 3) float64, differentiable; smearing > 0 in the units of the cell, or the range of a
    compact splitting; window as in :func:`spread`, interaction by :func:`interaction`. With `comm`,
    see :func:`halo_exchange`, the share of the full spectrum that :func:`mesh_potential` wants from
    this rank, (nx, some y, some z). All of it is multiplied by `factor`. `reciprocal` holds the
    inverse of the cell and its volume, where they are known already.
    """
    if reciprocal is None:
        reciprocal = torch.linalg.inv(cell), torch.abs(torch.linalg.det(cell))
    inverse, volume = reciprocal
    points = float(mesh_shape[0] * mesh_shape[1] * mesh_shape[2])
    sums = torch.ops.loremd.influence_sum(
        inverse.t() @ inverse, mesh_shape, order, smearing, window, interaction, comm
    )
    scale = factor * points / volume
    if sums.requires_grad or scale.requires_grad:
        return sums * scale
    return sums.mul_(scale)  # fresh memory would cost several times the product


def mesh_potential(
    positions: Tensor,
    charges: Tensor,
    cell: Tensor,
    influence: Tensor,
    mesh_shape: List[int],
    order: int,
    window: Optional[Tensor] = None,
    comm: int = 0,
    own: float = 0.0,
    uniform: Optional[Tensor] = None,
    inverse: Optional[Tensor] = None,
) -> Tensor:
    """interpolate(convolve(spread(charges))) in one op: (n, C), dtype of the charges.

    Shapes as in these three; influence has the dtype of the charges. Several times faster than one
    after the other, forward and backward, and no mesh outlives the call. Symmetric in the charges.
    Added are `own` times the charge itself and `uniform`, a float64 number, times the sum of all.
    `inverse` is that of the cell, where it is known already. With `comm`, see
    :func:`halo_exchange`, each rank gives its atoms and holds a part of the mesh; second
    derivatives are those of a single process.
    """
    return torch.ops.loremd.mesh_potential(
        fractional(positions, cell, inverse),
        charges,
        influence,
        mesh_shape,
        order,
        window,
        comm,
        own,
        uniform,
    )


def mesh_bytes() -> int:
    """Memory that the last :func:`mesh_potential` of this thread took for meshes, at its most.

    Its backward, if it has run, included. Meshes, the spectrum that is kept for the backward, the
    influence function and the derivative by it: on several ranks those of this one.
    """
    return torch.ops.loremd.mesh_bytes()


def mesh_energy(
    positions: Tensor,
    charges: Tensor,
    cell: Tensor,
    influence: Tensor,
    mesh_shape: List[int],
    order: int,
    window: Optional[Tensor] = None,
    own: float = 0.0,
    uniform: Optional[Tensor] = None,
    inverse: Optional[Tensor] = None,
) -> Tensor:
    """Sum over atoms and channels of charges * mesh_potential, float64, in one convolution.

    As the sum is a quadratic form its gradients follow from the potentials: half the work of
    :func:`mesh_potential` and its backward, for charges that are inputs and not learned.
    """
    fractions = fractional(positions, cell, inverse)
    return torch.ops.loremd.mesh_energy(
        fractions, charges, influence, mesh_shape, order, window, 0, own, uniform
    )


def pair_sum(weights: Tensor, charges: Tensor, pairs: Tensor, n_out: int) -> Tensor:
    """Sum weighted charges of neighbours: out[i] = sum over pairs (i, j) of weights * charges[j].

    weights (P,), charges (n, C) of one dtype, pairs (2, P) int64 (row 0 centres, row 1 neighbours),
    n_out > every centre -> (n_out, C). Raises ValueError on an index out of range.
    """
    return torch.ops.loremd.pair_sum(weights, charges, pairs, n_out)


def pair_potential(
    positions: Tensor,
    charges: Tensor,
    cell: Tensor,
    pairs: Tensor,
    shifts: Tensor,
    n_out: int,
    cutoff: float,
    exponent: float,
    length: float,
    splitting: Optional[Tensor] = None,
) -> Tensor:
    """Sum over pairs (i, j) closer than the cutoff of sharp(r) * charges[j]: (n_out, C).

    positions (n, 3) and cell (3, 3) float64, charges (n, C), pairs (2, P) int64, shifts (P, 3)
    integers, n_out > every centre. `length` is the smearing of the Gaussian splitting of
    1/r^exponent, or with the Legendre terms `splitting` where a compact one of 1/r ends. Nothing
    of the size of the pair list is kept. Raises ValueError on an index out of range.
    """
    return torch.ops.loremd.pair_potential(
        positions, charges, cell, pairs, shifts, n_out, cutoff, exponent, length, splitting
    )


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
    """Density of the neighbours around every centre: radial sums and spherical features.

    For pairs (i, j) closer than the cutoff, with R = R_j - R_i + shift cell and r = |R|:

    - radial_sums (n_out, S, K): sum over neighbours j of species b of rho_k(r);
    - spherical (n_out, (L+1)^2, s): sum over j of g_lf(r) Y_lm(R / r), components in the order of
      :mod:`loremd.spherical`, with g_lf = sum_k coefficients[a, b, k, l, f] rho_k, species a of i.

    rho_k = binomial(K-1, k) x^k (1-x)^(K-1-k) fc(x), x = r / cutoff; fc is 0.5 (1 + cos pi x), or
    exp(1 - 1 / (1 - x^2)) if smooth.

    positions (n, 3) and cell (3, 3) float64; pairs (2, P) int64, row 0 the centres; shifts (P, 3)
    integers or float64, views of fewer numbers stay views; species (n,) int64 from 0 to S-1;
    coefficients (S, S, K, L+1, s) float32 or float64, the dtype of the results; K and s at least 1,
    L up to 8. Fastest with pairs sorted by centre. Pairs whose centre is not below n_out count for
    nothing. Structures of a batch with cells of their own: cell = identity and shifts = vectors.

    Nothing of the size of the pair list is kept. Differentiable twice by positions, cell,
    coefficients and shifts of float64, then NotImplementedError. Raises ValueError on two atoms at
    the same place, on an index, species or size out of range; TypeError on wrong dtypes.
    """
    return torch.ops.loremd.neighbor_density(
        positions, cell, pairs, shifts, species, coefficients, n_out, cutoff, smooth
    )


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
    """:func:`neighbor_density` in float32 with a table for coefficients that no longer change.

    table (S, S, intervals, 4, functions) float32 by :func:`loremd.radial.radial_table`, from
    coefficients of shape (S, S, n_radial, degrees, features) and the same cutoff. The other
    arguments, results and errors are the same. Differentiable once, by positions, cell and shifts
    of float64; other derivatives raise NotImplementedError.
    """
    return torch.ops.loremd.neighbor_density_tabulated(
        positions,
        cell,
        pairs,
        shifts,
        species,
        table,
        n_out,
        cutoff,
        n_radial,
        degrees,
        features,
    )


def gamma_tail(x: Tensor, a: float, b: float, derivative: int = 0) -> Tensor:
    """x^-a Gamma(a, b x), or its derivative by x: both halves of the Gaussian splitting of 1/r^p.

    x > 0 float64 of any shape; b > 0; any a from -100 to 100; derivative 0 to 3. Same shape out.
    The sharp part of 1/r^p with smearing eta is gamma_tail(r^2, p / 2, 1 / (2 eta^2)) / Gamma(p/2),
    the transform of its smooth part gamma_tail(k^2, (3 - p) / 2, eta^2 / 2) times
    pi^(3/2) 2^(3-p) / Gamma(p/2). Williams 1971, DOI 10.1107/S0567739471000998.

    Differentiable by x up to the third derivative in all, then NotImplementedError. Raises
    ValueError where a number is out of range, TypeError where x is not float64.
    """
    return torch.ops.loremd.gamma_tail(x, a, b, derivative)


def compact_sharp(x: Tensor, range: float, series: Tensor, derivative: int = 0) -> Tensor:
    """Sharp part of 1/r with a compact splitting as a function of x = r^2, or its derivative by x.

    (1 - integral of shape from 0 to r / range) / r, and 0 from `range` on. x > 0 float64 of any
    shape, range > 0, series (terms,) float64: the shape as Legendre terms of even degree, the first
    one 1. Derivatives and errors as those of :func:`gamma_tail`. arXiv 2505.09727.
    """
    return torch.ops.loremd.compact_sharp(x, range, series, derivative)


def tensor_product(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Couple two spherical arrays, one weight per path (l1, l2, l3) and feature.

    ``out[n, l3 m3, f] = Σ w[l1, l2, l3, f] C[l1 m1, l2 m2, l3 m3] a[n, l1 m1, f] b[n, l2 m2, f]``
    with C of :mod:`loremd.clebsch_gordan`: over |l1 - l2| <= l3 <= l1 + l2 with l1 + l2 + l3 even;
    other weights are never read and their derivatives are zero.

    Shapes: a (n, (L1+1)², F), b (n, (L2+1)², F), weight (L1+1, L2+1, L3+1, F) -> (n, (L3+1)², F),
    one dtype, float32 or float64; components in the order of :mod:`loremd.spherical`. Halves of
    a larger array are taken without a copy. Differentiable to any order.

    Raises ValueError on shapes that do not fit, TypeError on wrong dtypes.
    """
    return torch.ops.loremd.tensor_product(a, b, weight)


def tensor_product_gradient(
    a: Tensor, b: Tensor, weight: Tensor, grad: Tensor
) -> Tuple[Tensor, Tensor]:
    """Gradients by a and b of Σ grad · tensor_product(a, b, weight), without the product itself.

    Shapes: those of :func:`tensor_product`, grad (n, (L3+1)², F). Errors and derivatives likewise.
    """
    return torch.ops.loremd.tensor_product_gradient(a, b, weight, grad)


def tensor_dense(t: Tensor, dense: Tensor, weight: Tensor) -> Tensor:
    """Couple two linear images of the same spherical array.

    ``[first, second] = equivariant_dense(t, dense)``, then
    ``tensor_product(first, second, weight)``. Shapes: t (n, (L+1)², Fin), dense (L+1, Fin, 2 F),
    weight (L+1, L+1, L'+1, F) -> (n, (L'+1)², F), one dtype, float32 or float64. Differentiable to
    any order; where nothing needs a derivative, a CPU takes atoms in blocks whose images stay in
    the cache.

    Raises ValueError on shapes that do not fit, TypeError on wrong dtypes.
    """
    return torch.ops.loremd.tensor_dense(t, dense, weight)


def tensor_dense_gradient(t: Tensor, dense: Tensor, weight: Tensor, grad: Tensor) -> Tensor:
    """Gradient by t of Σ grad · tensor_dense(t, dense, weight), without the latter.

    Shapes: those of :func:`tensor_dense`, grad (n, (L'+1)², F); errors and derivatives likewise.
    """
    return torch.ops.loremd.tensor_dense_gradient(t, dense, weight, grad)


def equivariant_dense(t: Tensor, weight: Tensor) -> Tensor:
    """One matrix per degree, shared by its components.

    Shapes: t (n, (L+1)², Fin), weight (L+1, Fin, Fout) -> (n, (L+1)², Fout), one dtype, float32 or
    float64. Differentiable to any order.

    Raises ValueError on shapes that do not fit, TypeError on wrong dtypes.
    """
    return torch.ops.loremd.equivariant_dense(t, weight)


def norm_features(t: Tensor, epsilon: float = 0.0) -> Tensor:
    """Norms of every degree and feature times (2l+1)^(1/4).

    The norm is √(Σ_m t² + ε²) - ε, smooth for ε > 0; for ε = 0 its first and second derivatives
    are 0 where it vanishes. Shapes: t (n, (L+1)², F) -> (n, (L+1) F), degree slow, in the dtype of
    t, float32 or float64; computed in float64, so that second derivatives exist for features down
    to the smallest of float32. Differentiable twice.

    Raises ValueError on a wrong shape or a negative epsilon, TypeError on a wrong dtype.
    """
    return torch.ops.loremd.norm_features(t, epsilon)


def mlp(x: Tensor, weights: List[Tensor], biases: List[Tensor]) -> Tensor:
    """Dense layers y = x W + b with silu(y) = y / (1 + exp(-y)) between them, row by row.

    Args:
        x: (n, in), float32 or float64.
        weights: (in, out) of each layer, one at least. biases: (out,) of each.
    Returns:
        (n, out of the last layer), the dtype of x.

    If a parameter requires a gradient, the ops of torch are called one by one. Else, on a CPU, rows
    are taken in chunks that stay in the cache, and first derivatives by x cost as much as values;
    higher ones go through the ops of torch. Raises ValueError on a wrong shape, TypeError on a
    wrong dtype.
    """
    return torch.ops.loremd.mlp(x, weights, biases)


def residual_mlp(
    x: Tensor,
    y: Tensor,
    weights: List[Tensor],
    biases: List[Tensor],
    scale: Tensor,
    shift: Tensor,
) -> Tensor:
    """A residual step with layer normalisation (arXiv:1607.06450): LayerNorm(x + mlp(y)).

    Args:
        x: (n, width), float32 or float64. y: (n, in), the same dtype; may be x itself.
        weights, biases: as of mlp, the last layer of `width`.
        scale, shift: (width,). With mean and population variance of z = x + mlp(y) over the row,
            the result is (z - mean) / sqrt(variance + 1e-6) * scale + shift.
    Returns:
        (n, width), the dtype of x.

    Ways of evaluation and errors as of mlp.
    """
    return torch.ops.loremd.residual_mlp(x, y, weights, biases, scale, shift)


def residual_mlp_forward(
    x: Tensor,
    y: Tensor,
    weights: List[Tensor],
    biases: List[Tensor],
    scale: Tensor,
    shift: Tensor,
) -> Tuple[Tensor, Tensor, Tensor]:
    """residual_mlp without derivatives, and what residual_mlp_again needs.

    Returns the values (n, width), (z - mean) / sqrt(variance + 1e-6) (n, width), and the inverse of
    that root (n,).
    """
    return torch.ops.loremd.residual_mlp_forward(x, y, weights, biases, scale, shift)


def residual_mlp_slopes(
    x: Tensor,
    y: Tensor,
    weights: List[Tensor],
    biases: List[Tensor],
    scale: Tensor,
    shift: Tensor,
) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    """residual_mlp_forward, and what saves its derivatives the hidden layers, too.

    The fourth result holds the derivatives of silu, (n, out) of each layer but the last, one after
    the other in one dimension.
    """
    return torch.ops.loremd.residual_mlp_slopes(x, y, weights, biases, scale, shift)


def residual_mlp_again(
    x: Tensor,
    y: Tensor,
    weights: List[Tensor],
    biases: List[Tensor],
    scale: Tensor,
    shift: Tensor,
    normalised: Tensor,
    inverse: Tensor,
    slopes: Optional[Tensor] = None,
) -> Tensor:
    """residual_mlp, its values taken from what was kept for the same arguments.

    normalised and inverse are those of residual_mlp_forward or residual_mlp_slopes, which saves the
    matrix products of the values where the derivatives are wanted later than the values. Without
    the slopes the derivatives evaluate the hidden layers anew.
    """
    return torch.ops.loremd.residual_mlp_again(
        x, y, weights, biases, scale, shift, normalised, inverse, slopes
    )


def halo_exchange(owned: Tensor, n: int, comm: int) -> Tensor:
    """Values (n_owned, C) of owned atoms -> values (n, C) of owned and ghost atoms.

    `comm` names a communicator that the calling program registered; 0 is this process alone, which
    has no ghosts (n == n_owned). Every rank must call it, in the same order; its derivative
    communicates, too.
    """
    return torch.ops.loremd.halo_exchange(owned, n, comm)


def halo_reduce(all: Tensor, n_owned: int, comm: int) -> Tensor:
    """The transpose of halo_exchange: (n, C) -> (n_owned, C), the rows of ghosts added to those of
    the atoms they are images of."""
    return torch.ops.loremd.halo_reduce(all, n_owned, comm)


def sum_over_ranks(values: Tensor, comm: int) -> Tensor:
    """Sum of a tensor over all ranks, on every rank; its own transpose. comm = 0: no others."""
    return torch.ops.loremd.sum_over_ranks(values, comm)


def max_over_ranks(values: Tensor, comm: int) -> Tensor:
    """Element by element the largest value on any rank, on every rank; NaN where one is.

    values float64 of any shape, the same on all ranks; no derivative. comm = 0: no others.
    """
    return torch.ops.loremd.max_over_ranks(values.detach(), comm)


def plan_mesh(
    cell: Tensor,
    atoms: int,
    channels: int,
    cutoff: float,
    accuracy: float,
    smearing: float,
    mesh_shape: List[int],
    order: int,
) -> Tuple[float, List[int], int, float, float]:
    """Choose (smearing, mesh shape, order) for a relative accuracy of the potentials.

    smearing 0, mesh_shape [] and order 0 mean "choose". Also returns the estimated relative errors
    of the real-space sum (cut at `cutoff`) and of the mesh; see csrc/core/tuning/mesh_plan.hpp.
    Raises ValueError on a cell without volume or numbers out of range.
    """
    return torch.ops.loremd.plan_mesh(
        cell, atoms, channels, cutoff, accuracy, smearing, mesh_shape, order
    )


def mesh_errors(
    cell: Tensor, atoms: int, cutoff: float, smearing: float, mesh_shape: List[int], order: int
) -> Dict[str, float]:
    """Estimated relative errors {"real_space", "mesh"} of given settings."""
    real_space, mesh = torch.ops.loremd.mesh_errors(
        cell, atoms, cutoff, smearing, mesh_shape, order
    )
    return {"real_space": real_space, "mesh": mesh}


def plan(
    cell: Tensor,
    atoms: int,
    channels: int,
    cutoff: float,
    accuracy: float,
    exponent: float,
    splitting: str,
    range: float,
    window: str,
    mesh_shape: List[int],
    order: int,
) -> Tuple[str, float, float, List[int], int, float, float, float]:
    """Choose the cheapest settings for a relative accuracy of the potentials.

    splitting is "auto", "gaussian" or "prolate", range its smearing or, of the prolate one, the
    cutoff; window is "auto", "bspline" or "prolate". range 0, mesh_shape [] and order 0 mean
    "choose". Returns (splitting, range, bandlimit of the splitting, mesh shape, order, bandlimit of
    the window, estimated relative errors of the splitting and of the mesh); bandlimits are 0 for
    Gaussian and B-spline. See csrc/core/tuning/mesh_plan.hpp. Raises ValueError on a cell without
    volume, numbers out of range and an accuracy that nothing reaches.
    """
    return torch.ops.loremd.plan(
        cell,
        atoms,
        channels,
        cutoff,
        accuracy,
        exponent,
        splitting,
        range,
        window,
        mesh_shape,
        order,
    )


def plan_errors(
    cell: Tensor,
    atoms: int,
    cutoff: float,
    exponent: float,
    range: float,
    splitting_bandlimit: float,
    mesh_shape: List[int],
    order: int,
    window_bandlimit: float,
) -> Tuple[float, float, float, float]:
    """Expected RMS errors for independent charges of mean square one.

    Potential of the splitting and of the mesh (charge / length^exponent), then the forces per
    charge likewise; see csrc/core/tuning/error_estimate.hpp.
    """
    return torch.ops.loremd.plan_errors(
        cell,
        atoms,
        cutoff,
        exponent,
        range,
        splitting_bandlimit,
        mesh_shape,
        order,
        window_bandlimit,
    )


def plan_cost(
    cell: Tensor, atoms: int, channels: int, cutoff: float, mesh_shape: List[int], order: int
) -> float:
    """Expected time of potentials and their derivatives on one thread, in milliseconds."""
    return torch.ops.loremd.plan_cost(cell, atoms, channels, cutoff, mesh_shape, order)


def set_cost_model(constants: List[float]) -> None:
    """The five constants of csrc/core/tuning/cost_model.hpp, in nanoseconds, for this process."""
    torch.ops.loremd.set_cost_model(constants)
