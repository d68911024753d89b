# SPDX-License-Identifier: BSD-3-Clause
"""LAMMPS gives what the ASE calculator gives, on any number of ranks."""

import numpy as np
import pytest
from lammps_runs import ELECTRON, METAL, REAL, evaluate, read_evaluation, run_lmp, write_data
from lammps_systems import ELEMENTS, STRUCTURES, reference

RANKS = (1, 2, 4)
# Both sides choose the same mesh, so that they agree to rounding errors at any accuracy. In mixed
# precision the mesh is float32 at this one.
ACCURACY = {"crystal": 1e-5, "cluster": 1e-3}

# name: model, structure, units, commands before the box, commands after it, precision
CASES = {
    "crystal": ("long", "crystal", METAL, "", "", "double"),
    "crystal_real_units": ("long", "crystal", REAL, "", "", "double"),
    "crystal_electron_units": ("long", "crystal", ELECTRON, "", "", "double"),
    "crystal_mixed": ("long", "crystal", METAL, "", "", "mixed"),
    "message_passing": ("message", "crystal", METAL, "", "", "double"),
    "message_passing_real_units": ("message", "crystal", REAL, "", "", "double"),
    "message_passing_mixed": ("message", "crystal", METAL, "", "", "mixed"),
    "message_passing_multi": (
        "message", "crystal", METAL, "", "neighbor 1.0 multi\ncomm_modify mode multi", "double",
    ),
    "two_layers": ("two_messages", "crystal", METAL, "", "", "double"),
    "no_long_range": ("local", "crystal", METAL, "", "", "double"),
    "cluster": ("long", "cluster", METAL, "processors {ranks} 1 1", "", "double"),
    "cluster_message_passing": (
        "message", "cluster", METAL, "processors {ranks} 1 1", "", "double",
    ),
    "cluster_balanced": ("long", "cluster", METAL, "", "balance 1.0 shift xyz 10 1.05", "double"),
    "cluster_tiled": (
        "message", "cluster", METAL, "", "comm_style tiled\nbalance 1.0 rcb", "double",
    ),
}  # fmt: skip


def section(name, ranks, models):
    model, structure, units, before, after, precision = CASES[name]
    return f"""
clear
units {units.style}
{before.format(ranks=ranks)}
atom_modify map yes
box tilt large
read_data {structure}_{units.angstrom}.data
{after}
pair_style lorem accuracy {ACCURACY[structure]} precision {precision}
pair_coeff * * {models[model]} {" ".join(ELEMENTS)}
{evaluate(name)}
"""


@pytest.fixture(scope="module", params=RANKS, ids=lambda n: f"{n}_ranks")
def evaluations(request, models, tmp_path_factory):
    """All cases in one run of lmp: {name: Evaluation}."""
    folder, ranks = tmp_path_factory.mktemp("equals_ase"), request.param
    for structure, make in STRUCTURES.items():
        for angstrom in {case[2].angstrom for case in CASES.values()}:
            write_data(make(), ELEMENTS, folder / f"{structure}_{angstrom}.data", angstrom)
    text = "".join(section(name, ranks, models) for name in CASES)
    run_lmp(text, ranks, folder).expect_success()
    return {name: read_evaluation(folder, name, case[2]) for name, case in CASES.items()}


def expected_of(name):
    model, structure, *_ = CASES[name]
    return reference(model, structure, ACCURACY[structure])


def deviation(found, expected):
    return np.abs(found - expected).max()


def relative(found, expected):
    return deviation(found, expected) / np.abs(expected).max()


@pytest.mark.parametrize("name", [name for name in CASES if "mixed" not in name])
def test_double_precision(evaluations, name):
    found, expected = evaluations[name], expected_of(name)
    # The order of sums and the images of atoms differ: rounding errors remain. In real units the
    # factor kcal/mol per eV passes through numbers printed with 17 digits.
    assert deviation(found.forces, expected["forces"]) < 1e-8
    assert relative(found.energy, expected["energy"]) < 1e-9
    assert relative(found.virial, expected["virial"]) < 1e-8
    assert relative(found.energies, expected["energies"]) < 1e-9


@pytest.mark.parametrize("name", [name for name in CASES if "mixed" in name])
def test_mixed_precision(evaluations, name):
    """Against everything in double: forces of up to 8 eV/Å with 24 bits in the network."""
    found, expected = evaluations[name], expected_of(name)
    assert deviation(found.forces, expected["forces"]) < 1e-4
    assert relative(found.energy, expected["energy"]) < 1e-6  # 24 bits, summed in float64
    assert relative(found.virial, expected["virial"]) < 1e-4


@pytest.mark.parametrize("name", CASES)
def test_energies_add_up(evaluations, name):
    """Per-atom energies, the two shares of LAMMPS and those of compute pair give the energy."""
    found = evaluations[name]
    offsets, short_range, long_range, _ = found.extra
    assert found.peratom_sum == pytest.approx(found.energy, rel=1e-12)
    assert found.eng_vdwl + found.eng_coul == pytest.approx(found.energy, rel=1e-12)
    assert found.eng_coul == pytest.approx(long_range, rel=1e-12)
    assert found.eng_vdwl == pytest.approx(offsets + short_range, rel=1e-12)
    assert (found.eng_coul == 0.0) == (CASES[name][0] == "local")
    # Newton's third law holds to the accuracy of the mesh
    net = np.abs(found.forces.sum(0)).max()
    assert net < ACCURACY[CASES[name][1]] * np.abs(found.forces).sum()


def test_charges_of_the_scalar_channel(evaluations):
    expected = expected_of("crystal")["charges"][:, 0].sum()
    assert evaluations["crystal"].extra[3] == pytest.approx(expected, rel=1e-9)
