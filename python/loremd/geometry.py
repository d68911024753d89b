# SPDX-License-Identifier: BSD-3-Clause
"""Pair vectors, and the checks that the exact and the mesh sum share."""

from typing import List, Optional

import torch
from torch import Tensor


def pair_vectors(
    positions: Tensor, cells: Tensor, pairs: Tensor, shifts: Tensor, batch: Optional[Tensor]
) -> Tensor:
    """R_j - R_i + S A of every pair, (P, 3); cells is (B, 3, 3), batch None means one structure."""
    difference = positions.index_select(0, pairs[1]) - positions.index_select(0, pairs[0])
    return difference + image_vectors(cells, pairs, shifts.to(positions.dtype), batch)


def image_vectors(cells: Tensor, pairs: Tensor, images: Tensor, batch: Optional[Tensor]) -> Tensor:
    """S A of every pair, (P, 3), with the cell of its structure."""
    if batch is None or cells.shape[0] == 1:
        return images @ cells[0]
    structures = batch.index_select(0, pairs[0])
    if bool((structures[1:] < structures[:-1]).any()):
        lattice = cells.index_select(0, structures)
        return (images.unsqueeze(2) * lattice).sum(1)
    # pairs of a structure stand together: a few small products instead of one row at a time
    sizes: List[int] = torch.bincount(structures, minlength=cells.shape[0]).tolist()
    parts = torch.split(images, sizes)
    lattices = torch.unbind(cells)
    return torch.cat([part @ lattice for part, lattice in zip(parts, lattices)])


def check_coulomb_input(
    positions: Tensor,
    charges: Tensor,
    cell: Tensor,
    pairs: Tensor,
    shifts: Tensor,
    n_owned: int,
    batch: Optional[Tensor],
) -> None:
    """What both potentials ask of their call; `n_owned` of the atoms have charges."""
    if positions.dim() != 2 or positions.shape[1] != 3 or positions.dtype != torch.float64:
        raise ValueError(
            f"positions must be (n, 3) float64, got {positions.shape} {positions.dtype}"
        )
    if charges.dim() != 2 or charges.shape[0] != n_owned:
        raise ValueError(f"charges must be (n, channels) with n = {n_owned}, got {charges.shape}")
    if charges.dtype != torch.float64 and charges.dtype != torch.float32:
        raise ValueError(f"charges must be float32 or float64, got {charges.dtype}")
    if cell.dim() < 2 or cell.dim() > 3 or cell.shape[-1] != 3 or cell.shape[-2] != 3:
        raise ValueError(f"cell must be (3, 3), or (B, 3, 3) with batch, got {cell.shape}")
    if cell.dtype != torch.float64:
        raise ValueError(f"cell must be float64, got {cell.dtype}")
    if cell.dim() == 3 and cell.shape[0] != 1 and batch is None:
        raise ValueError(f"cell holds {cell.shape[0]} structures, but batch is None")
    check_one_device([positions, charges, cell, pairs, shifts])
    if pairs.dim() != 2 or pairs.shape[0] != 2 or pairs.dtype != torch.int64:
        raise ValueError(f"pairs must be (2, P) int64, got {pairs.shape} {pairs.dtype}")
    if shifts.dim() != 2 or shifts.shape[0] != pairs.shape[1] or shifts.shape[1] != 3:
        raise ValueError(f"shifts must be (P, 3), P = {pairs.shape[1]}, got {shifts.shape}")


def check_pair_list(
    positions: Tensor,
    cell: Tensor,
    pairs: Tensor,
    shifts: Tensor,
    pbc: Tensor,
    cutoff: float,
    n_owned: int,
) -> None:
    """ValueError if the list lacks neighbours of the first atom that are closer than the cutoff.

    One structure; where it has ghosts, these are all its images. An empty list is taken as it is:
    it asks for the mesh part alone. Costs one pass over the atoms per image of the cell.
    """
    if n_owned == 0 or pairs.shape[1] == 0:
        return
    points, rows = positions.detach(), cell.detach()
    within = (cutoff * (1.0 - 1e-9)) ** 2  # neighbours at the cutoff itself may be in or out
    own = torch.nonzero(pairs[0] == 0).squeeze(1)
    ends = points.index_select(0, pairs[1, own])
    vectors = ends - points[:1] + shifts[own].to(points.dtype) @ rows
    found = int((vectors.square().sum(1) < within).sum())
    flags = pbc if n_owned == points.shape[0] else torch.zeros_like(pbc)
    images = _images_within(points, rows, flags, cutoff)
    there = -1  # the atom itself
    for s in range(images.shape[0]):
        squared = (points + (images[s] - points[0])).square().sum(1)
        there += int((squared < within).sum())
    if found < there:
        raise ValueError(
            f"the pair list has {found} neighbours of the first atom within the cutoff of {cutoff} "
            f"Å, the structure has {there}: make the list as long as the cutoff, or the cutoff "
            "shorter"
        )


def _images_within(positions: Tensor, cell: Tensor, pbc: Tensor, cutoff: float) -> Tensor:
    """Translations (S, 3) that may bring any atom within the cutoff of the first one."""
    if not bool(pbc.any()):
        return torch.zeros(1, 3, dtype=positions.dtype, device=positions.device)
    rows = cell.clone()
    for a in range(3):
        if not bool(pbc[a]):  # of any length, but never shifted along
            rows[a] = torch.linalg.cross(cell[(a + 1) % 3], cell[(a + 2) % 3])
    inverse = torch.linalg.inv(rows)
    apart = ((positions - positions[0]) @ inverse).abs().amax(0)
    reach = torch.ceil(apart + cutoff * inverse.norm(2.0, 0)).to(torch.int64)
    axes: List[Tensor] = []
    for a in range(3):
        n = int(reach[a]) if bool(pbc[a]) else 0
        axes.append(torch.arange(-n, n + 1, dtype=cell.dtype, device=cell.device))
    return torch.cartesian_prod(axes[0], axes[1], axes[2]) @ cell


def check_one_device(tensors: List[Tensor]) -> None:
    """ValueError unless all tensors are on the device of the first."""
    for tensor in tensors:
        if tensor.device != tensors[0].device:
            raise ValueError(
                f"all tensors must be on one device, got {tensors[0].device} and {tensor.device}; "
                "move them with .to()"
            )


def structure_sizes(positions: Tensor, cells: Tensor, batch: Optional[Tensor]) -> List[int]:
    """Number of atoms of each structure."""
    if batch is None:
        return [positions.shape[0]]
    if batch.dim() != 1 or batch.shape[0] != positions.shape[0] or batch.dtype != torch.int64:
        raise ValueError(
            f"batch must be (n,) int64, n = {positions.shape[0]}, got {batch.shape} {batch.dtype}"
        )
    counts = torch.bincount(batch, minlength=cells.shape[0])
    if counts.shape[0] > cells.shape[0]:
        raise ValueError(
            f"batch names structure {counts.shape[0] - 1}, but there are {cells.shape[0]} cells"
        )
    if batch.shape[0] > 1 and bool((batch[1:] < batch[:-1]).any()):
        raise ValueError("batch must be non-decreasing: the atoms of a structure stand together")
    sizes: List[int] = counts.tolist()
    return sizes


def periodicity(pbc: Optional[Tensor], cells: Tensor) -> Tensor:
    """(B, 3) bool."""
    if pbc is None:
        return torch.ones(cells.shape[0], 3, dtype=torch.bool, device=cells.device)
    if pbc.dtype != torch.bool:
        raise ValueError(f"pbc must be bool, got {pbc.dtype}")
    flags = pbc.reshape(-1, 3)
    if flags.shape[0] != cells.shape[0]:
        raise ValueError(f"pbc holds {flags.shape[0]} structures, cell {cells.shape[0]}")
    return flags


def checked_volume(cell: Tensor) -> Tensor:
    volume = torch.linalg.det(cell).abs()
    size = float(cell.detach().norm(2.0, 1).prod())
    if not (float(volume.detach()) > 1e-12 * size):
        raise ValueError(
            f"cell has the volume {float(volume.detach())}: its periodic lattice vectors must be "
            "linearly independent and finite"
        )
    return volume
