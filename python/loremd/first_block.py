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
        x, sums = self._messages(present, species, to_scalars, radial_sums)
        x = self.update_density(x, sums)
        return self.update_norms(x, self.norm_features(t)), t

    def _messages(
        self, present: Tensor, species: Tensor, to_scalars: Tensor, radial_sums: Tensor
    ) -> Tuple[Tensor, Tensor]:
        """Scalars to start from, (n, d), and what the first update reads, the same shape."""
        sums = by_species(species, radial_sums.flatten(1), to_scalars)
        node = self.node
        if node is None:
            return torch.zeros_like(sums), sums
        x = node(self.embedding.index_select(0, present)).index_select(0, species)
        return x, sums

    @torch.jit.export
    def energies(self, x: Tensor) -> Tensor:
        """Readout, (n,) float64."""
        return self.readout(x).squeeze(1).to(torch.float64)

    # --- in blocks of atoms ---------------------------------------------------------------------

    @torch.jit.export
    def sweep(
        self,
        present: Tensor,
        species: Tensor,
        to_scalars: Tensor,
        radial_sums: Tensor,
        density: Tensor,
    ) -> Tuple[Tensor, Tensor, List[Kept]]:
        """As :meth:`forward`, without derivatives, and what :meth:`sweep_back` needs."""
        n = species.shape[0]
        x = density.new_empty(n, to_scalars.shape[2])
        t = torch.empty_like(density)
        kept: List[Kept] = []
        for begin in range(0, n, self.atoms_at_once):
            part = slice(begin, min(begin + self.atoms_at_once, n))
            own_t = self.square(density[part])
            own_x, sums = self._messages(present, species[part], to_scalars, radial_sums[part])
            own_x, of_density = self.update_density.keep(own_x, sums)
            own_x, of_norms = self.update_norms.keep(own_x, self.norm_features(own_t))
            kept.append(of_density)
            kept.append(of_norms)
            x[part] = own_x
            t[part] = own_t
        return x, t, kept

    @torch.jit.export
    def sweep_back(
        self,
        present: Tensor,
        species: Tensor,
        to_scalars: Tensor,
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
        for block, begin in enumerate(range(0, species.shape[0], self.atoms_at_once)):
            part = slice(begin, min(begin + self.atoms_at_once, species.shape[0]))
            leaves = [radial_sums[part].requires_grad_(), t[part].requires_grad_()]
            x, sums = self._messages(present, species[part], to_scalars, leaves[0])
            x = self.update_density.again(x, sums, kept[2 * block])
            norms = self.norm_features(leaves[1])
            x = self.update_norms.again(x, norms, kept[2 * block + 1])
            readout = self.energies(x)
            energies[part] = readout.detach()
            by = gradients([x, readout], leaves, [by_x[part], torch.ones_like(readout)])
            radial_sums[part] = by[0]
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


def by_species(species: Tensor, values: Tensor, matrices: Tensor) -> Tensor:
    """Rows times the matrix of their species: (n, in), (S, in, out) -> (n, out)."""
    if species.shape[0] == 0:
        return values.new_zeros(0, matrices.shape[2])
    if matrices.shape[0] == 1:
        return values @ matrices[0]
    order = torch.argsort(species, stable=True)
    counts: List[int] = torch.bincount(species, minlength=matrices.shape[0]).tolist()
    products: List[Tensor] = []
    for rows, matrix in zip(
        torch.split(values.index_select(0, order), counts), torch.unbind(matrices)
    ):
        products.append(rows @ matrix)
    return torch.cat(products).index_select(0, torch.argsort(order))
