# SPDX-License-Identifier: BSD-3-Clause
"""gamma_tail and compact_sharp against arbitrary-precision numbers, quadrature and differences."""

import math

import mpmath
import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from loremd.ops import compact_sharp, gamma_tail, reference

# the shapes 1, 3/2 (1 - t²), and one that is neither positive nor zero at the edge
SHAPES = ([1.0], [1.0, -1.0], [1.0, -1.3, 0.4, -0.05, 0.01])


def values(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


@pytest.mark.parametrize(
    "a", [1, 0.5, 0, -0.5, -1, -1.5, 0.3, -0.7, 1e-9, -1e-9, 2.9, 1 - 1e-9, 1.5, 3, -12.3, 30.5]
)
def test_incomplete_gamma_function(a):
    points = [*np.geomspace(1e-6, 60, 40).tolist(), 1.2, math.nextafter(1.2, 2)]
    computed = gamma_tail(values(*points), float(a), 1.0)
    with mpmath.workdps(40):
        for x, value in zip(points, computed.tolist(), strict=True):
            exact = mpmath.gammainc(mpmath.mpf(a), mpmath.mpf(x)) / mpmath.mpf(x) ** mpmath.mpf(a)
            # rounding, and that of x in exp(-x)
            assert abs(value / exact - 1) < 2e-14 + 1e-16 * x


@pytest.mark.parametrize("derivative", range(4))
@pytest.mark.parametrize("a", [0.5, 1.0, 1.5, 3.0, 0.25, 0.0, -0.5, -1.5, -0.3])
def test_gamma_tail_is_the_reference(a, derivative):
    x = torch.logspace(-3, 1.5, 53, dtype=torch.float64)
    expected = reference.gamma_tail(x, a, 0.7, derivative)
    torch.testing.assert_close(gamma_tail(x, a, 0.7, derivative), expected, rtol=2e-13, atol=0)


@pytest.mark.parametrize("derivative", range(4))
@pytest.mark.parametrize("shape", SHAPES)
def test_compact_sharp_is_the_reference(shape, derivative):
    x = torch.linspace(0.05, 30, 201, dtype=torch.float64)
    series = values(*shape)
    expected = reference.compact_sharp(x, 5.0, series, derivative).detach()
    # the difference of two numbers of the size of the derivatives of 1/r
    size = float(reference.compact_sharp(x[:1], 5.0, series, derivative).detach().abs())
    computed = compact_sharp(x, 5.0, series, derivative)
    torch.testing.assert_close(computed, expected, rtol=0, atol=1e-13 * size)
    assert (computed[x >= 25] == 0).all()


def test_compact_sharp_of_a_parabola():
    """shape 3/2 (1 - t²): sharp = (1 - 3/2 t + t³/2) / r."""
    r = torch.linspace(0.1, 4, 40, dtype=torch.float64)
    t = r / 3
    expected = torch.where(t < 1, (1 - 1.5 * t + 0.5 * t**3) / r, 0.0)
    computed = compact_sharp(r.square(), 3.0, values(1, -1))
    torch.testing.assert_close(computed, expected, rtol=0, atol=1e-14)


OPS = {
    "gamma_tail, p = 1": lambda x, d: gamma_tail(x, 0.5, 0.4, d),
    "gamma_tail, p = 0.6": lambda x, d: gamma_tail(x, 0.3, 0.4, d),
    "gamma_tail, transform of p = 5": lambda x, d: gamma_tail(x, -1.0, 0.4, d),
    "compact_sharp": lambda x, d: compact_sharp(x, 2.0, values(1, -1), d),
}


@pytest.mark.parametrize("name", OPS)
class TestDerivatives:
    def test_gradients(self, name):
        op = OPS[name]
        x = torch.linspace(0.3, 3.5, 21, dtype=torch.float64).reshape(3, 7).requires_grad_()
        assert gradcheck(lambda x: op(x, 0), x)
        assert gradgradcheck(lambda x: op(x, 0), x)
        assert gradcheck(lambda x: op(x, 2), x)

    def test_the_fourth_is_not_there(self, name):
        x = torch.linspace(0.3, 3.5, 5, dtype=torch.float64).requires_grad_()
        value = OPS[name](x, 3)
        with pytest.raises(NotImplementedError, match="derivative is 4; available: 0 to 3"):
            torch.autograd.grad(value.sum(), x)

    def test_shape_layout_and_number_of_values_do_not_matter(self, name):
        op = OPS[name]
        x = torch.linspace(0.1, 9, 10007, dtype=torch.float64)
        whole = op(x, 0)
        for part in (x[:0], x[:1], x[:15], x[3:20], x[::3]):
            torch.testing.assert_close(op(part, 0), whole[torch.isin(x, part)], rtol=0, atol=0)
        square = x[:10000].reshape(100, 100)
        torch.testing.assert_close(op(square.T, 0), op(square, 0).T, rtol=0, atol=0)
        assert op(torch.empty(3, 4, device="meta", dtype=torch.float64), 0).shape == (3, 4)


def test_large_arguments_vanish_and_nan_stays():
    x = values(900.0, 1e6, math.nan)
    assert gamma_tail(x, 0.5, 1.0)[:2].abs().max() < 1e-300
    assert gamma_tail(x, 0.3, 1.0)[:2].abs().max() < 1e-300
    assert gamma_tail(x, 0.5, 1.0)[2].isnan()
    assert compact_sharp(x, 1.0, values(1, -1))[2].isnan()


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda x: gamma_tail(x.float(), 0.5, 1.0), TypeError, "expected x of dtype Double"),
        (lambda x: gamma_tail(x, 0.5, 0.0), ValueError, "b is 0; it must be positive"),
        (lambda x: gamma_tail(x, math.nan, 1.0), ValueError, "a is nan; allowed: -100 to 100"),
        (lambda x: gamma_tail(x, 0.5, 1.0, -1), ValueError, "derivative is -1; allowed: 0 to 3"),
        (lambda x: compact_sharp(x, -1.0, x), ValueError, "range is -1; it must be positive"),
        (lambda x: compact_sharp(x, 1.0, x[:0]), ValueError, "expected series of one dimension"),
        (lambda x: compact_sharp(x, 1.0, x.float()), TypeError, "expected series of dtype Double"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(values(1.0, 2.0))
