# SPDX-License-Identifier: BSD-3-Clause
"""The cases of lorem-jax in tests/model/reference, and how far a model is from them.

``case*.npz`` hold weights, structure and float64 results of lorem-jax 0.2.0 with exact Bernstein
binomials and converged sums; ``checkpoint`` is a folder written by its training.
"""

import json
from pathlib import Path

import numpy as np
import torch
from ase import Atoms

from loremd.calculator import Calculator
from loremd.checkpoint import import_checkpoint
from loremd.model import Lorem
from loremd.neighbors import neighbor_list

FOLDER = Path(__file__).parent / "reference"
CASES = sorted(path.stem for path in FOLDER.glob("case*.npz"))
MESH_CASES = [name for name in CASES if name[:5] in ("case1", "case2", "case3", "case4", "case7")]
CHECKPOINT = FOLDER / "checkpoint" / "R2_E+F"
STRUCTURES = ("molecule", "periodic")
QUANTITIES = ("energy", "energies", "forces", "stress", "charges", "potentials")


def load_case(name):
    """The model and all arrays of a case."""
    with np.load(FOLDER / f"{name}.npz") as file:
        arrays = dict(file)
    parameters = {
        key.removeprefix("param:"): arrays.pop(key)
        for key in list(arrays)
        if key.startswith("param:")
    }
    hyperparameters = json.loads(str(arrays["hyperparameters_json"]))
    return Lorem.from_parameters(hyperparameters, parameters), arrays


def load_checkpoint_reference(structure):
    """Structure and float64 results of the checkpoint, under the names of the cases."""
    with np.load(FOLDER / "checkpoint" / f"reference_{structure}.npz") as file:
        arrays = dict(file)
    arrays["energy"] = arrays["f64_converged_energy_no_offset"] + arrays["baseline_offset"]
    for name in ("forces", "energies", "stress"):
        if f"f64_converged_{name}" in arrays:
            arrays[name] = arrays[f"f64_converged_{name}"]
    return arrays


def evaluate(model, arrays, list_cutoff=None):
    """Energies without offsets, the total with them, derivatives, charges, potentials; float64."""
    positions = torch.tensor(arrays["positions"], requires_grad=True)
    numbers = torch.tensor(arrays["numbers"])
    cell, pbc = torch.tensor(arrays["cell"]), torch.tensor(arrays["pbc"])
    cutoff = model.list_cutoff() if list_cutoff is None else list_cutoff
    pairs, shifts = neighbor_list(positions, cell, pbc, cutoff)
    strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    deformation = torch.eye(3, dtype=torch.float64) + strain
    output = model(
        numbers, positions @ deformation, cell @ deformation, pbc, pairs, shifts, len(numbers)
    )
    energy = output["energies"].sum()
    gradient, virial = torch.autograd.grad(energy, (positions, strain))
    results = {
        "energy": energy.detach(),
        "energies": output["energies"].detach() - model.offsets[numbers],
        "forces": -gradient,
        "charges": output["charges"].detach(),
        "potentials": output["potentials"].detach(),
    }
    if pbc.any():
        results["stress"] = virial / torch.linalg.det(cell).abs()
    return {name: value.double().numpy() for name, value in results.items()}


def deviations(results, arrays):
    """Largest deviation relative to the largest entry, of every quantity that the file holds."""
    found = {}
    for name in QUANTITIES:
        expected = arrays.get(name)
        if expected is not None and name in results and np.isfinite(expected).all():
            found[name] = float(np.abs(results[name] - expected).max() / np.abs(expected).max())
    return found


def exact_case(name):
    """Deviations of a case with the exact sum, converged to rounding errors."""
    model, arrays = load_case(name)
    if model.lr:
        model.set_long_range("ewald", 7.0, 1e-15, 0.0, [], 0)
    return deviations(evaluate(model, arrays), arrays)


def mesh_case(name, accuracy=1e-6):
    """Deviations of a case with the mesh."""
    model, arrays = load_case(name)
    model.set_long_range("mesh", 6.0, accuracy, 0.0, [], 0)
    return deviations(evaluate(model, arrays), arrays)


def checkpoint_case(structure):
    """Deviations of the imported checkpoint in float64 with the exact sum."""
    model = import_checkpoint(CHECKPOINT).double()
    model.set_long_range("ewald", 7.0, 1e-15, 0.0, [], 0)
    arrays = load_checkpoint_reference(structure)
    return deviations(evaluate(model, arrays), arrays)


def checkpoint_float32(structure):
    """Absolute deviations (eV, eV/Å, eV/Å³) of the float32 calculator from the float64 fields."""
    arrays = load_checkpoint_reference(structure)
    atoms = Atoms(arrays["numbers"], arrays["positions"], cell=arrays["cell"], pbc=arrays["pbc"])
    atoms.calc = Calculator(CHECKPOINT, dtype="float32", accuracy=1e-5)
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    if "stress" in arrays:
        results["stress"] = atoms.get_stress(voigt=False)
    return {name: float(np.abs(value - arrays[name]).max()) for name, value in results.items()}
