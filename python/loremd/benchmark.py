# SPDX-License-Identifier: BSD-3-Clause
"""How fast the long-range sum is on this machine, for `loremd bench`: rock salt of several sizes.

The comparison with other programs is benchmarks/run.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Optional

import torch
from torch import Tensor

from .machine import shortest
from .neighbors import neighbor_list
from .tuning import Tuned, tune

NEAREST = 2.82  # distance of neighbours in rock salt (Å)
DISPLACEMENT = 0.05  # standard deviation along each axis, in these distances
# Up to this many ions the settings are tuned for the structure, which measures their error. Beyond,
# they are planned with the cutoff tuned for a smaller crystal: their reference takes too long.
LARGEST_TUNED = 10_000
SMALLER = 1000


@dataclass(frozen=True)
class Timing:
    """One line of the table. Errors are relative RMS errors, None where they were not measured."""

    atoms: int
    channels: int
    threads: int
    accuracy: float  # asked for, of the potentials
    cutoff: float  # Å
    splitting: str
    smearing: float  # Å; 0: prolate
    splitting_bandlimit: float  # 0: Gaussian
    mesh: list[int]
    order: int
    window: str
    window_bandlimit: float  # 0: B-spline
    forward: float  # s; potentials
    forward_backward: float  # s; with the gradients by positions and charges
    error: Optional[float]  # of the potentials
    force_error: Optional[float]
    reference: str  # what the errors were measured against


def rock_salt(atoms: int, channels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Positions (n, 3) Å, charges (n, channels), cell (3, 3) of a displaced crystal of about so
    many ions: a cube of an even number of them, at least 4, along each edge."""
    edge = max(4, 2 * round(atoms ** (1 / 3) / 2))
    generator = torch.Generator().manual_seed(edge)
    sites = torch.cartesian_prod(*[torch.arange(edge, dtype=torch.float64)] * 3)
    noise = torch.randn(sites.shape, generator=generator, dtype=torch.float64)
    charges = torch.randn(len(sites), channels, generator=generator, dtype=torch.float64)
    charges -= charges.mean(0)
    charges[:, 0] = 1 - 2 * (sites.sum(1) % 2)
    cell = NEAREST * edge * torch.eye(3, dtype=torch.float64)
    return NEAREST * (sites + DISPLACEMENT * noise), charges, cell


def run(
    sizes: Iterable[int], channels: Iterable[int], accuracy: float, dtype: torch.dtype
) -> Iterator[Timing]:
    """Choose settings and time them, for each size and number of channels.

    Threads are those that torch uses. The neighbour list is not timed. Raises ValueError where
    nothing reaches the accuracy.
    """
    channels = list(channels)
    for atoms in sizes:
        for number in channels:
            structure = rock_salt(atoms, number)
            yield _timing(structure, settings(structure, accuracy), dtype)


def settings(structure: tuple[Tensor, Tensor, Tensor], accuracy: float) -> Tuned:
    """Tuned for the structure, or planned where that would take long."""
    positions, charges, cell = structure
    if len(positions) <= LARGEST_TUNED:
        return tune(positions, charges, cell, accuracy)
    tuned = tune(*rock_salt(SMALLER, charges.shape[1]), accuracy)
    potential = tuned.potential()
    potential.configure(tuned.cutoff, accuracy, tuned.smearing, [], 0, tuned.splitting)
    plan = potential.plan(cell, len(positions), charges.shape[1])
    return Tuned(
        tuned.cutoff,
        accuracy,
        tuned.exponent,
        tuned.splitting,
        plan["smearing"],
        plan["splitting_bandlimit"],
        [int(plan[axis]) for axis in ("nx", "ny", "nz")],
        int(plan["order"]),
        "prolate" if plan["window_bandlimit"] > 0 else "bspline",
        plan["window_bandlimit"],
        plan["real_space_error"],
        plan["mesh_error"],
        float("nan"),
        float("nan"),
    )


def _timing(structure: tuple[Tensor, Tensor, Tensor], chosen: Tuned, dtype: torch.dtype) -> Timing:
    positions, charges, cell = structure
    potential = chosen.potential()
    pairs, shifts = neighbor_list(positions, cell, True, chosen.cutoff)
    leaves = [positions.clone().requires_grad_(), charges.to(dtype).requires_grad_()]
    seed = torch.ones_like(leaves[1])

    def forward() -> None:
        with torch.no_grad():
            potential(*leaves, cell, pairs, shifts)

    def forward_backward() -> None:
        torch.autograd.grad(potential(*leaves, cell, pairs, shifts), leaves, seed)

    return Timing(
        atoms=len(positions),
        channels=charges.shape[1],
        threads=torch.get_num_threads(),
        forward=shortest(forward, 0.2),
        forward_backward=shortest(forward_backward, 0.2),
        error=chosen.measured_error,
        force_error=chosen.measured_force_error,
        **{name: getattr(chosen, name) for name in _CHOSEN},
    )


_CHOSEN = (
    "accuracy",
    "cutoff",
    "splitting",
    "smearing",
    "splitting_bandlimit",
    "mesh",
    "order",
    "window",
    "window_bandlimit",
    "reference",
)
COLUMNS = (
    ("atoms", 9),
    ("channels", 9),
    ("cutoff", 8),
    ("splitting", 16),
    ("mesh", 14),
    ("window", 16),
    ("forward", 11),
    ("+ backward", 11),
    ("error", 9),
    ("of forces", 10),
)


def title() -> str:
    return "".join(f"{name:>{width}}" for name, width in COLUMNS)


def line(timing: Timing) -> str:
    """A row under :func:`title`."""
    cells: list[Any] = [
        f"{timing.atoms:,}",
        timing.channels,
        f"{timing.cutoff:.2f}",
        _named(timing.splitting, timing.splitting_bandlimit or timing.smearing),
        "×".join(map(str, timing.mesh)),
        f"{timing.order}, " + _named(timing.window, timing.window_bandlimit),
        f"{1e3 * timing.forward:.3g} ms",
        f"{1e3 * timing.forward_backward:.3g} ms",
        _error(timing.error),
        _error(timing.force_error),
    ]
    return "".join(f"{cell:>{width}}" for cell, (_, width) in zip(cells, COLUMNS))


def _named(name: str, number: float) -> str:
    return f"{name} {number:.3g}" if number > 0 else name


def _error(value: Optional[float]) -> str:
    return "-" if value is None else f"{value:.1e}"
