# SPDX-License-Identifier: BSD-3-Clause
"""The short-range part: from the neighbours of every atom to its features, two ways.

``forward`` evaluates all atoms at once and keeps what any number of derivatives need: for training.
``sweep`` and ``sweep_back`` go through the atoms in blocks, forward and back. Between the two an
atom keeps its density and its features after every stage; the networks are evaluated again on the
way back, where each block of atoms differentiates its own: for dynamics.

    density -> first block -> messages 1 -> ... -> messages T        (stages 0 .. T)
"""

from typing import Dict, List, NamedTuple, Tuple

import torch
from torch import Tensor, nn

from . import ops
from .blocks import Arrays, Kept
from .environment import Pairs, Surroundings, near_pairs, vectors_of
from .first_block import FirstBlock
from .gradients import gradients
from .message_block import MessageBlock
from .radial import radial_table


class Species(NamedTuple):
    """Which elements, and where."""

    present: Tensor  # (S,) int64, atomic numbers
    index: Tensor  # (n,) int64, index into them


class Coefficients(NamedTuple):
    """Of the radial functions, for every pair of the species present, in sweeps; see FirstBlock."""

    present: Tensor  # (S,) int64
    to_hidden: Tensor
    to_spherical: Tensor
    table: Tensor  # of ops.neighbor_density_tabulated; empty: the functions themselves


class Sweep(NamedTuple):
    """What a sweep leaves for one way back; it starts from leaves of an autograd graph."""

    positions: Tensor  # (n, 3) float64, a leaf
    strain: Tensor  # (3, 3) float64, a leaf, zero
    cell: Tensor
    species: Species
    coefficients: Coefficients
    radial_sums: Tensor  # (rows, S, K), a function of the leaves
    density: Tensor  # (rows, (L+1)², s), the same
    kept: List[Kept]  # of the networks of the first block
    pairs: Pairs  # for messages
    scalars: List[Tensor]  # (rows, d) after every stage
    spherical: List[Tensor]  # (rows, (L+1)², s)


class ShortRange(nn.Module):
    """Density, first block and messages; see the module."""

    known: Coefficients  # of the last sweep, if the parameters are frozen

    def __init__(self, options: Dict[str, object]):
        super().__init__()
        self.cutoff = float(options["cutoff"])
        self.num_message_passing = int(options["num_message_passing"])
        self.smooth = str(options["cutoff_fn"]) == "smooth_cutoff"
        self.first = FirstBlock(options)
        self.surroundings = Surroundings(options)
        self.blocks = nn.ModuleList(
            [MessageBlock(options, self.surroundings) for _ in range(self.num_message_passing)]
        )
        self.frozen = False
        self.known = _nothing()

    @torch.jit.export
    def freeze(self) -> None:
        """To be called when the parameters do not change any more (and again if they did).

        From now on sweeps keep what depends on the parameters and the species only, and in float32
        take the radial functions from a table, see loremd.radial.radial_table.
        """
        self.frozen = True
        self.known = _nothing()

    def forward(
        self,
        species: Species,
        positions: Tensor,
        cell: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        n_owned: int,
        comm: int,
    ) -> Tuple[Tensor, Tensor, Tensor]:
        """Return scalars (n_owned, d), spherical features and energies (n_owned,) float64.

        Arguments as in Lorem.forward; shifts int64 or float64. Without a communicator the messages
        of ghosts are computed here, from the ghosts further out.
        """
        rows = n_owned
        if self.num_message_passing > 0 and comm == 0:
            rows = positions.shape[0]
        to_scalars, to_spherical = self.first.coefficients(species.present)
        none = to_spherical.new_empty(0)
        radial_sums, density = self._density(
            species, positions, cell, pairs, shifts, to_spherical, none, rows
        )
        own = Species(species.present, species.index[:rows])
        x, t = self.first(own.present, own.index, to_scalars, radial_sums, density)
        energies = self.first.energies(x[:n_owned])
        if self.num_message_passing > 0:
            near = self._near(positions, cell, pairs, shifts, rows)
            vectors = vectors_of(positions, cell, near.centres, near.neighbors, near.images)
            environment = self.surroundings(vectors, near.centres, near.neighbors, rows, x.dtype)
            for block in self.blocks:
                senders_x, senders_t = _everywhere(x, t, positions.shape[0], comm)
                x, t = block(x, t, senders_x, senders_t, environment)
                energies = energies + block.energies(x[:n_owned])
        return x[:n_owned], t[:n_owned], energies

    @torch.jit.export
    def sweep(
        self,
        species: Species,
        positions: Tensor,
        cell: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        n_owned: int,
        comm: int,
    ) -> Sweep:
        """Features of every stage in blocks of atoms; arguments as in :meth:`forward`."""
        leaf = positions.detach().requires_grad_()
        strain = torch.zeros_like(cell).requires_grad_()
        deformation = torch.eye(3, dtype=cell.dtype, device=cell.device) + strain
        with torch.no_grad():
            coefficients = self._sweep_coefficients(species.present)
        radial_sums, density = self._density(
            species,
            leaf @ deformation,
            cell @ deformation,
            pairs,
            shifts,
            coefficients.to_spherical,
            coefficients.table,
            n_owned,
        )
        near = self._near(positions, cell, pairs, shifts, n_owned)
        scalars: List[Tensor] = []
        spherical: List[Tensor] = []
        with torch.no_grad():
            x, t, kept = self.first.sweep(
                species.present,
                species.index[:n_owned],
                coefficients.to_hidden,
                radial_sums,
                density,
            )
            scalars.append(x)
            spherical.append(t)
            for block in self.blocks:
                senders_x, senders_t = _everywhere(x, t, positions.shape[0], comm)
                x, t = block.sweep(x, t, senders_x, senders_t, positions, cell, near)
                scalars.append(x)
                spherical.append(t)
        return Sweep(
            leaf,
            strain,
            cell,
            species,
            coefficients,
            radial_sums,
            density,
            kept,
            near,
            scalars,
            spherical,
        )

    @torch.jit.export
    def sweep_back(
        self, sweep: Sweep, by_x: Tensor, by_t: Tensor, comm: int
    ) -> Tuple[Tensor, Tensor, Tensor]:
        """Gradients of Σ energies + Σ by_x x + Σ by_t t, with x, t of the last stage.

        Returns the energies (rows,) float64, and the gradients by positions (n, 3) and strain.
        """
        positions, rows = sweep.positions.detach(), by_x.shape[0]
        energies = torch.zeros(rows, dtype=torch.float64, device=by_x.device)
        by_positions, by_strain = torch.zeros_like(positions), torch.zeros_like(sweep.cell)
        for stage in range(self.num_message_passing - 1, -1, -1):
            x, t = sweep.scalars[stage], sweep.spherical[stage]
            senders_x, senders_t = _everywhere(x, t, positions.shape[0], comm)
            for k, block in enumerate(self.blocks):  # TorchScript cannot pick one by a number
                if k == stage:
                    readout, by_senders_x, by_senders_t, by_points, by_deformation = (
                        block.sweep_back(
                            x,
                            t,
                            senders_x,
                            senders_t,
                            positions,
                            sweep.cell,
                            sweep.pairs,
                            by_x,
                            by_t,
                        )
                    )
                    energies += readout
                    by_positions += by_points
                    by_strain += by_deformation
                    by_x, by_t = _gathered(by_senders_x, by_senders_t, rows, comm)
        radial_sums, density = sweep.radial_sums.detach(), sweep.density.detach()
        readout = self.first.sweep_back(
            sweep.species.present,
            sweep.species.index[:rows],
            sweep.coefficients.to_hidden,
            radial_sums,
            density,
            sweep.spherical[0],
            sweep.kept,
            by_x,
            by_t,
        )
        by = gradients(
            [sweep.radial_sums, sweep.density],
            [sweep.positions, sweep.strain],
            [radial_sums, density],  # now the gradients by them
        )
        return energies + readout, by_positions + by[0], by_strain + by[1]

    @torch.jit.export
    def sizes(self, n_species: int) -> Tuple[int, int, int]:
        """Numbers per atom: features after a stage, density, and what its networks keep."""
        width, n_radial = self.first.edge_scalars.weight.shape[0], self.first.radial.n_radial
        # (L+1)^2 components of s features each, from the (L+1) s columns of the weights
        spherical = self.first.degrees * self.first.edge_spherical.weight.shape[1]
        normalised, slopes = 4 * (width + 1), 2 * (2 * width)
        return width + spherical, n_species * n_radial + spherical, normalised + slopes

    @torch.jit.export
    def working_memory(self) -> float:
        """Bytes of a block of atoms on its way through the networks and back, an estimate."""
        word, width = self.first.embedding.element_size(), self.first.edge_scalars.weight.shape[0]
        features, _, _ = self.sizes(1)
        per_atom = 40 * width + 12 * features
        total = float(word * per_atom) * self.first.atoms_at_once
        for block in self.blocks:
            per_pair = self.first.radial.n_radial * self.first.edge_spherical.weight.shape[1]
            total = max(total, 5.0 * word * per_pair * 100 * block.atoms_at_once)
        return total

    def layers(self) -> List[Tuple[str, Arrays]]:
        """As in FirstBlock."""
        layers = self.first.layers()
        for block in self.blocks:
            layers += block.layers()
        return layers

    def _sweep_coefficients(self, present: Tensor) -> Coefficients:
        """Those of the last sweep, if they are still the same."""
        frozen = self.frozen and present.shape[0] > 0
        if frozen and torch.equal(self.known.present, present):
            return self.known
        to_scalars, to_spherical = self.first.coefficients(present)
        table = to_spherical.new_empty(0)
        if frozen and to_spherical.dtype == torch.float32:
            table = radial_table(to_spherical, self.cutoff, self.smooth)
        to_hidden = self.first.to_hidden(to_scalars)
        found = Coefficients(present, to_hidden, to_spherical, table)
        if frozen:
            self.known = found
        return found

    def _density(
        self,
        species: Species,
        positions: Tensor,
        cell: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        coefficients: Tensor,
        table: Tensor,
        rows: int,
    ) -> Tuple[Tensor, Tensor]:
        shape = coefficients.shape  # (S, S, K, L+1, s)
        if table.numel() > 0:
            return ops.neighbor_density_tabulated(
                positions,
                cell,
                pairs,
                shifts,
                species.index,
                table,
                rows,
                self.cutoff,
                shape[2],
                shape[3],
                shape[4],
            )
        return ops.neighbor_density(
            positions,
            cell,
            pairs,
            shifts,
            species.index,
            coefficients,
            rows,
            self.cutoff,
            self.smooth,
        )

    def _near(
        self, positions: Tensor, cell: Tensor, pairs: Tensor, shifts: Tensor, rows: int
    ) -> Pairs:
        """The pairs that messages go along; none without messages."""
        if self.num_message_passing == 0:
            none = shifts[:0].to(torch.float64)
            return Pairs(pairs[0, :0], pairs[1, :0], none, [0])
        return near_pairs(positions, cell, pairs, shifts, self.cutoff, rows)


def _nothing() -> Coefficients:
    none = torch.empty(0)
    return Coefficients(torch.empty(0, dtype=torch.int64), none, none, none)


def _everywhere(x: Tensor, t: Tensor, n: int, comm: int) -> Tuple[Tensor, Tensor]:
    """Features of the ghosts, too."""
    if x.shape[0] == n and comm == 0:
        return x, t
    rows = ops.halo_exchange(torch.cat([x, t.flatten(1)], 1), n, comm)
    return rows[:, : x.shape[1]], rows[:, x.shape[1] :].reshape(n, t.shape[1], t.shape[2])


def _gathered(x: Tensor, t: Tensor, rows: int, comm: int) -> Tuple[Tensor, Tensor]:
    """The transpose of _everywhere: what ghosts have is added to their owners."""
    if x.shape[0] == rows and comm == 0:
        return x, t
    owned = ops.halo_reduce(torch.cat([x, t.flatten(1)], 1), rows, comm)
    return owned[:, : x.shape[1]], owned[:, x.shape[1] :].reshape(rows, t.shape[1], t.shape[2])
