# SPDX-License-Identifier: BSD-3-Clause
"""The virial is the derivative of the energy by the strain."""

import numpy as np
import pytest
from lammps_runs import METAL, evaluate, read_evaluation, run_lmp, write_data
from lammps_systems import ELEMENTS, build_model, crystal

import loremd

STEP = 1e-5
# Row vectors times (1 + strain), with the entries that keep the cell lower triangular.
ENTRIES = {"xx": (0, 0), "yy": (1, 1), "zz": (2, 2), "xy": (1, 0), "xz": (2, 0), "yz": (2, 1)}
# Mesh and smearing are chosen anew for every cell, so the mesh has to be converged.
STYLE = "accuracy 1e-9 order 8 rspace 6.0 precision double"


def strained(entry, amount):
    atoms = crystal((2, 2, 2))
    deformation = np.eye(3)
    deformation[entry] += amount
    atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    return atoms


def section(name, model):
    return f"""
clear
units metal
atom_modify map yes
box tilt large
read_data {name}.data
pair_style lorem {STYLE}
pair_coeff * * {model} {" ".join(ELEMENTS)}
{evaluate(name)}
"""


@pytest.mark.parametrize("name", ["long", "message"])
def test_virial_by_finite_differences(name, tmp_path):
    # norm_epsilon takes the kinks out of the feature norms, which differences may step over
    model = tmp_path / "model.pt"
    loremd.export(build_model(name, norm_epsilon=1e-3), model, elements=ELEMENTS)
    amounts = {"minus2": -2 * STEP, "minus": -STEP, "plus": STEP, "plus2": 2 * STEP}
    structures = {
        f"{entry}_{sign}": strained(place, amount)
        for entry, place in ENTRIES.items()
        for sign, amount in amounts.items()
    }
    structures["unstrained"] = strained((0, 0), 0.0)
    for structure, atoms in structures.items():
        write_data(atoms, ELEMENTS, tmp_path / f"{structure}.data")
    text = "".join(section(structure, model) for structure in structures)
    run_lmp(text, 1, tmp_path).expect_success()

    virial = read_evaluation(tmp_path, "unstrained", METAL).virial
    for entry, place in ENTRIES.items():
        e = {sign: read_evaluation(tmp_path, f"{entry}_{sign}", METAL).energy for sign in amounts}
        slope = (8 * (e["plus"] - e["minus"]) - (e["plus2"] - e["minus2"])) / (12 * STEP)
        # an energy of up to 100 eV with 15 digits, over the step
        assert -slope == pytest.approx(virial[place], abs=1e-7 * np.abs(virial).max()), entry
