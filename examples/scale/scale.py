# SPDX-License-Identifier: BSD-3-Clause
"""Time and memory of pair_style lorem against the number of atoms: runs in.scale and reads it.

    python scale.py --cells 4 8 16 32 --ranks 2 --output scale.json

Prints a table and writes JSON: seconds per warm step, where they go, and the peak memory of all
ranks together beyond that of a run with a single cell, which is what the loaded libraries take.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
ATOMS_PER_CELL = 8


@dataclass(frozen=True)
class Measured:
    """One run."""

    atoms: int
    ranks: int
    seconds_per_step: float
    peak_bytes: float  # resident, all ranks together
    split: dict[str, float]  # share of the time of the pair style, %
    mesh: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[4, 8, 16, 32])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--model", type=Path, default=EXAMPLE / "default.pt")
    parser.add_argument("--accuracy", default="1e-4")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    if not given.model.is_file():
        parser.error(f"there is no {given.model}; python make_model.py writes default.pt")
    settings = {
        "model": given.model.resolve(), "steps": given.steps, "accuracy": given.accuracy,
    }  # fmt: skip
    libraries = measure(1, given.ranks, settings).peak_bytes
    runs = []
    print(f"{'atoms':>9} {'s/step':>9} {'µs/atom':>9} {'kB/atom':>9}  where the time goes")
    for cells in given.cells:
        run = measure(cells, given.ranks, settings)
        runs.append(run)
        beyond = (run.peak_bytes - libraries) / run.atoms / 1e3
        split = ", ".join(f"{name} {share:.0f} %" for name, share in run.split.items())
        print(
            f"{run.atoms:9d} {run.seconds_per_step:9.4f} "
            f"{1e6 * run.seconds_per_step / run.atoms:9.2f} {beyond:9.2f}  {split}",
            flush=True,
        )
    if given.output:
        record = {"libraries_bytes": libraries, "runs": [asdict(run) for run in runs]}
        given.output.write_text(json.dumps(record, indent=1) + "\n")


def measure(cells: int, ranks: int, settings: dict[str, object]) -> Measured:
    """Run in.scale and read its log."""
    text = run_input(EXAMPLE / "in.scale", ranks, {"cells": cells, **settings})
    # LAMMPS's loop time excludes the set-up, in which everything is warmed up
    seconds, steps = re.search(r"Loop time of (\S+) on \d+ procs for (\d+) steps", text).groups()
    peak = 1e6 * float(re.search(r"Peak memory of all ranks: (\S+) MB", text)[1])
    atoms = ATOMS_PER_CELL * cells**3
    return Measured(atoms, ranks, float(seconds) / int(steps), peak, **details(text))


def run_input(file: Path, ranks: int, variables: dict[str, object]) -> str:
    """Run LAMMPS with an input and its variables, in a folder of its own; all that it prints."""
    command = [str(BIN / "mpirun"), "-np", str(ranks), str(BIN / "lmp"), "-in", str(file)]
    for name, value in variables.items():
        command += ["-var", name, str(value)]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command,
            cwd=folder,
            env={"OMP_NUM_THREADS": "1", **os.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    if done.returncode != 0:
        raise SystemExit(f"LAMMPS stopped:\n{done.stdout[-3000:]}")
    return done.stdout


def details(text: str) -> dict[str, object]:
    """The mesh and the time split that the style prints."""
    mesh = re.search(r"^ *mesh *= (\d+ \d+ \d+)$", text, re.MULTILINE)
    block = text.split("LOREM time split", 1)[-1]
    rows = re.findall(r"^([A-Z][\w ]+?) *\|(?:[^|]*\|){3} *([\d.]+)$", block, re.MULTILINE)
    return {
        "mesh": mesh[1] if mesh else "",
        "split": {name: float(share) for name, share in rows},
    }


if __name__ == "__main__":
    main()
