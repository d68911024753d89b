# SPDX-License-Identifier: BSD-3-Clause
"""The shipped potential: LAMMPS equals the ASE calculator, the inputs run, the crystal stays."""

import re
import sys
from pathlib import Path

import ase.build
import numpy as np
import pytest
from lammps_runs import METAL, REAL, evaluate, read_evaluation, run, run_lmp, write_data

import loremd

EXAMPLE = Path(__file__).parents[2] / "examples" / "mgo"
MODEL = EXAMPLE / "model.pt"
ELEMENTS = ["Mg", "O"]
ACCURACY = 1e-5


def displaced() -> ase.Atoms:
    atoms = ase.build.bulk("MgO", "rocksalt", a=4.24, cubic=True).repeat((3, 2, 2))
    atoms.set_cell(
        atoms.cell.array @ [[1.0, 0.0, 0.0], [0.05, 1.0, 0.0], [-0.03, 0.04, 1.0]],
        scale_atoms=True,
    )
    atoms.positions += np.random.default_rng(5).normal(0.0, 0.08, atoms.positions.shape)
    return atoms


@pytest.fixture(scope="module")
def expected():
    """By the calculator in float64."""
    atoms = displaced()
    calculator = loremd.Calculator(MODEL, dtype="float64", accuracy=ACCURACY)
    calculator.calculate(atoms, ["energy", "forces", "stress"])
    return calculator.results


# name: units, precision
CASES = {"metal": (METAL, "double"), "real": (REAL, "double"), "mixed": (METAL, "mixed")}


@pytest.fixture(scope="module", params=[1, 2, 4], ids=lambda n: f"{n}_ranks")
def evaluations(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shipped")
    write_data(displaced(), ELEMENTS, folder / "mgo.data")
    text = ""
    for name, (units, precision) in CASES.items():
        text += f"""
clear
units {units.style}
atom_modify map yes
box tilt large
read_data mgo.data
pair_style lorem accuracy {ACCURACY} precision {precision}
pair_coeff * * {MODEL} Mg O
{evaluate(name)}
"""
    run_lmp(text, request.param, folder).expect_success()
    return {name: read_evaluation(folder, name, units) for name, (units, _) in CASES.items()}


@pytest.mark.parametrize("name", ["metal", "real"])
def test_double_precision_equals_ase(evaluations, expected, name):
    found = evaluations[name]
    assert found.energy == pytest.approx(expected["energy"], rel=1e-9)
    assert np.abs(found.forces - expected["forces"]).max() < 1e-8
    xx, yy, zz, yz, xz, xy = -expected["stress"] * displaced().get_volume()
    virial = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    assert np.abs(found.virial - virial).max() < 1e-8 * np.abs(virial).max()


def test_mixed_precision_equals_ase(evaluations, expected):
    found = evaluations["mixed"]
    assert np.abs(found.forces - expected["forces"]).max() < 1e-4
    assert found.energy == pytest.approx(expected["energy"], rel=1e-7)


def test_nvt_runs(tmp_path):
    text = "variable steps index 20\n" + (EXAMPLE / "in.nvt").read_text()
    run_lmp(text, 2, tmp_path, LAMMPS_POTENTIALS=str(EXAMPLE)).expect_success()


def test_npt_keeps_the_crystal(tmp_path):
    text = "variable steps index 200\n" + (EXAMPLE / "in.npt").read_text()
    done = run_lmp(text, 2, tmp_path, LAMMPS_POTENTIALS=str(EXAMPLE)).expect_success()
    found = re.search(r"^Lattice constant (\S+) A, rms displacement (\S+) A", done.output, re.M)
    lattice_constant, displacement = map(float, found.groups())
    assert 4.15 < lattice_constant < 4.35
    assert displacement < 0.25


def test_demo(tmp_path):
    """What `make demo` runs, shorter."""
    script = str(EXAMPLE / "demo.py")
    words = ["--steps", "100", "--equilibration", "20", "--output", "demo"]
    done = run([sys.executable, script, *words], 1, tmp_path).expect_success()
    assert (tmp_path / "demo" / "demo.png").stat().st_size > 10_000
    table = (tmp_path / "demo" / "table.md").read_text()
    drift = re.search(r"drift of the energy \| meV/atom/ps \| (\S+) \| (\S+) \|", table).groups()
    assert max(abs(float(value)) for value in drift) < 0.5
    assert "same trajectory, up to rounding errors" in done.output
