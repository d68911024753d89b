# SPDX-License-Identifier: BSD-3-Clause
"""How long the parts of the long-range sum take on this machine, measured once per process."""

from __future__ import annotations

import time
from typing import Callable, Optional

import torch

from . import ops

_CHANNELS = 10
_LINES = _CHANNELS / 16  # of 64 bytes that a mesh point takes, float32
_measured: Optional[list[float]] = None


def measure() -> list[float]:
    """The constants of the cost model (csrc/core/tuning/cost_model.hpp), which it also sets.

    Nanoseconds: per atom, per atom and 64-byte line of its window, per mesh point and channel, per
    pair, per pair and channel; forward and backward, float32, with the threads torch may use.
    Takes 0.3 s the first time.
    """
    global _measured
    if _measured is None:
        few, many = _window_time(4), _window_time(8)
        point = _mesh_time()
        line = max(0.1, (many - few) / (_LINES * (8**3 - 4**3)))
        pair, pair_channel = _pair_times()
        _measured = [max(1.0, few - line * _LINES * 4**3), line, point, pair, pair_channel]
        ops.set_cost_model(_measured)
    return _measured


def shortest(work: Callable[[], None], seconds: float = 0.03) -> float:
    """Seconds that `work` takes: the shortest of some calls, after one that warms up."""
    work()
    best, start = float("inf"), time.perf_counter()
    while True:
        begin = time.perf_counter()
        work()
        end = time.perf_counter()
        best = min(best, end - begin)
        if end - start > seconds:
            return best


def _structure(atoms: int, size: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    positions = size * torch.rand(atoms, 3, generator=generator, dtype=torch.float64)
    charges = torch.randn(atoms, _CHANNELS, generator=generator)
    return positions, charges, size * torch.eye(3, dtype=torch.float64)


def _mesh_seconds(atoms: int, points: int, order: int) -> float:
    positions, charges, cell = _structure(atoms, float(points))
    influence = torch.ones(points, points, points // 2 + 1)
    positions.requires_grad_()
    charges.requires_grad_()

    def work() -> None:
        values = ops.mesh_potential(positions, charges, cell, influence, [points] * 3, order)
        torch.autograd.grad((values * charges).sum(), [positions, charges])

    return shortest(work)


def _window_time(order: int) -> float:
    """Per atom: the difference of two numbers of atoms on the same mesh."""
    few, many = 500, 4500
    difference = _mesh_seconds(many, 20, order) - _mesh_seconds(few, 20, order)
    return 1e9 * max(0.0, difference) / (many - few)


def _mesh_time() -> float:
    """Per mesh point and channel."""
    return 1e9 * _mesh_seconds(10, 50, 4) / (50**3 * _CHANNELS)


def _pair_times() -> tuple[float, float]:
    """Per pair, and per pair and channel."""
    atoms, neighbours = 2000, 40
    generator = torch.Generator().manual_seed(0)
    centres = torch.arange(atoms).repeat_interleave(neighbours)
    pairs = torch.stack(
        [centres, torch.randint(0, atoms, (atoms * neighbours,), generator=generator)]
    )
    shifts = torch.zeros(pairs.shape[1], 3, dtype=torch.int64)
    positions, charges, cell = _structure(atoms, 10.0)
    shape, length = ops.prolate_shape(12.0), 20.0  # longer than any distance
    positions.requires_grad_()

    def work(channels: int) -> None:
        own = charges[:, :channels].clone().requires_grad_()
        values = ops.pair_potential(
            positions, own, cell, pairs, shifts, atoms, length, 1.0, length, shape
        )
        torch.autograd.grad(values, [positions, own], torch.ones_like(values))

    one, ten = shortest(lambda: work(1)), shortest(lambda: work(10))
    scale = 1e9 / pairs.shape[1]
    channel = max(0.0, ten - one) / 9
    return scale * (one - channel), scale * channel
