# SPDX-License-Identifier: BSD-3-Clause
"""Models and structures of these tests.

The weights are those of lorem-jax's reference cases (tests/model/reference): made up, but with
charges, spherical features and forces of order one, so that every part of a model shows.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import ase
import ase.build
import numpy as np

REFERENCE = Path(__file__).parents[1] / "model" / "reference"
ELEMENTS = ["Na", "Cl"]
OFFSETS = {11: -1.5, 17: 2.25}


@dataclass(frozen=True)
class ModelCase:
    """Weights of a reference case, used for Na and Cl."""

    name: str
    reference: str


MODELS = {
    "long": ModelCase("long", "case1_nacl8_small"),
    "message": ModelCase("message", "case2_nacl8_mp1"),
    "two_messages": ModelCase("two_messages", "case7_options_nacl8"),
    "local": ModelCase("local", "case6_water_nolr_mp1_l6"),
}


def build_model(name: str, **hyperparameters):
    """The model, with per-element offsets; `hyperparameters` replace those of the case."""
    from loremd import Lorem

    with np.load(REFERENCE / f"{MODELS[name].reference}.npz") as file:
        arrays = dict(file)
    parameters = {k.removeprefix("param:"): a for k, a in arrays.items() if k.startswith("param:")}
    options = {**json.loads(str(arrays["hyperparameters_json"])), **hyperparameters}
    model = Lorem.from_parameters(options, parameters)
    model.set_offsets(OFFSETS)
    return model


def crystal(repeat: tuple[int, int, int] = (3, 2, 2), amplitude: float = 0.05) -> ase.Atoms:
    """A displaced rock-salt crystal in a skewed cell (lower triangular), 8 atoms per cell."""
    atoms = ase.build.bulk("NaCl", "rocksalt", a=5.64, cubic=True).repeat(repeat)
    skew = np.array([[1.0, 0.0, 0.0], [0.21, 0.97, 0.0], [-0.13, 0.18, 1.04]])
    atoms.set_cell(atoms.cell.array @ skew, scale_atoms=True)
    generator = np.random.default_rng(7)
    atoms.positions += amplitude * generator.uniform(-1, 1, atoms.positions.shape)
    atoms.wrap()
    return atoms


def cluster() -> ase.Atoms:
    """A cluster and, far away, one atom in a box of 40 Å.

    In four slabs along x, the first two share the cluster, the third owns the lone atom and sees no
    other, the fourth is empty.
    """
    atoms = ase.build.bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    generator = np.random.default_rng(11)
    atoms.positions += 0.2 * generator.uniform(-1, 1, atoms.positions.shape)
    atoms.positions += [7.5, 17.0, 17.0]
    atoms += ase.Atoms("Na", positions=[[25.1, 20.3, 19.6]])
    atoms.set_cell([40.0, 40.0, 40.0])
    atoms.pbc = True
    return atoms


@functools.cache
def reference(model: str, structure: str, accuracy: float) -> dict[str, np.ndarray]:
    """energy, energies, forces, virial (-dE/d(strain)), charges, potentials from the ASE calculator
    in float64, with the same mesh settings as LAMMPS chooses."""
    from loremd import Calculator

    atoms = STRUCTURES[structure]()
    calculator = Calculator(build_model(model), dtype="float64", accuracy=accuracy)
    calculator.calculate(atoms, ["energy", "energies", "forces", "stress"])
    results = dict(calculator.results)
    xx, yy, zz, yz, xz, xy = results["stress"]
    stress = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    results["virial"] = -stress * atoms.get_volume()
    return results


STRUCTURES = {"crystal": crystal, "cluster": cluster}
