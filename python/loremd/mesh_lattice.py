# SPDX-License-Identifier: BSD-3-Clause
"""The cell that a mesh sum takes for a structure with three, two or no periodic directions."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from . import ops
from .lattice import plane_normal


class Lattice(NamedTuple):
    """The cell of the mesh: that of the structure, or a larger one where directions are open."""

    cell: Tensor
    inverse: Tensor  # of the cell
    volume: Tensor  # of the cell
    system: Tensor  # the part of it that the structure may fill
    periodic: int  # periodic directions: 3, 2, 0
    open_axis: int
    reach: float  # where the interaction ends, if not all directions are periodic


def mesh_lattice(
    positions: Tensor, cell: Tensor, pbc: Tensor, cutoff: float, exponent: float, comm: int
) -> Lattice:
    """The cell of the mesh for positions (n, 3) in a cell (3, 3) that is periodic as pbc (3,) says.

    Sizes of open directions are rounded up, so that they seldom change while the atoms move.
    Raises ValueError for one periodic direction, another exponent than 1 without three, a cell
    without volume and a position that is not finite.
    """
    flags = [bool(pbc[0]), bool(pbc[1]), bool(pbc[2])]
    n_periodic = int(flags[0]) + int(flags[1]) + int(flags[2])
    if n_periodic == 3:
        return _lattice_of(cell, cell, 3, 2, 0.0)
    if n_periodic == 1 or exponent != 1.0:
        raise ValueError(
            f"pbc has {n_periodic} periodic directions and the exponent is {exponent}; "
            "allowed: three, for exponent 1 also two or none"
        )
    if n_periodic == 2:
        axis = flags.index(False)
        normal, _ = plane_normal(cell, axis)
        extent = float(_extents((positions @ normal).unsqueeze(1), 0.5 * cutoff, comm)[0])
        reach = extent + cutoff
        rows, filled = [cell[0], cell[1], cell[2]], [cell[0], cell[1], cell[2]]
        rows[axis] = 2.0 * reach * normal
        filled[axis] = extent * normal
        return _lattice_of(torch.stack(rows), torch.stack(filled), 2, axis, reach)
    extents = _extents(positions, 0.5 * cutoff, comm)
    reach = float(extents.norm()) + cutoff
    whole = torch.diag(extents + (reach + cutoff))
    return _lattice_of(whole, torch.diag(extents), 0, 2, reach)


def _extents(places: Tensor, unit: float, comm: int) -> Tensor:
    """Sizes (k,) of the system on all ranks along the directions of places (n, k), whole units."""
    k = places.shape[1]
    ends = torch.full([2 * k], -math.inf, dtype=torch.float64, device=places.device)
    if places.shape[0] > 0:
        ends = torch.cat([places.amax(0), -places.amin(0)])
    ends = ops.max_over_ranks(ends, comm)
    sizes = ends[:k] + ends[k:]
    if bool((sizes == -math.inf).all()):  # no atoms at all
        return torch.full_like(sizes, unit)
    if not bool(torch.isfinite(sizes).all()):
        raise ValueError("a position is not finite; check the structure or the time step")
    return unit * (torch.floor(sizes / unit) + 1.0)


def _lattice_of(
    cell: Tensor, system: Tensor, periodic: int, open_axis: int, reach: float
) -> Lattice:
    volume = torch.abs(torch.linalg.det(cell))
    if not bool(volume > 0.0):
        raise ValueError(
            f"cell has volume {float(volume)}; its lattice vectors must be linearly independent "
            "and finite"
        )
    inverse, _ = torch.linalg.inv_ex(cell)
    return Lattice(cell, inverse, volume, system, periodic, open_axis, reach)
