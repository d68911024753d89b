# SPDX-License-Identifier: BSD-3-Clause
"""The LOREM potential: short-range equivariant features and long-range messages between them.

A density of the neighbours, squared into equivariant features, drives a stream of scalars. Charges
of degree 0 to Λ, predicted from both, are summed over the whole crystal, and their potentials come
back as features. Parameters and formulas are those of lorem-jax 0.2.0.
"""

from typing import ClassVar, Dict, List, Optional, Tuple

import numpy as np
import torch
from torch import Tensor, nn

from .blocks import Arrays, prefixed
from .ewald import EwaldPotential
from .geometry import check_one_device, image_vectors
from .gradients import gradients
from .hyperparameters import N_ELEMENTS, checked_hyperparameters
from .long_range_block import LongRangeBlock
from .mesh import MeshPotential
from .short_range import ShortRange, Species


class Lorem(nn.Module):
    """The LOREM model.

    Args:
        **hyperparameters: names and defaults as in lorem-jax:
            cutoff (5.0 Å), max_degree (6), max_degree_lr (2, at most max_degree), num_features
            (128), num_radial (32), num_species (8, width of the element embedding),
            num_spherical_features (8), cutoff_fn ("cosine_cutoff" or "smooth_cutoff"),
            radial_basis ("basic_bernstein"), lr (True), num_message_passing (0),
            equivariant_message_passing (True), initialize_node_features (True), inputs (());
            and norm_epsilon (0.0): with ε > 0 norms are √(Σt² + ε²) - ε instead of √(Σt²), which
            removes the kink of the energy where a scalar spherical feature changes sign.
    Raises:
        ValueError: an unknown name, or a value that is not allowed.

    The parameters are float32 after construction; ``.double()`` for everything in float64.
    Positions, cells, distances and sums of energies are float64 in any case.
    """

    atomic_numbers: List[int]
    __jit_unused_properties__: ClassVar[List[str]] = ["offsets"]

    def __init__(self, **hyperparameters: object):
        super().__init__()
        options = checked_hyperparameters(hyperparameters)
        self.hyperparameters = options
        self.cutoff = float(options["cutoff"])
        self.num_message_passing = int(options["num_message_passing"])
        self.lr = bool(options["lr"])
        self.num_channels = 1 + (int(options["max_degree_lr"]) + 1) ** 2 if self.lr else 0
        self.atomic_numbers = []  # elements it was made for; [] means that none is known
        self.provenance = {}
        self.short_range = ShortRange(options)
        self.long_range = LongRangeBlock(options) if self.lr else None
        self.ewald = EwaldPotential(self.cutoff)
        self.mesh = MeshPotential(self.cutoff)
        self.long_range_method = "ewald"
        self.register_buffer("offset_parts", torch.zeros(2, N_ELEMENTS, dtype=torch.int64))

    # --- evaluation -------------------------------------------------------------------------

    def forward(
        self,
        numbers: Tensor,
        positions: Tensor,
        cell: Tensor,
        pbc: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        n_owned: int,
        batch: Optional[Tensor] = None,
        comm: int = 0,
    ) -> Dict[str, Tensor]:
        """Evaluate one structure, or several as a batch.

        Args:
            numbers: (n,) int64 atomic numbers.
            positions: (n, 3) float64, Å.
            cell: (3, 3) float64, rows are lattice vectors; (B, 3, 3) with ``batch``.
            pbc: (3,) or (B, 3) bool.
            pairs: (2, P) int64, full list, row 0 the centre, row 1 the neighbour, complete up to
                the cutoff (and that of the long-range sum); longer lists do no harm.
            shifts: (P, 3) int64; the distance vector is R_j - R_i + S A.
            n_owned: atoms 0 .. n_owned-1 get energies; the rest are ghosts, which the caller
                placed at the positions of the images they stand for.
            batch: (n,) int64, structure of each atom, non-decreasing.
            comm: handle of a table of communication functions; 0 for a single process.
        Returns:
            energies (n_owned,) float64, eV, with the per-element offsets; their sum is the energy;
            long_range_energies (n_owned,) float64: the part from the long-range readout;
            charges, potentials (n_owned, C) in the dtype of the parameters, C = num_channels.
        Raises:
            ValueError: shapes, dtypes or atomic numbers are not as above.
        """
        _check_structure(numbers, positions, cell, pbc, pairs, shifts, n_owned, batch)
        species = self._species(numbers)
        x, t, energies = self._short_range(
            species, positions, cell.reshape(-1, 3, 3), pairs, shifts, n_owned, batch, comm
        )
        charges = x.new_zeros(n_owned, 0)
        potentials = x.new_zeros(n_owned, 0)
        last = torch.zeros_like(energies)
        long_range = self.long_range
        if long_range is not None:
            charges = long_range.charges(x, t)
            potentials = self._potentials(
                positions, charges, cell, pairs, shifts, pbc, batch, n_owned, comm
            )
            last = long_range(x, t, potentials).to(torch.float64)
        offsets = _join(self.offset_parts).index_select(0, numbers[:n_owned])
        return {
            "energies": energies + last + offsets,
            "long_range_energies": last,
            "charges": charges,
            "potentials": potentials,
        }

    @torch.jit.export
    def energy_and_gradients(
        self,
        numbers: Tensor,
        positions: Tensor,
        cell: Tensor,
        pbc: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        n_owned: int,
        comm: int = 0,
    ) -> Dict[str, Tensor]:
        """Evaluate one structure and the gradients of its energy, in blocks of atoms.

        For dynamics: memory per atom does not grow with the layers of the networks. Arguments and
        errors as in :meth:`forward`, but messages of ghosts come through the communicator only.
        Gradients must be enabled (no torch.no_grad around the call).

        Returns:
            energies, long_range_energies, charges and potentials of :meth:`forward`, and of the sum
            of these energies gradient (n, 3) float64, eV/Å, by the positions, and strain_gradient
            (3, 3) float64, eV, by ε for R -> R (1 + ε), cell likewise; on several ranks, this
            rank's share of both.
        """
        _check_structure(numbers, positions, cell, pbc, pairs, shifts, n_owned, None)
        sweep = self.short_range.sweep(
            self._species(numbers), positions, cell, pairs, shifts, n_owned, comm
        )
        x, t = sweep.scalars[-1], sweep.spherical[-1]
        charges = x.new_zeros(n_owned, 0)
        potentials = x.new_zeros(n_owned, 0)
        last = torch.zeros(n_owned, dtype=torch.float64, device=x.device)
        gradient, strain_gradient = torch.zeros_like(positions), torch.zeros_like(cell)
        long_range = self.long_range
        if long_range is not None:
            charges, scalar_by_x = long_range.sweep_charges(x, t)
            leaves = [charges.requires_grad_(), positions.detach().requires_grad_()]
            leaves.append(torch.zeros_like(cell).requires_grad_())
            deformation = torch.eye(3, dtype=cell.dtype, device=cell.device) + leaves[2]
            values = self._potentials(
                leaves[1] @ deformation,
                charges,
                cell @ deformation,
                pairs,
                shifts,
                pbc,
                None,
                n_owned,
                comm,
            )
            potentials = values.detach()
            last, by_t, by_potentials = long_range.sweep_energies(x, t, potentials)
            by_x = x  # holds the gradients now
            # on every rank, with atoms or without: the backward communicates, too
            by_charges, gradient, strain_gradient = gradients([values], leaves, [by_potentials])
            long_range.sweep_charges_back(scalar_by_x, t, by_charges, by_x, by_t)
        else:
            by_x, by_t = torch.zeros_like(x), torch.zeros_like(t)
        energies, by_positions, by_strain = self.short_range.sweep_back(sweep, by_x, by_t, comm)
        offsets = _join(self.offset_parts).index_select(0, numbers[:n_owned])
        return {
            "energies": energies + last + offsets,
            "long_range_energies": last,
            "charges": charges.detach(),
            "potentials": potentials,
            "gradient": gradient + by_positions,
            "strain_gradient": strain_gradient + by_strain,
        }

    @torch.jit.export
    def freeze(self) -> None:
        """Say that the parameters are final: energy_and_gradients then keeps what depends on them
        alone, and in float32 takes the radial functions from a table."""
        self.short_range.freeze()

    @torch.jit.export
    def memory(self, n_owned: int, n_atoms: int, n_pairs: int) -> float:
        """Bytes that energy_and_gradients takes at most beyond its arguments and the mesh: an
        estimate, for n_owned of n_atoms with n_pairs in the list."""
        word = self.short_range.first.embedding.element_size()
        features, density, networks = self.short_range.sizes(max(1, len(self.atomic_numbers)))
        stages = self.num_message_passing + 1
        kept = density + networks + stages * features  # by the sweep
        back = features  # gradients by them, one stage at a time; those by the density replace it
        charges = 12 * self.num_channels  # with potentials, field, and their gradients
        total = float(word * (kept + back + charges)) * n_owned + 200.0 * n_atoms
        if self.num_message_passing > 0:
            # pairs within the cutoff, features of all atoms and their exchange in float64
            total += 40.0 * n_pairs + float((4 * word + 16) * features) * n_atoms
        return total + self.short_range.working_memory()

    def _short_range(
        self,
        species: Species,
        positions: Tensor,
        cells: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        n_owned: int,
        batch: Optional[Tensor],
        comm: int,
    ) -> Tuple[Tensor, Tensor, Tensor]:
        """As ShortRange.forward, for a batch as well: structures are apart by their pairs."""
        if batch is None or cells.shape[0] == 1:
            return self.short_range(species, positions, cells[0], pairs, shifts, n_owned, comm)
        images = image_vectors(cells, pairs, shifts.to(cells.dtype), batch)
        whole = torch.eye(3, dtype=cells.dtype, device=cells.device)
        return self.short_range(species, positions, whole, pairs, images, n_owned, comm)

    def _species(self, numbers: Tensor) -> Species:
        """The atomic numbers that occur, sorted, and for each atom the index among them."""
        counts = torch.bincount(numbers, minlength=100)
        present = torch.nonzero(counts).squeeze(1)
        if counts.shape[0] > 100:
            raise ValueError(f"numbers holds {counts.shape[0] - 1}, but must be between 0 and 99")
        if len(self.atomic_numbers) > 0:
            found: List[int] = present.tolist()
            for number in found:
                if number not in self.atomic_numbers:
                    raise ValueError(
                        f"numbers holds the element {number}, but the model was made for "
                        f"{self.atomic_numbers}"
                    )
        index = torch.zeros_like(counts)
        index[present] = torch.arange(present.shape[0], device=numbers.device)
        return Species(present, index.index_select(0, numbers))

    def _potentials(
        self,
        positions: Tensor,
        charges: Tensor,
        cell: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        pbc: Tensor,
        batch: Optional[Tensor],
        n_owned: int,
        comm: int,
    ) -> Tensor:
        whole = bool(pbc.all())
        if comm != 0 and not whole and self.ewald.scheme != "exact" and bool(pbc.any()):
            raise ValueError(
                "on several ranks two periodic directions are summed exactly, but this model was "
                "made for the scheme of lorem-jax; see set_two_periodic_scheme"
            )
        if self.long_range_method == "mesh" and (whole or comm != 0):
            return self.mesh(positions, charges, cell, pairs, shifts, pbc, batch, n_owned, comm)
        return self.ewald(positions, charges, cell, pairs, shifts, pbc, batch, n_owned, comm)

    # --- choices at run time ------------------------------------------------------------------

    @torch.jit.export
    def set_long_range(
        self,
        method: str,
        cutoff: float,
        accuracy: float,
        smearing: float,
        mesh: List[int],
        order: int,
        splitting: str = "auto",
        window: str = "auto",
    ) -> None:
        """Choose how the long-range sum is computed; the model it defines stays the same.

        Args:
            method: "mesh", or "ewald" for the exact sum, which structures that are not periodic in
                three directions (and batches that hold one) get in any case in one process.
            cutoff: radius (Å) of the real-space sum, up to which the pair list must be complete.
            accuracy: as in MeshPotential and EwaldPotential.
            smearing, mesh, order: of the mesh; 0, [] and 0 mean automatic.
            splitting, window: as in MeshPotential.
        """
        if method != "mesh" and method != "ewald":
            raise ValueError(f"method is '{method}', but must be 'mesh' or 'ewald'")
        self.ewald.configure(cutoff, accuracy, self.ewald.scheme)
        if method == "mesh":
            self.mesh.configure(cutoff, accuracy, smearing, mesh, order, splitting, window)
        self.long_range_method = method

    @torch.jit.export
    def set_two_periodic_scheme(self, scheme: str) -> None:
        """The sum for two periodic directions: "exact" or "lorem-jax", see EwaldPotential.

        New models use "exact", models made from lorem-jax's parameters "lorem-jax".
        """
        self.ewald.configure(self.ewald.cutoff, self.ewald.accuracy, scheme)

    @torch.jit.export
    def plan_long_range(self, cell: Tensor, n_atoms: int) -> Dict[str, float]:
        """Fix what is automatic in the mesh for this cell, and return the plan with its errors.

        The keys are those of MeshPotential.plan. Raises ValueError for a model without long-range
        part.
        """
        if not self.lr:
            raise ValueError("the model has no long-range part (lr is false): nothing to plan")
        return self.mesh.plan(cell, n_atoms, self.num_channels)

    @torch.jit.export
    def long_range_error(self, cell: Tensor, n_atoms: int) -> float:
        """Estimated relative error of the plan of now in another cell."""
        return self.mesh.plan_error(cell, n_atoms)

    @torch.jit.export
    def list_cutoff(self) -> float:
        """Radius (Å) up to which the pair list has to be complete."""
        if not self.lr:
            return self.cutoff
        if self.long_range_method == "mesh":
            return max(self.cutoff, self.mesh.cutoff)
        return max(self.cutoff, self.ewald.cutoff)

    # --- parameters -------------------------------------------------------------------------

    @classmethod
    def from_parameters(
        cls, hyperparameters: Dict[str, object], parameters: Dict[str, np.ndarray]
    ) -> "Lorem":
        """Build a model from arrays under the paths of lorem-jax.

        Args:
            hyperparameters: arguments of the class; names that are missing take their defaults.
            parameters: arrays by path, with or without the leading "params/". The model is float64
                if any of them is, else float32.
        Raises:
            ValueError: arrays are missing, superfluous or of the wrong shape; all are named.
        """
        model = cls(**hyperparameters)
        model.set_two_periodic_scheme("lorem-jax")
        given = {path.removeprefix("params/"): np.asarray(a) for path, a in parameters.items()}
        if any(array.dtype == np.float64 for array in given.values()):
            model.double()
        entries = model.arrays()
        problems = [f"missing {path}" for path in sorted(entries.keys() - given.keys())]
        problems += [f"unexpected {path}" for path in sorted(given.keys() - entries.keys())]
        for path in sorted(entries.keys() & given.keys()):
            if given[path].shape != entries[path].shape:
                found, expected = given[path].shape, entries[path].shape
                problems.append(f"{path} has shape {found}, expected {expected}")
        if problems:
            listed = "\n  ".join(problems)
            raise ValueError(f"parameters do not fit the hyperparameters:\n  {listed}")
        with torch.no_grad():
            for path, entry in entries.items():
                target = entry.tensor()
                target.copy_(torch.from_numpy(np.array(given[path])).reshape(target.shape))
        return model

    def to_parameters(self) -> Dict[str, np.ndarray]:
        """The inverse of from_parameters: arrays by path, without the leading "params/"."""
        return {
            path: entry.tensor().detach().cpu().numpy().reshape(entry.shape).copy()
            for path, entry in self.arrays().items()
        }

    def arrays(self) -> Arrays:
        """Every parameter under its path in lorem-jax: layers are numbered per class."""
        numbered: Dict[str, int] = {}
        entries: Arrays = {}
        for name, arrays in self._layers():
            number = numbered.get(name, 0)
            numbered[name] = number + 1
            entries.update(prefixed(f"{name}_{number}", arrays))
        return entries

    def _layers(self) -> List[Tuple[str, Arrays]]:
        layers = self.short_range.layers()
        if self.long_range is not None:
            layers += self.long_range.layers()
        return layers

    def set_offsets(self, offsets: Dict[int, float]) -> None:
        """Set the per-element energies (eV) by atomic number; other elements get zero."""
        table = torch.zeros(N_ELEMENTS, dtype=torch.float64)
        for number, value in offsets.items():
            if not 0 <= int(number) < N_ELEMENTS:
                raise ValueError(f"atomic number {number} must be between 0 and {N_ELEMENTS - 1}")
            table[int(number)] = float(value)
        self.offset_parts.copy_(_split(table))

    @property
    def offsets(self) -> Tensor:
        """Per-element energies, (100,) float64, eV; a copy."""
        return _join(self.offset_parts)


def _split(values: Tensor) -> Tensor:
    """Float64 energies as two rows of int64, which no cast of the module's dtype can round."""
    high = (values * 2.0**20).round()
    low = ((values - high * 2.0**-20) * 2.0**72).round()
    return torch.stack([high, low]).to(torch.int64)


def _join(parts: Tensor) -> Tensor:
    """The inverse of _split."""
    high, low = parts[0].to(torch.float64), parts[1].to(torch.float64)
    return high * 9.5367431640625e-07 + low * 2.117582368135751e-22


def _check_structure(
    numbers: Tensor,
    positions: Tensor,
    cell: Tensor,
    pbc: Tensor,
    pairs: Tensor,
    shifts: Tensor,
    n_owned: int,
    batch: Optional[Tensor],
) -> None:
    check_one_device([positions, numbers, cell, pbc, pairs, shifts])
    n = numbers.shape[0]
    if numbers.dim() != 1 or numbers.dtype != torch.int64:
        raise ValueError(f"numbers must be (n,) int64, got {numbers.shape} {numbers.dtype}")
    if n > 0 and int(numbers.min()) < 0:
        raise ValueError(f"numbers holds {int(numbers.min())}, but must be between 0 and 99")
    if positions.dim() != 2 or positions.shape[0] != n or positions.shape[1] != 3:
        raise ValueError(f"positions must be (n, 3) with n = {n}, got {positions.shape}")
    if positions.dtype != torch.float64 or cell.dtype != torch.float64:
        raise ValueError(
            f"positions and cell must be float64, got {positions.dtype} and {cell.dtype}"
        )
    finite = torch.isfinite(positions).all(1)
    if not bool(finite.all()):
        atom = int(torch.nonzero(~finite)[0])
        raise ValueError(f"positions of atom {atom} are not finite numbers")
    if cell.dim() < 2 or cell.dim() > 3 or cell.shape[-1] != 3 or cell.shape[-2] != 3:
        raise ValueError(f"cell must be (3, 3), or (B, 3, 3) with batch, got {cell.shape}")
    if not bool(torch.isfinite(cell).all()):
        raise ValueError("cell must hold finite numbers")
    if cell.dim() == 3 and cell.shape[0] != 1 and batch is None:
        raise ValueError(f"cell holds {cell.shape[0]} structures, but batch is None")
    if pbc.dtype != torch.bool or pbc.shape != cell.shape[:-1]:
        raise ValueError(f"pbc must be (3,) or (B, 3) bool as cell, got {pbc.shape} {pbc.dtype}")
    if pairs.dim() != 2 or pairs.shape[0] != 2 or pairs.dtype != torch.int64:
        raise ValueError(f"pairs must be (2, P) int64, got {pairs.shape} {pairs.dtype}")
    if shifts.dim() != 2 or shifts.shape[0] != pairs.shape[1] or shifts.shape[1] != 3:
        raise ValueError(f"shifts must be (P, 3), P = {pairs.shape[1]}, got {shifts.shape}")
    if shifts.dtype != torch.int64:
        raise ValueError(f"shifts must be int64, got {shifts.dtype}")
    if n_owned < 0 or n_owned > n:
        raise ValueError(f"n_owned is {n_owned}, but must be between 0 and n = {n}")
    if batch is not None and (batch.shape[0] != n or batch.dtype != torch.int64):
        raise ValueError(f"batch must be (n,) int64, n = {n}, got {batch.shape} {batch.dtype}")
