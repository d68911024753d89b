# SPDX-License-Identifier: BSD-3-Clause
"""The shipped MgO potential keeps what its README promises."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from ase import Atoms, units
from ase.build import bulk
from ase.md.verlet import VelocityVerlet

from loremd import Calculator
from loremd.config import DataSource, load_config
from loremd.data import file_hash, read_structures
from loremd.evaluate import evaluate
from loremd.export import load, read_metadata

EXAMPLE = Path(__file__).parents[2] / "examples" / "mgo"

MODEL = EXAMPLE / "model.pt"


@pytest.fixture(scope="module")
def errors():
    """Errors on the validation set in float32, with the exact lattice sum."""
    model = load(MODEL).to(torch.float32)
    cutoff = float(model.cutoff)
    model.set_long_range("ewald", cutoff, 1e-5, 0.0, [], 0)
    valid = read_structures([DataSource(path=EXAMPLE / "data" / "valid.xyz.xz")], cutoff)
    return evaluate(model, valid, 3).errors()


def test_errors_on_the_validation_set(errors):
    """1 meV/atom and 35 meV/Å are the promise of the README."""
    assert errors["energy"].count == 27
    assert errors["energy"].rmse < 1e-3
    assert errors["forces"].rmse < 35e-3


def test_the_readme_states_the_measured_errors(errors):
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    for name, factor in (("energy", 1e3), ("forces", 1e3), ("stress", 1e3)):
        row = re.search(rf"^\| {name}[^|]*\| *([\d.]+) *\|", readme, re.MULTILINE)
        assert row is not None, name
        # the last printed digit
        assert float(row.group(1)) == pytest.approx(factor * errors[name].rmse, rel=0.02)


def test_the_file_is_small_and_knows_its_data():
    assert MODEL.stat().st_size < 3_000_000
    provenance = read_metadata(MODEL)["provenance"]
    for name, digest in provenance["data_sha256"].items():
        assert file_hash(EXAMPLE / "data" / name) == digest


def test_the_configuration_is_the_one_of_the_model():
    config = load_config(EXAMPLE / "mgo.yaml")
    stated = read_metadata(MODEL)["provenance"]["configuration"]
    assert stated["model"] == config.model.model_dump(mode="json")
    free = {"time_limit_minutes"}
    ours = config.training.model_dump(mode="json", exclude=free)
    assert {k: v for k, v in stated["training"].items() if k not in free} == ours
    written = yaml.safe_load((EXAMPLE / "mgo.yaml").read_text(encoding="utf-8"))
    assert set(written) == {"data", "model", "training", "output"}


def crystal(length: float, repeat: int) -> Atoms:
    """Rock-salt MgO, cubic cells with the given lattice constant (Å)."""
    return bulk("MgO", "rocksalt", a=length, cubic=True).repeat(repeat)


def test_the_crystal_has_the_lattice_constant_and_stiffness_of_the_data():
    """The data have zero pressure at 4.246 Å, and a bulk modulus near 170 GPa there."""
    calculator = Calculator(MODEL, dtype="float64", accuracy=1e-6)
    lengths = np.linspace(4.19, 4.31, 13)
    energies = []
    for length in lengths:
        atoms = crystal(length, 2)
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy() / len(atoms))
    volumes = lengths**3 / 8
    curve = np.polynomial.Polynomial.fit(volumes, energies, 3)
    lowest = next(v.real for v in curve.deriv().roots() if volumes[0] < v.real < volumes[-1])
    assert (8 * lowest) ** (1 / 3) == pytest.approx(4.246, abs=0.01)
    assert lowest * curve.deriv(2)(lowest) / units.GPa == pytest.approx(170, abs=40)


def test_molecular_dynamics_conserves_the_energy():
    """0.2 ps at 300 K. The bound is a hundredth of the kinetic energy of 39 meV/atom."""
    atoms = crystal(4.246, 2)
    atoms.calc = Calculator(MODEL, dtype="float32", accuracy=1e-5)
    # twice the temperature wanted: half of the kinetic energy turns into potential energy
    scale = np.sqrt(600 * units.kB * atoms.get_masses())[:, None]
    momenta = np.random.default_rng(0).normal(size=(len(atoms), 3)) * scale
    atoms.set_momenta(momenta - momenta.mean(axis=0))
    totals = []
    dynamics = VelocityVerlet(atoms, timestep=1 * units.fs)
    dynamics.attach(lambda: totals.append(atoms.get_total_energy() / len(atoms)), interval=5)
    dynamics.run(200)
    assert np.ptp(totals) < 0.39e-3
    assert 200 < atoms.get_temperature() < 450
