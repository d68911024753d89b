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
from torch.nn import functional

from .blocks import (
    MLP,
    Arrays,
    Dense,
    Entry,
    EqDense,
    NormFeatures,
    RadialBasis,
    RadialCoefficients,
    SphericalHarmonics,
    TensorDense,
    TensorProduct,
    Update,
    prefixed,
)
from .ewald import EwaldPotential
from .geometry import check_one_device, pair_vectors
from .mesh import MeshPotential
from .slots import Slots, arrange

DEFAULTS = {
    "cutoff": 5.0,
    "max_degree": 6,
    "max_degree_lr": 2,
    "num_features": 128,
    "num_radial": 32,
    "num_species": 8,
    "num_spherical_features": 8,
    "cutoff_fn": "cosine_cutoff",
    "radial_basis": "basic_bernstein",
    "lr": True,
    "num_message_passing": 0,
    "equivariant_message_passing": True,
    "initialize_node_features": True,
    "inputs": (),
    "norm_epsilon": 0.0,
}
CUTOFF_FUNCTIONS = ("cosine_cutoff", "smooth_cutoff")
RADIAL_BASES = ("basic_bernstein",)
LOWEST = {
    "max_degree": 0,
    "max_degree_lr": 0,
    "num_features": 1,
    "num_radial": 1,
    "num_species": 1,
    "num_spherical_features": 1,
    "num_message_passing": 0,
    "norm_epsilon": 0.0,
}
N_ELEMENTS = 100  # rows of the tables indexed by the atomic number


class FirstBlock(nn.Module):
    """Density of the neighbours, its square, and the first scalars.

    Radial coefficients depend on the two species only, so the density is summed over neighbours
    first, A[i, b, k, lm] = Σ_{j of species b} ρ_k(r_ij) Y_lm(u_ij), and contracted with the
    coefficients afterwards: per atom, not per pair.
    """

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

    def forward(
        self, present: Tensor, species: Tensor, slots: Slots, radial: Tensor, harmonics: Tensor
    ) -> Tuple[Tensor, Tensor]:
        """Return scalars (rows, d) and spherical features (rows, (L+1)², s).

        Args:
            present: (S,) atomic numbers; species: (n,) index into them.
            radial: (Q, K) and harmonics: ((L+1)², Q) of the slots.
        """
        embedding = self.embedding.index_select(0, present)
        to_scalars, to_spherical = self._coefficients(embedding)
        rows = slots.row_of_atom.shape[0]
        density = _density(slots, radial, harmonics, present.shape[0])
        scalars: List[Tensor] = []
        spherical: List[Tensor] = []
        start = 0
        for a, count in enumerate(slots.centre_counts):
            own = density[start : start + count]
            scalars.append(own[:, 0] @ to_scalars[a])
            spherical.append(torch.bmm(own.transpose(0, 1), to_spherical[a]))
            start += count
        sums = torch.cat(scalars, 0) if rows > 0 else to_scalars.new_zeros(0, to_scalars.shape[2])
        t = self._empty(to_spherical) if rows == 0 else torch.cat(spherical, 1).transpose(0, 1)
        sums = sums.index_select(0, slots.row_of_atom)
        t = self.square(t.index_select(0, slots.row_of_atom))
        node = self.node
        if node is None:
            x = torch.zeros_like(sums)
        else:
            x = node(embedding).index_select(0, species[:rows])
        x = self.update_density(x, sums)
        return self.update_norms(x, self.norm_features(t)), t

    def _empty(self, to_spherical: Tensor) -> Tensor:
        return to_spherical.new_zeros(0, to_spherical.shape[1], to_spherical.shape[3])

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

    def _coefficients(self, embedding: Tensor) -> Tuple[Tensor, Tensor]:
        """Maps from the density to scalars (S, S K, d) and to components (S, (L+1)², S K, s)."""
        n = embedding.shape[0]
        centre = embedding.unsqueeze(1).expand(n, n, embedding.shape[1])
        pair_features = torch.cat([centre, centre.transpose(0, 1)], 2).flatten(0, 1)
        coefficients = self.radial(pair_features).flatten(0, 1)
        to_scalars = self.edge_scalars(coefficients)
        to_degrees = self.edge_spherical(coefficients)
        length = n * self.radial.n_radial
        features = to_degrees.shape[1] // self.degrees
        to_degrees = to_degrees.reshape(n, length, self.degrees, features).transpose(1, 2)
        to_components = to_degrees.index_select(1, self.square.dense.degrees)
        return to_scalars.reshape(n, length, to_scalars.shape[1]), to_components


def _density(slots: Slots, radial: Tensor, harmonics: Tensor, n_species: int) -> Tensor:
    """A[row, lm, (species, k)], (rows, (L+1)², S K)."""
    rows = slots.row_of_atom.shape[0]
    sums: List[Tensor] = []
    start = 0
    for width in slots.widths:
        y = harmonics[:, start : start + rows * width].reshape(harmonics.shape[0], rows, width)
        rho = radial[start : start + rows * width].reshape(rows, width, radial.shape[1])
        sums.append(torch.bmm(y.transpose(0, 1), rho))
        start += rows * width
    if len(sums) == 0:
        return radial.new_zeros(0, harmonics.shape[0], n_species * radial.shape[1])
    return torch.cat(sums, 2)


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
        hidden: Tensor,
        coefficients: Tensor,
        slots: Slots,
        radial: Tensor,
        harmonics: Tensor,
    ) -> Tuple[Tensor, Tensor]:
        """hidden: (Q, d+1) of the pair network, coefficients: (d+1, K, d) its last layer."""
        degree_filter = self.filter.weight
        to_degrees = self.edge_spherical.weight.reshape(x.shape[1], self.degrees, t.shape[2])
        to_degrees = torch.bmm(to_degrees.transpose(0, 1), degree_filter).transpose(0, 1).flatten(1)
        last = (coefficients @ to_degrees).flatten(1)
        rows = slots.row_of_atom.shape[0]
        components = self.filter.degrees
        total = x.new_zeros(rows * t.shape[2], t.shape[1], t.shape[1])
        start = 0
        for width in slots.widths:
            part = slice(start, start + rows * width)
            columns = self.degrees * t.shape[2]
            pair_filter = (hidden[part] @ last).reshape(rows * width, radial.shape[1], columns)
            pair_filter = (pair_filter * radial[part].unsqueeze(2)).sum(1)
            pair_filter = pair_filter.reshape(rows * width, self.degrees, t.shape[2])
            angular = harmonics[:, part].t().unsqueeze(2)
            pair_filter = pair_filter.index_select(1, components) * angular
            senders = t.index_select(0, slots.neighbors[part])
            total = total + torch.bmm(
                _by_feature(pair_filter, rows, width).transpose(1, 2),
                _by_feature(senders, rows, width),
            )
            start += rows * width
        products = total.reshape(rows, t.shape[2], t.shape[1] * t.shape[1]).transpose(0, 1)
        messages = self.message.contract(products).index_select(0, slots.row_of_atom)
        t = self.product(self.dense_own(t), self.dense_message(messages))
        return self.update_norms(x, self.norm_features(t)), t


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

    def __init__(self, options: Dict[str, object]):
        super().__init__()
        width = int(options["num_features"])
        self.radial = RadialCoefficients(2 * width, width, int(options["num_radial"]))
        self.edge_scalars = Dense(width, width, bias=False)
        self.update = Update(width, width)
        equivariant = bool(options["equivariant_message_passing"])
        self.equivariant = EquivariantMessages(options) if equivariant else None
        self.readout = MLP(width, [width, width, 1])

    def forward(
        self, x: Tensor, t: Tensor, slots: Slots, radial: Tensor, harmonics: Tensor
    ) -> Tuple[Tensor, Tensor]:
        """Scalars and spherical features of all atoms, before and after."""
        hidden = self._hidden(x, slots)
        coefficients = self._last_layer(x.shape[1])
        rows = slots.row_of_atom.shape[0]
        sums = x.new_zeros(rows, radial.shape[1], hidden.shape[1])
        start = 0
        for width in slots.widths:
            part = slice(start, start + rows * width)
            rho = radial[part].reshape(rows, width, radial.shape[1])
            h = hidden[part].reshape(rows, width, hidden.shape[1])
            sums = sums + torch.bmm(rho.transpose(1, 2), h)
            start += rows * width
        edges = sums.flatten(1) @ coefficients.transpose(0, 1).flatten(0, 1)
        edges = self.edge_scalars(edges).index_select(0, slots.row_of_atom)
        x = self.update(x, edges)
        equivariant = self.equivariant
        if equivariant is not None:
            x, t = equivariant(x, t, hidden, coefficients, slots, radial, harmonics)
        return x, t

    def layers(self) -> List[Tuple[str, Arrays]]:
        """As in FirstBlock."""
        return [
            ("RadialCoefficients", self.radial.arrays()),
            ("Dense", self.edge_scalars.arrays()),
            ("Update", self.update.arrays()),
            *([] if self.equivariant is None else _message_layers(self.equivariant)),
            ("MLP", self.readout.arrays()),
        ]

    def _hidden(self, x: Tensor, slots: Slots) -> Tensor:
        """Hidden layer of the pair network, and ones for the bias of the last layer; (Q, d+1)."""
        layer = self.radial.network.layers[0]
        centre, neighbor = x @ layer.weight[: x.shape[1]], x @ layer.weight[x.shape[1] :]
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


class LongRangeBlock(nn.Module):
    """Charges from the features, and features from the potentials of these charges."""

    def __init__(self, options: Dict[str, object]):
        super().__init__()
        width, degree = int(options["num_features"]), int(options["max_degree"])
        features, degree_lr = int(options["num_spherical_features"]), int(options["max_degree_lr"])
        self.scalar_charge = MLP(width, [2 * width, 1])
        self.spherical_charges = TensorDense(degree, degree_lr, features, 1)
        self.dense_potential = EqDense(degree_lr, 1, features)
        self.product = TensorProduct(degree_lr, degree, degree, features)
        self.norm_features = NormFeatures(degree, float(options["norm_epsilon"]))
        self.update = Update(width, 1 + (degree + 1) * features)
        self.readout = MLP(width, [width, width, 1])

    @torch.jit.export
    def charges(self, x: Tensor, t: Tensor) -> Tensor:
        """(n, 1 + (Λ+1)²): the scalar charge, then the spherical ones."""
        return torch.cat([self.scalar_charge(x), self.spherical_charges(t).squeeze(2)], 1)

    def forward(self, x: Tensor, t: Tensor, potentials: Tensor) -> Tensor:
        """Energy (n,) of the long-range readout."""
        spherical = self.dense_potential(potentials[:, 1:].unsqueeze(2))
        norms = self.norm_features(self.product(spherical, t))
        x = self.update(x, torch.cat([potentials[:, :1], norms], 1))
        return self.readout(x).squeeze(1)

    def layers(self) -> List[Tuple[str, Arrays]]:
        """As in FirstBlock."""
        return [
            ("MLP", self.scalar_charge.arrays()),
            ("TensorDense", self.spherical_charges.arrays()),
            ("Dense", self.dense_potential.arrays()),
            ("Tensor", self.product.arrays()),
            ("Update", self.update.arrays()),
            ("MLP", self.readout.arrays()),
        ]


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
        self.basis = RadialBasis(self.cutoff, int(options["num_radial"]), str(options["cutoff_fn"]))
        self.harmonics = SphericalHarmonics(int(options["max_degree"]))
        self.first = FirstBlock(options)
        self.blocks = nn.ModuleList(
            [MessageBlock(options) for _ in range(self.num_message_passing)]
        )
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
        present, species = self._species(numbers)
        cells = cell.reshape(-1, 3, 3)
        rows = n_owned if self.num_message_passing == 0 else numbers.shape[0]
        images = shifts.to(torch.float64)
        slots, vectors = self._neighbors(
            species, present, positions, cells, pairs, images, batch, rows
        )
        distances = vectors.square().sum(0).sqrt()
        dtype = self.first.embedding.dtype
        radial = self.basis(distances, slots.mask).to(dtype)
        harmonics = self.harmonics((vectors / distances).to(dtype))

        x, t = self.first(present, species, slots, radial, harmonics)
        energies = self.first.readout(x[:n_owned]).squeeze(1).to(torch.float64)
        for block in self.blocks:
            x, t = block(x, t, slots, radial, harmonics)
            energies = energies + block.readout(x[:n_owned]).squeeze(1).to(torch.float64)
        x, t = x[:n_owned], t[:n_owned]
        charges = x.new_zeros(n_owned, 0)
        potentials = x.new_zeros(n_owned, 0)
        last = torch.zeros_like(energies)
        long_range = self.long_range
        if long_range is not None:
            charges = long_range.charges(x, t)
            potentials = self._potentials(
                positions, charges, cell, pairs, images, pbc, batch, n_owned, comm
            )
            last = long_range(x, t, potentials).to(torch.float64)
        offsets = _join(self.offset_parts).index_select(0, numbers[:n_owned])
        return {
            "energies": energies + last + offsets,
            "long_range_energies": last,
            "charges": charges,
            "potentials": potentials,
        }

    def _species(self, numbers: Tensor) -> Tuple[Tensor, Tensor]:
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
        return present, index.index_select(0, numbers)

    def _neighbors(
        self,
        species: Tensor,
        present: Tensor,
        positions: Tensor,
        cells: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        batch: Optional[Tensor],
        rows: int,
    ) -> Tuple[Slots, Tensor]:
        """Pairs closer than the cutoff in slots, and their vectors, (3, Q) float64."""
        with torch.no_grad():
            squared = pair_vectors(positions, cells, pairs, shifts, batch).square().sum(1)
            # the last 1e-12 of the cutoff, where 1 - r/cutoff may round to zero, counts as outside
            inside = squared < (self.cutoff * (1.0 - 1e-12)) ** 2
            if self.num_message_passing == 0:
                inside = inside & (pairs[0] < rows)
            kept = torch.nonzero(inside).squeeze(1)
            if kept.shape[0] > 0 and float(squared[kept].min()) == 0.0:
                same = pairs[:, kept[squared[kept].argmin()]]
                raise ValueError(f"atoms {int(same[0])} and {int(same[1])} are at the same place")
        pairs, shifts = pairs[:, kept], shifts[kept]
        slots = arrange(species, present.shape[0], pairs, rows)
        vectors = pair_vectors(positions, cells, pairs, shifts, batch)
        # empty slots hold a harmless vector, so that no derivative is infinite
        filler = torch.zeros(slots.mask.shape[0], 3, dtype=vectors.dtype, device=vectors.device)
        filler[:, 2] = 0.5 * self.cutoff
        return slots, filler.index_copy(0, slots.positions, vectors).t().contiguous()

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
        layers = self.first.layers()
        for block in self.blocks:
            layers += block.layers()
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


def checked_hyperparameters(given: Dict[str, object]) -> Dict[str, object]:
    """Complete hyperparameters with the defaults; ValueError for unknown names and values."""
    unknown = sorted(set(given) - set(DEFAULTS))
    if unknown:
        raise ValueError(
            f"unknown hyperparameters {unknown}; the names are {', '.join(sorted(DEFAULTS))}"
        )
    options = {
        name: _converted(name, given.get(name, default)) for name, default in DEFAULTS.items()
    }
    for name, lowest in LOWEST.items():
        if not options[name] >= lowest:
            raise ValueError(f"{name} is {options[name]}, but must be at least {lowest}")
    if not options["cutoff"] > 0.0:
        raise ValueError(f"cutoff is {options['cutoff']}, but must be a positive length in Å")
    for name, allowed in (("cutoff_fn", CUTOFF_FUNCTIONS), ("radial_basis", RADIAL_BASES)):
        if options[name] not in allowed:
            raise ValueError(
                f"{name} is '{options[name]}', but must be one of {', '.join(allowed)}"
            )
    if options["inputs"]:
        raise ValueError(f"inputs is {options['inputs']}, but only () is supported")
    if options["lr"] and options["max_degree_lr"] > options["max_degree"]:
        raise ValueError(
            f"max_degree_lr is {options['max_degree_lr']}, but must be at most max_degree = "
            f"{options['max_degree']}"
        )
    return options


def _converted(name: str, value: object) -> object:
    """The value in the type of its default, if nothing is lost."""
    kind = type(DEFAULTS[name])
    if kind is bool and not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} is {value!r}, but must be true or false")
    if kind is str and not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}, but must be a name")
    try:
        converted = kind(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r}, but must be of type {kind.__name__}") from None
    if kind in (int, float) and (isinstance(value, bool) or converted != value):
        raise ValueError(f"{name} is {value!r}, but must be of type {kind.__name__}")
    return converted


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
    devices = [positions.device, cell.device, pbc.device, pairs.device, shifts.device]
    for device in devices:
        if device != numbers.device:
            raise ValueError(
                f"all tensors must be on one device, got {numbers.device} and {device}"
            )
