# SPDX-License-Identifier: BSD-3-Clause
"""The long-range kernels as functions of tensors: the only place that names `torch.ops.loremd`.

Everything here is differentiable twice, scriptable (`torch.jit.script`) and traceable
(X"""

from typing import Dict, List, Tuple

import torch
from torch import Tensor

from .._library import load
from . import reference

load()

__all__ = [
    "convolve",
    "fractional",
    "halo_exchange",
    "influence",
    "interpolate",
    "mesh_errors",
    "pair_sum",
    "plan_mesh",
    "reference",
    "spread",
    "sum_over_ranks",
]


def fractional(positions: Tensor, cell: Tensor) -> Tensor:
    """Positions (n, 3) in units of the cell vectors (3, 3): (n, 3), float64."""
    return positions @ torch.linalg.inv(cell)


def spread(
    positions: Tensor, charges: Tensor, cell: Tensor, mesh_shape: List[int], order: int
) -> Tensor:
    """Spread charges onto a periodic mesh with B-splines.

    Shapes: positions (n, 3) float64, charges (n, C), cell (3, 3) float64 -> mesh (nx, ny, nz, C) in
    the dtype of the charges. The window covers `order` (3 to 8) points per direction; its weights
    add up to one, so charge is conserved. The transpose is :func:`interpolate`.
    Essmann et al. 1995, DOI 10.1063/1.470117.

    Raises ValueError on wrong shapes, an order out of range, a mesh with fewer points than the
    order, a position that is not finite; TypeError on wrong dtypes.
    """
    return torch.ops.loremd.spread(fractional(positions, cell), charges, mesh_shape, order)


def interpolate(positions: Tensor, mesh: Tensor, cell: Tensor, order: int) -> Tensor:
    """Values of a mesh (nx, ny, nz, C) at positions (n, 3) float64: (n, C), dtype of the mesh.

    The transpose of :func:`spread`, with the same window and the same errors.
    """
    return torch.ops.loremd.interpolate(fractional(positions, cell), mesh, order)


def convolve(mesh: Tensor, influence: Tensor) -> Tensor:
    """Convolve every channel of mesh (nx, ny, nz, C) with one influence function.

    `influence` (nx, ny, nz // 2 + 1), of the dtype of the mesh, multiplies the half spectrum of the
    real FFT. It is real, so the operation is self-adjoint. The derivative by `influence` is exact
    for any values, symmetric or not. Raises ValueError where the shapes do not fit.
    """
    return torch.ops.loremd.convolve(mesh, influence)


def influence(cell: Tensor, mesh_shape: List[int], order: int, smearing: float) -> Tensor:
    """Optimal influence function of 1/r with Gaussian splitting: (nx, ny, nz // 2 + 1) float64.

    G(k) = N / V * sum_m U(k_m)^2 R(k_m) / (sum_m U(k_m)^2)^2 over the aliases k_m of k, with
    R(k) = 4 pi exp(-smearing^2 k^2 / 2) / k^2, U the transform of the B-spline window, N the
    number of mesh points, V the volume; 0 at k = 0 (tin-foil boundary, neutralising background).
    Convolution with it turns a charge mesh into that of sum_j q_j erf(r / sqrt(2) smearing) / r.
    Ballenegger, Cerda, Holm 2012, DOI 10.1021/ct2001792.

    cell (3, 3) float64, differentiable; smearing > 0 in the units of the cell.
    """
    metric = torch.linalg.inv(cell @ cell.t())
    points = float(mesh_shape[0] * mesh_shape[1] * mesh_shape[2])
    volume = torch.abs(torch.linalg.det(cell))
    return torch.ops.loremd.influence_sum(metric, mesh_shape, order, smearing) * (points / volume)


def pair_sum(weights: Tensor, charges: Tensor, pairs: Tensor, n_out: int) -> Tensor:
    """Sum weighted charges of neighbours: out[i] = sum over pairs (i, j) of weights * charges[j].

    weights (P,), charges (n, C) of one dtype, pairs (2, P) int64 (row 0 centres, row 1 neighbours),
    n_out > every centre -> (n_out, C). Raises ValueError on an index out of range.
    """
    return torch.ops.loremd.pair_sum(weights, charges, pairs, n_out)


def halo_exchange(owned: Tensor, n: int, comm: int) -> Tensor:
    """Values (n_owned, C) of owned atoms -> values (n, C) of owned and ghost atoms.

    `comm` names a communicator that the calling program registered; 0 is this process alone, which
    has no ghosts (n == n_owned). Every rank must call it, in the same order; its derivative
    communicates, too.
    """
    return torch.ops.loremd.halo_exchange(owned, n, comm)


def sum_over_ranks(values: Tensor, comm: int) -> Tensor:
    """Sum of a tensor over all ranks, on every rank; its own transpose. comm = 0: no others."""
    return torch.ops.loremd.sum_over_ranks(values, comm)


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
