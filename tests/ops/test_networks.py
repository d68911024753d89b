# SPDX-License-Identifier: BSD-3-Clause
"""Networks per atom: fused for inference, by the ops of torch for training, the same numbers."""

import itertools

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from loremd import ops
from loremd.ops import reference

# of the input and of each layer: those of the model, single ones, none that vectors fit
WIDTHS = [(128, 256, 128), (57, 256, 128), (128, 128, 128, 1), (1, 1), (5, 19, 3), (3, 7, 33, 21)]
ROWS = [0, 1, 150]  # none, one, more than are worked on together
ROUNDING = {torch.float64: 1e-12, torch.float32: 2e-5}  # of sums of some hundred numbers of order 1


def normal(*shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype)


def network(widths, dtype=torch.float64):
    """Weights and biases."""
    layers = list(itertools.pairwise(widths))
    weights = [normal(*pair, dtype=dtype, seed=k) / pair[0] ** 0.5 for k, pair in enumerate(layers)]
    return weights, [normal(pair[1], dtype=dtype, seed=9 + k) for k, pair in enumerate(layers)]


def step(widths, n, dtype=torch.float64):
    """The arguments of residual_mlp."""
    width = widths[-1]
    x, y = normal(n, width, dtype=dtype, seed=20), normal(n, widths[0], dtype=dtype, seed=21)
    scale, shift = normal(width, dtype=dtype, seed=22), normal(width, dtype=dtype, seed=23)
    return x, y, *network(widths, dtype), scale, shift


def with_gradients(function, rows, rest):
    """Values and the gradients by rows of a number that weighs every value differently."""
    rows = [row.detach().requires_grad_() for row in rows]
    values = function(*rows, *rest)
    weights = normal(*values.shape, dtype=values.dtype, seed=30)
    return values.detach(), *torch.autograd.grad((weights * values).sum(), rows)


def close(found, expected, dtype=torch.float64):
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == dtype
        torch.testing.assert_close(one.double(), other.double(), rtol=0, atol=ROUNDING[dtype])


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("n", ROWS)
@pytest.mark.parametrize("widths", WIDTHS)
class TestEqualsReference:
    def test_mlp(self, widths, n, dtype):
        x, parameters = normal(n, widths[0], dtype=dtype), network(widths, dtype)
        exact = [[t.double() for t in each] for each in parameters]
        expected = with_gradients(reference.mlp, [x.double()], exact)
        close(with_gradients(ops.mlp, [x], parameters), expected, dtype)
        close([ops.mlp(x, *parameters)], expected[:1], dtype)

    def test_residual_mlp(self, widths, n, dtype):
        if widths[-1] == 1:  # a row of one number has no variance
            widths = (*widths[:-1], 33)
        x, y, weights, biases, scale, shift = step(widths, n, dtype)
        rest = weights, biases, scale, shift
        exact = [[t.double() for t in weights], [t.double() for t in biases]]
        exact += [scale.double(), shift.double()]
        expected = with_gradients(reference.residual_mlp, [x.double(), y.double()], exact)
        # of 3 numbers whose variance may be small; its root's inverse is in the gradients
        close([ops.residual_mlp(x, y, *rest)], expected[:1], dtype)
        close(with_gradients(ops.residual_mlp, [x, y], rest), expected, dtype)

    def test_training_and_inference_agree(self, widths, n, dtype):
        x, (weights, biases) = normal(n, widths[0], dtype=dtype), network(widths, dtype)
        fused = with_gradients(ops.mlp, [x], (weights, biases))
        trained = [weight.clone().requires_grad_() for weight in weights]
        close(fused, with_gradients(ops.mlp, [x], (trained, biases)), dtype)


class TestNormalisation:
    def test_mean_and_deviation(self):
        x, y, weights, biases, _, _ = step((4, 9, 50), 7)
        one, zero = torch.ones(50, dtype=x.dtype), torch.zeros(50, dtype=x.dtype)
        rows = ops.residual_mlp(x, y, weights, biases, one, zero)
        torch.testing.assert_close(rows.mean(1), torch.zeros(7, dtype=x.dtype), rtol=0, atol=1e-14)
        # the variance of order 1 has 1e-6 added
        torch.testing.assert_close(
            rows.var(1, correction=0).sqrt(), torch.ones_like(rows[:, 0]), rtol=2e-6, atol=0
        )

    def test_a_common_offset_does_not_matter(self):
        x, *rest = step((4, 9, 50), 7)
        torch.testing.assert_close(
            ops.residual_mlp(x + 1e3, *rest), ops.residual_mlp(x, *rest), rtol=0, atol=1e-11
        )

    def test_as_exact_as_torch_in_float32(self):
        x, y, weights, biases, scale, shift = step((4, 9, 128), 500, torch.float32)
        x = x + 100  # so that the mean square is 1e4 times the variance
        rest = [[t.double() for t in weights], [t.double() for t in biases]]
        expected = reference.residual_mlp(
            x.double(), y.double(), *rest, scale.double(), shift.double()
        )
        z = x + reference.mlp(y, weights, biases)
        by_torch = torch.nn.functional.layer_norm(z, [128], scale, shift, 1e-6)
        fused = ops.residual_mlp(x, y, weights, biases, scale, shift)
        errors = [(value - expected).square().mean().sqrt() for value in (fused, by_torch)]
        assert errors[0] <= 1.05 * errors[1]

    def test_rows_without_variance(self):
        """All values equal: the result is the shift, and derivatives are finite."""
        weights, biases = [torch.zeros(2, 8)], [torch.zeros(8)]
        scale, shift = torch.ones(8), torch.arange(8.0)
        rows = [torch.full((3, 8), 5.0), torch.ones(3, 2)]
        found = with_gradients(ops.residual_mlp, rows, (weights, biases, scale, shift))
        torch.testing.assert_close(found[0], shift.expand(3, 8), rtol=0, atol=0)
        assert all(torch.isfinite(value).all() for value in found)


class TestSilu:
    """A network of two unit matrices is silu."""

    @staticmethod
    def silu(x):
        unit, zero = torch.ones(1, 1, dtype=x.dtype), torch.zeros(1, dtype=x.dtype)
        return ops.mlp(x[:, None], [unit, unit], [zero, zero])[:, 0]

    @pytest.mark.parametrize("dtype", ROUNDING)
    def test_rounding(self, dtype):
        x = torch.linspace(-80, 80, 100_001, dtype=dtype).requires_grad_()
        exact = x.detach().double().requires_grad_()
        logistic = 1 / (1 + torch.exp(-exact))
        other = torch.exp(-exact) * logistic  # 1 - logistic, without cancellation
        slope = logistic * (1 + exact * other)
        found = self.silu(x)
        (found_slope,) = torch.autograd.grad(found.sum(), x)
        unit = torch.finfo(dtype).eps
        # the exponential to 2 units, and three roundings; in float64 as many of the expected value
        torch.testing.assert_close(found.double(), exact * logistic, rtol=5 * unit, atol=0)
        # the sum in the slope cancels around its root at -1.28
        torch.testing.assert_close(found_slope.double(), slope, rtol=8 * unit, atol=2 * unit)

    @pytest.mark.parametrize("dtype", ROUNDING)
    def test_large_values(self, dtype):
        x = torch.tensor([-1e30, -1e4, -800.0, 800.0, 1e4, 1e30], dtype=dtype).requires_grad_()
        value = self.silu(x)
        (slope,) = torch.autograd.grad(value.sum(), x)
        expected = x.detach().clamp(min=0)
        torch.testing.assert_close(value.detach(), expected, rtol=0, atol=0)
        torch.testing.assert_close(slope, (expected > 0).to(dtype), rtol=0, atol=0)

    def test_not_a_number_is_not_hidden(self):
        value = self.silu(torch.tensor([1.0, float("nan"), 2.0]))
        assert value[1].isnan() and torch.isfinite(value[::2]).all()


class TestDerivatives:
    @pytest.mark.parametrize("trained", [False, True])
    def test_mlp(self, trained):
        """Of all orders, by rows alone and by parameters, too."""
        (w1, w2, w3), (b1, b2, b3) = network((3, 4, 5, 2))
        given = [normal(3, 3), *((w1, b1, w2, b2, w3, b3) if trained else ())]
        given = [t.requires_grad_() for t in given]

        def function(x, *_):
            return ops.mlp(x, [w1, w2, w3], [b1, b2, b3])

        assert gradcheck(function, given)
        assert gradgradcheck(function, given)

    @pytest.mark.parametrize("trained", [False, True])
    @pytest.mark.parametrize("shared", [False, True])
    def test_residual_mlp(self, shared, trained):
        x, y, (w1, w2), (b1, b2), scale, shift = step((4, 5, 4), 3)
        rows = [x] if shared else [x, y]
        parameters = [w1, b1, w2, b2, scale, shift] if trained else []
        given = [t.requires_grad_() for t in rows + parameters]

        def function(x, *rest):
            y = x if shared else rest[0]
            return ops.residual_mlp(x, y, [w1, w2], [b1, b2], scale, shift)

        assert gradcheck(function, given)
        assert gradgradcheck(function, given)

    def test_arguments_that_depend_on_each_other(self):
        """x is a function of y: its part of the second derivative must not be counted twice."""
        _, y, *rest = step((4, 5, 4), 3)
        y.requires_grad_()
        assert gradgradcheck(lambda y: ops.residual_mlp(y.sin(), y, *rest), [y])

    def test_by_one_of_two(self):
        x, y, *rest = step((3, 5, 4), 3)
        expected = with_gradients(ops.residual_mlp, [x, y], rest)
        (by_y,) = with_gradients(lambda y: ops.residual_mlp(x, y, *rest), [y], ())[1:]
        (by_x,) = with_gradients(lambda x: ops.residual_mlp(x, y, *rest), [x], ())[1:]
        close([by_x, by_y], expected[1:])

    def test_third(self):
        x, parameters = normal(2, 3).requires_grad_(), network((3, 4, 1))

        def slope(x):
            value = ops.mlp(x, *parameters).sum()
            return torch.autograd.grad(value, x, create_graph=True)[0].sin()

        assert gradgradcheck(slope, [x])

    def test_expanded_gradient(self):
        x, parameters = normal(150, 3).requires_grad_(), network((3, 4, 2))
        (found,) = torch.autograd.grad(ops.mlp(x, *parameters).sum(), x)
        (expected,) = torch.autograd.grad(reference.mlp(x, *parameters).sum(), x)
        close([found], [expected])


class TestCalls:
    def test_views_and_script(self):
        x, y, weights, biases, scale, shift = step((5, 19, 6), 150)
        expected = ops.residual_mlp(x, y, weights, biases, scale, shift)
        scripted = torch.jit.script(ops.residual_mlp)

        def strided(t):
            return torch.stack([t, t], -1)[..., 0]

        def transposed(t):
            return t.t().contiguous().t()

        found = scripted(
            strided(x),
            torch.cat([y, y], 1)[:, :5],
            [transposed(weight) for weight in weights],
            [strided(bias) for bias in biases],
            strided(scale),
            strided(shift),
        )
        close([found], [expected])

    def test_number_of_threads(self):
        x, y, *rest = step((57, 256, 128), 1000, torch.float32)
        threads = torch.get_num_threads()
        results = []
        try:
            for count in (1, 2, 5):
                torch.set_num_threads(count)
                results.append(with_gradients(ops.residual_mlp, [x, y], rest))
        finally:
            torch.set_num_threads(threads)
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                torch.testing.assert_close(a, b, rtol=0, atol=0)

    def test_no_grad_and_inference_mode(self):
        x, y, (w1, w2), biases, scale, shift = step((5, 19, 6), 3)
        w1.requires_grad_()
        given = x.requires_grad_(), y, [w1, w2], biases, scale, shift
        expected = ops.residual_mlp(*given).detach()
        for mode in (torch.no_grad(), torch.inference_mode()):
            with mode:
                found = ops.residual_mlp(*given)
                assert not found.requires_grad
                close([found], [expected])

    @pytest.mark.parametrize("trained", [False, True])
    def test_opcheck(self, trained):
        x, y, weights, biases, scale, shift = step((3, 8, 4), 5)
        for t in (x, y, *(weights if trained else ())):
            t.requires_grad_()
        torch.library.opcheck(torch.ops.loremd.mlp.default, (y, weights, biases))
        step_arguments = (x, y, weights, biases, scale, shift)
        torch.library.opcheck(torch.ops.loremd.residual_mlp.default, step_arguments)

    def test_slopes_kept_or_found_anew(self):
        x, y, weights, biases, scale, shift = step((57, 256, 128), 150)
        grad, op = normal(150, 128, seed=31), torch.ops.loremd
        _, normalised, inverse, slopes = op.residual_mlp_slopes(x, y, weights, biases, scale, shift)
        given = grad, y, weights, biases, scale, normalised, inverse
        kept, anew = (op.residual_mlp_backward(*given, each) for each in (slopes, None))
        for one, other in zip(kept, anew, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)

    def test_opcheck_of_the_halves(self):
        x, y, weights, biases, scale, shift = step((3, 8, 4), 5)
        op = torch.ops.loremd
        _, slopes = op.mlp_forward(y, weights, biases)
        _, *kept = op.residual_mlp_slopes(x, y, weights, biases, scale, shift)
        for name, given in {
            "mlp_forward": (y, weights, biases),
            "mlp_backward": (x, weights, slopes),
            "residual_mlp_forward": (x, y, weights, biases, scale, shift),
            "residual_mlp_slopes": (x, y, weights, biases, scale, shift),
            "residual_mlp_backward": (x, y, weights, biases, scale, *kept),
        }.items():
            torch.library.opcheck(
                getattr(op, name).default, given, test_utils=("test_schema", "test_faketensor")
            )

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            ({"y": torch.ones(5, 4)}, ValueError, r"expected y of shape \(n, 3\), got \[5, 4\]"),
            ({"y": torch.ones(4, 3)}, ValueError, "with as many rows"),
            ({"y": torch.ones(5, 3).half()}, TypeError, "float32 or float64"),
            ({"x": torch.ones(5, 3)}, ValueError, r"expected x of shape \(n, 4\)"),
            ({"x": torch.ones(5, 4).double()}, TypeError, "expected x of dtype Float"),
            ({"weights": []}, ValueError, "one at least, got 0 and 2"),
            ({"weights": [torch.ones(3, 8), torch.ones(7, 4)]}, ValueError, r"weights\[1\] of"),
            ({"weights": [torch.ones(3, 8), torch.ones(8)]}, ValueError, r"weights\[1\] of"),
            ({"biases": [torch.ones(8), torch.ones(3)]}, ValueError, r"biases\[1\] of shape"),
            ({"scale": torch.ones(3)}, ValueError, "expected scale of shape"),
            ({"shift": torch.ones(4).double()}, TypeError, "expected shift of dtype Float"),
        ],
    )
    @pytest.mark.parametrize("trained", [False, True])
    def test_bad_input(self, change, error, message, trained):
        weights = [torch.ones(3, 8, requires_grad=trained), torch.ones(8, 4)]
        given = {
            "x": torch.ones(5, 4),
            "y": torch.ones(5, 3),
            "weights": weights,
            "biases": [torch.ones(8), torch.ones(4)],
            "scale": torch.ones(4),
            "shift": torch.ones(4),
        }
        with pytest.raises(error, match=message):
            ops.residual_mlp(**(given | change))

    def test_bad_input_of_the_halves(self):
        x, y, weights, biases, scale, shift = step((3, 8, 4), 5)
        slopes, units, inverse = normal(40), normal(5, 4), normal(5)
        op = torch.ops.loremd
        with pytest.raises(ValueError, match="expected one weight at least"):
            op.mlp_backward(x, [], slopes)
        with pytest.raises(ValueError, match=r"expected weights\[1\] of shape \(8, out\)"):
            op.mlp_backward(x, [weights[0], weights[1][:7]], slopes)
        with pytest.raises(ValueError, match=r"expected slopes of shape \(40\), got \[32\]"):
            op.mlp_backward(x, weights, slopes[:32])
        with pytest.raises(ValueError, match=r"expected grad of shape \(n, 4\)"):
            op.mlp_backward(x[:, :3], weights, slopes)
        with pytest.raises(ValueError, match="expected inverse of shape"):
            op.residual_mlp_backward(x, y, weights, biases, scale, units, inverse[:3])
        with pytest.raises(TypeError, match="expected normalised of dtype Double"):
            op.residual_mlp_backward(x, y, weights, biases, scale, units.float(), inverse)
        with pytest.raises(ValueError, match=r"expected slopes of shape \(40\), got \[5, 4\]"):
            op.residual_mlp_backward(x, y, weights, biases, scale, units, inverse, units)
        with pytest.raises(ValueError, match=r"expected normalised of shape \(5, 4\)"):
            ops.residual_mlp_again(x, y, weights, biases, scale, shift, units[:3], inverse)
