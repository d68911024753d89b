# SPDX-License-Identifier: BSD-3-Clause
"""spread, interpolate, convolve, influence: physics first, then plain torch, then derivatives."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import Polynomial, legendre
from torch.autograd import gradcheck, gradgradcheck

from loremd import _core, ops
from loremd.ops import reference

from .systems import CELLS, MESH, atoms, cell_of

ORDERS = [3, 4, 5, 6, 7, 8, 9, 10]
WINDOWS = ["B-spline", "prolate", "smooth"]
EXACT = {torch.float64: 1e-12, torch.float32: 2e-5}


def window_of(name, order):
    if name == "smooth":  # (1 - t^2)^6: polynomials already, that end without a step of the slope
        series = torch.from_numpy(legendre.poly2leg((Polynomial([1, 0, -1]) ** 6).coef)[::2].copy())
        return series / series[0]
    return None if name == "B-spline" else ops.prolate_shape(2.5 * order)


def window_error(name, order):
    """What the polynomials of a window may differ from its shape by."""
    if name != "prolate":
        return 0.0
    series = window_of(name, order).numpy()
    terms = np.zeros(2 * len(series) - 1)
    terms[::2] = series
    slope = 2 / order * legendre.legval(1.0, legendre.legder(terms))
    return 3e-4 * abs(slope) / legendre.legval(0.0, terms)


def random_mesh(channels, shape=MESH, dtype=torch.float64, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, channels, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("order", ORDERS)
def test_charge_is_conserved(order, name, dtype):
    positions, charges = atoms(20, cell_of(name), dtype=dtype)
    mesh = ops.spread(positions, charges, cell_of(name), MESH, order)
    torch.testing.assert_close(mesh.sum((0, 1, 2)), charges.sum(0), rtol=0, atol=20 * EXACT[dtype])


@pytest.mark.parametrize("order", ORDERS)
def test_prolate_windows_conserve_charge_as_well_as_they_end(order):
    """The weights of an atom add up to one but for the aliases of the window, of which every
    further point leaves about a tenth."""
    positions, charges = atoms(20, cell_of("triclinic"))
    mesh = ops.spread(
        positions, charges, cell_of("triclinic"), MESH, order, window_of("prolate", order)
    )
    error = (mesh.sum((0, 1, 2)) - charges.sum(0)).abs().max()
    assert error < 20 * 10.0 ** (1 - order)


@pytest.mark.parametrize("order", ORDERS)
def test_constant_mesh_interpolates_to_the_constant(order):
    positions, _ = atoms(20, cell_of("triclinic"))
    values = ops.interpolate(
        positions, torch.ones(*MESH, 2, dtype=torch.float64), cell_of("triclinic"), order
    )
    torch.testing.assert_close(values, torch.ones_like(values), rtol=0, atol=1e-14)


@pytest.mark.parametrize("shape", WINDOWS)
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("order", ORDERS)
def test_interpolate_is_the_transpose_of_spread(order, name, shape):
    cell, window = cell_of(name), window_of(shape, order)
    positions, charges = atoms(20, cell)
    mesh = random_mesh(3)
    left = (ops.spread(positions, charges, cell, MESH, order, window) * mesh).sum()
    right = (charges * ops.interpolate(positions, mesh, cell, order, window)).sum()
    assert abs(left - right) <= 1e-12 * charges.norm() * mesh.norm()


@pytest.mark.parametrize("shape", [[9, 10, 8], [8, 9, 7]])
def test_convolution_is_self_adjoint(shape):
    a, b = random_mesh(4, shape, seed=2), random_mesh(4, shape, seed=3)
    influence = random_mesh(1, shape)[:, :, : shape[2] // 2 + 1, 0]
    left = (a * ops.convolve(b, influence)).sum()
    right = (ops.convolve(a, influence) * b).sum()
    assert abs(left - right) <= 1e-12 * a.norm() * b.norm() * influence.abs().max()


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("channels", [1, 5, 10])
@pytest.mark.parametrize("shape", WINDOWS)
@pytest.mark.parametrize("order", ORDERS)
def test_equal_to_plain_torch(order, shape, channels, dtype):
    cell, window = cell_of("triclinic"), window_of(shape, order)
    positions, charges = atoms(12, cell, channels, dtype=dtype)
    positions = positions + 0.013  # off the mesh points: a prolate window ends with a small jump
    mesh = random_mesh(channels, dtype=dtype)
    tolerance = {"rtol": 0, "atol": EXACT[dtype] + window_error(shape, order)}
    torch.testing.assert_close(
        ops.spread(positions, charges, cell, MESH, order, window),
        reference.spread(positions, charges, cell, MESH, order, window),
        **tolerance,
    )
    torch.testing.assert_close(
        ops.interpolate(positions, mesh, cell, order, window),
        reference.interpolate(positions, mesh, cell, order, window),
        **tolerance,
    )


def own_weights(fractions, points, order, window):
    """Weights (n, points) of one axis by the polynomials that the core makes of a window."""
    weights = torch.zeros(len(fractions), points, dtype=torch.float64)
    for i, fraction in enumerate((fractions % 1.0).tolist()):
        start = fraction * points - 0.5 * order
        first = math.floor(start) + 1
        touched = torch.arange(first, first + order) % points
        own = _core.window_weights(start + 1 - first, order, 0, window.numpy())
        weights[i, touched] = torch.from_numpy(own)
    return weights


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("channels", [1, 5, 10])
@pytest.mark.parametrize("order", ORDERS)
def test_prolate_windows_are_their_polynomials(order, channels, dtype):
    """Exactly, whatever they differ from their shape by."""
    cell, window = cell_of("triclinic"), window_of("prolate", order)
    positions, charges = atoms(12, cell, channels, dtype=dtype)
    mesh = random_mesh(channels, dtype=dtype)
    fractions = positions @ torch.linalg.inv(cell)
    axes = (own_weights(fractions[:, a], MESH[a], order, window) for a in range(3))
    weights = torch.einsum("ix,iy,iz->ixyz", *axes).to(dtype)
    torch.testing.assert_close(
        ops.spread(positions, charges, cell, MESH, order, window),
        torch.einsum("ixyz,ic->xyzc", weights, charges),
        rtol=0,
        atol=EXACT[dtype],
    )
    torch.testing.assert_close(
        ops.interpolate(positions, mesh, cell, order, window),
        torch.einsum("ixyz,xyzc->ic", weights, mesh),
        rtol=0,
        atol=EXACT[dtype],
    )


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("name", CELLS)
def test_convolution_equals_plain_torch(name, dtype):
    mesh = random_mesh(5, dtype=dtype)  # two complex fields and one channel left over
    influence = ops.influence(cell_of(name), MESH, 5, 0.6).to(dtype)
    # FFTs round relative to the largest value
    expected = reference.convolve(mesh, influence)
    scale = {torch.float64: 1e-14, torch.float32: 2e-6}[dtype] * float(expected.abs().max())
    torch.testing.assert_close(ops.convolve(mesh, influence), expected, rtol=0, atol=scale)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("order", ORDERS)
def test_influence_equals_plain_torch(order, name):
    """At order 3, the slowest to converge, the reference leaves out 1e-11 of the window."""
    expected = reference.influence(cell_of(name), MESH, order, 0.6)
    influence = ops.influence(cell_of(name), MESH, order, 0.6)
    torch.testing.assert_close(influence, expected, rtol=1e-9, atol=1e-12 * float(expected.max()))


@pytest.mark.parametrize("channels", [1, 3, 10])
def test_spread_meshes_and_their_copies_are_the_same_to_all_ops(channels):
    """The rows of what spread returns are further apart than they are long."""
    cell = cell_of("triclinic")
    positions, charges = atoms(15, cell, channels=channels)
    mesh = ops.spread(positions, charges, cell, MESH, 5)
    compact = mesh.contiguous()
    assert not mesh.is_contiguous() and compact.shape == (*MESH, channels)
    influence = ops.influence(cell, MESH, 5, 0.6)
    for of in (
        lambda m: ops.convolve(m, influence),
        lambda m: ops.interpolate(positions, m, cell, 5),
        lambda m: torch.ops.loremd.correlate(m, 2 * m),
    ):
        assert torch.equal(of(mesh), of(compact))


def test_large_results_have_memory_of_their_own():
    """What is given back is taken again, but not while a tensor has it."""
    cell = 50 * torch.eye(3, dtype=torch.float64)
    positions, charges = atoms(20, cell)
    meshes = [ops.spread(positions, k * charges, cell, [72, 72, 72], 4) for k in (1.0, 2.0)]
    meshes.append(ops.spread(positions, 3.0 * charges, cell, [72, 72, 72], 4))
    torch.testing.assert_close(meshes[1], 2 * meshes[0])
    torch.testing.assert_close(meshes[2], 3 * meshes[0])
    total = meshes[0].sum()
    del meshes[1:]
    again = ops.spread(positions, 4.0 * charges, cell, [72, 72, 72], 4)
    torch.testing.assert_close(again, 4 * meshes[0])
    assert meshes[0].sum() == total


@pytest.mark.parametrize("order", [3, 6])
def test_ten_channels_equal_ten_single_calls(order):
    cell = cell_of("triclinic")
    positions, charges = atoms(15, cell, channels=10)
    influence = ops.influence(cell, MESH, order, 0.6)

    def potentials(values):
        mesh = ops.convolve(ops.spread(positions, values, cell, MESH, order), influence)
        return ops.interpolate(positions, mesh, cell, order)

    single = torch.cat([potentials(charges[:, c : c + 1]) for c in range(10)], 1)
    torch.testing.assert_close(potentials(charges), single, rtol=0, atol=1e-13)


@given(
    shift=st.lists(st.integers(-3, 3), min_size=3, max_size=3),
    order=st.sampled_from(ORDERS),
    n=st.integers(1, 6),
)
@settings(max_examples=30, deadline=None)
def test_lattice_translations_change_nothing(shift, order, n):
    cell = cell_of("strongly triclinic")
    positions, charges = atoms(n, cell, seed=n)
    moved = positions + torch.tensor(shift, dtype=torch.float64) @ cell
    torch.testing.assert_close(
        ops.spread(moved, charges, cell, MESH, order),
        ops.spread(positions, charges, cell, MESH, order),
        rtol=0,
        atol=1e-10,  # fractions of a position several cells away have lost a digit or two
    )


@pytest.mark.parametrize("points", [67, 90])
def test_threads_and_sorted_atoms_change_nothing(points):
    """A mesh large enough to be worked on slab by slab, some of them without atoms."""
    cell = 30 * torch.eye(3, dtype=torch.float64)
    positions, charges = atoms(3000, cell, channels=2)
    positions[:, 0] *= 0.4
    shape = [points, 64, 48]
    few = slice(0, 50)
    torch.testing.assert_close(
        ops.spread(positions[few], charges[few], cell, shape, 8),
        reference.spread(positions[few], charges[few], cell, shape, 8),
        rtol=0,
        atol=1e-12,
    )
    meshes = []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        meshes.append(ops.spread(positions, charges, cell, shape, 8))
        values = ops.interpolate(positions, meshes[0], cell, 8)
        torch.testing.assert_close(values, ops.interpolate(positions, meshes[-1], cell, 8))
    assert torch.equal(meshes[0], meshes[1])
    assert torch.equal(meshes[0], meshes[2])


@pytest.mark.parametrize("channels", [1, 3, 10])
@pytest.mark.parametrize("order", ORDERS)
def test_a_mesh_of_as_many_points_as_the_order(order, channels):
    shape = [order, order, order]
    cell = cell_of("triclinic")
    positions, charges = atoms(4, cell, channels)
    torch.testing.assert_close(
        ops.spread(positions, charges, cell, shape, order),
        reference.spread(positions, charges, cell, shape, order),
        rtol=0,
        atol=1e-12,
    )


class TestDerivatives:
    """First and second derivatives by everything that is a tensor."""

    SHAPE = (5, 6, 5)

    def inputs(self, order):
        cell = cell_of("triclinic").requires_grad_()
        positions, charges = atoms(3, cell.detach(), channels=2, seed=order)
        positions = positions + 0.013  # off the knots of the splines
        return cell, positions.requires_grad_(), charges.requires_grad_()

    @pytest.mark.parametrize("order", [4, 5])
    def test_spread(self, order):
        cell, positions, charges = self.inputs(order)

        def call(p, q, c):
            # three sums with random weights carry the same derivatives as all mesh points
            mesh = ops.spread(p, q, c, list(self.SHAPE), order)
            return torch.einsum(
                "xyzc,xyzck->k", mesh, random_mesh(6, self.SHAPE).unflatten(3, (2, 3))
            )

        assert gradcheck(call, (positions, charges, cell))
        assert gradgradcheck(call, (positions, charges, cell))

    @pytest.mark.parametrize("order", [4, 5])
    def test_interpolate(self, order):
        cell, positions, _ = self.inputs(order)
        mesh = random_mesh(2, self.SHAPE).requires_grad_()

        def call(p, m, c):
            return ops.interpolate(p, m, c, order)

        assert gradcheck(call, (positions, mesh, cell))
        assert gradgradcheck(call, (positions, mesh, cell), fast_mode=True)
        assert gradgradcheck(lambda p, c: call(p, mesh.detach(), c), (positions, cell))

    @pytest.mark.parametrize("shape", WINDOWS)
    @pytest.mark.parametrize("order", ORDERS)
    def test_positions_at_any_order(self, order, shape):
        """Off the knots, where a window of low order or a series has a jump in some derivative."""
        points = [10, 11, 10]
        cell, positions, charges = self.inputs(order)
        mesh = random_mesh(2, points)
        window = window_of(shape, order)

        def call(p, q):
            return (ops.interpolate(p, mesh, cell.detach(), order, window) * q).sum(1)

        assert gradcheck(call, (positions, charges))
        assert gradgradcheck(call, (positions, charges))

    @pytest.mark.parametrize("shape", [(4, 3, 5), (3, 4, 4)])
    def test_convolve(self, shape):
        mesh = random_mesh(2, shape).requires_grad_()
        influence = random_mesh(1, shape)[:, :, : shape[2] // 2 + 1, 0].requires_grad_()
        assert gradcheck(ops.convolve, (mesh, influence))
        assert gradgradcheck(ops.convolve, (mesh, influence), fast_mode=True)

    @pytest.mark.parametrize("name", ["triclinic", "left-handed"])
    def test_influence(self, name):
        cell = cell_of(name).requires_grad_()

        def call(c):
            return ops.influence(c, [4, 5, 4], 4, 0.9)

        assert gradcheck(call, (cell,))
        assert gradgradcheck(call, (cell,))

    def test_composition(self):
        """Charges that depend on positions, as LOREM's do, through the whole chain."""
        cell, positions, charges = self.inputs(6)
        shape = [8, 8, 9]

        def energy(p, q, c):
            own = q * (1 + p[:, :1].sin())
            influence = ops.influence(c, shape, 6, 0.8)
            mesh = ops.convolve(ops.spread(p, own, c, shape, 6), influence)
            return (own * ops.interpolate(p, mesh, c, 6)).sum()

        assert gradcheck(energy, (positions, charges, cell))
        assert gradgradcheck(energy, (positions, charges, cell))

    @pytest.mark.parametrize("order", [5, 10])
    def test_a_series_as_window(self, order):
        cell, positions, charges = self.inputs(order)
        shape, window = (10, 11, 10), window_of("prolate", order)
        weights = random_mesh(2, shape)

        def energy(p, q, c):
            mesh = ops.spread(p, q, c, list(shape), order, window)
            return (ops.interpolate(p, mesh * weights, c, order, window) * q.sin()).sum()

        assert gradcheck(energy, (positions, charges, cell))
        assert gradgradcheck(energy, (positions, charges, cell))

    def test_third_derivatives_say_that_they_are_missing(self):
        cell, positions, charges = self.inputs(4)
        values = ops.spread(positions, charges, cell.detach(), [5, 5, 5], 4).pow(2).sum()
        (first,) = torch.autograd.grad(values, positions, create_graph=True)
        (second,) = torch.autograd.grad(first.pow(2).sum(), positions, create_graph=True)
        with pytest.raises(NotImplementedError, match="third derivatives"):
            torch.autograd.grad(second.sum(), positions)


class TestTorchIntegration:
    def energy(self, positions, charges, cell):
        influence = ops.influence(cell, [8, 9, 10], 5, 0.8)
        mesh = ops.convolve(ops.spread(positions, charges, cell, [8, 9, 10], 5), influence)
        return (charges * ops.interpolate(positions, mesh, cell, 5)).sum()

    def arguments(self):
        cell = cell_of("triclinic")
        positions, charges = atoms(6, cell)
        return positions.requires_grad_(), charges.requires_grad_(), cell.requires_grad_()

    def gradients(self, function):
        arguments = self.arguments()
        energy = function(*arguments)
        return [energy.detach(), *torch.autograd.grad(energy, arguments)]

    def test_script(self):
        scripted = torch.jit.script(chain)
        for got, expected in zip(self.gradients(scripted), self.gradients(self.energy)):
            torch.testing.assert_close(got, expected)

    def test_compile_without_graph_break(self):
        compiled = torch.compile(chain, fullgraph=True, backend="aot_eager")
        for got, expected in zip(self.gradients(compiled), self.gradients(self.energy)):
            torch.testing.assert_close(got, expected)

    def test_compile_with_changing_sizes(self):
        compiled = torch.compile(chain, fullgraph=True, backend="aot_eager", dynamic=True)
        cell = cell_of("triclinic")
        for n in (6, 7, 11):
            positions, charges = atoms(n, cell)
            torch.testing.assert_close(
                compiled(positions, charges, cell), self.energy(positions, charges, cell)
            )

    def test_opcheck(self):
        """torch's own test of schema, fake tensors and autograd registration, for every op."""
        fractions, charges = torch.rand(4, 3, dtype=torch.float64), torch.rand(4, 2).double()
        directions = torch.rand(4, 3, dtype=torch.float64)
        mesh = random_mesh(2, (5, 6, 5))
        metric, weights = torch.eye(3).double() / 9, torch.rand(5, 6, 3).double()
        pairs = torch.tensor([[0, 1, 3], [1, 2, 0]])
        shape = [5, 6, 5]
        window = window_of("prolate", 4)
        with_windows = {
            "spread": (fractions, charges, shape, 4, window),
            "spread_directional": (fractions, directions, charges, shape, 4, window),
            "interpolate": (fractions, mesh, 4, window),
            "interpolate_directional": (fractions, directions, mesh, 4, window),
            "interpolate_with_gradient": (fractions, mesh, charges, 4, window),
            "interpolate_gradient": (fractions, mesh, charges, 4, window),
            "interpolate_gradient_directional": (fractions, directions, mesh, charges, 4, window),
        }
        calls = {
            "spread": (fractions, charges, shape, 4),
            "spread_directional": (fractions, directions, charges, shape, 4),
            "interpolate": (fractions, mesh, 4),
            "interpolate_directional": (fractions, directions, mesh, 4),
            "interpolate_with_gradient": (fractions, mesh, charges, 4),
            "interpolate_gradient": (fractions, mesh, charges, 4),
            "interpolate_gradient_directional": (fractions, directions, mesh, charges, 4),
            "convolve": (mesh, weights),
            "correlate": (mesh, 2 * mesh),
            "influence_sum": (metric, shape, 4, 0.8),
            "influence_sum_directional": (metric, 2 * metric, shape, 4, 0.8),
            "influence_sum_gradient": (metric, weights, shape, 4, 0.8),
            "influence_sum_gradient_directional": (metric, 2 * metric, weights, shape, 4, 0.8),
            "pair_sum": (torch.rand(3).double(), charges, pairs, 4),
            "pair_dot": (charges, 2 * charges, pairs),
            "halo_exchange": (charges, 4, 0),
            "halo_reduce": (charges, 4, 0),
            "sum_over_ranks": (charges, 0),
        }
        for name, arguments in [*calls.items(), *with_windows.items()]:
            results = torch.library.opcheck(getattr(torch.ops.loremd, name).default, arguments)
            assert set(results.values()) == {"SUCCESS"}, (name, results)

    def test_no_grad_and_inference_mode(self):
        arguments = self.arguments()
        expected = self.energy(*arguments)
        with torch.no_grad():
            result = self.energy(*arguments)
            assert not result.requires_grad
        torch.testing.assert_close(result, expected.detach())
        with torch.inference_mode():
            torch.testing.assert_close(self.energy(*arguments), expected.detach())

    def test_non_contiguous_input(self):
        cell = cell_of("triclinic")
        positions, charges = atoms(6, cell)
        got = self.energy(
            positions.t().contiguous().t(), charges.t().contiguous().t(), cell.t().contiguous().t()
        )
        torch.testing.assert_close(got, self.energy(positions, charges, cell))
        mesh = random_mesh(2).permute(2, 0, 1, 3)
        shape = list(mesh.shape[:3])
        torch.testing.assert_close(
            ops.interpolate(positions, mesh, cell, 4),
            ops.interpolate(positions, mesh.contiguous(), cell, 4),
        )
        window = torch.stack([window_of("prolate", 4)] * 2, 1)[:, 0]
        torch.testing.assert_close(
            ops.interpolate(positions, mesh, cell, 4, window),
            ops.interpolate(positions, mesh, cell, 4, window.contiguous()),
        )
        influence = ops.influence(cell, shape, 4, 0.8)
        strided = torch.empty(*influence.shape, 2, dtype=torch.float64)[..., 0].copy_(influence)
        torch.testing.assert_close(
            ops.convolve(mesh, strided), ops.convolve(mesh.contiguous(), influence)
        )

    def test_empty_input_and_one_atom(self):
        cell = cell_of("triclinic").requires_grad_()
        for n in (0, 1):
            positions, charges = atoms(n, cell.detach())
            positions.requires_grad_()
            energy = self.energy(positions, charges, cell)
            gradients = torch.autograd.grad(energy, (positions, cell))
            assert all(torch.isfinite(g).all() for g in gradients)
            assert gradients[0].shape == (n, 3)
        no_channels = ops.spread(*atoms(3, cell.detach(), channels=0), cell.detach(), [5, 5, 5], 4)
        assert no_channels.shape == (5, 5, 5, 0)

    def test_float32_is_close_to_float64(self):
        """Weights and sums carry float32 rounding: 1e-6 of the largest value."""
        cell = cell_of("triclinic")
        positions, charges = atoms(50, cell)
        influence = ops.influence(cell, MESH, 6, 0.8)

        def potentials(dtype):
            mesh = ops.spread(positions, charges.to(dtype), cell, MESH, 6)
            mesh = ops.convolve(mesh, influence.to(dtype))
            return ops.interpolate(positions, mesh, cell, 6).double()

        double, single = potentials(torch.float64), potentials(torch.float32)
        assert (single - double).abs().max() < 1e-6 * double.abs().max()


def chain(positions: torch.Tensor, charges: torch.Tensor, cell: torch.Tensor) -> torch.Tensor:
    influence = ops.influence(cell, [8, 9, 10], 5, 0.8)
    mesh = ops.convolve(ops.spread(positions, charges, cell, [8, 9, 10], 5), influence)
    return (charges * ops.interpolate(positions, mesh, cell, 5)).sum()


class TestBadInput:
    cell = cell_of("cubic")

    def spread(self, positions=None, charges=None, mesh=(8, 8, 8), order=4):
        good_positions, good_charges = atoms(5, self.cell)
        return ops.spread(
            good_positions if positions is None else positions,
            good_charges if charges is None else charges,
            self.cell,
            list(mesh),
            order,
        )

    @pytest.mark.parametrize("order", [2, 11, -1])
    def test_order(self, order):
        with pytest.raises(ValueError, match=f"order is {order}; allowed: 3 to 10"):
            self.spread(order=order)
        with pytest.raises(ValueError, match=f"order is {order}; allowed: 3 to 10"):
            ops.influence(self.cell, [12, 12, 12], order, 0.5)

    def test_coarse_mesh(self):
        with pytest.raises(ValueError, match="mesh 8 x 4 x 8 is too coarse for order 5"):
            self.spread(mesh=(8, 4, 8), order=5)

    def test_window(self):
        arguments = (*atoms(5, self.cell), self.cell, [8, 8, 8], 4)
        with pytest.raises(ValueError, match="window of one dimension"):
            ops.spread(*arguments, torch.ones(2, 2, dtype=torch.float64))
        with pytest.raises(TypeError, match="window of dtype Double"):
            ops.spread(*arguments, torch.ones(2))
        with pytest.raises(ValueError, match="varies too fast for order 4"):
            ops.spread(*arguments, torch.ones(100, dtype=torch.float64))

    def test_mesh_shape(self):
        with pytest.raises(ValueError, match="three numbers"):
            self.spread(mesh=(8, 8))
        with pytest.raises(ValueError, match="positive"):
            self.spread(mesh=(8, 0, 8))

    def test_shapes(self):
        with pytest.raises(ValueError, match=r"expected charges of shape \(5, channels\)"):
            self.spread(charges=torch.zeros(4, 2, dtype=torch.float64))
        with pytest.raises(ValueError, match=r"expected mesh of shape \(nx, ny, nz, channels\)"):
            ops.interpolate(atoms(2, self.cell)[0], torch.zeros(8, 8, 8).double(), self.cell, 4)
        with pytest.raises(ValueError, match=r"influence of shape \(8, 8, 5\)"):
            ops.convolve(torch.zeros(8, 8, 8, 1), torch.zeros(8, 8, 8))

    def test_dtypes(self):
        with pytest.raises(TypeError, match="charges of dtype float32 or float64"):
            self.spread(charges=torch.zeros(5, 2, dtype=torch.float16))
        with pytest.raises(TypeError, match="influence of dtype Float"):
            ops.convolve(torch.zeros(8, 8, 8, 1), torch.zeros(8, 8, 5).double())

    @pytest.mark.cpu_kernels
    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_positions_that_are_not_finite(self, value):
        positions, _ = atoms(5, self.cell)
        positions[3, 1] = value
        with pytest.raises(ValueError, match="a position is not finite"):
            self.spread(positions=positions)

    def test_smearing(self):
        with pytest.raises(ValueError, match="smearing is 0; it must be positive"):
            ops.influence(self.cell, [8, 8, 8], 4, 0.0)

    def test_singular_cell(self):
        with pytest.raises(RuntimeError, match="singular"):
            ops.influence(torch.zeros(3, 3, dtype=torch.float64), [8, 8, 8], 4, 0.5)
