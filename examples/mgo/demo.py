# SPDX-License-Identifier: BSD-3-Clause
"""`make demo`: the trained potential of this folder runs molecular dynamics in LAMMPS.

Runs in.nve on one and on two processes, says what it does, compares the two, and leaves in demo/ a
picture (demo.png), a table (table.md, table.csv) and everything that LAMMPS wrote.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

EXAMPLE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
ATOMS = 512
COMPARED_STEP = 100  # forces of the two runs are compared here; later, rounding errors have grown


@dataclass(frozen=True)
class Run:
    """One run of in.nve; energies in eV, times in ps, one row per thermo output."""

    ranks: int
    time: np.ndarray
    temperature: np.ndarray
    potential: np.ndarray
    total: np.ndarray
    rdf: np.ndarray  # (bins, 4): r, g of Mg-O, Mg-Mg, O-O
    forces: np.ndarray  # (atoms, 3) at COMPARED_STEP
    steps_per_second: float
    mesh: str

    @property
    def drift(self) -> float:
        """Slope of the total energy, meV per atom and ps."""
        return 1e3 * np.polyfit(self.time, self.total, 1)[0] / ATOMS

    @property
    def fluctuation(self) -> float:
        """Root mean square of the total energy about that line, meV per atom."""
        line = np.polyval(np.polyfit(self.time, self.total, 1), self.time)
        return 1e3 * np.sqrt(np.mean((self.total - line) ** 2)) / ATOMS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000, help="length of the runs (default 1000)")
    parser.add_argument("--equilibration", type=int, default=200, help="steps before (default 200)")
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder for the results")
    arguments = parser.parse_args()
    if arguments.steps < COMPARED_STEP:
        parser.error(f"--steps must be at least {COMPARED_STEP}")
    output = arguments.output.resolve()
    output.mkdir(parents=True, exist_ok=True)

    tell(f"Model: {model_in_words()}")
    tell(f"System: rock-salt MgO, {ATOMS} atoms at 300 K, constant energy, 1 fs per step.")
    steps = {"steps": arguments.steps, "equilibration": arguments.equilibration}
    runs = [run_lammps(ranks, steps, output / f"{ranks}_ranks") for ranks in (1, 2)]
    draw(runs, output / "demo.png")
    rows = table(runs)
    write_table(rows, output)
    tell("\n" + markdown(rows))
    verdict(runs)
    tell(f"\nPicture: {output / 'demo.png'}\nTable:   {output / 'table.md'}")


def tell(text: str) -> None:
    print(text, flush=True)


def model_in_words() -> str:
    from loremd.export import read_metadata

    data = read_metadata(EXAMPLE / "model.pt")
    channels = f"{data['num_channels']} channels of charges summed over the whole crystal"
    return (
        f"model.pt for {' and '.join(data['elements'])}, cutoff {data['cutoff']} Å, {channels}, "
        f"trained with this package (hash {data['content_hash'][:12]})."
    )


def run_lammps(ranks: int, steps: dict[str, int], folder: Path) -> Run:
    folder.mkdir(exist_ok=True)
    command = [str(BIN / "lmp"), "-in", str(EXAMPLE / "in.nve")]
    for name, value in steps.items():
        command += ["-var", name, str(value)]
    if ranks > 1:
        command = [str(BIN / "mpirun"), "-np", str(ranks), *command]
    lengths = f"{steps['equilibration']} steps to equilibrate, then {steps['steps']}"
    tell(f"\nLAMMPS on {ranks_in_words(ranks)}: {lengths} ...")
    # one core for each process; the folder where LAMMPS finds model.pt
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "LAMMPS_POTENTIALS": str(EXAMPLE)}
    start = time.monotonic()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"LAMMPS stopped:\n{done.stdout}\n{done.stderr}")
    tell(f"  done in {time.monotonic() - start:.0f} s, log in {folder / 'log.lammps'}")
    return read_run(ranks, folder)


def read_run(ranks: int, folder: Path) -> Run:
    log = (folder / "log.lammps").read_text()
    blocks = re.findall(r"^ +Step .*\n((?: +\d+ .*\n)+)", log, re.MULTILINE)
    rows = np.array([[float(x) for x in line.split()] for line in blocks[-1].splitlines()])
    rate = re.findall(r"([\d.]+) timesteps/s", log)[-1]
    return Run(
        ranks=ranks,
        time=1e-3 * rows[:, 0],
        temperature=rows[:, 1],
        potential=rows[:, 2],
        total=rows[:, 4],
        rdf=np.loadtxt(folder / "rdf.txt", comments="#", skiprows=4)[:, [1, 2, 4, 6]],
        forces=read_forces(folder / "nve.dump", COMPARED_STEP),
        steps_per_second=float(rate),
        mesh=re.search(r"^  mesh +=( .*)$", log, re.MULTILINE)[1].strip(),
    )


def read_forces(path: Path, step: int) -> np.ndarray:
    lines = path.read_text().splitlines()
    starts = [k for k, line in enumerate(lines) if line == "ITEM: TIMESTEP"]
    start = next(k for k in starts if int(lines[k + 1]) == step)
    rows = lines[start + 9 : start + 9 + ATOMS]
    return np.array([[float(x) for x in row.split()[5:8]] for row in rows])


def table(runs: list[Run]) -> list[list[str]]:
    """Rows of text: quantity, unit, one column per run."""
    first = runs[0].rdf[:, 1].argmax()
    quantities = [
        ("processes", "", lambda run: f"{run.ranks}"),
        ("mesh of the long-range part", "points", lambda run: run.mesh),
        ("mean temperature", "K", lambda run: f"{run.temperature.mean():.1f}"),
        ("energy at the start", "eV", lambda run: f"{run.total[0]:.6f}"),
        ("energy at the end", "eV", lambda run: f"{run.total[-1]:.6f}"),
        ("drift of the energy", "meV/atom/ps", lambda run: f"{run.drift:+.5f}"),
        ("fluctuation of the energy", "meV/atom", lambda run: f"{run.fluctuation:.5f}"),
        ("nearest Mg-O distance, peak", "Å", lambda run: f"{run.rdf[first, 0]:.2f}"),
        ("speed", "steps/s", lambda run: f"{run.steps_per_second:.1f}"),
    ]
    return [[name, unit, *(show(run) for run in runs)] for name, unit, show in quantities]


def markdown(rows: list[list[str]]) -> str:
    lines = ["| quantity | unit | run 1 | run 2 |", "|---|---|---|---|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def write_table(rows: list[list[str]], output: Path) -> None:
    (output / "table.md").write_text(markdown(rows) + "\n", encoding="utf-8")
    with open(output / "table.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["quantity", "unit", "run 1", "run 2"], *rows])


def verdict(runs: list[Run]) -> None:
    """Compare the two runs in words; stops with an error if they are not the same physics."""
    one, two = runs
    force = np.abs(one.forces - two.forces).max()
    scale = np.sqrt(np.mean(one.forces**2))
    energy = 1e3 * abs(one.total[0] - two.total[0]) / ATOMS
    tell(
        f"\nThe two runs start with energies that differ by {energy:.1e} meV/atom. After "
        f"{COMPARED_STEP} steps their forces differ by at most {force:.1e} eV/Å (rms force "
        f"{scale:.2f} eV/Å): the same trajectory, up to rounding errors of float32."
    )
    tell(
        f"Over {one.time[-1]:.1f} ps the energy drifts by {one.drift:+.4f} and {two.drift:+.4f} "
        f"meV/atom per ps, while {1e3 * np.ptp(one.potential) / ATOMS:.1f} meV/atom move between "
        "potential and kinetic energy."
    )
    if force > 1e-2 * scale or energy > 1e-2:
        sys.exit("The two runs differ by more than rounding errors: something is wrong.")


def draw(runs: list[Run], path: Path) -> None:
    figure = plt.figure(figsize=(11, 5), constrained_layout=True)
    panels = figure.subplot_mosaic([["both", "rdf"], ["total", "rdf"]])
    draw_energies(runs, panels["both"], panels["total"])
    draw_distribution(runs, panels["rdf"])
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_energies(runs: list[Run], both: plt.Axes, total: plt.Axes) -> None:
    """Potential and total energy on one scale, and the total energy magnified."""
    one = runs[0]
    both.plot(
        one.time, 1e3 * (one.potential - one.potential.mean()) / ATOMS, "0.7", label="potential"
    )
    both.plot(one.time, 1e3 * (one.total - one.total.mean()) / ATOMS, "C0", label="total")
    both.set(ylabel="meV/atom", title="Energy about its mean, time step 1 fs")
    both.legend(frameon=False, loc="upper right", ncols=2)
    for run, style in zip(runs, ("C0-", "C1--")):
        change = 1e6 * (run.total - run.total[0]) / ATOMS
        total.plot(run.time, change, style, label=ranks_in_words(run.ranks))
    total.set(xlabel="time (ps)", ylabel="µeV/atom", title="Total energy, magnified")
    total.legend(frameon=False, loc="upper right", ncols=2)


def draw_distribution(runs: list[Run], panel: plt.Axes) -> None:
    for column, (pair, width) in enumerate((("Mg-O", 1.5), ("Mg-Mg", 4.0), ("O-O", 1.5)), start=1):
        one, two = (run.rdf for run in runs)
        panel.plot(one[:, 0], one[:, column], f"C{column - 1}", linewidth=width, label=pair)
        panel.plot(two[::2, 0], two[::2, column], "k.", markersize=2)
    panel.plot([], [], "k.", markersize=2, label=ranks_in_words(runs[1].ranks))
    panel.set(xlabel="distance (Å)", ylabel="g(r)", title="Radial distribution function")
    panel.legend(frameon=False)


def ranks_in_words(ranks: int) -> str:
    return "1 process" if ranks == 1 else f"{ranks} processes"


if __name__ == "__main__":
    main()
