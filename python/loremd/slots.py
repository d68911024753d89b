# SPDX-License-Identifier: BSD-3-Clause
"""Neighbours in dense blocks, so that sums over neighbours are batched matrix products.

The pairs of one neighbour species form a block of ``rows × width`` slots: one row per centre, as
many slots as the centre with the most neighbours of this species needs, empty slots masked. The
blocks stand one after the other in arrays of Q slots::

    slot = [ block of species 0: row 0 (width 0) | row 1 | ... ][ block of species 1: ... ] ...

Rows are sorted by the species of the centre, so the centres of one species are a slice.
"""

from typing import List, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Slots(NamedTuple):
    """Where each pair stands; see the module."""

    row_of_atom: Tensor  # (rows,) int64, row of each centre
    centre_counts: List[int]  # rows of each species
    widths: List[int]  # slots per row of each neighbour species
    positions: Tensor  # (P,) int64, the slot of each pair
    centres: Tensor  # (Q,) int64, atom at the centre
    neighbors: Tensor  # (Q,) int64, neighbour atom, any valid index in an empty slot
    mask: Tensor  # (Q,) float64, 1 where a pair stands, else 0


def arrange(species: Tensor, n_species: int, pairs: Tensor, rows: int) -> Slots:
    """Give every pair its slot.

    Args:
        species: (n,) int64, index of the species of every atom, 0 .. n_species-1.
        pairs: (2, P) int64; centres are atoms 0 .. rows-1.
    """
    device = pairs.device
    atoms = torch.argsort(species[:rows], stable=True)
    row_of_atom = torch.empty_like(atoms)
    row_of_atom[atoms] = torch.arange(rows, device=device)
    centre_counts: List[int] = torch.bincount(species[:rows], minlength=n_species).tolist()

    groups = species[pairs[1]] * rows + row_of_atom[pairs[0]]
    order = torch.argsort(groups, stable=True)
    groups = groups[order]
    sizes = torch.bincount(groups, minlength=n_species * rows)
    padded = functional.pad(sizes.reshape(n_species, rows), [1, 0])  # a maximum exists without rows
    widths: List[int] = padded.amax(1).tolist()
    first_pair = torch.cumsum(sizes, 0) - sizes
    centres = [atoms[:0]]
    first_slot = [atoms[:0]]
    total = 0
    for width in widths:
        first_slot.append(total + width * torch.arange(rows, device=device))
        centres.append(atoms.repeat_interleave(width))
        total += rows * width
    rank = torch.arange(groups.shape[0], device=device) - first_pair[groups]
    slots = torch.empty_like(order)
    slots[order] = torch.cat(first_slot)[groups] + rank
    centre_of_slot = torch.cat(centres)
    neighbors = torch.zeros_like(centre_of_slot).index_copy(0, slots, pairs[1])
    mask = torch.zeros(total, dtype=torch.float64, device=device).index_fill(0, slots, 1.0)
    return Slots(row_of_atom, centre_counts, widths, slots, centre_of_slot, neighbors, mask)
