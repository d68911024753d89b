# SPDX-License-Identifier: BSD-3-Clause
"""ASE calculator."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, ClassVar, Dict, List, Optional, Union

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator as AseCalculator
from ase.calculators.calculator import PropertyNotImplementedError, all_changes
from ase.data import chemical_symbols
from ase.stress import full_3x3_to_voigt_6_stress

from ._library import checked_device
from .checkpoint import import_checkpoint
from .export import load
from .model import Lorem
from .neighbors import neighbor_list

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


class Calculator(AseCalculator):
    """Energies, forces and stress of a LOREM model for ASE.

    Args:
        model_or_path: a model, a model file, or a checkpoint folder of lorem-jax. A model that is
            passed in is copied.
        device: of the evaluation.
        dtype: "float32" for network and mesh in float32 (geometry and sums of energies are float64
            in any case), "float64" for everything in float64.
        accuracy: of the long-range potentials, as in MeshPotential. Structures that are periodic in
            three directions use the mesh, all others the exact sum.

    Results: energy and free_energy (eV, the same), energies (per atom), forces (eV/Å), stress
    (eV/Å³, Voigt order xx, yy, zz, yz, xz, xy, positive under tension; only with periodic
    directions); and in ``results`` also charges (n, channels), dimensionless, potentials
    (n, channels), 1/Å, and for the mesh ``plan``, its parameters and estimated errors.
    """

    implemented_properties: ClassVar[List[str]] = [
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
    ]

    def __init__(
        self,
        model_or_path: Union[Lorem, str, Path],
        *,
        device: str = "cpu",
        dtype: str = "float32",
        accuracy: float = 1e-5,
        **options: Any,
    ):
        super().__init__(**options)
        if dtype not in _DTYPES:
            raise ValueError(f"dtype is {dtype!r}, but must be one of {', '.join(_DTYPES)}")
        self.device = checked_device(device)
        model = _read_model(model_or_path)
        self.model = model.to(device=device, dtype=_DTYPES[dtype]).requires_grad_(False)
        self.model.freeze()
        self.accuracy = float(accuracy)
        self.model.set_long_range("mesh", model.cutoff, self.accuracy, 0.0, [], 0)
        self._plan: Optional[Dict[str, float]] = None
        self._planned_atoms = 0
        self._checked_cell: Optional[torch.Tensor] = None

    def calculate(
        self,
        atoms: Optional[Atoms] = None,
        properties: Optional[List[str]] = None,
        system_changes: List[str] = all_changes,
    ) -> None:
        """Compute everything at once.

        Raises:
            ValueError: an element that the model does not know, positions that are not finite, a
                periodic cell without volume, or exactly one periodic direction.
        """
        super().calculate(atoms, properties, system_changes)
        self._check_elements()
        pbc = np.asarray(self.atoms.pbc)
        if properties is not None and "stress" in properties and not pbc.any():
            raise PropertyNotImplementedError(
                "a structure without periodic direction has no stress"
            )
        cell = np.asarray(self.atoms.cell.array, dtype=np.float64)
        pairs, shifts = neighbor_list(self.atoms.positions, cell, pbc, self.model.list_cutoff())
        if self.model.lr and pbc.all() and len(self.atoms):
            self._keep_or_make_plan(torch.from_numpy(cell))
        self.results = self._evaluate(cell, pbc, pairs, shifts)
        if self._plan is not None and pbc.all():
            self.results["plan"] = dict(self._plan)

    def _evaluate(
        self, cell: np.ndarray, pbc: np.ndarray, pairs: torch.Tensor, shifts: torch.Tensor
    ) -> Dict[str, Any]:
        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.tensor(array, device=self.device)

        with torch.enable_grad():
            output = self.model.energy_and_gradients(
                tensor(self.atoms.numbers.astype(np.int64)),
                tensor(self.atoms.positions.astype(np.float64)),
                tensor(cell),
                tensor(pbc),
                pairs.to(self.device),
                shifts.to(self.device),
                len(self.atoms),
            )
        energy = float(output["energies"].sum())
        results = {
            "energy": energy,
            "free_energy": energy,
            "energies": output["energies"].cpu().numpy(),
            "forces": -output["gradient"].cpu().numpy(),
            "charges": output["charges"].cpu().numpy(),
            "potentials": output["potentials"].cpu().numpy(),
        }
        volume = abs(np.linalg.det(cell))
        if pbc.any() and volume > 0:
            results["stress"] = full_3x3_to_voigt_6_stress(
                output["strain_gradient"].cpu().numpy() / volume
            )
        return results

    def _check_elements(self) -> None:
        known = self.model.atomic_numbers
        unknown = sorted(set(self.atoms.numbers.tolist()) - set(known))
        if known and unknown:
            names = ", ".join(chemical_symbols[z] for z in unknown)
            listed = ", ".join(chemical_symbols[z] for z in known)
            raise ValueError(f"the model does not know {names}; it was made for {listed}")

    def _keep_or_make_plan(self, cell: torch.Tensor) -> None:
        """Plan the mesh for a new system, or if the cell has changed so much that the plan fails.

        Between two plans the energy is a smooth function of positions and cell.
        """
        n = len(self.atoms)
        same_number = self._plan is not None and n == self._planned_atoms
        if same_number and torch.equal(cell, self._checked_cell):
            return
        if not (same_number and self._plan_is_good(cell)):
            self._plan = self.model.plan_long_range(cell, n)
            self._planned_atoms = n
        self._checked_cell = cell.clone()

    def _plan_is_good(self, cell: torch.Tensor) -> bool:
        return self.model.long_range_error(cell, self._planned_atoms) <= self.accuracy


def _read_model(model_or_path: Union[Lorem, str, Path]) -> Lorem:
    if isinstance(model_or_path, Lorem):
        return copy.deepcopy(model_or_path)
    if Path(model_or_path).is_dir():
        return import_checkpoint(model_or_path)
    return load(model_or_path)
