# SPDX-License-Identifier: BSD-3-Clause
"""Neighbour lists, by vesin."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple, Union

import numpy as np
import torch
import vesin
from torch import Tensor

Array = Union[np.ndarray, Sequence[Sequence[float]], Tensor]
Flags = Union[bool, Sequence[bool], np.ndarray, Tensor]


def neighbor_list(
    positions: Array, cell: Array, pbc: Flags, cutoff: float
) -> Tuple[Tensor, Tensor]:
    """List every ordered pair closer than the cutoff, periodic images of the atom itself included.

    Args:
        positions: (n, 3), Å, anywhere in space.
        cell: (3, 3), rows are lattice vectors; rows of open directions are ignored.
        pbc: one flag, or one per lattice vector.
        cutoff: in Å; may exceed the cell.
    Returns:
        pairs (2, P) int64, row 0 the centre i, row 1 the neighbour j, sorted by centre; and shifts
        (P, 3) int64 so that the distance vector is R_j - R_i + S A.
    Raises:
        ValueError: wrong shapes, values that are not finite, a cutoff that is not positive, or
            periodic lattice vectors that are linearly dependent.
    """
    points = np.ascontiguousarray(_numpy(positions), dtype=np.float64)
    periodic = np.broadcast_to(np.asarray(_numpy(pbc), dtype=bool), (3,)).copy()
    box = _complete_cell(np.asarray(_numpy(cell), dtype=np.float64), periodic)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"positions must be (n, 3), got {points.shape}")
    if not np.isfinite(points).all():
        bad = int(np.flatnonzero(~np.isfinite(points).all(axis=1))[0])
        raise ValueError(f"positions of atom {bad} are {points[bad]}, but must be finite numbers")
    if not (np.isfinite(cutoff) and cutoff > 0):
        raise ValueError(f"cutoff is {cutoff}, but it must be a positive length in Å")
    if len(points) == 0:
        return torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, 3, dtype=torch.int64)
    search = vesin.NeighborList(cutoff=float(cutoff), full_list=True, sorted=True, n_threads=1)
    first, second, shifts = search.compute(points, box, periodic, quantities="ijS", copy=True)
    pairs = np.stack([first.astype(np.int64), second.astype(np.int64)])
    return torch.from_numpy(pairs), torch.from_numpy(shifts.astype(np.int64))


def _numpy(value: object) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)


def _complete_cell(cell: np.ndarray, periodic: np.ndarray) -> np.ndarray:
    """Replace the rows of open directions by unit vectors normal to the periodic ones."""
    if cell.shape != (3, 3):
        raise ValueError(f"cell must be (3, 3), got {cell.shape}")
    rows = cell[periodic]
    if not np.isfinite(rows).all():
        raise ValueError(f"cell must hold finite numbers, got {cell.tolist()}")
    _, sizes, directions = np.linalg.svd(rows, full_matrices=True) if len(rows) else _identity()
    if len(rows) and not sizes[-1] > 1e-10 * sizes[0]:
        raise ValueError(
            f"cell {cell.tolist()} with pbc {periodic.tolist()} has zero volume: the periodic "
            "lattice vectors must be linearly independent"
        )
    complete = cell.copy()
    complete[~periodic] = directions[len(rows) :]
    return complete


def _identity() -> Tuple[Optional[np.ndarray], np.ndarray, np.ndarray]:
    return None, np.zeros(0), np.eye(3)
