# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark cases: what cases.toml may say, checked, and expanded to one case per box."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, Optional

from pydantic import BaseModel, ConfigDict, Field, model_validator

if sys.version_info >= (3, 11):
    import tomllib
else:  # a dependency of pytest there
    import tomli as tomllib

Program = Literal["loremd", "lammps", "torch-pme", "jax-pme", "finufft"]
Measured = Literal["forward", "forward+backward", "spread"]


class Strict(BaseModel):
    """A table whose unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


class Side(Strict):
    """One of the programs that are compared, with its settings; None is the program's own choice.

    Lengths are in the units of the system (density one). The mesh of a box is the coarsest that the
    program allows with at most this `spacing`.
    """

    name: str
    program: Program
    spacing: Optional[float] = Field(None, gt=0)
    smearing: Optional[float] = Field(None, gt=0)
    order: Optional[int] = Field(None, ge=1)
    accuracy: Optional[float] = Field(None, gt=0)
    # loremd: splitting and window by the names that MeshPotential takes, their bandlimits
    splitting: Optional[Literal["gaussian", "prolate"]] = None
    bandlimit: Optional[float] = Field(None, gt=0)
    window: Optional[Literal["bspline", "prolate"]] = None
    window_bandlimit: Optional[float] = Field(None, gt=0)
    energy: bool = False  # energy and forces at fixed charges instead of potentials
    # LAMMPS: kspace style, differentiation, MPI ranks, the row of its table of times
    kspace: Literal["pppm", "ewald"] = "pppm"
    diff: Literal["ik", "ad"] = "ik"
    ranks: int = Field(1, ge=1)
    section: Literal["Kspace", "Pair"] = "Kspace"
    # instead of those of the case
    channels: Optional[int] = Field(None, ge=1)
    dtype: Optional[Literal["float32", "float64"]] = None
    threads: Optional[int] = Field(None, ge=1)
    largest_box: Optional[int] = None  # left out of cases with a larger box
    # what the ratio is to, instead of the baseline of the case; the largest that the project wants
    against: Optional[str] = None
    target: Optional[float] = Field(None, gt=0)

    @model_validator(mode="after")
    def _settings_fit(self) -> Side:
        other = self.program != "loremd"
        if other and (self.splitting or self.window or self.energy):
            raise ValueError(f"side {self.name}: splitting, window and energy are loremd's")
        if self.bandlimit is not None and self.splitting != "prolate":
            raise ValueError(f"side {self.name}: only splitting = 'prolate' has a bandlimit")
        if self.window_bandlimit is not None and self.window != "prolate":
            raise ValueError(f"side {self.name}: only window = 'prolate' has a window_bandlimit")
        return self


class Case(Strict):
    """A system, what is timed, and the sides."""

    name: str
    title: str
    sets: list[str]
    system: Literal["nacl", "gas"] = "nacl"
    boxes: list[int] = Field(min_length=1)  # box³ particles; one case for each
    error_box: int = 16  # the error is measured in this box, at the same spacing
    time: Measured = "forward+backward"
    part: Literal["mesh", "all"] = "mesh"
    cutoff: float = Field(4.4, gt=0)
    dtype: Literal["float32", "float64"] = "float32"
    channels: int = Field(1, ge=1)
    threads: int = Field(1, ge=1)
    rounds: int = Field(5, ge=1)
    baseline: Optional[str] = None  # the side that the others are divided by; None: the first
    figure: Literal["none", "size", "error"] = "none"
    sides: list[Side] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_and_sizes(self) -> Case:
        names = [side.name for side in self.sides]
        if len(set(names)) != len(names):
            raise ValueError(f"case {self.name}: two sides have one name in {names}")
        if self.baseline is not None and self.baseline not in names:
            raise ValueError(f"case {self.name}: baseline '{self.baseline}' is not one of {names}")
        unknown = {side.against for side in self.sides} - {None, *names}
        if unknown:
            raise ValueError(f"case {self.name}: against {unknown} is not one of {names}")
        odd = [box for box in (*self.boxes, self.error_box) if box % 2]
        if self.system == "nacl" and odd:
            raise ValueError(f"case {self.name}: boxes {odd} are odd; rock salt needs even ones")
        spread_only = {s.program for s in self.sides} - {"loremd", "finufft"}
        if self.time == "spread" and spread_only:
            raise ValueError(f"case {self.name}: {spread_only} cannot time spreading alone")
        return self

    def in_box(self, box: int) -> Case:
        """This case with one of its boxes, its sides complete with what the case says."""
        sides = [
            side.model_copy(
                update={
                    "channels": side.channels or (1 if side.program == "lammps" else self.channels),
                    "dtype": side.dtype or ("float64" if side.program == "lammps" else self.dtype),
                    "threads": side.threads or self.threads,
                }
            )
            for side in self.sides
            if side.largest_box is None or box <= side.largest_box
        ]
        names = [side.name for side in sides]
        for side in sides:
            side.against = side.against if side.against in names else None
        suffix = f"-{box}" if len(self.boxes) > 1 else ""
        changes = {"name": self.name + suffix, "boxes": [box], "sides": sides}
        if self.baseline not in names:
            changes["baseline"] = None
        return self.model_copy(update=changes)


def load(path: Path) -> list[Case]:
    """All cases of a file, one per box. Raises ValueError (pydantic's) where the file is wrong."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))["case"]
    cases = [Case.model_validate(table) for table in tables]
    return [case.in_box(box) for case in cases for box in case.boxes]
