# SPDX-License-Identifier: BSD-3-Clause
"""Every reference case of lorem-jax: exact sum to rounding, mesh to its accuracy."""

import numpy as np
import pytest
import torch

from loremd.neighbors import neighbor_list

from .reference_cases import (
    CASES,
    MESH_CASES,
    STRUCTURES,
    checkpoint_case,
    checkpoint_float32,
    deviations,
    evaluate,
    exact_case,
    load_case,
    mesh_case,
)


def test_all_cases_are_there():
    assert len(CASES) == 10 and len(MESH_CASES) == 5


@pytest.mark.parametrize("name", CASES)
def test_exact_sum(name):
    found = exact_case(name)
    assert {"energy", "energies", "forces"} <= set(found)
    assert ("charges" in found) == ("nolr" not in name)
    assert ("stress" in found) == (not name.startswith("case5"))
    assert max(found.values()) < 1e-9, found


@pytest.mark.parametrize("name", MESH_CASES)
def test_mesh(name):
    found = mesh_case(name)
    assert max(found.values()) < 1e-5, found


@pytest.mark.parametrize("name", CASES)
def test_float32(name):
    # energies of order 1 to 35 eV in float32: rounding errors of the network, not of the geometry
    model, arrays = load_case(name)
    model.float()
    if model.lr:
        model.set_long_range("ewald", 7.0, 1e-9, 0.0, [], 0)
    found = deviations(evaluate(model, arrays), arrays)
    # the two energies of case5c nearly cancel, so the total counts relative to their magnitudes
    found["energy"] *= float(abs(arrays["energy"]) / abs(arrays["energies"]).sum())
    assert max(found.values()) < 2e-5, found


@pytest.mark.parametrize("name", ["case1_nacl8_small", "case7_options_nacl8"])
def test_float32_and_back_is_exact(name):
    # the weights of the fixtures are float16 numbers, the tables must not have been rounded
    model, arrays = load_case(name)
    model.set_offsets({11: -1234.567890123456789, 17: 0.1})
    model.float().double()
    assert float(model.offsets[11]) == -1234.567890123456789 and float(model.offsets[17]) == 0.1
    model.set_offsets({})
    model.set_long_range("ewald", 7.0, 1e-15, 0.0, [], 0)
    assert max(deviations(evaluate(model, arrays), arrays).values()) < 1e-12


@pytest.mark.parametrize("name", CASES)
def test_scripted_equals_eager(name):
    model, arrays = load_case(name)
    scripted = torch.jit.script(model)
    results = []
    for form in (model, scripted):
        if model.lr:
            form.set_long_range("ewald", 5.0, 1e-10, 0.0, [], 0)
        positions = torch.tensor(arrays["positions"], requires_grad=True)
        numbers, cell = torch.tensor(arrays["numbers"]), torch.tensor(arrays["cell"])
        pbc = torch.tensor(arrays["pbc"])
        pairs, shifts = neighbor_list(positions, cell, pbc, form.list_cutoff())
        output = form(numbers, positions, cell, pbc, pairs, shifts, len(numbers))
        (gradient,) = torch.autograd.grad(output["energies"].sum(), positions)
        results.append({**output, "gradient": gradient})
    for key, value in results[0].items():
        torch.testing.assert_close(results[1][key], value, rtol=1e-12, atol=1e-12)


def test_parameters_round_trip():
    model, _ = load_case("case2_nacl8_mp1")
    stored = model.to_parameters()
    rebuilt = type(model).from_parameters(model.hyperparameters, stored).to_parameters()
    assert stored.keys() == rebuilt.keys()
    assert all(np.array_equal(stored[path], rebuilt[path]) for path in stored)
    assert all(not path.startswith("params/") for path in stored)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_checkpoint_float64(structure):
    found = checkpoint_case(structure)
    assert ("stress" in found) == (structure == "periodic")
    assert max(found.values()) < 1e-9, found


@pytest.mark.parametrize("structure", STRUCTURES)
def test_checkpoint_float32(structure):
    found = checkpoint_float32(structure)
    assert max(found.values()) < 2e-4, found


def test_table_of_deviations(capsys):
    from . import deviations as table

    assert table.main() == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in CASES)
    assert "checkpoint periodic" in printed
