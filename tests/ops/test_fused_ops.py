# SPDX-License-Identifier: BSD-3-Clause
"""mesh_potential and mesh_energy: what spread, convolve and interpolate are one after the other."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from loremd import ops

from .systems import CELLS, atoms, cell_of

SHAPE = [8, 9, 10]
WINDOWS = ["B-spline", "prolate"]
ROUNDING = {torch.float64: 1e-13, torch.float32: 3e-6}


OWN = -0.7  # multiple of the own charge


def uniform_of(cell):
    """Multiple of the sum of the charges."""
    return -3.0 / torch.linalg.det(cell).abs()


def window_of(name, order):
    return None if name == "B-spline" else ops.prolate_shape(2.5 * order)


def potential(positions, charges, cell, order=5, window=None, shape=SHAPE):
    g = ops.influence(cell, shape, order, 0.8, window).to(charges.dtype)
    return ops.mesh_potential(
        positions, charges, cell, g, shape, order, window, 0, OWN, uniform_of(cell)
    )


def one_by_one(positions, charges, cell, order=5, window=None, shape=SHAPE):
    g = ops.influence(cell, shape, order, 0.8, window).to(charges.dtype)
    mesh = ops.convolve(ops.spread(positions, charges, cell, shape, order, window), g)
    waves = ops.interpolate(positions, mesh, cell, order, window)
    return waves + OWN * charges + uniform_of(cell).to(charges.dtype) * charges.sum(0)


def energy(positions, charges, cell, order=5, window=None, shape=SHAPE):
    g = ops.influence(cell, shape, order, 0.8, window).to(charges.dtype)
    return ops.mesh_energy(positions, charges, cell, g, shape, order, window, OWN, uniform_of(cell))


def inputs(n=6, channels=3, name="triclinic", dtype=torch.float64):
    cell = cell_of(name)
    positions, charges = atoms(n, cell, channels, dtype=dtype)
    positions = positions + 0.013  # off the knots of the splines
    return positions.requires_grad_(), charges.requires_grad_(), cell.requires_grad_()


def close(found, expected, dtype=torch.float64):
    """Round-off relative to the largest value."""
    scale = float(expected.detach().abs().max()) if expected.numel() else 0.0
    torch.testing.assert_close(
        found, expected, rtol=0, atol=ROUNDING[dtype] * max(scale, 1e-30), check_dtype=True
    )


def probe(values):
    """A number that depends on every potential in its own way."""
    steps = torch.arange(values.numel(), dtype=values.dtype).reshape(values.shape)
    return (values * (1 + steps).cos()).sum()


class TestValuesAndGradients:
    @pytest.mark.parametrize("dtype", ROUNDING)
    @pytest.mark.parametrize("channels", [1, 2, 3, 5, 10, 17])
    @pytest.mark.parametrize("window", WINDOWS)
    def test_potential(self, window, channels, dtype):
        arguments = inputs(7, channels, dtype=dtype)
        values = [f(*arguments, 5, window_of(window, 5)) for f in (potential, one_by_one)]
        close(*values, dtype)
        gradients = [torch.autograd.grad(probe(v), arguments) for v in values]
        for found, expected in zip(*gradients):
            close(found, expected, torch.float32 if dtype == torch.float32 else dtype)

    @pytest.mark.parametrize("dtype", ROUNDING)
    @pytest.mark.parametrize("channels", [1, 2, 3, 5, 10, 17])
    @pytest.mark.parametrize("window", WINDOWS)
    def test_energy(self, window, channels, dtype):
        arguments = inputs(7, channels, dtype=dtype)
        fused = energy(*arguments, 5, window_of(window, 5))
        assert fused.dtype == torch.float64
        assert fused.dim() == 0
        values = one_by_one(*arguments, 5, window_of(window, 5))
        expected = (arguments[1] * values).sum(dtype=torch.float64)
        scale = float((arguments[1] * values).detach().abs().sum())
        assert abs(float(fused.detach() - expected.detach())) < ROUNDING[dtype] * scale
        for found, wanted in zip(
            torch.autograd.grad(fused, arguments), torch.autograd.grad(expected, arguments)
        ):
            close(found, wanted, dtype)

    @pytest.mark.parametrize("window", WINDOWS)
    @pytest.mark.parametrize("name", CELLS)
    @pytest.mark.parametrize("order", [3, 4, 6, 7, 8, 9, 10])
    def test_every_order(self, order, name, window):
        shape = [10, 11, 12]
        arguments = inputs(9, 2, name)
        results = []
        for f in (potential, one_by_one):
            values = f(*arguments, order, window_of(window, order), shape)
            results.append([values, *torch.autograd.grad(probe(values), arguments)])
        for found, expected in zip(*results):
            close(found, expected)

    @pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 1), (1, 2)])
    @pytest.mark.parametrize("channels", [1, 4])
    def test_some_gradients_only(self, channels, wanted):
        """What nobody wants is not computed, and changes nothing."""
        everything = inputs(6, channels)
        for f in (lambda *a: probe(potential(*a)), energy):
            full = torch.autograd.grad(f(*everything), everything)
            some = [x.detach().requires_grad_(k in wanted) for k, x in enumerate(everything)]
            found = torch.autograd.grad(f(*some), [some[k] for k in wanted])
            for k, gradient in zip(wanted, found):
                close(gradient, full[k])

    def test_by_the_influence_function(self):
        """For any values, which need not be symmetric."""
        positions, charges, cell = (x.detach() for x in inputs(6, 4))
        generator = torch.Generator().manual_seed(0)
        influence = torch.randn(8, 9, 6, generator=generator, dtype=torch.float64).requires_grad_()
        mesh = ops.convolve(ops.spread(positions, charges, cell, SHAPE, 5), influence)
        plain = ops.interpolate(positions, mesh, cell, 5)
        fused = ops.mesh_potential(positions, charges, cell, influence, SHAPE, 5)
        close(fused, plain)
        by_fused, by_plain = (
            torch.autograd.grad(probe(v), influence, retain_graph=True)[0] for v in (fused, plain)
        )
        close(by_fused, by_plain)
        total = ops.mesh_energy(positions, charges, cell, influence, SHAPE, 5)
        found = torch.autograd.grad(total, influence)[0]
        close(found, torch.autograd.grad((charges * plain).sum(), influence)[0])

    def test_symmetric_in_the_charges(self):
        """⟨a, V b⟩ = ⟨V a, b⟩, to round-off."""
        positions, a, cell = (x.detach() for x in inputs(20, 3))
        b = a.flip(0).sin()
        left = (a * potential(positions, b, cell)).sum()
        right = (potential(positions, a, cell) * b).sum()
        assert abs(left - right) < 1e-13 * a.norm() * b.norm()

    def test_channels_equal_single_calls(self):
        positions, charges, cell = inputs(11, 10)
        together = potential(positions, charges, cell)
        single = [potential(positions, charges[:, c : c + 1], cell) for c in range(10)]
        close(together, torch.cat(single, 1))
        parts = sum(energy(positions, charges[:, c : c + 1], cell) for c in range(10))
        torch.testing.assert_close(energy(positions, charges, cell), parts, rtol=1e-12, atol=0)

    def test_float32_is_close_to_float64(self):
        """Weights and sums carry float32 rounding: 1e-6 of the largest value."""
        positions, charges, cell = (x.detach() for x in inputs(50, 3))
        double = potential(positions, charges, cell)
        single = potential(positions, charges.float(), cell)
        assert single.dtype == torch.float32
        assert (single.double() - double).abs().max() < 1e-6 * double.abs().max()
        first = energy(positions, charges, cell)
        assert abs(energy(positions, charges.float(), cell) - first) < 1e-6 * abs(first)


class TestSecondDerivatives:
    @pytest.mark.parametrize("channels", [1, 2])
    @pytest.mark.parametrize(("window", "order"), [("B-spline", 6), ("prolate", 7)])
    def test_potential(self, window, order, channels):
        arguments = inputs(3, channels)

        def call(p, q, c):
            return potential(p, q, c, order, window_of(window, order))

        assert gradcheck(call, arguments)
        assert gradgradcheck(call, arguments)

    @pytest.mark.parametrize("channels", [1, 2])
    @pytest.mark.parametrize(("window", "order"), [("B-spline", 6), ("prolate", 7)])
    def test_energy(self, window, order, channels):
        arguments = inputs(3, channels)

        def call(p, q, c):
            return energy(p, q, c, order, window_of(window, order))

        assert gradcheck(call, arguments)
        assert gradgradcheck(call, arguments)

    def test_gradient_of_a_gradient_that_keeps_no_graph(self):
        """The backward of a call is the same with and without create_graph."""
        arguments = inputs(5, 3)
        for f in (lambda *a: probe(potential(*a)), energy):
            plain = torch.autograd.grad(f(*arguments), arguments)
            graph = torch.autograd.grad(f(*arguments), arguments, create_graph=True)
            for found, expected in zip(graph, plain):
                close(found.detach(), expected)


def potential_step(positions: Tensor, charges: Tensor, cell: Tensor) -> Tensor:
    g = ops.influence(cell, [8, 9, 10], 5, 0.8)
    values = ops.mesh_potential(positions, charges, cell, g, [8, 9, 10], 5)
    return (charges.sin() * values).sum()


def energy_step(positions: Tensor, charges: Tensor, cell: Tensor) -> Tensor:
    g = ops.influence(cell, [8, 9, 10], 5, 0.8)
    return ops.mesh_energy(positions, charges, cell, g, [8, 9, 10], 5)


STEPS = [potential_step, energy_step]


class TestTorchIntegration:
    def gradients(self, function):
        arguments = inputs()
        value = function(*arguments)
        return [value.detach(), *torch.autograd.grad(value, arguments)]

    @pytest.mark.parametrize("step", STEPS)
    def test_script(self, step):
        for found, expected in zip(self.gradients(torch.jit.script(step)), self.gradients(step)):
            torch.testing.assert_close(found, expected)

    @pytest.mark.parametrize("step", STEPS)
    def test_compile_without_graph_break(self, step):
        compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
        for found, expected in zip(self.gradients(compiled), self.gradients(step)):
            torch.testing.assert_close(found, expected)

    @pytest.mark.parametrize("step", STEPS)
    def test_compile_with_changing_sizes(self, step):
        compiled = torch.compile(step, fullgraph=True, backend="aot_eager", dynamic=True)
        for n in (6, 7, 11):
            arguments = inputs(n)
            torch.testing.assert_close(compiled(*arguments), step(*arguments))

    @pytest.mark.parametrize("channels", [1, 2])
    @pytest.mark.parametrize("window", WINDOWS)
    def test_opcheck(self, window, channels):
        """torch's own test of schema, fake tensors and autograd registration."""
        generator = torch.Generator().manual_seed(0)
        fractions = torch.rand(4, 3, generator=generator, dtype=torch.float64)
        charges = torch.rand(4, channels, generator=generator, dtype=torch.float64)
        influence = torch.rand(5, 6, 4, generator=generator, dtype=torch.float64)
        uniform = torch.tensor(0.3, dtype=torch.float64)
        for differentiable in (False, True):
            given = [
                x.clone().requires_grad_(differentiable)
                for x in (fractions, charges, influence, uniform)
            ]
            common = ([5, 6, 7], 4, window_of(window, 4), 0, OWN, given.pop())
            for name in ("mesh_potential", "mesh_energy"):
                op = getattr(torch.ops.loremd, name).default
                results = torch.library.opcheck(op, (*given, *common))
                assert set(results.values()) == {"SUCCESS"}, (name, results)
        arguments = (fractions, charges, influence, *common)
        parts = torch.ops.loremd.mesh_potential_forward(*arguments, True, True)
        inner = {
            "mesh_potential_forward": (*arguments, True, True),
            "mesh_potential_backward": (*arguments, *parts[1:], 2 * charges),
            "mesh_energy_forward": (*arguments, True),
        }
        for name, given in inner.items():
            results = torch.library.opcheck(
                getattr(torch.ops.loremd, name).default,
                given,
                test_utils=("test_schema", "test_faketensor"),
            )
            assert set(results.values()) == {"SUCCESS"}, (name, results)

    @pytest.mark.parametrize("step", STEPS)
    def test_no_grad_and_inference_mode(self, step):
        arguments = inputs()
        expected = step(*arguments).detach()
        with torch.no_grad():
            result = step(*arguments)
            assert not result.requires_grad
        torch.testing.assert_close(result, expected)
        with torch.inference_mode():
            torch.testing.assert_close(step(*arguments), expected)

    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("f", [lambda *a: probe(potential(*a)), energy])
    def test_non_contiguous_input(self, f, channels):
        arguments = inputs(6, channels)
        expected = f(*arguments)
        gradients = torch.autograd.grad(expected, arguments)
        strided = [torch.stack([x.detach()] * 2, -1)[..., 0].requires_grad_() for x in arguments]
        assert not any(x.is_contiguous() for x in strided)
        value = f(*strided)
        torch.testing.assert_close(value, expected, rtol=1e-13, atol=0)
        for found, wanted in zip(torch.autograd.grad(value, strided), gradients):
            close(found, wanted)

    def test_expanded_gradient(self):
        """The gradient of a plain sum is one number, seen everywhere."""
        arguments = inputs()
        for f in (potential, one_by_one):
            assert torch.autograd.grad(f(*arguments).sum(), arguments[0])[0].shape == (6, 3)
        sums = [
            torch.autograd.grad(f(*arguments).sum(), arguments) for f in (potential, one_by_one)
        ]
        for found, expected in zip(*sums):
            close(found, expected)

    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("n", [0, 1])
    def test_empty_input_and_one_atom(self, n, channels):
        arguments = inputs(n, channels)
        values = potential(*arguments)
        assert values.shape == (n, channels)
        for total in (probe(values), energy(*arguments)):
            gradients = torch.autograd.grad(total, arguments)
            assert gradients[0].shape == (n, 3)
            assert all(torch.isfinite(g).all() for g in gradients)
        # the mesh hardly knows where the atom is
        assert n == 0 or float(values[0].abs().min().detach()) > 0

    def test_no_channels(self):
        positions, charges, cell = (x.detach() for x in inputs(4, 0))
        assert potential(positions, charges, cell).shape == (4, 0)
        assert energy(positions, charges, cell) == 0


class TestThreads:
    @pytest.fixture(autouse=True)
    def threads(self):
        before = torch.get_num_threads()
        yield
        torch.set_num_threads(before)

    @pytest.mark.parametrize("channels", [1, 2, 10])
    @pytest.mark.parametrize("dtype", ROUNDING)
    def test_the_same_bits(self, dtype, channels):
        """On a mesh large enough to be worked on by several threads, some slabs without atoms."""
        cell = 30 * torch.eye(3, dtype=torch.float64)
        positions, charges = atoms(3000, cell, channels, dtype=dtype)
        positions[:, 0] *= 0.4
        shape = [48, 40, 36]
        influence = ops.influence(cell, shape, 6, 1.0).to(dtype)
        results = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            given = [positions.clone(), charges.clone(), influence.clone()]
            for x in given:
                x.requires_grad_()
            p, q, g = given
            values = ops.mesh_potential(p, q, cell, g, shape, 6)
            total = ops.mesh_energy(p, q, cell, g, shape, 6)
            by_values = torch.autograd.grad(probe(values), given)
            results.append([values, total, *by_values, *torch.autograd.grad(total, given)])
        for other in results[1:]:
            for k, (found, expected) in enumerate(zip(other, results[0])):
                assert torch.equal(found, expected), k


class TestBadInput:
    def call(self, op=ops.mesh_potential, **changes):
        positions, charges, cell = (x.detach() for x in inputs(5, 2))
        given = {
            "positions": positions,
            "charges": charges,
            "cell": cell,
            "influence": torch.ones(8, 9, 6, dtype=torch.float64),
            "mesh_shape": SHAPE,
            "order": 5,
        }
        return op(**(given | changes))

    @pytest.mark.parametrize("op", [ops.mesh_potential, ops.mesh_energy])
    @pytest.mark.parametrize(
        ("error", "message", "changes"),
        [
            (ValueError, "expected uniform to be one number", {"uniform": torch.ones(2).double()}),
            (ValueError, "got shape .* and dtype Float", {"uniform": torch.tensor(1.0)}),
            (ValueError, "order is 2; allowed: 3 to 10", {"order": 2}),
            (ValueError, "order is 11; allowed: 3 to 10", {"order": 11}),
            (ValueError, "mesh 8 x 9 x 10 is too coarse for order 9", {"order": 9}),
            (ValueError, "a mesh shape of three numbers", {"mesh_shape": [8, 9]}),
            (
                ValueError,
                r"influence of shape \(8, 9, 6\) for this mesh",
                {"influence": torch.ones(8, 9, 10).double()},
            ),
            (TypeError, "influence of dtype Double", {"influence": torch.ones(8, 9, 6)}),
            (
                ValueError,
                r"charges of shape \(5, channels\)",
                {"charges": torch.ones(4, 2).double()},
            ),
            (
                TypeError,
                "charges of dtype float32 or float64",
                {"charges": torch.ones(5, 2).half()},
            ),
            (ValueError, "window of one dimension", {"window": torch.ones(2, 2).double()}),
            (TypeError, "window of dtype Double", {"window": torch.ones(3)}),
            (ValueError, "varies too fast for order 5", {"window": torch.ones(100).double()}),
            pytest.param(
                ValueError,
                "a position is not finite",
                {"positions": torch.full((5, 3), torch.nan).double()},
                marks=pytest.mark.cpu_kernels,
            ),
            pytest.param(
                ValueError,
                "a position is not finite",
                {"positions": torch.full((5, 3), torch.inf).double()},
                marks=pytest.mark.cpu_kernels,
            ),
        ],
    )
    def test_call(self, op, error, message, changes):
        with pytest.raises(error, match=message):
            self.call(op, **changes)

    def test_no_mesh(self):
        with pytest.raises(ValueError, match="positive|too coarse"):
            self.call(mesh_shape=[0, 9, 10], influence=torch.ones(0, 9, 6).double())

    def test_order_that_is_not_of_the_forward(self):
        positions, charges, cell = (x.detach() for x in inputs(5, 2))
        fractions = ops.fractional(positions, cell)
        influence = torch.ones(8, 9, 6, dtype=torch.float64)
        arguments = (fractions, charges, influence, SHAPE, 5, None, 0, 0.0, None)
        _, field, spectrum, visits = torch.ops.loremd.mesh_potential_forward(
            *arguments, True, False
        )
        assert visits[:, 0].sort()[0].tolist() == list(range(5))
        for wrong in (visits[1:], visits[:, :1], visits.long()):
            with pytest.raises(ValueError, match=r"expected visits of shape \(5, 10\) and dtype"):
                torch.ops.loremd.mesh_potential_backward(
                    *arguments, field, spectrum, wrong, charges
                )
