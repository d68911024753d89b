# SPDX-License-Identifier: BSD-3-Clause
"""How much slower what loremd.tune chooses is than the best of many settings, all of them measured.

    python benchmarks/choice.py [accuracy]

For three systems: every cutoff, splitting and order of the grid below, each with the loosest plan
that reaches the accuracy by measurement, window as planned. Times are those of potentials and
derivatives in float32, with the threads torch uses; the best few are timed again in turns with
tune's choice, so that what disturbs the machine disturbs all of them.
"""

from __future__ import annotations

import itertools
import sys
import time
from typing import Callable

import torch

from loremd import machine, tune
from loremd.tuning import Tuned, _Reference, _Request

CUTOFFS = (2.0, 2.4, 2.8, 3.3, 3.9, 4.6)  # in mean distances between atoms
ORDERS = range(4, 10)
SPLITTINGS = ("gaussian", "prolate")
LOOSER = (16.0, 8.0, 4.0, 2.0, 1.0)  # than the accuracy; the first that reaches it counts
CHANNELS = 10
ROUNDS, FINALISTS = 15, 6


def rock_salt(copies: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    grid = torch.cartesian_prod(*[torch.arange(copies, dtype=torch.float64)] * 3)
    signs = 1 - 2 * (grid.sum(1) % 2)
    noise = 0.05 * torch.randn(grid.shape, generator=generator, dtype=torch.float64)
    scales = 1 + 0.1 * torch.randn(CHANNELS, generator=generator, dtype=torch.float64)
    cell = 2.8 * copies * torch.eye(3, dtype=torch.float64)
    return 2.8 * (grid + noise), signs[:, None] * scales, cell


def gas(atoms: int, cell: list[list[float]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    rows = torch.tensor(cell, dtype=torch.float64)
    rows *= 2.5 * (atoms / float(torch.linalg.det(rows).abs())) ** (1 / 3)
    positions = torch.rand(atoms, 3, generator=generator, dtype=torch.float64) @ rows
    charges = torch.randn(atoms, CHANNELS, generator=generator, dtype=torch.float64)
    return positions, charges, rows


SYSTEMS: dict[str, Callable[[], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]] = {
    "rock salt, 512": lambda: rock_salt(8),
    "triclinic gas, 400": lambda: gas(400, [[4.0, 0.3, 0.1], [1.5, 5.0, -0.2], [-0.7, 0.9, 4.5]]),
    "rock salt, 1728": lambda: rock_salt(12),
}


def loosest(reference: _Reference, cutoff: float, accuracy: float) -> Tuned | None:
    """The plan that reaches the accuracy with the coarsest mesh, by measurement."""
    for factor in LOOSER:
        try:
            plan = reference.request.plan(cutoff, min(0.1, factor * accuracy))
        except ValueError:
            continue
        reference.measure(plan)
        if plan.measured_error <= accuracy:
            plan.measured_time = reference.time(plan)
            return plan
    return None


def every_setting(structure, accuracy: float) -> list[Tuned]:
    found = []
    for distances, splitting in itertools.product(CUTOFFS, SPLITTINGS):
        request = _Request(*structure, 1.0, splitting, 0.0, "auto")
        cutoff = distances * request.spacing
        reference = _Reference(request, cutoff, accuracy)
        for request.order in ORDERS:
            plan = loosest(reference, cutoff, accuracy)
            if plan is not None:
                found.append(plan)
    return sorted(found, key=lambda plan: plan.measured_time)


def in_turns(structure, plans: list[Tuned], accuracy: float) -> list[float]:
    """Shortest time of each plan, in milliseconds."""
    request = _Request(*structure, 1.0, "auto", 0.0, "auto")
    reference = _Reference(request, max(p.cutoff for p in plans), accuracy)
    times = [float("inf")] * len(plans)
    for _ in range(ROUNDS):
        times = [min(t, reference.time(plan)) for t, plan in zip(times, plans)]
    return times


def line(plan: Tuned) -> str:
    return (
        f"{plan.splitting} {plan.cutoff:.2f}, {plan.mesh} order {plan.order} {plan.window}, "
        f"error {plan.measured_error:.1e} (estimated {plan.estimated_error:.1e})"
    )


def main() -> None:
    accuracy = float(sys.argv[1]) if len(sys.argv) > 1 else 1e-4
    print(f"accuracy {accuracy:g}, constants {[round(c, 2) for c in machine.measure()]}")
    for name, make in SYSTEMS.items():
        structure = make()
        start = time.perf_counter()
        chosen = tune(*structure, accuracy)
        took = time.perf_counter() - start
        found = every_setting(structure, accuracy)
        finalists = [chosen, *found[:FINALISTS]]
        times = in_turns(structure, finalists, accuracy)
        best = min(range(len(times)), key=times.__getitem__)
        print(f"{name}: {times[0] / times[best]:.2f} times the best of {len(found)}")
        print(f"    tune ({took:.1f} s) {times[0]:.2f} ms: {line(chosen)}")
        print(f"    best {times[best]:.2f} ms: {line(finalists[best])}", flush=True)


if __name__ == "__main__":
    main()
