# SPDX-License-Identifier: BSD-3-Clause
"""The neighbours that message passing sees: pairs closer than the cutoff, and what a pair network
needs to know of them."""

from typing import Dict, List, NamedTuple, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .blocks import RadialBasis, SphericalHarmonics
from .slots import Slots, arrange


class Pairs(NamedTuple):
    """Pairs closer than the cutoff, sorted by centre."""

    centres: Tensor  # (P,) int64
    neighbors: Tensor  # (P,) int64
    images: Tensor  # (P, 3) float64, the shift of the neighbour in cell vectors
    first: List[int]  # (rows + 1) where the pairs of each centre begin; [0] without messages


class Environment(NamedTuple):
    """The neighbours of some centres."""

    slots: Slots
    radial: Tensor  # (Q, K) radial functions, 0 in empty slots
    harmonics: Tensor  # ((L+1)², Q)


class Surroundings(nn.Module):
    """From pair vectors to radial functions and harmonics."""

    def __init__(self, options: Dict[str, object]):
        super().__init__()
        self.cutoff = float(options["cutoff"])
        n_radial, cutoff_fn = int(options["num_radial"]), str(options["cutoff_fn"])
        self.basis = RadialBasis(self.cutoff, n_radial, cutoff_fn)
        self.harmonics = SphericalHarmonics(int(options["max_degree"]))

    def forward(
        self, vectors: Tensor, centres: Tensor, neighbors: Tensor, rows: int, dtype: torch.dtype
    ) -> Environment:
        """Vectors (P, 3) float64; centres (P,) are rows of the slots."""
        slots = arrange(centres, neighbors, rows)
        # empty slots hold a harmless vector, so that no derivative is infinite
        filler = torch.zeros(slots.mask.shape[0], 3, dtype=vectors.dtype, device=vectors.device)
        filler[:, 2] = 0.5 * self.cutoff
        lanes = filler.index_copy(0, slots.positions, vectors).t().contiguous()
        distances = lanes.square().sum(0).sqrt()
        radial = self.basis(distances, slots.mask).to(dtype)
        return Environment(slots, radial, self.harmonics((lanes / distances).to(dtype)))


def near_pairs(
    positions: Tensor, cell: Tensor, pairs: Tensor, shifts: Tensor, cutoff: float, rows: int
) -> Pairs:
    """The pairs of atoms 0 .. rows-1 that are closer than the cutoff; arguments as Lorem.forward,
    shifts of any type."""
    images = shifts.to(torch.float64)
    with torch.no_grad():
        squared = vectors_of(positions, cell, pairs[0], pairs[1], images).square().sum(1)
        # the last 1e-12 of the cutoff, where 1 - r/cutoff may round to zero, counts as outside
        inside = (squared < (cutoff * (1.0 - 1e-12)) ** 2) & (pairs[0] < rows)
        kept = torch.nonzero(inside).squeeze(1)
        centres = pairs[0, kept]
        if bool((centres[1:] < centres[:-1]).any()):
            kept = kept[torch.argsort(centres, stable=True)]
        counts = torch.bincount(pairs[0, kept], minlength=rows)
        first: List[int] = functional.pad(torch.cumsum(counts, 0), [1, 0]).tolist()
    return Pairs(pairs[0, kept], pairs[1, kept], images[kept], first)


def vectors_of(
    positions: Tensor, cell: Tensor, centres: Tensor, neighbors: Tensor, images: Tensor
) -> Tensor:
    """R_j - R_i + S A, (P, 3)."""
    difference = positions.index_select(0, neighbors) - positions.index_select(0, centres)
    return difference + images @ cell


def pairs_of(pairs: Pairs, begin: int, end: int) -> Tuple[Tensor, Tensor, Tensor]:
    """Centres, neighbours and images of the atoms begin .. end - 1."""
    part = slice(pairs.first[begin], pairs.first[end])
    return pairs.centres[part], pairs.neighbors[part], pairs.images[part]
