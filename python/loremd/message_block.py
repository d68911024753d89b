# SPDX-License-Identifier: BSD-3-Clause
"""Short-range message passing: features of the neighbours, through networks of every pair.

Pairs come in dense slots (slots.py). The features of the centres and of the atoms that send to them
are two arrays, so that a block can be evaluated for some centres at a time.
"""

from typing import Dict, List, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .blocks import (
    MLP,
    Arrays,
    Dense,
    EqDense,
    NormFeatures,
    RadialCoefficients,
    TensorProduct,
    Update,
    prefixed,
)
from .environment import Environment, Pairs, Surroundings, pairs_of, vectors_of
from .gradients import gradients
from .slots import Slots


class EquivariantMessages(nn.Module):
    """The part of a message-passing block that updates the spherical features."""

    def __init__(self, options: Dict[str, object]):
        super().__init__()
        width, degree = int(options["num_features"]), int(options["max_degree"])
        features = int(options["num_spherical_features"])
        self.edge_spherical = Dense(width, (degree + 1) * features, bias=False)
        self.filter = EqDense(degree, features, features)
        self.message = TensorProduct(degree, degree, degree, features)
        self.dense_own = EqDense(degree, features, features)
        self.dense_message = EqDense(degree, features, features)
        self.product = TensorProduct(degree, degree, degree, features)
        self.norm_features = NormFeatures(degree, float(options["norm_epsilon"]))
        self.update_norms = Update(width, (degree + 1) * features)
        self.degrees = degree + 1

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        senders: Tensor,
        hidden: Tensor,
        coefficients: Tensor,
        environment: Environment,
    ) -> Tuple[Tensor, Tensor]:
        """Features of the centres, before and after.

        Args:
            senders: (m, (L+1)², s) spherical features of the atoms that the slots name.
            hidden: (Q, d+1) of the pair network; coefficients: (d+1, K, d), its last layer.
        """
        pair_filter = self._filter(hidden, coefficients, environment)
        rows, width = x.shape[0], environment.slots.width
        products = torch.bmm(
            _by_feature(pair_filter, rows, width).transpose(1, 2),
            _by_feature(senders.index_select(0, environment.slots.neighbors), rows, width),
        )
        products = products.reshape(rows, t.shape[2], t.shape[1] * t.shape[1]).transpose(0, 1)
        messages = self.message.contract(products)
        t = self.product(self.dense_own(t), self.dense_message(messages))
        return self.update_norms(x, self.norm_features(t)), t

    def _filter(self, hidden: Tensor, coefficients: Tensor, environment: Environment) -> Tensor:
        """The filter of every pair, after its own linear layer, (Q, (L+1)², s)."""
        n_slots, n_radial = environment.radial.shape[0], environment.radial.shape[1]
        features = self.filter.weight.shape[1]
        to_degrees = self.edge_spherical.weight.reshape(-1, self.degrees, features)
        to_degrees = torch.bmm(to_degrees.transpose(0, 1), self.filter.weight)
        last = (coefficients @ to_degrees.transpose(0, 1).flatten(1)).flatten(1)
        by_radial = (hidden @ last).reshape(n_slots, n_radial, self.degrees * features)
        by_degree = (by_radial * environment.radial.unsqueeze(2)).sum(1)
        by_degree = by_degree.reshape(n_slots, self.degrees, features)
        angular = environment.harmonics.t().unsqueeze(2)
        return by_degree.index_select(1, self.filter.degrees) * angular


def _message_layers(module: EquivariantMessages) -> List[Tuple[str, Arrays]]:
    passing = {
        **prefixed("filter", module.filter.arrays()),
        **prefixed("tensor", module.message.arrays()),
    }
    return [
        ("Dense", module.edge_spherical.arrays()),
        ("MessagePass", passing),
        ("Dense", module.dense_own.arrays()),
        ("Dense", module.dense_message.arrays()),
        ("Tensor", module.product.arrays()),
        ("Update", module.update_norms.arrays()),
    ]


def _by_feature(values: Tensor, rows: int, width: int) -> Tensor:
    """(rows width, M, s) -> (rows s, width, M)."""
    shaped = values.reshape(rows, width, values.shape[1], values.shape[2]).permute(0, 3, 1, 2)
    return shaped.flatten(0, 1)


class MessageBlock(nn.Module):
    """One layer of short-range message passing.

    The pair network's last layer is linear and its output is summed with the radial basis, so the
    sum over neighbours comes first: B[i, k, c] = Σ_j ρ_k(r_ij) h_c(i, j), then the layer.
    """

    def __init__(self, options: Dict[str, object], surroundings: Surroundings):
        super().__init__()
        width = int(options["num_features"])
        self.radial = RadialCoefficients(2 * width, width, int(options["num_radial"]))
        self.edge_scalars = Dense(width, width, bias=False)
        self.update = Update(width, width)
        equivariant = bool(options["equivariant_message_passing"])
        self.equivariant = EquivariantMessages(options) if equivariant else None
        self.readout = MLP(width, [width, width, 1])
        self.surroundings = surroundings
        self.atoms_at_once = 64  # there are tensors with a row per pair

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        senders_x: Tensor,
        senders_t: Tensor,
        environment: Environment,
    ) -> Tuple[Tensor, Tensor]:
        """Features of the centres (n, d), (n, (L+1)², s), before and after.

        The slots of the environment name rows of the senders (m, d), (m, (L+1)², s).
        """
        hidden = self._hidden(x, senders_x, environment.slots)
        coefficients = self._last_layer(x.shape[1])
        rows, width = x.shape[0], environment.slots.width
        rho = environment.radial.reshape(rows, width, environment.radial.shape[1])
        sums = torch.bmm(rho.transpose(1, 2), hidden.reshape(rows, width, hidden.shape[1]))
        edges = sums.flatten(1) @ coefficients.transpose(0, 1).flatten(0, 1)
        x = self.update(x, self.edge_scalars(edges))
        equivariant = self.equivariant
        if equivariant is not None:
            x, t = equivariant(x, t, senders_t, hidden, coefficients, environment)
        return x, t

    @torch.jit.export
    def energies(self, x: Tensor) -> Tensor:
        """Readout, (n,) float64."""
        return self.readout(x).squeeze(1).to(torch.float64)

    # --- in blocks of atoms ---------------------------------------------------------------------

    @torch.jit.export
    def sweep(
        self,
        x: Tensor,
        t: Tensor,
        senders_x: Tensor,
        senders_t: Tensor,
        positions: Tensor,
        cell: Tensor,
        pairs: Pairs,
    ) -> Tuple[Tensor, Tensor]:
        """As :meth:`forward`, without derivatives; pairs name rows of positions and senders."""
        after_x, after_t = torch.empty_like(x), torch.empty_like(t)
        for begin in range(0, x.shape[0], self.atoms_at_once):
            end = min(begin + self.atoms_at_once, x.shape[0])
            centres, neighbors, images = pairs_of(pairs, begin, end)
            who, local = _numbered(neighbors)  # the pair network starts with a layer per sender
            vectors = vectors_of(positions, cell, centres, neighbors, images)
            environment = self.surroundings(vectors, centres - begin, local, end - begin, x.dtype)
            own_x, own_t = self(
                x[begin:end], t[begin:end], senders_x[who], senders_t[who], environment
            )
            after_x[begin:end] = own_x
            after_t[begin:end] = own_t
        return after_x, after_t

    @torch.jit.export
    def sweep_back(
        self,
        x: Tensor,
        t: Tensor,
        senders_x: Tensor,
        senders_t: Tensor,
        positions: Tensor,
        cell: Tensor,
        pairs: Pairs,
        by_x: Tensor,
        by_t: Tensor,
    ) -> Tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Gradients of Σ energies + Σ by_x x + Σ by_t t, with the features of afterwards.

        Returns the energies (n,) of the readout, and the gradients by the scalars and spherical
        features of the senders, whose first rows are the centres, by positions, and by strain.
        """
        energies = torch.zeros(x.shape[0], dtype=torch.float64, device=x.device)
        by_senders_x, by_senders_t = torch.zeros_like(senders_x), torch.zeros_like(senders_t)
        by_positions, by_strain = torch.zeros_like(positions), torch.zeros_like(cell)
        for begin in range(0, x.shape[0], self.atoms_at_once):
            end = min(begin + self.atoms_at_once, x.shape[0])
            centres, neighbors, images = pairs_of(pairs, begin, end)
            who, local = _numbered(neighbors)
            vectors = vectors_of(positions, cell, centres, neighbors, images)
            leaves = [x[begin:end], t[begin:end], senders_x[who], senders_t[who], vectors]
            for leaf in leaves:
                leaf.requires_grad_()
            environment = self.surroundings(leaves[4], centres - begin, local, end - begin, x.dtype)
            own_x, own_t = self(leaves[0], leaves[1], leaves[2], leaves[3], environment)
            readout = self.energies(own_x)
            energies[begin:end] = readout.detach()
            weights = [by_x[begin:end], by_t[begin:end], torch.ones_like(readout)]
            by = gradients([own_x, own_t, readout], leaves, weights)
            by_senders_x[begin:end] += by[0]
            by_senders_t[begin:end] += by[1]
            by_senders_x.index_add_(0, who, by[2])
            by_senders_t.index_add_(0, who, by[3])
            by_positions.index_add_(0, neighbors, by[4])
            by_positions.index_add_(0, centres, -by[4])
            by_strain += vectors.detach().t() @ by[4]
        return energies, by_senders_x, by_senders_t, by_positions, by_strain

    def layers(self) -> List[Tuple[str, Arrays]]:
        """As in FirstBlock."""
        return [
            ("RadialCoefficients", self.radial.arrays()),
            ("Dense", self.edge_scalars.arrays()),
            ("Update", self.update.arrays()),
            *([] if self.equivariant is None else _message_layers(self.equivariant)),
            ("MLP", self.readout.arrays()),
        ]

    def _hidden(self, x: Tensor, senders: Tensor, slots: Slots) -> Tensor:
        """Hidden layer of the pair network, and ones for the bias of the last layer; (Q, d+1)."""
        layer = self.radial.network.layers[0]
        centre, neighbor = x @ layer.weight[: x.shape[1]], senders @ layer.weight[x.shape[1] :]
        if layer.bias is not None:
            centre = centre + layer.bias
        sums = centre.index_select(0, slots.centres) + neighbor.index_select(0, slots.neighbors)
        return functional.pad(functional.silu(sums), [0, 1], value=1.0)

    def _last_layer(self, width: int) -> Tensor:
        """Weights and bias of the pair network's last layer, (d+1, K, d)."""
        layer = self.radial.network.layers[1]
        bias = layer.bias
        assert bias is not None
        stacked = torch.cat([layer.weight, bias.unsqueeze(0)], 0)
        return stacked.reshape(width + 1, self.radial.n_radial, width)


def _numbered(atoms: Tensor) -> Tuple[Tensor, Tensor]:
    """The atoms that occur, each once, and the index of every entry among them."""
    found, index, _ = torch._unique2(atoms, sorted=True, return_inverse=True)
    return found, index
