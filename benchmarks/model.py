# SPDX-License-Identifier: BSD-3-Clause
"""The default model, whole steps: pair_style lorem in LAMMPS against lorem-jax, and by size.

    python benchmarks/model.py --lorem-jax PYTHON --out build/bench/model.json

PYTHON is the interpreter of an environment with lorem-jax==0.2.0 (it needs jax, which loremd does
not). Rock salt with random weights on both sides, float32, neighbour lists included as they come up
in dynamics. The programs are not run at the same time; their runs alternate.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import machine

ROOT = Path(__file__).resolve().parents[1]
SCALE = ROOT / "examples" / "scale"
sys.path.insert(0, str(SCALE))
import scale  # noqa: E402

# cells, message-passing layers, long range
SIZES = [(4, 0, True), (8, 0, True), (16, 0, True), (32, 0, True), (32, 0, False), (8, 1, True)]
LARGEST = [(50, 0, True)]
PEER = [(6, False), (4, True)]  # cells, long range: 1,728 and 512 atoms
SALT = {"elements": "Na Cl", "lattice": "5.64"}
RANKS_CELLS = 16  # of the comparison of one and two ranks
# the crystal of examples/scale with a plain cutoff potential, whose work divides over ranks
COULOMB = f"""
units metal
atom_style charge
lattice fcc 4.24
region box block 0 {RANKS_CELLS} 0 {RANKS_CELLS} 0 {RANKS_CELLS}
create_box 2 box
create_atoms 1 box
mass * 20.0
set type 1 charge 1.0
displace_atoms all random 0.05 0.05 0.05 20250 units box
pair_style coul/cut 12.0
pair_coeff * *
neighbor 1.0 bin
fix integrate all nve
timestep 0.0001
run 20
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lorem-jax", type=Path, help="a Python that has lorem-jax")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison (default 3)")
    parser.add_argument("--largest", action="store_true", help="1,000,000 atoms as well")
    parser.add_argument("--second-rank", action="store_true", help="one and two ranks")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {
        "hardware": machine.hardware(),
        "versions": machine.versions(),
        "commit": machine.commit(),
        "sizes": [],
        "against_lorem_jax": [],
    }
    libraries = run("MgO", 1, given.ranks, 0, True).peak_bytes
    for cells, layers, long_range in SIZES + (LARGEST if given.largest else []):
        measured = run("MgO", cells, given.ranks, layers, long_range)
        beyond = (measured.peak_bytes - libraries) / measured.atoms
        entry = {"layers": layers, "long_range": long_range, "bytes_per_atom": beyond}
        record["sizes"].append({**entry, **asdict(measured)})
        print(record["sizes"][-1], flush=True)
        given.out.write_text(json.dumps(record, indent=1) + "\n")
    for cells, long_range in PEER if given.lorem_jax else []:
        found = compare(given.lorem_jax, cells, given.ranks, long_range, given.rounds)
        record["against_lorem_jax"].append(found)
        print(record["against_lorem_jax"][-1], flush=True)
        given.out.write_text(json.dumps(record, indent=1) + "\n")
    if given.second_rank:
        record["second_rank"] = second_rank(given.rounds)
        print(record["second_rank"], flush=True)
        given.out.write_text(json.dumps(record, indent=1) + "\n")


def second_rank(rounds: int) -> dict[str, Any]:
    """What a second rank gains, for this pair style and for coul/cut; all four in turns."""
    seconds: dict[str, dict[int, list[float]]] = {
        name: {1: [], 2: []} for name in ("lorem", "coul/cut")
    }
    for _ in range(rounds):
        for ranks in (1, 2):
            measured = run("MgO", RANKS_CELLS, ranks, 0, True)
            seconds["lorem"][ranks].append(measured.seconds_per_step)
            seconds["coul/cut"][ranks].append(coulomb(ranks))
    medians = {name: {r: statistics.median(t) for r, t in s.items()} for name, s in seconds.items()}
    return {
        "atoms": scale.ATOMS_PER_CELL * RANKS_CELLS**3,
        "rounds": rounds,
        "seconds": seconds,
        "gain": {name: median[1] / median[2] for name, median in medians.items()},
    }


def coulomb(ranks: int) -> float:
    """Seconds that LAMMPS reports for Pair."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "in.coulomb"
        file.write_text(COULOMB)
        log = scale.run_input(file, ranks, {})
    return float(re.search(r"^Pair *\|[^|]*\| *(\S+)", log, re.MULTILINE)[1])


def compare(python: Path, cells: int, ranks: int, long_range: bool, rounds: int) -> dict[str, Any]:
    """Both sides in turns; medians over the rounds."""
    ours, theirs, versions = [], [], {}
    for _ in range(rounds):
        ours.append(run("NaCl", cells, ranks, 0, long_range).seconds_per_step)
        peer = lorem_jax(python, cells, long_range)
        theirs.append(statistics.median(peer["seconds"]))
        versions = peer["versions"]
    return {
        "atoms": scale.ATOMS_PER_CELL * cells**3,
        "long_range": long_range,
        "loremd_seconds": ours,
        "lorem_jax_seconds": theirs,
        "ratio": statistics.median(theirs) / statistics.median(ours),
        "versions": versions,
    }


def lorem_jax(python: Path, cells: int, long_range: bool) -> dict[str, Any]:
    script = Path(__file__).with_name("lorem_jax_step.py")
    command = [str(python), str(script), str(cells), "on" if long_range else "off", "2"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def run(salt: str, cells: int, ranks: int, layers: int, long_range: bool) -> scale.Measured:
    model = model_file(salt, layers, long_range)
    settings: dict[str, object] = {"model": model, "steps": 5, "accuracy": "1e-4"}
    if salt == "NaCl":
        settings.update(SALT)
    return scale.measure(cells, ranks, settings)


def model_file(salt: str, layers: int, long_range: bool) -> Path:
    """Made once, in build/."""
    name = f"{salt}-{layers}-{'long' if long_range else 'short'}.pt"
    path = ROOT / "build" / "bench" / name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(SCALE / "make_model.py"), "--salt", salt]
        command += ["--layers", str(layers), "--output", str(path)]
        subprocess.run(command + ([] if long_range else ["--no-long-range"]), check=True)
    return path


if __name__ == "__main__":
    main()
