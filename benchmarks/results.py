# SPDX-License-Identifier: BSD-3-Clause
"""What a run of the benchmarks writes: the schema of its JSON file, and the statistics in it."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any, Literal, Optional

from cases import Case, Side, Strict

SCHEMA = 1
EXCLUDED = (
    "Not timed: reading and building the system, the neighbour list, planning or tuning (mesh, "
    "smearing, order), the first call. All that loremd, torch-pme and jax-pme do in a later call "
    "is timed, the influence function included; LAMMPS computes it before its steps, which is not "
    "timed. LAMMPS: Kspace (where said: Pair) time per step of its own table, forces of one "
    "channel without energy and virial, double precision; its pair part is switched off while "
    "Kspace is timed. loremd, torch-pme and jax-pme, mesh part: forward, or forward and the "
    "gradients by positions and charges of all channels, called with an empty pair list; loremd, "
    "energy and forces: energy and its gradient by positions alone, likewise. finufft: setpts "
    "(sorting) and spreading, without FFT."
)


class Times(Strict):
    """Seconds of every round, in order, and what they come to."""

    rounds: list[float]
    minimum: float
    median: float
    spread: float  # (longest - shortest) / median


class Ratio(Strict):
    """Median over the median of the baseline; least and greatest of the ratios round by round."""

    median: float
    minimum: float
    maximum: float


class SideResult(Strict):
    side: Side
    status: Literal["measured", "skipped", "failed"]
    reason: Optional[str] = None  # why it was skipped or how it failed
    install: Optional[str] = None  # the command that installs what is missing
    details: dict[str, Any]  # settings as used; peak_bytes beyond the inputs, None where not known
    times: Optional[Times] = None
    ratio: Optional[Ratio] = None
    error: Optional[dict[str, Any]] = None  # quantity, value, box, meshes, values


class CaseResult(Strict):
    case: Case
    particles: int
    baseline: str
    load: list[float]  # of the machine (one-minute average) before each round
    sides: list[SideResult]


class Result(Strict):
    schema_version: int
    set: str
    started: str
    finished: str
    note: str  # what the person running it said about the machine
    hardware: dict[str, Any]
    versions: dict[str, Optional[str]]
    commit: dict[str, Any]
    excluded: str
    cases: list[CaseResult]


def times_of(rounds: list[float]) -> Times:
    median = statistics.median(rounds)
    spread = (max(rounds) - min(rounds)) / median
    return Times(rounds=rounds, minimum=min(rounds), median=median, spread=spread)


def ratio_of(times: Times, baseline: Times) -> Ratio:
    single = [a / b for a, b in zip(times.rounds, baseline.rounds)]
    return Ratio(median=times.median / baseline.median, minimum=min(single), maximum=max(single))


def load(path: Path) -> Result:
    """Read a result. Raises ValueError (pydantic's) where the file does not have the schema."""
    result = Result.model_validate_json(path.read_text(encoding="utf-8"))
    if result.schema_version != SCHEMA:
        raise ValueError(f"{path} has schema {result.schema_version}; this program reads {SCHEMA}")
    return result
