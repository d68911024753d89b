# SPDX-License-Identifier: BSD-3-Clause
"""Layers and clusters: LAMMPS, on a mesh and any number of ranks, gives the exact sum."""

import ase
import numpy as np
import pytest
from lammps_runs import METAL, evaluate, read_evaluation, run_lmp, write_data
from lammps_systems import ELEMENTS, build_model, crystal

import loremd

ACCURACY = 1e-6
MODELS = ("long", "message")


def layer() -> ase.Atoms:
    """Four planes of rock salt in a cell that is skewed along them, in a higher box."""
    atoms = crystal((3, 2, 1), amplitude=0.1)
    box = atoms.cell.array.copy()
    box[2] = [0.0, 0.0, 31.0]
    atoms.set_cell(box)
    atoms.positions[:, 2] += 13.0
    atoms.pbc = (True, True, False)
    return atoms


def cluster() -> ase.Atoms:
    """A cluster and one atom apart from it, so that one of four slabs along x is empty."""
    atoms = crystal((1, 1, 1), amplitude=0.2)
    atoms.positions += [3.0, 12.0, 9.0]
    atoms += ase.Atoms("Na", positions=[[17.1, 14.3, 11.6]])
    atoms.set_cell([26.0, 26.0, 25.0])
    atoms.pbc = False
    return atoms


# name: structure, boundary, commands before and after the box
CASES = {
    "layer": (layer, "p p f", "", ""),
    "layer_shrink_wrapped": (layer, "p p s", "", "balance 1.0 shift xyz 10 1.05"),
    "cluster": (cluster, "f f f", "processors {ranks} 1 1", ""),
    "cluster_mixed_bounds": (cluster, "m s f", "", "comm_style tiled\nbalance 1.0 rcb"),
}


def exact_model(name):
    model = build_model(name, norm_epsilon=1e-3)
    model.set_two_periodic_scheme("exact")
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("open_boundaries")
    for name in MODELS:
        loremd.export(exact_model(name), folder / f"{name}.pt", elements=ELEMENTS)
    for structure in (layer, cluster):
        write_data(structure(), ELEMENTS, folder / f"{structure.__name__}.data")
    return folder


def section(case, model, ranks):
    structure, boundary, before, after = CASES[case]
    return f"""
clear
units metal
boundary {boundary}
{before.format(ranks=ranks)}
atom_modify map yes
box tilt large
read_data {structure.__name__}.data
{after}
pair_style lorem accuracy {ACCURACY} precision double
pair_coeff * * {model}.pt {" ".join(ELEMENTS)}
{evaluate(f"{case}_{model}_{ranks}")}
"""


@pytest.fixture(scope="module")
def evaluations(folder):
    found = {}
    for ranks in (1, 2, 4):
        run_lmp(
            "".join(section(case, model, ranks) for case in CASES for model in MODELS),
            ranks,
            folder,
        ).expect_success()
        for case in CASES:
            for model in MODELS:
                name = f"{case}_{model}_{ranks}"
                found[case, model, ranks] = read_evaluation(folder, name, METAL)
    return found


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", CASES)
def test_equals_the_exact_sum(evaluations, case, model):
    atoms = CASES[case][0]()
    calculator = loremd.Calculator(exact_model(model), dtype="float64", accuracy=1e-10)
    wanted = ["energy", "forces"] + (["stress"] if atoms.pbc.any() else [])
    calculator.calculate(atoms, wanted)
    expected, found = calculator.results, evaluations[case, model, 1]
    # the network passes on the relative error of the potentials, forces being steeper than energies
    scale = np.abs(expected["forces"]).max()
    assert np.abs(found.forces - expected["forces"]).max() < 30 * ACCURACY * scale
    assert found.energy == pytest.approx(expected["energy"], rel=10 * ACCURACY)
    if "stress" in expected:
        xx, yy, zz, yz, xz, xy = -expected["stress"] * atoms.get_volume()
        virial = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        assert np.abs(found.virial - virial).max() < 30 * ACCURACY * np.abs(virial).max()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", CASES)
def test_any_number_of_ranks(evaluations, case, model):
    alone = evaluations[case, model, 1]
    for ranks in (2, 4):
        found = evaluations[case, model, ranks]
        assert np.abs(found.forces - alone.forces).max() < 1e-8  # the order of sums
        assert found.energy == pytest.approx(alone.energy, rel=1e-10)
        assert np.abs(found.virial - alone.virial).max() < 1e-8 * np.abs(alone.virial).max()


def test_a_cluster_that_evaporates(folder):
    """The mesh grows with the system, at the same spacing; energy stays what it is conserved to."""
    text = f"""
units metal
boundary f f f
atom_modify map yes
box tilt large
read_data cluster.data
pair_style lorem accuracy {ACCURACY} precision double
pair_coeff * * long.pt {" ".join(ELEMENTS)}
velocity all create 3000 4711 loop all
fix nve all nve
timestep 0.0005
thermo 1
thermo_style custom step etotal ke
thermo_modify format float %.12g
run 60
"""
    output = run_lmp(text, 2, folder).expect_success().output
    rows = [line.split() for line in output.splitlines()]
    rows = [row for row in rows if len(row) == 3 and row[0].isdigit()]
    energies = np.array([[float(word) for word in row[1:]] for row in rows])
    assert len(energies) == 61
    # Verlet's own error is of second order in the time step, here 1e-4 of what is exchanged
    assert np.ptp(energies[:, 0]) < 0.02 * np.ptp(energies[:, 1])
