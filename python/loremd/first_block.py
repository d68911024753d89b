# SPDX-License-Identifier: BSD-3-Clause
"""The first block: the density of the neighbours, its square, and the first scalars.

The radial coefficients depend on the two species only. The density is therefore summed over
neighbours by an op of its own (ops.neighbor_density), which knows the coefficients of every pair of
species, and this block is a network per atom behind it.
"""

from typing import Dict, List, Tuple

import torch
from torch import Tensor, nn

from .blocks import (
    MLP,
    Arrays,
    Dense,
    Entry,
    Kept,
    NormFeatures,
    RadialCoefficients,
    TensorDense,
    Update,
)
from .gradients import ATOMS_AT_ONCE, gradients
from .hyperparameters import N_ELEMENTS


class FirstBlock(nn.Module):
    """From the density to scalars and spherical features."""

    def __init__(self, options: Dict[str, object]):
        super().__init__()
        width, degree = int(options["num_features"]), int(options["max_degree"])
        spherical, embedding = int(options["num_spherical_features"]), int(options["num_species"])
        table = torch.randn(N_ELEMENTS, embedding) / embedding**0.5
        self.embedding = nn.Parameter(table)
        self.radial = RadialCoefficients(2 * embedding, width, int(options["num_radial"]))
        self.node = Dense(embedding, width) if options["initialize_node_features"] else None
        self.edge_scalars = Dense(width, width, bias=False)
        self.update_density = Update(width, width)
        self.edge_spherical = Dense(width, (degree + 1) * spherical, bias=False)
        self.square = TensorDense(degree, degree, spherical, spherical)
        self.norm_features = NormFeatures(degree, float(options["norm_epsilon"]))
        self.update_norms = Update(width, (degree + 1) * spherical)
        self.readout = MLP(width, [width, width, 1])
        self.degrees = degree + 1
        self.atoms_at_once = ATOMS_AT_ONCE

    @torch.jit.export
    def coefficients(self, present: Tensor) -> Tuple[Tensor, Tensor]:
        """Of the radial functions, for every pair of the species present (S,), centre first.

        Returns:
            to_scalars (S, S K, d), from the radial sums of all neighbour species; to_spherical
            (S, S, K, L+1, s), from radial functions to the features of each degree.
        """
        embedding = self.embedding.index_select(0, present)
        n = present.shape[0]
        centre = embedding.unsqueeze(1).expand(n, n, embedding.shape[1])
        pair_features = torch.cat([centre, centre.transpose(0, 1)], 2).flatten(0, 1)
        coefficients = self.radial(pair_features).flatten(0, 1)
        to_scalars = self.edge_scalars(coefficients)
        to_degrees = self.edge_spherical(coefficients)
        n_radial, features = self.radial.n_radial, to_degrees.shape[1] // self.degrees
        return (
            to_scalars.reshape(n, n * n_radial, to_scalars.shape[1]),
            to_degrees.reshape(n, n, n_radial, self.degrees, features),
        )

    def forward(
        self,
        present: Tensor,
        species: Tensor,
        to_scalars: Tensor,
        radial_sums: Tensor,
        density: Tensor,
    ) -> Tuple[Tensor, Tensor]:
        """Return scalars (n, d) and spherical features (n, (L+1)², s).

        Args:
            present: (S,) atomic numbers; species: (n,) index into them.
            to_scalars: of :meth:`coefficients`.
            radial_sums: (n, S, K) and density: (n, (L+1)², s) of ops.neighbor_density.
        """
        t = self.square(density)
        sums = by_species(species, radial_sums.flatten(1), to_scalars)
        x = self.update_density(self._start(present).index_select(0, species), sums)
        return self.update_norms(x, self.norm_features(t)), t

    def _start(self, present: Tensor) -> Tensor:
        """Scalars to start from, one row (d,) for each species present."""
        node = self.node
        embedding = self.embedding.index_select(0, present)
        if node is None:
            return embedding.new_zeros(present.shape[0], self.edge_scalars.weight.shape[1])
        return node(embedding)

    @torch.jit.export
    def energies(self, x: Tensor) -> Tensor:
        """Readout, (n,) float64."""
        return self.readout(x).squeeze(1).to(torch.float64)

    # --- in blocks of atoms ---------------------------------------------------------------------
    #
    # The first update has no layer between the radial sums and its network here: to_hidden is its
    # matrix and the network's first one in a single product, per species of the centre.

    @torch.jit.export
    def to_hidden(self, to_scalars: Tensor) -> Tensor:
        """From the radial sums to the first hidden layer, (S, S K, 2 d); see coefficients."""
        weights, _ = self.update_density.message.matrices()
        return to_scalars @ weights[0]

    @torch.jit.export
    def sweep(
        self,
        present: Tensor,
        species: Tensor,
        to_hidden: Tensor,
        radial_sums: Tensor,
        density: Tensor,
    ) -> Tuple[Tensor, Tensor, List[Kept]]:
        """As :meth:`forward`, without derivatives, and what :meth:`sweep_back` needs."""
        n, start = species.shape[0], self._start(present)
        x = density.new_empty(n, start.shape[1])
        t = torch.empty_like(density)
        kept: List[Kept] = []
        for begin in range(0, n, self.atoms_at_once):
            part = slice(begin, min(begin + self.atoms_at_once, n))
            own_t = self.square(density[part])
            groups, place = by_group(species[part], start.shape[0])
            values: List[Tensor] = []
            for k, rows in enumerate(groups):
                initial = start[k].expand(rows.shape[0], start.shape[1])
                sums = radial_sums[part].flatten(1).index_select(0, rows)
                value, of_density = self.update_density.keep(initial, sums, to_hidden[k])
                values.append(value)
                kept.append(of_density)
            own_x = torch.cat(values).index_select(0, place)
            own_x, of_norms = self.update_norms.keep(own_x, self.norm_features(own_t))
            kept.append(of_norms)
            x[part] = own_x
            t[part] = own_t
        return x, t, kept

    @torch.jit.export
    def sweep_back(
        self,
        present: Tensor,
        species: Tensor,
        to_hidden: Tensor,
        radial_sums: Tensor,
        density: Tensor,
        t: Tensor,
        kept: List[Kept],
        by_x: Tensor,
        by_t: Tensor,
    ) -> Tensor:
        """Gradients of Σ energies + Σ by_x x + Σ by_t t, with t and kept of :meth:`sweep`.

        They take the place of radial_sums and density, which saves their memory. Returns
        the energies (n,) of the readout.
        """
        energies = torch.zeros(species.shape[0], dtype=torch.float64, device=by_x.device)
        start = self._start(present)
        for block, begin in enumerate(range(0, species.shape[0], self.atoms_at_once)):
            part = slice(begin, min(begin + self.atoms_at_once, species.shape[0]))
            groups, place = by_group(species[part], start.shape[0])
            own_kept = kept[block * (len(groups) + 1) : (block + 1) * (len(groups) + 1)]
            sums: List[Tensor] = []
            values: List[Tensor] = []
            for k, rows in enumerate(groups):
                sums.append(radial_sums[part].flatten(1).index_select(0, rows).requires_grad_())
                initial = start[k].expand(rows.shape[0], start.shape[1])
                values.append(
                    self.update_density.again(initial, sums[k], own_kept[k], to_hidden[k])
                )
            x = torch.cat(values).detach().index_select(0, place).requires_grad_()
            own_t = t[part].requires_grad_()
            updated = self.update_norms.again(x, self.norm_features(own_t), own_kept[-1])
            readout = self.energies(updated)
            energies[part] = readout.detach()
            by = gradients([updated, readout], [x, own_t], [by_x[part], torch.ones_like(readout)])
            by_values = [by[0].index_select(0, rows) for rows in groups]
            by_sums = torch.cat(gradients(values, sums, by_values))
            radial_sums[part] = by_sums.index_select(0, place).reshape(radial_sums[part].shape)
            density[part] = self.square.gradient(density[part], by_t[part] + by[1])
        return energies

    def layers(self) -> List[Tuple[str, Arrays]]:
        """Class names of lorem-jax and arrays, in the order of construction there."""
        shape = tuple(self.embedding.shape)
        table = {"ChemicalEmbedding_0/Embed_0/embedding": Entry(self.embedding, shape)}
        node = [] if self.node is None else [("Dense", self.node.arrays())]
        return [
            ("Initial", table),
            ("RadialCoefficients", self.radial.arrays()),
            *node,
            ("Dense", self.edge_scalars.arrays()),
            ("Update", self.update_density.arrays()),
            ("Dense", self.edge_spherical.arrays()),
            ("TensorDense", self.square.arrays()),
            ("Update", self.update_norms.arrays()),
            ("MLP", self.readout.arrays()),
        ]


def by_group(species: Tensor, n_species: int) -> Tuple[List[Tensor], Tensor]:
    """The atoms (n,) of each species, and the place of every atom in their concatenation."""
    order = torch.argsort(species, stable=True)
    counts: List[int] = torch.bincount(species, minlength=n_species).tolist()
    return list(torch.split(order, counts)), torch.argsort(order)


def by_species(species: Tensor, values: Tensor, matrices: Tensor) -> Tensor:
    """Rows times the matrix of their species: (n, in), (S, in, out) -> (n, out)."""
    if species.shape[0] == 0:
        return values.new_zeros(0, matrices.shape[2])
    if matrices.shape[0] == 1:
        return values @ matrices[0]
    groups, place = by_group(species, matrices.shape[0])
    products: List[Tensor] = []
    for rows, matrix in zip(groups, torch.unbind(matrices)):
        products.append(values.index_select(0, rows) @ matrix)
    return torch.cat(products).index_select(0, place)
