# SPDX-License-Identifier: BSD-3-Clause
"""The 1/r sum on a mesh: Ewald splitting, its smooth part by spread, convolve and interpolate.

With a Gaussian of width η around every charge,

    2 V_i = Σ_{j, r < cutoff} q_j erfc(r/√2η)/r  +  smooth part on the mesh
            - √(2/π)/η q_i  -  (Σ_j q_j)/Ω ∫_{r < cutoff} erfc(r/√2η)/r d³r,

the last term being the neutralising background: 2πη²/Ω Σ_j q_j for an infinite cutoff, and cut like
the sum it belongs to, so that the mean of what lies beyond the cutoff is not missed.
P3M: Hockney and Eastwood; Ballenegger, Cerdà, Holm 2012, DOI 10.1021/ct2001792.
"""

import math
from typing import Dict, List, Optional, Tuple

import torch
from torch import Tensor

from . import ops
from .geometry import check_coulomb_input, pair_vectors, periodicity, structure_sizes

SPLITTINGS = ("gaussian",)
WINDOWS = ("bspline",)
# Relative error of the potentials that a float32 mesh reaches at best (measured in
# tests/ops/test_mesh_potential.py); below it the mesh is float64 whatever the charges are.
FLOAT32_FLOOR = 2e-6


class MeshPotential(torch.nn.Module):
    """Potentials of point charges in three-dimensional crystals, all channels at once, O(N log N).

    Args:
        cutoff: real-space cutoff (Å); the pair list must be complete up to it, pairs beyond it are
            dropped.
        accuracy: RMS error of the potentials relative to their RMS value, 1e-12 to 0.1. Below 2e-6
            the mesh is float64 even for float32 charges.
        smearing: width η of the Gaussians (Å); 0 chooses it from cutoff and accuracy.
        mesh: numbers of mesh points along the three cell vectors; [] chooses them.
        order: order of the B-spline window, 3 to 8; 0 chooses it.
        splitting: "gaussian". window: "bspline".

    What is chosen, is chosen for the cell and the number of atoms at each call, until
    :meth:`plan` fixes it.
    Raises ValueError for a value out of range.
    """

    requested_mesh: List[int]
    mesh: List[int]

    def __init__(
        self,
        cutoff: float,
        *,
        accuracy: float = 1e-5,
        smearing: float = 0.0,
        mesh: Optional[List[int]] = None,
        order: int = 0,
        splitting: str = "gaussian",
        window: str = "bspline",
    ):
        super().__init__()
        for name, value, allowed in (
            ("splitting", splitting, SPLITTINGS),
            ("window", window, WINDOWS),
        ):
            if value not in allowed:
                raise ValueError(f"{name} is '{value}'; allowed: {', '.join(allowed)}")
        self.float32_floor = FLOAT32_FLOOR  # scripted code reads attributes, not globals
        self.cutoff = 0.0
        self.accuracy = 0.0
        self.requested_smearing = 0.0
        self.requested_mesh = []
        self.requested_order = 0
        self.smearing = 0.0
        self.mesh = []
        self.order = 0
        self.planned = False
        self.configure(cutoff, accuracy, smearing, [] if mesh is None else list(mesh), order)

    @torch.jit.export
    def configure(
        self, cutoff: float, accuracy: float, smearing: float, mesh: List[int], order: int
    ) -> None:
        """Set the run-time choices, see the arguments of the class; forgets a fixed plan."""
        if not (cutoff > 0.0):
            raise ValueError(f"cutoff is {cutoff}, but it must be a positive length in Å")
        if not (accuracy >= 1e-12 and accuracy <= 0.1):
            raise ValueError(f"accuracy is {accuracy}; allowed: 1e-12 to 0.1")
        if not (smearing >= 0.0):
            raise ValueError(f"smearing is {smearing}; it must be positive, or 0 for automatic")
        if len(mesh) != 0 and (len(mesh) != 3 or min(mesh) < 1):
            raise ValueError(
                f"mesh is {mesh}; it must be three positive numbers, or [] for automatic"
            )
        if order != 0 and (order < 3 or order > 8):
            raise ValueError(f"order is {order}; allowed: 3 to 8, or 0 for automatic")
        self.cutoff = float(cutoff)
        self.accuracy = float(accuracy)
        self.requested_smearing = float(smearing)
        self.requested_mesh = mesh
        self.requested_order = order
        self.planned = False

    @torch.jit.export
    def plan(self, cell: Tensor, n_atoms: int, channels: int) -> Dict[str, float]:
        """Choose what is automatic for this cell and number of atoms, and keep it.

        Returns smearing, nx, ny, nz, order, cutoff and the estimated relative errors
        real_space_error and mesh_error. Raises ValueError where no mesh reaches the accuracy.
        """
        smearing, mesh, order, real_space_error, mesh_error = self._chosen(cell, n_atoms, channels)
        self.smearing = smearing
        self.mesh = mesh
        self.order = order
        self.planned = True
        return {
            "smearing": smearing,
            "nx": float(mesh[0]),
            "ny": float(mesh[1]),
            "nz": float(mesh[2]),
            "order": float(order),
            "cutoff": self.cutoff,
            "real_space_error": real_space_error,
            "mesh_error": mesh_error,
        }

    def forward(
        self,
        positions: Tensor,
        charges: Tensor,
        cell: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        pbc: Optional[Tensor] = None,
        batch: Optional[Tensor] = None,
        n_owned: int = -1,
        comm: int = 0,
    ) -> Tensor:
        """Compute the potentials.

        Args:
            positions: (n, 3) float64, Å, of owned atoms and then of ghosts.
            charges: (n_owned, C) float32 or float64.
            cell: (3, 3) float64, rows are lattice vectors; (B, 3, 3) with ``batch``.
            pairs: (2, P) int64, full list, row 0 the centre (owned), row 1 the neighbour;
                shifts: (P, 3) int64.
            pbc: (3,) or (B, 3) bool, all True; None means that.
            batch: (n,) int64, the structure of each atom, non-decreasing.
            n_owned: number of owned atoms, which come first; -1 means all.
            comm: handle of a communicator to the other ranks; 0 is this process alone. Other ranks
                need a fixed :meth:`plan`.
        Returns:
            (n_owned, C) potentials ½ Σ q/r in units of charge / Å, dtype of the charges.
        Raises:
            ValueError: shapes or dtypes are wrong, the cell has no volume, a direction is not
                periodic, a position is not finite, the mesh is too coarse for the order.
        """
        owned = positions.shape[0] if n_owned < 0 else n_owned
        check_coulomb_input(positions, charges, cell, pairs, shifts, owned, batch)
        cells = cell.reshape(-1, 3, 3)
        sizes = structure_sizes(positions, cells, batch)
        if not bool(periodicity(pbc, cells).all()):
            raise ValueError(
                "MeshPotential needs three periodic directions (pbc all True); "
                "EwaldPotential takes two or none, too"
            )
        if len(sizes) == 1:
            sizes[0] = owned
        elif owned != positions.shape[0]:
            raise ValueError(f"{len(sizes)} structures with ghosts; ghosts go with one structure")
        if comm != 0 and not self.planned:
            raise ValueError("on several ranks MeshPotential needs a plan; call plan() before")
        values = charges.to(torch.float64 if self.accuracy < self.float32_floor else charges.dtype)
        if comm != 0:
            # Zero, and a link to the positions: the charges of a rank without atoms depend on
            # nothing, but the backward of its exchanges must run as that of the other ranks.
            values = values + positions[:0].sum().to(values.dtype)
        smooth: List[Tensor] = []
        smearings: List[float] = []
        start = 0
        for b in range(len(sizes)):
            part = slice(start, start + sizes[b])
            smearing, mesh, order = self._settings(cells[b], sizes[b], charges.shape[1])
            smooth.append(
                self._smooth_part(
                    positions[part], values[part], cells[b], smearing, mesh, order, comm
                )
            )
            smearings.append(smearing)
            start += sizes[b]
        sharp = self._real_space(positions, values, cells, pairs, shifts, batch, smearings, comm)
        return (0.5 * (torch.cat(smooth, 0) + sharp)).to(charges.dtype)

    def _chosen(
        self, cell: Tensor, n_atoms: int, channels: int
    ) -> Tuple[float, List[int], int, float, float]:
        """What was asked for, the rest chosen, and the estimated errors; see ops.plan_mesh."""
        return ops.plan_mesh(
            cell.detach(),
            max(n_atoms, 1),
            channels,
            self.cutoff,
            self.accuracy,
            self.requested_smearing,
            self.requested_mesh,
            self.requested_order,
        )

    def _settings(self, cell: Tensor, n_atoms: int, channels: int) -> Tuple[float, List[int], int]:
        """Smearing, mesh and order: the fixed plan, or one for this cell."""
        if self.planned:
            return self.smearing, self.mesh, self.order
        smearing, mesh, order, _, _ = self._chosen(cell, n_atoms, channels)
        return smearing, mesh, order

    def _smooth_part(
        self,
        positions: Tensor,
        charges: Tensor,
        cell: Tensor,
        smearing: float,
        mesh_shape: List[int],
        order: int,
        comm: int,
    ) -> Tensor:
        """All of 2V that needs no pairs: mesh, self term and background, of one structure."""
        local = ops.spread(positions, charges, cell, mesh_shape, order)
        mesh = ops.sum_over_ranks(local, comm)
        influence = ops.influence(cell, mesh_shape, order, smearing).to(charges.dtype)
        smooth = ops.interpolate(positions, ops.convolve(mesh, influence), cell, order)
        total_charge = ops.sum_over_ranks(charges.to(torch.float64).sum(0), comm)
        density = total_charge / torch.abs(torch.linalg.det(cell))
        background = (_screened_volume(self.cutoff, smearing) * density).to(charges.dtype)
        return smooth - math.sqrt(2.0 / math.pi) / smearing * charges - background

    def _real_space(
        self,
        positions: Tensor,
        charges: Tensor,
        cells: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        batch: Optional[Tensor],
        smearings: List[float],
        comm: int,
    ) -> Tensor:
        """Σ_j q_j erfc(r/√2η)/r over the pairs closer than the cutoff, (n_owned, C)."""
        n_owned = charges.shape[0]
        with torch.no_grad():
            squared = pair_vectors(positions, cells, pairs, shifts, batch).square().sum(1)
            close = (squared < self.cutoff * self.cutoff) & (pairs[0] < n_owned)
            kept = torch.nonzero(close).squeeze(1)
        pairs, shifts = pairs[:, kept], shifts[kept]
        distances = pair_vectors(positions, cells, pairs, shifts, batch).square().sum(1).sqrt()
        # not torch.tensor(list): TorchScript rounds its numbers to float32 whatever the dtype
        smearing = torch.cat(
            [torch.full([1], s, dtype=torch.float64, device=positions.device) for s in smearings]
        )
        width = math.sqrt(2.0) * (smearing if batch is None else smearing[batch[pairs[0]]])
        weights = torch.erfc(distances / width) / distances
        everyone = ops.halo_exchange(charges, positions.shape[0], comm)
        return ops.pair_sum(weights.to(charges.dtype), everyone, pairs, n_owned)


def _screened_volume(cutoff: float, smearing: float) -> float:
    """∫_{r < cutoff} erfc(r/√2η)/r d³r; 2πη² for an infinite cutoff."""
    a = 1.0 / (math.sqrt(2.0) * smearing)
    x = a * cutoff
    inside = (
        math.erf(x) + 2.0 * x * x * math.erfc(x) - 2.0 * x / math.sqrt(math.pi) * math.exp(-x * x)
    )
    return 2.0 * math.pi * smearing * smearing * inside
