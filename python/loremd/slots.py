# SPDX-License-Identifier: BSD-3-Clause
"""Neighbours in a dense block, so that sums over neighbours are batched matrix products.

One row per centre, as many slots in a row as the centre with the most neighbours needs; empty slots
are masked. Arrays over slots are ``rows * width`` long, row by row.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Slots(NamedTuple):
    """Where each pair stands; see the module."""

    width: int
    positions: Tensor  # (P,) int64, the slot of each pair
    centres: Tensor  # (Q,) int64, row of the slot
    neighbors: Tensor  # (Q,) int64, neighbour atom; 0 in an empty slot
    mask: Tensor  # (Q,) float64, 1 where a pair stands, else 0


def arrange(centres: Tensor, neighbors: Tensor, rows: int) -> Slots:
    """Give every pair its slot: centres (P,), from 0 to rows - 1 in any order, neighbors (P,)."""
    device = centres.device
    order = torch.argsort(centres, stable=True)
    sizes = torch.bincount(centres, minlength=rows)
    width = int(sizes.max()) if rows > 0 else 0
    first = torch.cumsum(sizes, 0) - sizes
    row = centres[order]
    positions = torch.empty_like(order)
    positions[order] = row * width + torch.arange(row.shape[0], device=device) - first[row]
    total = rows * width
    rows_of_slots = torch.arange(rows, device=device).repeat_interleave(width)
    partners = torch.zeros_like(rows_of_slots).index_copy(0, positions, neighbors)
    mask = torch.zeros(total, dtype=torch.float64, device=device).index_fill(0, positions, 1.0)
    return Slots(width, positions, rows_of_slots, partners, mask)
