# SPDX-License-Identifier: BSD-3-Clause
"""Small structures and models with lively random weights for the tests of the model."""

from dataclasses import dataclass, replace

import torch

from loremd import Lorem
from loremd.neighbors import neighbor_list

DTYPE = torch.float64
SMALL = {
    "cutoff": 3.0,
    "max_degree": 2,
    "num_features": 8,
    "num_radial": 5,
    "num_species": 3,
    "num_spherical_features": 3,
}


@dataclass(frozen=True)
class Structure:
    numbers: torch.Tensor
    positions: torch.Tensor
    cell: torch.Tensor
    pbc: torch.Tensor


def random_model(seed=0, gain=3.0, **hyperparameters):
    """A float64 model whose weights are so large that every part of it shows in the energy."""
    torch.manual_seed(seed)
    model = Lorem(**{**SMALL, **hyperparameters}).double()
    with torch.no_grad():
        for path, entry in model.arrays().items():
            values = entry.tensor()
            if path.endswith(("bias", "scale")):
                values += 0.2 * torch.randn_like(values)
            elif ("ensor" in path and path.endswith("tensor/kernel")) or path.startswith("Tensor_"):
                values += torch.randn_like(values)
            elif "RadialCoefficients" in path:
                values *= gain
    return model


def crystal(seed=0, n=6, pbc=(True, True, True), side=4.0):
    """Atoms of three elements, at least 1.2 Å apart, in a triclinic cell."""
    generator = torch.Generator().manual_seed(seed)
    cell = torch.tensor([[side, 0, 0], [0.7, side - 0.3, 0], [-0.5, 0.9, side + 0.4]], dtype=DTYPE)
    flags = torch.tensor(pbc)
    while True:
        positions = torch.rand(n, 3, generator=generator, dtype=DTYPE) @ cell
        if neighbor_list(positions, cell, flags, 1.2)[0].shape[1] == 0:
            break
    numbers = torch.tensor([1, 8, 26] * n)[:n]
    return Structure(numbers, positions, cell, flags)


def arguments(model, structure, cutoff=None):
    """The arguments of the model for one structure."""
    radius = model.list_cutoff() if cutoff is None else cutoff
    pairs, shifts = neighbor_list(structure.positions, structure.cell, structure.pbc, radius)
    return {
        "numbers": structure.numbers,
        "positions": structure.positions,
        "cell": structure.cell,
        "pbc": structure.pbc,
        "pairs": pairs,
        "shifts": shifts,
        "n_owned": len(structure.numbers),
    }


def energy(model, structure):
    return float(model(**arguments(model, structure))["energies"].sum().detach())


def strained_energy(model, structure):
    """Energy as a function of positions (n, 3) and strain (3, 3), with these two variables."""
    strain = torch.zeros(3, 3, dtype=DTYPE, requires_grad=True)
    deformation = torch.eye(3, dtype=DTYPE) + strain
    given = arguments(model, structure)
    positions = given["positions"].clone().requires_grad_()
    given["positions"] = positions @ deformation
    given["cell"] = given["cell"] @ deformation
    return model(**given)["energies"].sum(), (positions, strain)


def derivatives(model, structure):
    """Energy, forces (n, 3) and virial (3, 3) = dE/dstrain."""
    total, variables = strained_energy(model, structure)
    gradient, virial = torch.autograd.grad(total, variables)
    return float(total.detach()), -gradient, virial


def moved(structure, **changes):
    return replace(structure, **changes)


def rotation(seed=0):
    generator = torch.Generator().manual_seed(seed)
    matrix, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=DTYPE))
    return matrix * torch.linalg.det(matrix).sign()
