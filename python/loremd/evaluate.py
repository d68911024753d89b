# SPDX-License-Identifier: BSD-3-Clause
"""Predictions with derivatives, and their errors against labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from .data import Batch, Structure, batches


@dataclass(frozen=True)
class Prediction:
    """energies (B,) eV and, where asked for, forces (n,3) eV/Å and virial (B,3,3) eV; float64.

    The virial is dE/dε for R -> R(1+ε), A -> A(1+ε); the stress is the virial over the volume.
    """

    energies: Tensor
    forces: Tensor | None
    virial: Tensor | None


def predict(
    model: nn.Module,
    batch: Batch,
    *,
    forces: bool = True,
    stress: bool = True,
    create_graph: bool = False,
) -> Prediction:
    """Total energies of a batch and their derivatives; `create_graph` keeps them differentiable."""
    positions = batch.positions.detach()
    cell, strain = batch.cell, None
    if forces:
        positions.requires_grad_(True)
    strained = positions
    if stress:
        strain = torch.zeros_like(batch.cell).requires_grad_(True)
        strained = positions + torch.einsum("na,nab->nb", positions, strain[batch.batch])
        cell = cell + cell @ strain
    output = model(
        batch.numbers,
        strained,
        cell,
        batch.pbc,
        batch.pairs,
        batch.shifts,
        int(batch.numbers.shape[0]),
        batch.batch,
    )
    energies = torch.zeros_like(batch.energy).index_add(0, batch.batch, output["energies"])
    variables = [x for x, wanted in ((positions, forces), (strain, stress)) if wanted]
    if not variables:
        return Prediction(energies, None, None)
    gradients = list(torch.autograd.grad(energies.sum(), variables, create_graph=create_graph))
    if not create_graph:
        energies = energies.detach()
    return Prediction(
        energies=energies,
        forces=-gradients.pop(0) if forces else None,
        virial=gradients.pop(0) if stress else None,
    )


@dataclass(frozen=True)
class Errors:
    """Root mean square and mean absolute error of one quantity, the number of its labels, and the
    root mean square deviation of the labels from their mean, which a constant would have."""

    rmse: float
    mae: float
    count: int
    spread: float


@dataclass(frozen=True)
class Evaluation:
    """Labels and predictions side by side.

    energies (B,2) eV per atom, forces (3n,2) eV/Å and stress (6B,2) eV/Å³: column 0 the label,
    column 1 the prediction; only entries that have a label.
    """

    energies: np.ndarray
    forces: np.ndarray
    stress: np.ndarray

    def errors(self) -> dict[str, Errors]:
        """The errors by quantity: energy (eV/atom), forces (eV/Å), stress (eV/Å³)."""
        quantities = {"energy": self.energies, "forces": self.forces, "stress": self.stress}
        return {name: _errors(table) for name, table in quantities.items() if len(table)}


def evaluate(model: nn.Module, structures: Sequence[Structure], batch_size: int = 8) -> Evaluation:
    """Predict all structures and set the predictions beside their labels."""
    energies, forces, stress = [], [], []
    for batch in batches(structures, batch_size):
        has_stress = bool((~torch.isnan(batch.stress)).any())
        result = predict(model, batch, stress=has_stress)
        energies.append(torch.stack([batch.energy, result.energies], 1) / batch.n_atoms[:, None])
        forces.append(torch.stack([batch.forces.flatten(), result.forces.flatten()], 1))
        if has_stress:
            predicted = result.virial / volumes(batch.cell)[:, None, None]
            columns = [voigt(batch.stress).flatten(), voigt(predicted).flatten()]
            stress.append(torch.stack(columns, 1))
    return Evaluation(_labelled(energies), _labelled(forces), _labelled(stress))


def volumes(cell: Tensor) -> Tensor:
    """Volumes (B,) of cells (B,3,3)."""
    return torch.linalg.det(cell).abs()


def voigt(stress: Tensor) -> Tensor:
    """The six independent components (B,6), xx yy zz yz xz xy, of (B,3,3)."""
    return stress[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


def _labelled(tables: list[Tensor]) -> np.ndarray:
    """The rows of all tables whose label is not missing, as float64 (count, 2)."""
    if not tables:
        return np.empty((0, 2))
    table = torch.cat(tables).detach().cpu().numpy().astype(np.float64)
    return table[~np.isnan(table[:, 0])]


def _errors(table: np.ndarray) -> Errors:
    difference = table[:, 1] - table[:, 0]
    return Errors(
        rmse=float(np.sqrt(np.mean(difference**2))),
        mae=float(np.mean(np.abs(difference))),
        count=len(table),
        spread=float(np.std(table[:, 0])),
    )
