# SPDX-License-Identifier: BSD-3-Clause
"""Choose the parameters of the mesh sum for an accuracy, and measure what it reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Sequence

import torch
from torch import Tensor

from . import ops
from .ewald import EwaldPotential
from .mesh import MeshPotential
from .neighbors import neighbor_list

# Systems larger than this are planned, but not measured: the exact sum is O(N^2) or worse.
MEASURED_ATOMS = 20_000


@dataclass
class Tuned:
    """Parameters of :class:`loremd.MeshPotential`, and errors relative to the RMS potential."""

    cutoff: float
    accuracy: float
    smearing: float
    mesh: list[int]
    order: int
    estimated_real_space_error: float
    estimated_mesh_error: float
    measured_error: Optional[float]  # None for a system too large for the exact sum

    @property
    def estimated_error(self) -> float:
        return (self.estimated_real_space_error**2 + self.estimated_mesh_error**2) ** 0.5

    def potential(self) -> MeshPotential:
        return MeshPotential(
            self.cutoff,
            accuracy=self.accuracy,
            smearing=self.smearing,
            mesh=self.mesh,
            order=self.order,
        )


def relative_error(potentials: Tensor, exact: Tensor) -> float:
    """sqrt(sum (V - V_exact)^2 / sum V_exact^2) over atoms and channels: what `accuracy` bounds."""
    difference = potentials.to(torch.float64) - exact.to(torch.float64)
    return float(difference.square().sum().sqrt() / exact.to(torch.float64).square().sum().sqrt())


def tune(
    positions: Tensor,
    charges: Tensor,
    cell: Tensor,
    accuracy: float,
    *,
    cutoff: float = 6.0,
    smearing: float = 0.0,
    mesh: Sequence[int] = (),
    order: int = 0,
) -> Tuned:
    """Parameters of the mesh sum for a relative accuracy of the potentials.

    positions (n, 3) float64, charges (n, C), cell (3, 3) float64, three periodic directions;
    smearing 0, mesh () and order 0 mean "choose". The error reached is measured against the exact
    sum in float64 for up to 20,000 atoms. Raises ValueError where no mesh reaches the accuracy.
    """
    chosen = ops.plan_mesh(
        cell, positions.shape[0], charges.shape[1], cutoff, accuracy, smearing, list(mesh), order
    )
    tuned = Tuned(cutoff, accuracy, *chosen[:3], *chosen[3:], measured_error=None)
    if positions.shape[0] <= MEASURED_ATOMS:
        periodic = torch.ones(3, dtype=torch.bool)
        pairs, shifts = neighbor_list(positions, cell, periodic, cutoff)
        with torch.no_grad():
            call = (positions, charges.to(torch.float64), cell, pairs, shifts)
            exact = EwaldPotential(cutoff, accuracy=1e-3 * accuracy)(*call)
            tuned.measured_error = relative_error(tuned.potential()(*call), exact)
    return tuned
