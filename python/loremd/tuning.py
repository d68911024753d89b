# SPDX-License-Identifier: BSD-3-Clause
"""Choose the parameters of the mesh sum for an accuracy, and measure what they reach."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Optional, Sequence

import torch
from torch import Tensor

from . import machine, ops
from .ewald import EwaldPotential
from .mesh import MeshPotential, Settings
from .neighbors import neighbor_list
from .spectrum import expected_errors

# Up to this many atoms the reference is the exact sum, which is O(N^1.5) at best; beyond it is a
# mesh that is a hundred times more accurate, with Gaussian splitting and B-spline window.
EXACT_ATOMS = 600
# Up to this many mesh points, of all channels, the estimates know the structure factor; 1 GB.
SPECTRUM_POINTS = 700_000
# Plans measured before the cheapest good one is taken.
TRIALS = 4
# Where the atoms lie between the mesh points, in Å beside where they are: in a symmetric crystal
# the error of a mesh that fits it may vanish at one place and not at others.
_ORIGINS = ([0.0, 0.0, 0.0], [0.37, -0.21, 0.13], [-0.11, 0.29, 0.41])


@dataclass
class Tuned:
    """Parameters of :class:`loremd.MeshPotential`, and what they give for one structure.

    Errors are RMS errors relative to the RMS value, of potentials and of forces (NaN in a perfect
    crystal, which has no forces). The estimated ones
    know the structure factor (:mod:`loremd.spectrum`) for meshes of up to 700,000 points, all
    channels counted; beyond, they are those of charges at random places
    (csrc/core/tuning/error_estimate.hpp).
    """

    cutoff: float
    accuracy: float
    exponent: float
    splitting: str
    smearing: float  # 0 for the prolate splitting
    splitting_bandlimit: float  # 0 for the Gaussian one
    mesh: list[int]
    order: int
    window: str
    window_bandlimit: float  # 0 for B-splines
    estimated_real_space_error: float  # what the splitting leaves out
    estimated_mesh_error: float
    estimated_force_error: float
    estimated_time: float  # ms, potentials and their derivatives
    measured_error: Optional[float] = None
    measured_force_error: Optional[float] = None
    measured_time: Optional[float] = None  # ms
    reference: str = "none"  # "exact sum" or "finer mesh"
    trials: list[Tuned] = field(default_factory=list, repr=False)

    @property
    def estimated_error(self) -> float:
        return math.hypot(self.estimated_real_space_error, self.estimated_mesh_error)

    def potential(self) -> MeshPotential:
        """The potential with exactly these parameters."""
        potential = MeshPotential(
            self.cutoff,
            accuracy=self.accuracy,
            exponent=self.exponent,
            smearing=self.smearing,
            mesh=self.mesh,
            order=self.order,
            splitting=self.splitting,
            window=self.window,
        )
        nothing = torch.empty(0, dtype=torch.float64)
        prolate = self.splitting_bandlimit > 0
        potential.settings = Settings(
            self.cutoff if prolate else self.smearing,
            ops.prolate_shape(self.splitting_bandlimit) if prolate else nothing,
            self.mesh,
            self.order,
            ops.prolate_shape(self.window_bandlimit) if self.window_bandlimit > 0 else nothing,
        )
        potential.planned = True
        return potential


def relative_error(values: Tensor, exact: Tensor) -> float:
    """sqrt(sum (V - V_exact)^2 / sum V_exact^2) over atoms and channels: what `accuracy` bounds."""
    difference = values.to(torch.float64) - exact.to(torch.float64)
    return float(difference.square().sum().sqrt() / exact.to(torch.float64).square().sum().sqrt())


def tune(
    positions: Tensor,
    charges: Tensor,
    cell: Tensor,
    accuracy: float,
    *,
    cutoff: Optional[float] = None,
    exponent: float = 1.0,
    splitting: str = "auto",
    smearing: float = 0.0,
    window: str = "auto",
    mesh: Sequence[int] = (),
    order: int = 0,
) -> Tuned:
    """The fastest parameters of the mesh sum that reach a relative accuracy of the potentials.

    positions (n, 3) float64, charges (n, C), cell (3, 3) float64, three periodic directions. What
    is None, "auto", 0 or () is chosen, by the time it should take on this machine
    (:func:`loremd.machine.measure`, 0.3 s once). As no estimate knows the structure, several plans
    are measured, each with its accuracy set by the error of the one before, and the cheapest that
    reaches the accuracy is returned: RMS over the atoms, at three origins of the mesh. The
    reference is the exact sum for up to 600 atoms, else a finer mesh.
    Where no trial reaches the accuracy, see `measured_error`, the most accurate one is returned.
    Raises ValueError where no plan should reach it, and where settings do not go together.
    """
    machine.measure()
    request = _Request(
        positions, charges.to(torch.float64), cell, exponent, splitting, smearing, window
    )
    request.mesh, request.order = list(mesh), order
    if cutoff is None:
        cutoff = _cheapest_cutoff(request, accuracy)
    reference = _Reference(request, cutoff, accuracy)
    best = _search(request, reference, cutoff, accuracy)
    reference.estimate(best)
    best.measured_time = reference.time(best)
    return best


@dataclass
class _Request:
    positions: Tensor
    charges: Tensor
    cell: Tensor
    exponent: float
    splitting: str
    smearing: float
    window: str
    mesh: list[int] = field(default_factory=list)
    order: int = 0

    @property
    def spacing(self) -> float:
        """Mean distance between atoms."""
        return float(torch.linalg.det(self.cell).abs() / len(self.positions)) ** (1 / 3)

    def plan(self, cutoff: float, accuracy: float) -> Tuned:
        """The plan for an accuracy, with estimates relative to the potential of a crystal."""
        n, channels = self.charges.shape
        chosen = ops.plan(
            self.cell,
            n,
            channels,
            cutoff,
            accuracy,
            self.exponent,
            self.splitting,
            self.smearing,
            self.window,
            self.mesh,
            self.order,
        )
        name, length, bandlimit, mesh, order, window = chosen[:6]
        return Tuned(
            cutoff,
            accuracy,
            self.exponent,
            name,
            0.0 if bandlimit > 0 else length,
            bandlimit,
            mesh,
            order,
            "prolate" if window > 0 else "bspline",
            window,
            *chosen[6:],
            math.nan,
            ops.plan_cost(self.cell, n, channels, cutoff, mesh, order),
        )


class _Reference:
    """The potentials and forces of a structure, and the errors of a plan beside them."""

    def __init__(self, request: _Request, cutoff: float, accuracy: float):
        self.request = request
        finest = max(1e-2 * accuracy, 1e-13)
        few = len(request.positions) <= EXACT_ATOMS
        self.name = "exact sum" if few else "finer mesh"
        self.longest = max(cutoff, min(6.0, 4.0 * request.spacing))
        self.pairs = neighbor_list(request.positions, request.cell, True, self.longest)
        if few:
            exact = EwaldPotential(self.longest, accuracy=finest, exponent=request.exponent)
        else:
            exact = MeshPotential(
                self.longest,
                accuracy=max(finest, 1e-12),
                exponent=request.exponent,
                splitting="gaussian",
                window="bspline",
            )
        self.potentials, self.forces = self._evaluate(exact)
        self.rms_potential = float(self.potentials.square().mean().sqrt())
        self.rms_force = float(self.forces.square().sum(1).mean().sqrt())
        energy = self.rms_potential * float(request.charges.square().mean().sqrt())
        if self.rms_force < 1e-9 * energy / request.spacing:
            self.rms_force = math.nan  # a perfect crystal has none to be compared with

    def _evaluate(
        self, potential: torch.nn.Module, origin: Sequence[float] = _ORIGINS[0]
    ) -> tuple[Tensor, Tensor]:
        moved = self.request.positions + torch.tensor(origin, dtype=torch.float64)
        positions = moved.requires_grad_()
        charges = self.request.charges
        values = potential(positions, charges, self.request.cell, *self.pairs)
        (gradient,) = torch.autograd.grad((values * charges).sum(), positions)
        return values.detach(), -gradient

    def time(self, plan: Tuned) -> float:
        """Milliseconds of potentials and derivatives, in float32 where the accuracy allows it."""
        request, potential = self.request, plan.potential()
        pairs = neighbor_list(request.positions, request.cell, True, plan.cutoff)
        positions = request.positions.clone().requires_grad_()
        charges = request.charges.to(torch.float32).requires_grad_()

        def work() -> None:
            values = potential(positions, charges, request.cell, *pairs)
            torch.autograd.grad((values * charges).sum(), [positions, charges])

        return 1e3 * machine.shortest(work)

    def measure(self, plan: Tuned) -> None:
        """Fill in what the plan reaches."""
        potential = plan.potential()
        squares = torch.zeros(2, dtype=torch.float64)
        for origin in _ORIGINS:
            values, forces = self._evaluate(potential, origin)
            squares[0] += relative_error(values, self.potentials) ** 2
            squares[1] += relative_error(forces, self.forces) ** 2
        errors = (squares / len(_ORIGINS)).sqrt()
        plan.measured_error = float(errors[0])
        plan.measured_force_error = math.nan if math.isnan(self.rms_force) else float(errors[1])
        plan.reference = self.name

    def estimate(self, plan: Tuned) -> None:
        """The expected errors relative to this structure's values."""
        request = self.request
        prolate = plan.splitting_bandlimit > 0
        errors = ops.plan_errors(
            request.cell,
            len(request.positions),
            plan.cutoff,
            plan.exponent,
            plan.cutoff if prolate else plan.smearing,
            plan.splitting_bandlimit,
            plan.mesh,
            plan.order,
            plan.window_bandlimit,
        )
        charge = float(request.charges.square().mean().sqrt())
        # force on an atom: q_i times the field, of all channels
        squares = request.charges.square()
        product = float((squares.sum(1).mean() * squares.mean()).sqrt())
        splitting, mesh = charge * errors[0], charge * errors[1]
        splitting_force, mesh_force = product * errors[2], product * errors[3]
        if math.prod(plan.mesh) * request.charges.shape[1] <= SPECTRUM_POINTS:
            splitting, mesh, splitting_force, mesh_force = self._expected(plan)
        plan.estimated_real_space_error = splitting / self.rms_potential
        plan.estimated_mesh_error = mesh / self.rms_potential
        plan.estimated_force_error = math.hypot(splitting_force, mesh_force) / self.rms_force

    def _expected(self, plan: Tuned) -> tuple[float, float, float, float]:
        return expected_errors(
            self.request.positions,
            self.request.charges,
            self.request.cell,
            cutoff=plan.cutoff,
            exponent=plan.exponent,
            smearing=plan.smearing,
            splitting_bandlimit=plan.splitting_bandlimit,
            mesh=plan.mesh,
            order=plan.order,
            window_bandlimit=plan.window_bandlimit,
        )


def _cheapest_cutoff(request: _Request, accuracy: float) -> float:
    """Of some cutoffs, in mean distances between atoms, the one whose plan costs the least."""
    best = None
    for distances in (2.0, 2.4, 2.8, 3.3, 3.9, 4.6, 5.5, 6.5):
        try:
            plan = request.plan(distances * request.spacing, accuracy)
        except ValueError:
            continue  # out of reach with so short a cutoff
        if best is None or plan.estimated_time < best.estimated_time:
            best = plan
    if best is None:
        raise ValueError(f"accuracy is {accuracy}, which no cutoff reaches; ask for less")
    return best.cutoff


def _search(request: _Request, reference: _Reference, cutoff: float, accuracy: float) -> Tuned:
    """Plans for accuracies that approach, by secants, the one whose measured error is asked for."""
    asked, trials = accuracy, []
    for _ in range(TRIALS):
        try:
            plan = request.plan(cutoff, asked)
        except ValueError:
            if not trials:
                raise
            break  # the structure needs more than its atoms would at random places
        plan.accuracy = accuracy
        if any(plan.mesh == t.mesh and plan.order == t.order for t in trials):
            break
        reference.measure(plan)
        trials.append(plan)
        if request.mesh or 0.6 * accuracy <= plan.measured_error <= accuracy:
            break
        asked = min(0.1, max(1e-12, asked * 0.8 * accuracy / plan.measured_error))
    good = [t for t in trials if t.measured_error <= accuracy]
    best = min(good or trials, key=lambda t: t.estimated_time if good else t.measured_error)
    best.trials = trials
    return best
