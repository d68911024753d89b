# SPDX-License-Identifier: BSD-3-Clause
"""The ASE calculator: the results of the model, plans of the mesh, and errors."""

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.md.verlet import VelocityVerlet

from loremd import Calculator, export

from .structures import arguments, crystal, derivatives, moved, random_model


def atoms_of(structure):
    return Atoms(
        structure.numbers.numpy(),
        structure.positions.numpy(),
        cell=structure.cell.numpy(),
        pbc=structure.pbc.numpy(),
    )


@pytest.fixture
def model():
    model = random_model()
    model.set_offsets({1: -1.0, 8: 2.0, 26: 3.0})
    return model


@pytest.mark.parametrize("pbc", [(True, True, True), (True, False, True), (False, False, False)])
def test_results_are_those_of_the_model(model, pbc):
    structure = crystal(pbc=pbc)
    atoms = atoms_of(structure)
    atoms.calc = Calculator(model, dtype="float64", accuracy=1e-9)
    total, forces, virial = derivatives(model, structure)
    output = model(**arguments(model, structure))
    assert atoms.get_potential_energy() == pytest.approx(total, rel=1e-8)
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    np.testing.assert_allclose(atoms.get_forces(), forces, rtol=0, atol=1e-6)
    energies = output["energies"].detach().numpy()
    np.testing.assert_allclose(atoms.get_potential_energies(), energies, rtol=0, atol=1e-7)
    for name in ("charges", "potentials"):
        values = output[name].detach().numpy()
        np.testing.assert_allclose(atoms.calc.results[name], values, rtol=0, atol=1e-7)
    if any(pbc):
        stress = atoms.get_stress(voigt=False)
        expected = virial.numpy() / atoms.get_volume()
        np.testing.assert_allclose(stress, (expected + expected.T) / 2, rtol=0, atol=1e-7)


def test_numerical_derivatives(model):
    atoms = atoms_of(crystal())
    atoms.calc = Calculator(model, dtype="float64", accuracy=1e-7)
    forces, stress = atoms.get_forces(), atoms.get_stress()
    numerical = calculate_numerical_forces(atoms, eps=1e-5, iatoms=[0, 3])
    np.testing.assert_allclose(forces[[0, 3]], numerical, rtol=0, atol=1e-5)
    np.testing.assert_allclose(stress, calculate_numerical_stress(atoms, eps=1e-5), atol=1e-5)


def test_float32_is_close_to_float64(model):
    results = []
    for dtype in ("float32", "float64"):
        atoms = atoms_of(crystal())
        atoms.calc = Calculator(model, dtype=dtype)
        results.append((atoms.get_potential_energy(), atoms.get_forces()))
    assert results[0][0] == pytest.approx(results[1][0], abs=1e-4)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=0, atol=1e-4)


def test_accuracy_is_reached(model):
    structure = crystal(n=8, side=5.0)
    model.set_long_range("ewald", 4.0, 1e-14, 0.0, [], 0)
    exact = model(**arguments(model, structure))["potentials"].detach().numpy()
    for accuracy in (1e-3, 1e-5, 1e-8):
        atoms = atoms_of(structure)
        atoms.calc = Calculator(model, dtype="float64", accuracy=accuracy)
        atoms.get_potential_energy()
        difference = atoms.calc.results["potentials"] - exact
        assert np.linalg.norm(difference) / np.linalg.norm(exact) < accuracy


def test_model_file_and_checkpoint_folder(model, tmp_path):
    from .reference_cases import CHECKPOINT

    export(model, tmp_path / "model.pt", elements=["H", "O", "Fe"])
    atoms = atoms_of(crystal())
    energies = []
    for source in (model, tmp_path / "model.pt", str(tmp_path / "model.pt")):
        atoms.calc = Calculator(source, dtype="float64")
        energies.append(atoms.get_potential_energy())
    assert energies[0] == energies[1] == energies[2]
    assert Calculator(CHECKPOINT).model.atomic_numbers == [1, 6]


def test_the_given_model_is_left_alone(model):
    atoms = atoms_of(crystal())
    atoms.calc = Calculator(model, dtype="float32")
    atoms.get_potential_energy()
    assert next(model.parameters()).dtype == torch.float64
    assert model.long_range_method == "ewald"
    assert all(parameter.requires_grad for parameter in model.parameters())


# --- plans ----------------------------------------------------------------------------------------


def test_plan_is_kept_for_small_changes_and_renewed_for_large_ones(model):
    atoms = atoms_of(crystal())
    atoms.calc = Calculator(model, dtype="float64", accuracy=1e-5)
    atoms.get_potential_energy()
    first = atoms.calc.results["plan"]
    atoms.rattle(0.01)
    atoms.set_cell(atoms.cell * 0.999, scale_atoms=True)  # the mesh gets finer: still good
    atoms.get_potential_energy()
    assert atoms.calc.results["plan"] == first
    atoms.set_cell(atoms.cell * 1.3, scale_atoms=True)  # the mesh is too coarse now
    atoms.get_potential_energy()
    second = atoms.calc.results["plan"]
    assert second["nx"] > first["nx"] or second["smearing"] != first["smearing"]
    assert max(second["mesh_error"], second["real_space_error"]) <= 1e-5


def test_new_number_of_atoms_makes_a_new_plan(model):
    atoms = atoms_of(crystal())
    calculator = Calculator(model, dtype="float64")
    atoms.calc = calculator
    atoms.get_potential_energy()
    first = calculator.results["plan"]
    energy = atoms.get_potential_energy()
    large = atoms * (2, 1, 1)
    large.calc = calculator
    assert large.get_potential_energy() == pytest.approx(2 * energy, abs=1e-3)
    assert calculator.results["plan"]["nx"] > first["nx"]


def test_no_plan_without_mesh(model):
    atoms = atoms_of(crystal(pbc=(False,) * 3))
    atoms.calc = Calculator(model)
    atoms.get_potential_energy()
    assert "plan" not in atoms.calc.results


def test_one_calculator_for_different_periodicities(model):
    calculator = Calculator(model, dtype="float64", accuracy=1e-8)
    for pbc in ((True,) * 3, (False,) * 3, (True, True, False), (True,) * 3):
        structure = crystal(pbc=pbc)
        atoms = atoms_of(structure)
        atoms.calc = calculator
        expected, _, _ = derivatives(model, structure)
        assert atoms.get_potential_energy() == pytest.approx(expected, rel=1e-7)


def test_short_range_model(model):
    local = random_model(lr=False)
    atoms = atoms_of(crystal())
    atoms.calc = Calculator(local)
    assert np.isfinite(atoms.get_forces()).all()
    assert atoms.calc.results["charges"].shape == (6, 0)


def test_energy_is_conserved():
    from .reference_cases import load_case

    model, _ = load_case("case1_nacl8_small")
    with torch.no_grad():  # the weights are lively: make the surface one that 1 fs can follow
        for block in (model.short_range.first.readout, model.long_range.readout):
            block.layers[2].weight *= 0.05
    model.hyperparameters["norm_epsilon"] = 0.05
    smooth = type(model).from_parameters(model.hyperparameters, model.to_parameters())
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    atoms.calc = Calculator(smooth, dtype="float64", accuracy=1e-7)
    momenta = np.random.default_rng(0).normal(size=(8, 3)) * np.sqrt(30 * 100 * units.kB)
    atoms.set_momenta(momenta - momenta.mean(0))
    before = atoms.get_total_energy()
    dynamics = VelocityVerlet(atoms, 0.5 * units.fs)
    energies = []
    for _ in range(40):
        dynamics.run(1)
        energies.append(atoms.get_total_energy() - before)
    assert max(np.abs(energies)) < 0.02 * atoms.get_kinetic_energy()


# --- errors ---------------------------------------------------------------------------------------


def test_unknown_element(model):
    model.atomic_numbers = [1, 8]
    atoms = atoms_of(crystal())
    atoms.calc = Calculator(model)
    with pytest.raises(ValueError, match="the model does not know Fe; it was made for H, O"):
        atoms.get_potential_energy()


def test_bad_options(model, tmp_path):
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device is 'cuda', but torch .* finds no GPU"):
            Calculator(model, device="cuda")
    with pytest.raises(ValueError, match="device is 'meta', but loremd computes on cpu and cuda"):
        Calculator(model, device="meta")
    with pytest.raises(ValueError, match="dtype is 'half', but must be one of float32, float64"):
        Calculator(model, dtype="half")
    with pytest.raises(ValueError, match=r"accuracy is 0\.5"):
        Calculator(model, accuracy=0.5)
    with pytest.raises(FileNotFoundError, match="there is no model file"):
        Calculator(tmp_path / "nothing.pt")


def test_nan_positions(model):
    atoms = atoms_of(crystal())
    atoms.positions[2, 1] = np.nan
    atoms.calc = Calculator(model)
    with pytest.raises(ValueError, match="positions of atom 2 are"):
        atoms.get_potential_energy()


def test_cell_without_volume(model):
    structure = crystal()
    flat = structure.cell.clone()
    flat[2] = flat[0] + flat[1]
    atoms = atoms_of(moved(structure, cell=flat))
    atoms.calc = Calculator(model)
    with pytest.raises(ValueError, match="has zero volume"):
        atoms.get_potential_energy()


def test_one_periodic_direction(model):
    atoms = atoms_of(crystal(pbc=(True, False, False)))
    atoms.calc = Calculator(model)
    with pytest.raises(ValueError, match="one periodic direction"):
        atoms.get_potential_energy()


def test_stress_of_a_cluster(model):
    atoms = atoms_of(crystal(pbc=(False,) * 3))
    atoms.calc = Calculator(model)
    with pytest.raises(PropertyNotImplementedError, match="no stress"):
        atoms.get_stress()
