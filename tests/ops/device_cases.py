# SPDX-License-Identifier: BSD-3-Clause
"""Arguments for every op that has kernels, and for the devices to compare: cases as data."""

import torch

from loremd import ops
from loremd.neighbors import neighbor_list
from loremd.radial import radial_table

from .systems import MESH, atoms, cell_of

FLOATS = (torch.float64, torch.float32)
CUTOFF = 3.0


class Case:
    """Tensors of one system, each made once, on the CPU."""

    def __init__(
        self, dtype=torch.float64, cell="triclinic", order=5, channels=3, n=9, prolate=False
    ):
        self.dtype, self.order, self.n = dtype, order, n
        self.generator = torch.Generator().manual_seed(order + channels)
        self.cell = cell_of(cell)
        self.positions, self.charges = atoms(n, self.cell, channels, dtype=dtype)
        self.positions = self.positions + 0.013  # off the knots of the splines
        self.fractions = self.positions @ torch.linalg.inv(self.cell)
        self.window = ops.prolate_shape(2.5 * order) if prolate else None
        self.pairs, self.shifts = neighbor_list(self.positions, self.cell, True, CUTOFF + 0.5)
        self.species = torch.arange(n) % 2

    def random(self, *shape, dtype=None):
        values = torch.randn(shape, generator=self.generator, dtype=torch.float64)
        return values.to(dtype or self.dtype)

    def mesh(self):
        return self.random(*MESH, self.charges.shape[1])

    def half_spectrum(self):
        return self.random(MESH[0], MESH[1], MESH[2] // 2 + 1)

    def metric(self):
        return torch.linalg.inv(self.cell @ self.cell.T)

    def spherical(self, degree, features=4):
        return self.random(self.n, (degree + 1) ** 2, features)


def _network(case):
    """Weights and biases of 5 to 8 to 3."""
    return [[case.random(5, 8), case.random(8, 3)], [case.random(8), case.random(3)]]


def _residual(case):
    rows = case.random(case.n, 3), case.random(case.n, 5)
    return [*rows, *_network(case), case.random(3), case.random(3)]


def _again(arguments):
    return [*arguments, *torch.ops.loremd.residual_mlp_forward(*arguments)[1:]]


def _mesh(case):
    own, uniform = -0.7, torch.tensor(0.02, dtype=torch.float64)
    return [
        *(case.fractions, case.charges, case.half_spectrum(), MESH, case.order, case.window),
        *(0, own, uniform),
    ]


def _influence(case):
    return [MESH, case.order, 1.1, case.window, None, 0]


def _pair_potential(case):
    return [
        *(case.positions, case.charges, case.cell, case.pairs, case.shifts, case.n - 1),
        *(CUTOFF, 1.0, 0.9, None),
    ]


def _density(case):
    coefficients = case.random(2, 2, 5, 4, 3)
    geometry = [case.positions, case.cell, case.pairs, case.shifts, case.species]
    return [*geometry, coefficients, case.n, CUTOFF, False]


def _density_grads(case):
    return [case.random(case.n, 2, 5), case.random(case.n, 16, 3)]


def _tabulated(case):
    *geometry, coefficients, n_out, cutoff, smooth = _density(case)
    table = radial_table(coefficients.double(), cutoff, smooth, 64)
    return [*geometry, table, n_out, cutoff, 5, 4, 3]


def _directions(case):
    return case.random(case.n, 3, dtype=torch.float64)


# Arguments of each op. `float32_only` and `float64_only` ops are in the sets below.
ARGUMENTS = {
    "spread": lambda c: [c.fractions, c.charges, MESH, c.order, c.window],
    "spread_directional": lambda c: [
        *(c.fractions, _directions(c), c.charges, MESH, c.order, c.window)
    ],
    "interpolate": lambda c: [c.fractions, c.mesh(), c.order, c.window],
    "interpolate_directional": lambda c: [
        *(c.fractions, _directions(c), c.mesh(), c.order, c.window)
    ],
    "interpolate_gradient": lambda c: [c.fractions, c.mesh(), c.charges, c.order, c.window],
    "interpolate_with_gradient": lambda c: [c.fractions, c.mesh(), c.charges, c.order, c.window],
    "interpolate_gradient_directional": lambda c: [
        *(c.fractions, _directions(c), c.mesh(), c.charges, c.order, c.window)
    ],
    "convolve": lambda c: [c.mesh(), c.half_spectrum()],
    "correlate": lambda c: [c.mesh(), c.mesh()],
    "mesh_potential": _mesh,
    "mesh_potential_forward": lambda c: [*_mesh(c), True, False],
    "mesh_potential_backward": lambda c: [
        *_mesh(c),
        # the same for all atoms, whose order is each side's own
        *(c.random(1, 3, c.charges.shape[1]).repeat(c.n, 1, 1), c.random(0)),
        torch.ops.loremd.mesh_potential_forward(*_mesh(c), False, False)[3],
        c.random(*c.charges.shape),
    ],
    "mesh_energy": _mesh,
    "mesh_energy_forward": lambda c: [*_mesh(c), True],
    "row_products": lambda c: [c.fractions, c.metric()],
    "influence_sum": lambda c: [c.metric(), *_influence(c)],
    "influence_sum_directional": lambda c: [c.metric(), c.random(3, 3), *_influence(c)],
    "influence_sum_gradient": lambda c: [c.metric(), c.half_spectrum(), *_influence(c)],
    "influence_sum_gradient_directional": lambda c: [
        *(c.metric(), c.random(3, 3), c.half_spectrum()),
        *_influence(c),
    ],
    "pair_sum": lambda c: [c.random(c.pairs.shape[1]), c.charges, c.pairs, c.n],
    "pair_dot": lambda c: [c.charges, c.charges, c.pairs],
    "gamma_tail": lambda c: [c.random(50).square() + 0.1, 0.5, 0.7, 1],
    "compact_sharp": lambda c: [c.random(50).square() + 0.1, 2.0, ops.prolate_shape(9.0), 1],
    "pair_potential": _pair_potential,
    "pair_potential_backward": lambda c: [
        *_pair_potential(c),
        c.random(c.n - 1, c.charges.shape[1]),
    ],
    "neighbor_density": _density,
    "neighbor_density_backward": lambda c: [*_density(c), *_density_grads(c), True, True],
    "neighbor_density_backward_directional": lambda c: [
        *_density(c),
        *_density_grads(c),
        *(_directions(c), c.random(3, 3, dtype=torch.float64), c.random(2, 2, 5, 4, 3)),
        *(None, True, True),
    ],
    "neighbor_density_tabulated": _tabulated,
    "neighbor_density_tabulated_backward": lambda c: [*_tabulated(c), *_density_grads(c), True],
    "tensor_product": lambda c: [c.spherical(3), c.spherical(2), c.random(4, 3, 4, 4)],
    "tensor_product_weights": lambda c: [c.spherical(3), c.spherical(2), c.spherical(3)],
    "tensor_product_gradient": lambda c: [
        *(c.spherical(3), c.spherical(2), c.random(4, 3, 4, 4), c.spherical(3))
    ],
    "tensor_dense": lambda c: [c.spherical(3), c.random(4, 4, 6), c.random(4, 4, 3, 3)],
    "tensor_dense_gradient": lambda c: [
        *(c.spherical(3), c.random(4, 4, 6), c.random(4, 4, 3, 3), c.spherical(2, 3))
    ],
    "equivariant_dense": lambda c: [c.spherical(3), c.random(4, 4, 6)],
    "equivariant_dense_weights": lambda c: [c.spherical(3), c.spherical(3, 6)],
    "norm_features": lambda c: [c.spherical(3), 1e-3],
    "norm_features_gradient": lambda c: [c.spherical(3), c.random(c.n, 16), 1e-3],
    "norm_features_curvature": lambda c: [
        *(c.spherical(3), c.random(c.n, 16), c.spherical(3), 1e-3)
    ],
    "mlp": lambda c: [c.random(c.n, 5), *_network(c)],
    "residual_mlp": _residual,
    "residual_mlp_forward": _residual,
    "residual_mlp_again": lambda c: _again(_residual(c)),
}
# Ops that have no kernel: data between ranks, which goes through the host, and plans.
WITHOUT_KERNEL = {
    *("halo_exchange", "halo_reduce", "sum_over_ranks", "max_over_ranks"),
    *("plan_mesh", "mesh_errors", "plan", "plan_errors", "plan_cost", "set_cost_model"),
    *("mesh_bytes", "prolate_shape"),
}
# Networks are torch's own ops on a GPU, which need no halves of their own.
HALVES_OF_NETWORKS = {
    *("mlp_forward", "mlp_backward", "residual_mlp_slopes", "residual_mlp_backward"),
}
FLOAT64_ONLY = {name for name in ARGUMENTS if name.startswith("influence")} | {
    "gamma_tail",
    "compact_sharp",
}
FLOAT32_ONLY = {name for name in ARGUMENTS if "tabulated" in name}
# whose second derivatives are ops as well
TWICE_DIFFERENTIABLE = (
    *("spread", "interpolate", "convolve", "correlate", "mesh_potential", "mesh_energy"),
    *("influence_sum", "pair_sum", "pair_dot", "gamma_tail", "compact_sharp", "pair_potential"),
    *("neighbor_density", "tensor_product", "equivariant_dense", "norm_features"),
)
# whose first derivatives alone are
ONCE_DIFFERENTIABLE = (
    *("spread_directional", "interpolate_directional", "interpolate_gradient"),
    *("influence_sum_directional", "influence_sum_gradient", "neighbor_density_backward"),
    *("tensor_product_weights", "equivariant_dense_weights", "norm_features_gradient"),
)


def dtypes_of(name):
    return [d for d in FLOATS if d not in excluded(name)]


def excluded(name):
    if name in FLOAT64_ONLY:
        return {torch.float32}
    return {torch.float64} if name in FLOAT32_ONLY else set()


def moved(argument, device):
    """Tensors and lists of them on the device, anything else as it is."""
    if torch.is_tensor(argument):
        return argument.to(device)
    if isinstance(argument, list) and argument and torch.is_tensor(argument[0]):
        return [a.to(device) for a in argument]
    return argument


def call(name, arguments, device="cpu"):
    """The results of an op as a list; `arguments` are moved to the device."""
    given = [moved(a, device) for a in arguments]
    results = getattr(torch.ops.loremd, name)(*given)
    return [results] if torch.is_tensor(results) else list(results)
