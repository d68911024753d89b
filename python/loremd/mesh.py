# SPDX-License-Identifier: BSD-3-Clause
"""The sum of 1/r^p on a mesh: Ewald splitting, its smooth part by spread, convolve and interpolate.

With 1/r^p = sharp(r) + smooth(r),

    2 V_i = Σ_{j, r < cutoff} q_j sharp(r)  +  Σ_j q_j smooth(r) on the mesh, without k = 0
            - smooth(0) q_i  +  u (Σ_j q_j)/Ω,

where u is the k = 0 term that the mesh leaves out (for p < 3 the neutralising background), cut like
the sum over pairs, so that the mean of what lies beyond the cutoff is not missed.
P3M: Hockney and Eastwood; Ballenegger, Cerdà, Holm 2012, DOI 10.1021/ct2001792. Prolate splitting
and window (ESP): arXiv 2505.09727.
"""

import math
from typing import Dict, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from . import ops
from .compact import smooth_at_zero, uniform_part
from .geometry import (
    check_coulomb_input,
    check_pair_list,
    pair_vectors,
    periodicity,
    structure_sizes,
)
from .mesh_lattice import Lattice, mesh_lattice
from .splitting import exclusion, smooth, transform_at_zero

SPLITTINGS = ("auto", "gaussian", "prolate")
WINDOWS = ("auto", "bspline", "prolate")
# Relative error of the potentials that a float32 mesh reaches at best (measured in
# tests/ops/test_mesh_potential.py); below it the mesh is float64 whatever the charges are.
FLOAT32_FLOOR = 2e-6


class Settings(NamedTuple):
    """How one structure is summed."""

    length: float  # smearing of the Gaussian (Å); of a compact splitting, its range
    shape: Tensor  # Legendre terms of a compact splitting; none: Gaussian
    mesh: List[int]
    order: int
    window: Tensor  # Legendre terms of the window; none: B-spline


class MeshPotential(torch.nn.Module):
    """Potentials of point charges, all channels at once, O(N log N).

    Args:
        cutoff: real-space cutoff (Å); the pair list must be complete up to it, which the first call
            checks for one atom; pairs beyond it are dropped. Without any pair, the mesh part
            alone.
        accuracy: RMS error of the potentials relative to their RMS value, 1e-12 to 0.1. Below 2e-6
            the mesh is float64 even for float32 charges.
        exponent: p of 1/r^p, above 0, up to 6. p = 3 needs neutral channels; for p > 3 there is no
            neutralising background.
        splitting: "gaussian", "prolate" (1/r only), or "auto"; or the Legendre terms of an own
            compact shape, (terms,) float64 with the first one 1 (see ops.prolate_shape), which then
            ends at the cutoff and needs a mesh and an order.
        smearing: width η of the Gaussians (Å), which makes the splitting Gaussian; 0 chooses.
        window: "bspline", "prolate" or "auto".
        mesh: numbers of mesh points along the three cell vectors; [] chooses them.
        order: points of the window per direction, 3 to 10; 0 chooses it.
        exclusion_radius: above 0, the potentials are features of the exterior: the smooth part
            alone, without what the atoms closer than this radius (Å) contribute to it, which is
            faded out by a raised cosine to the power `exclusion_degree`. Needs a smearing; the
            cutoff must be at least as long.

    What is chosen, is chosen for the cell and the number of atoms at each call, until
    :meth:`plan` fixes it. Two periodic directions or none (1/r only) are summed on a mesh over a
    larger cell, in which the interaction ends before it reaches an image.
    Raises ValueError for a value out of range.
    """

    requested_mesh: List[int]
    settings: Settings
    planned_cell: Tensor  # what plan() was made for
    report: Dict[str, float]  # what plan() returned

    def __init__(
        self,
        cutoff: float,
        *,
        accuracy: float = 1e-5,
        exponent: float = 1.0,
        splitting: "str | Tensor" = "auto",
        smearing: float = 0.0,
        window: str = "auto",
        mesh: Optional[List[int]] = None,
        order: int = 0,
        exclusion_radius: float = 0.0,
        exclusion_degree: int = 1,
    ):
        super().__init__()
        nothing = torch.empty(0, dtype=torch.float64)
        self.float32_floor = FLOAT32_FLOOR  # scripted code reads attributes, not globals
        self.exponent = float(exponent)
        self.exclusion_radius = float(exclusion_radius)
        self.exclusion_degree = int(exclusion_degree)
        if not 0.0 < self.exponent <= 6.0:
            raise ValueError(f"exponent is {exponent}; allowed: above 0, up to 6")
        if not 0.0 <= self.exclusion_radius < math.inf:
            raise ValueError(
                f"exclusion_radius is {exclusion_radius}; it must be positive, or 0 for none"
            )
        if self.exclusion_degree < 1:
            raise ValueError(f"exclusion_degree is {exclusion_degree}; it must be at least 1")
        if isinstance(splitting, Tensor):
            if splitting.dim() != 1 or splitting.dtype != torch.float64 or not len(splitting):
                raise ValueError(
                    "splitting must be (terms,) float64 or a name, got "
                    f"{tuple(splitting.shape)} {splitting.dtype}"
                )
            if mesh is None or order == 0:
                raise ValueError("an own splitting has no error estimate: give mesh and order, too")
        # no buffer: it stays float64 whatever the module is converted to
        self.own_shape = splitting if isinstance(splitting, Tensor) else nothing
        self.cutoff = 0.0
        self.accuracy = 0.0
        self.requested_smearing = 0.0
        self.requested_mesh = []
        self.requested_order = 0
        self.requested_splitting = ""
        self.requested_window = ""
        self.settings = Settings(0.0, nothing, [0, 0, 0], 0, nothing)
        self.planned_cell = nothing
        self.report: Dict[str, float] = {}
        self.planned = False
        self.list_checked = False
        self.configure(
            cutoff,
            accuracy,
            smearing,
            [] if mesh is None else list(mesh),
            order,
            splitting if isinstance(splitting, str) else "prolate",
            window,
        )

    @torch.jit.export
    def configure(
        self,
        cutoff: float,
        accuracy: float,
        smearing: float,
        mesh: List[int],
        order: int,
        splitting: str = "auto",
        window: str = "auto",
    ) -> None:
        """Set the run-time choices, see the arguments of the class; forgets a fixed plan."""
        if not (cutoff > 0.0):
            raise ValueError(f"cutoff is {cutoff}, but it must be a positive length in Å")
        if not (accuracy >= 1e-12 and accuracy <= 0.1):
            raise ValueError(f"accuracy is {accuracy}; allowed: 1e-12 to 0.1")
        if not (smearing >= 0.0 and smearing < math.inf):
            raise ValueError(f"smearing is {smearing}; it must be positive, or 0 for automatic")
        if len(mesh) != 0 and (len(mesh) != 3 or min(mesh) < 1):
            raise ValueError(
                f"mesh is {mesh}; it must be three positive numbers, or [] for automatic"
            )
        if order != 0 and (order < 3 or order > 10):
            raise ValueError(f"order is {order}; allowed: 3 to 10, or 0 for automatic")
        if splitting != "auto" and splitting != "gaussian" and splitting != "prolate":
            raise ValueError(f"splitting is '{splitting}'; allowed: auto, gaussian, prolate")
        if window != "auto" and window != "bspline" and window != "prolate":
            raise ValueError(f"window is '{window}'; allowed: auto, bspline, prolate")
        if splitting == "prolate" and (self.exponent != 1.0 or smearing > 0.0):
            raise ValueError(
                f"splitting is 'prolate' with exponent {self.exponent} and smearing {smearing}; it "
                "exists for exponent 1 and has no smearing: use 'gaussian'"
            )
        if self.exclusion_radius > 0.0 and (smearing == 0.0 or cutoff < self.exclusion_radius):
            raise ValueError(
                f"exclusion_radius is {self.exclusion_radius}; it needs a smearing (got {smearing})"
                f" and a cutoff at least as long (got {cutoff})"
            )
        self.cutoff = float(cutoff)
        self.accuracy = float(accuracy)
        self.requested_smearing = float(smearing)
        self.requested_mesh = mesh
        self.requested_order = order
        self.requested_splitting = splitting
        self.requested_window = window
        self.planned = False
        self.list_checked = False

    @torch.jit.export
    def plan(self, cell: Tensor, n_atoms: int, channels: int) -> Dict[str, float]:
        """Choose what is automatic for this cell and number of atoms, and keep it.

        Returns smearing (0 for a compact splitting), nx, ny, nz, order, cutoff, the bandlimits
        splitting_bandlimit and window_bandlimit (0: Gaussian, B-spline) and the estimated relative
        errors real_space_error and mesh_error; absolute_error is that of the potentials of
        charges one. Raises ValueError where no mesh reaches the accuracy.
        """
        settings, report = self._chosen(cell, n_atoms, channels)
        self.settings = settings
        self.report = report
        self.planned_cell = cell.detach().clone()
        self.planned = True
        if self.own_shape.numel() > 0:
            self.report["absolute_error"] = math.nan
        else:
            self.report["absolute_error"] = self._absolute_error(cell, n_atoms)
        return report

    @torch.jit.export
    def plan_error(self, cell: Tensor, n_atoms: int) -> float:
        """Estimated relative error of the plan of now in another cell (NaN: no estimate)."""
        if not self.planned:
            raise ValueError("there is no plan; call plan() before")
        error = math.sqrt(self.report["real_space_error"] ** 2 + self.report["mesh_error"] ** 2)
        return error * self._absolute_error(cell, n_atoms) / self.report["absolute_error"]

    def _absolute_error(self, cell: Tensor, n_atoms: int) -> float:
        sharp, mesh, _, _ = ops.plan_errors(
            cell.detach(),
            max(n_atoms, 1),
            self.cutoff,
            self.exponent,
            self.settings.length,
            self.report["splitting_bandlimit"],
            self.settings.mesh,
            self.settings.order,
            self.report["window_bandlimit"],
        )
        return math.sqrt(sharp * sharp + mesh * mesh)

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
            pbc: (3,) or (B, 3) bool: three, two or no periodic directions; None means three.
            batch: (n,) int64, the structure of each atom, non-decreasing.
            n_owned: number of owned atoms, which come first; -1 means all.
            comm: handle of a communicator to the other ranks; 0 is this process alone. Other ranks
                need a fixed :meth:`plan`; where directions are open it is one for a cell that ends
                there with the atoms, and its spacings are used.
        Returns:
            (n_owned, C) potentials ½ Σ q/r^p in units of charge / Å^p, dtype of the charges.
        Raises:
            ValueError: shapes or dtypes are wrong, the cell has no volume, one direction is
                periodic, a position is not finite, the mesh is too coarse for the order, a channel
                is charged and p = 3.
        """
        owned = positions.shape[0] if n_owned < 0 else n_owned
        check_coulomb_input(positions, charges, cell, pairs, shifts, owned, batch)
        cells = cell.reshape(-1, 3, 3)
        sizes = structure_sizes(positions, cells, batch)
        periodic = periodicity(pbc, cells)
        if len(sizes) == 1:
            sizes[0] = owned
        elif owned != positions.shape[0]:
            raise ValueError(f"{len(sizes)} structures with ghosts; ghosts go with one structure")
        if comm != 0 and not self.planned:
            raise ValueError("on several ranks MeshPotential needs a plan: call plan() before")
        values = charges.to(torch.float64 if self.accuracy < self.float32_floor else charges.dtype)
        if comm != 0:
            # Zero, and a link to the positions: the charges of a rank without atoms depend on
            # nothing, but the backward of its exchanges must run as that of the other ranks.
            values = values + positions[:0].sum().to(values.dtype)
        smooth: List[Tensor] = []
        used: List[Settings] = []
        start = 0
        for b in range(len(sizes)):
            points = _rows(positions, start, sizes[b])
            own = _rows(values, start, sizes[b])
            lattice = mesh_lattice(points, cells[b], periodic[b], self.cutoff, self.exponent, comm)
            settings = self._settings(lattice, points, charges.shape[1], comm)
            smooth.append(self._smooth_part(points, own, lattice, settings, comm))
            used.append(settings)
            start += sizes[b]
        if comm == 0 and not self.list_checked:
            self._check_list(positions, cells[0], pairs, shifts, periodic[0], sizes[0], owned)
        potentials = smooth[0] if len(smooth) == 1 else torch.cat(smooth, 0)
        if comm != 0 or pairs.shape[1] > 0:  # several ranks exchange charges for their pairs
            sharp = self._real_space(positions, values, cells, pairs, shifts, batch, used, comm)
            potentials = torch.add(potentials, sharp, alpha=0.5)
        return potentials.to(charges.dtype)

    @torch.jit.export
    def energy(
        self,
        positions: Tensor,
        charges: Tensor,
        cell: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        pbc: Optional[Tensor] = None,
    ) -> Tensor:
        """Σ_i Σ_c q_ic V_ic of one structure, a float64 number; arguments as in :meth:`forward`.

        The sum of charges times potentials, differentiable as they are, with one convolution for
        energy and gradients together: for charges that are given, as those of a force field.
        """
        check_coulomb_input(positions, charges, cell, pairs, shifts, positions.shape[0], None)
        cells = cell.reshape(1, 3, 3)
        periodic = periodicity(pbc, cells)[0]
        lattice = mesh_lattice(positions, cells[0], periodic, self.cutoff, self.exponent, 0)
        values = charges.to(torch.float64 if self.accuracy < self.float32_floor else charges.dtype)
        settings = self._settings(lattice, positions, charges.shape[1], 0)
        own, uniform = self._charge_terms(values, lattice, settings, 0)
        energy = ops.mesh_energy(
            positions,
            values,
            lattice.cell,
            self._half_influence(lattice, settings, values.dtype, 0),
            settings.mesh,
            settings.order,
            _optional(settings.window),
            own,
            uniform,
            lattice.inverse,
        )
        if not self.list_checked:
            n = positions.shape[0]
            self._check_list(positions, cells[0], pairs, shifts, periodic, n, n)
        if pairs.shape[1] == 0:
            return energy
        sharp = self._real_space(positions, values, cells, pairs, shifts, None, [settings], 0)
        return energy + 0.5 * (values * sharp).sum(dtype=torch.float64)

    def _chosen(
        self, cell: Tensor, n_atoms: int, channels: int
    ) -> Tuple[Settings, Dict[str, float]]:
        """What was asked for and the rest chosen, and what plan() reports."""
        nothing = torch.empty(0, dtype=torch.float64)
        if self.own_shape.numel() > 0:
            bspline = nothing
            settings = Settings(
                self.cutoff, self.own_shape, self.requested_mesh, self.requested_order, bspline
            )
            return settings, self._report(settings, 0.0, 0.0, math.nan, math.nan)
        splitting, length, bandlimit, mesh, order, window, sharp_error, mesh_error = ops.plan(
            cell.detach(),
            max(n_atoms, 1),
            channels,
            self.cutoff,
            self.accuracy,
            self.exponent,
            self.requested_splitting,
            self.requested_smearing,
            self.requested_window,
            self.requested_mesh,
            self.requested_order,
        )
        settings = Settings(
            length,
            nothing if splitting == "gaussian" else ops.prolate_shape(bandlimit),
            mesh,
            order,
            nothing if window == 0.0 else ops.prolate_shape(window),
        )
        return settings, self._report(settings, bandlimit, window, sharp_error, mesh_error)

    def _report(
        self,
        settings: Settings,
        bandlimit: float,
        window: float,
        sharp_error: float,
        mesh_error: float,
    ) -> Dict[str, float]:
        return {
            "smearing": settings.length if settings.shape.numel() == 0 else 0.0,
            "splitting_bandlimit": bandlimit,
            "window_bandlimit": window,
            "nx": float(settings.mesh[0]),
            "ny": float(settings.mesh[1]),
            "nz": float(settings.mesh[2]),
            "order": float(settings.order),
            "cutoff": self.cutoff,
            "real_space_error": sharp_error,
            "mesh_error": mesh_error,
        }

    def _settings(self, lattice: Lattice, positions: Tensor, channels: int, comm: int) -> Settings:
        """The fixed plan, or one for this structure."""
        if lattice.periodic == 3:
            if self.planned:
                return self.settings
            return self._chosen(lattice.cell, positions.shape[0], channels)[0]
        if comm != 0:  # no rank knows the whole structure
            return self._stretched(self.settings, self.planned_cell, lattice)
        chosen = self._chosen(lattice.system, positions.shape[0], channels)[0]
        return self._stretched(chosen, lattice.system, lattice)

    def _stretched(self, settings: Settings, cell: Tensor, lattice: Lattice) -> Settings:
        """The settings chosen for `cell`, with as many mesh points more along the open directions
        as the cell of the mesh is longer."""
        if len(self.requested_mesh) > 0:
            return settings
        stretch = lattice.cell.detach().norm(2.0, 1) / cell.detach().norm(2.0, 1)
        mesh = list(settings.mesh)
        for a in range(3):
            if lattice.periodic == 0 or a == lattice.open_axis:
                mesh[a] = _smooth_size(math.ceil(float(stretch[a]) * settings.mesh[a] - 1e-6))
        return Settings(settings.length, settings.shape, mesh, settings.order, settings.window)

    def _check_list(
        self,
        positions: Tensor,
        cell: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        pbc: Tensor,
        size: int,
        owned: int,
    ) -> None:
        """Once: whether the pair list is as long as the cutoff, at the first structure."""
        n = positions.shape[0] if owned != positions.shape[0] else size  # with its ghosts
        kept = torch.nonzero(pairs[0] < n).squeeze(1)
        needed = self.cutoff if self.exclusion_radius == 0.0 else self.exclusion_radius
        check_pair_list(
            positions[:n], cell, pairs[:, kept], shifts[kept], pbc, needed, min(n, owned)
        )
        self.list_checked = True

    def _half_influence(
        self, lattice: Lattice, settings: Settings, dtype: torch.dtype, comm: int
    ) -> Tensor:
        interaction = ops.interaction(
            self.exponent,
            _optional(settings.shape),
            lattice.periodic,
            lattice.open_axis,
            lattice.reach,
            self.own_shape.numel() == 0,
        )
        influence = ops.influence(
            lattice.cell,
            settings.mesh,
            settings.order,
            settings.length,
            _optional(settings.window),
            interaction,
            comm,
            0.5,
            (lattice.inverse, lattice.volume),
        )
        return influence.to(dtype)

    def _smooth_part(
        self, positions: Tensor, charges: Tensor, lattice: Lattice, settings: Settings, comm: int
    ) -> Tensor:
        """All of V that needs no pairs, of one structure."""
        own, uniform = self._charge_terms(charges, lattice, settings, comm)
        return ops.mesh_potential(
            positions,
            charges,
            lattice.cell,
            self._half_influence(lattice, settings, charges.dtype, comm),
            settings.mesh,
            settings.order,
            _optional(settings.window),
            comm,
            own,
            uniform,
            lattice.inverse,
        )

    def _charge_terms(
        self, charges: Tensor, lattice: Lattice, settings: Settings, comm: int
    ) -> Tuple[float, Optional[Tensor]]:
        """V besides the waves: what a charge sees of itself on the mesh, taken off, per charge, and
        the term of k = 0 per sum of all charges."""
        own = -0.5 * smooth_at_zero(self.exponent, settings.length, settings.shape)
        if lattice.periodic != 3:
            return own, None
        if self.exponent == 3.0:
            self._check_neutral(charges, comm)
            return own, None
        if self.exclusion_radius > 0.0:
            at_zero = transform_at_zero(self.exponent, settings.length)
        else:
            at_zero = uniform_part(self.exponent, settings.length, settings.shape, self.cutoff)
        return own, 0.5 * at_zero / lattice.volume

    def _check_neutral(self, charges: Tensor, comm: int) -> None:
        totals = charges.detach().to(torch.float64)
        totals = torch.stack([totals.sum(0), totals.abs().sum(0)])
        totals = ops.sum_over_ranks(totals, comm)
        if bool((totals[0].abs() > 1e-6 * totals[1]).any()):
            raise ValueError(
                f"exponent is 3 and a net charge is {float(totals[0].abs().max())}; the sum "
                "of 1/r^3 exists for neutral channels only"
            )

    def _real_space(
        self,
        positions: Tensor,
        charges: Tensor,
        cells: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        batch: Optional[Tensor],
        settings: List[Settings],
        comm: int,
    ) -> Tensor:
        """Σ_j q_j sharp(r) over the pairs closer than the cutoff, (n_owned, C)."""
        everyone = ops.halo_exchange(charges, positions.shape[0], comm)
        if batch is None or len(settings) == 1:
            return self._pairs_of_one(
                positions, everyone, charges.shape[0], cells[0], pairs, shifts, settings[0]
            )
        sums = torch.zeros_like(charges)
        structures = batch.index_select(0, pairs[0])
        for b in range(len(settings)):
            own = torch.nonzero(structures == b).squeeze(1)
            sums = sums + self._pairs_of_one(
                positions,
                everyone,
                charges.shape[0],
                cells[b],
                pairs[:, own],
                shifts[own],
                settings[b],
            )
        return sums

    def _pairs_of_one(
        self,
        positions: Tensor,
        charges: Tensor,
        n_owned: int,
        cell: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        settings: Settings,
    ) -> Tensor:
        """The same for the pairs of one structure; `charges` are those of ghosts, too."""
        if self.exclusion_radius == 0.0:
            return ops.pair_potential(
                positions,
                charges,
                cell,
                pairs,
                shifts,
                n_owned,
                self.cutoff,
                self.exponent,
                settings.length,
                _optional(settings.shape),
            )
        cells = cell.unsqueeze(0)
        squared = pair_vectors(positions.detach(), cells.detach(), pairs, shifts, None)
        squared = squared.square().sum(1)
        inside = (squared < self.exclusion_radius**2) & (pairs[0] < n_owned)
        near = torch.nonzero(inside).squeeze(1)
        pairs, shifts = pairs[:, near], shifts[near]
        squared = pair_vectors(positions, cells, pairs, shifts, None).square().sum(1)
        excluded = exclusion(squared, self.exclusion_radius, self.exclusion_degree)
        weights = -smooth(squared, self.exponent, settings.length) * excluded
        return ops.pair_sum(weights.to(charges.dtype), charges, pairs, n_owned)


def _rows(values: Tensor, start: int, count: int) -> Tensor:
    """Rows that follow each other; all of them without a slice, whose gradient is a copy."""
    return values if count == values.shape[0] else values[start : start + count]


def _optional(terms: Tensor) -> Optional[Tensor]:
    return terms if terms.numel() > 0 else None


def _smooth_size(lower: int) -> int:
    """Smallest n ≥ lower whose prime factors are 2, 3, 5, 7."""
    n = lower
    while _without_small_factors(n) != 1:
        n += 1
    return n


def _without_small_factors(n: int) -> int:
    for factor in [2, 3, 5, 7]:
        while n % factor == 0:
            n = n // factor
    return n
