# SPDX-License-Identifier: BSD-3-Clause
"""Norms of spherical features: invariant, with derivatives also where they vanish."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from loremd import ops
from loremd.ops import reference

from .test_tensor_product import TOLERANCE, turned

# degree, features: fewer and more than are worked on together, which are 8
CASES = [(0, 1), (6, 8), (2, 16), (3, 5), (1, 19)]


def features(degree, count, n=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(2)
    shape = (n, (degree + 1) ** 2, count)
    return torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype)


def derivatives(function, t, epsilon):
    """Value, gradient, and the derivative of the gradient along a direction."""
    t = t.detach().requires_grad_()
    value = function(t, epsilon)
    weights = torch.linspace(0.5, 2, value.numel(), dtype=t.dtype).reshape(value.shape)
    (slope,) = torch.autograd.grad((weights * value).sum(), t, create_graph=True)
    direction = torch.linspace(-1, 1, t.numel(), dtype=t.dtype).reshape(t.shape)
    (curvature,) = torch.autograd.grad((slope * direction).sum(), t)
    return value.detach(), slope.detach(), curvature


@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_rotation(epsilon):
    t = features(6, 3)
    one, other = ops.norm_features(t, epsilon), ops.norm_features(turned(t, 6), epsilon)
    # of the fitted rotation matrices, whose entries are up to 1
    torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def test_scales_with_the_features():
    t = features(3, 2)
    torch.testing.assert_close(ops.norm_features(-3 * t), 3 * ops.norm_features(t), **TOLERANCE)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("epsilon", [0.0, 0.1])
@pytest.mark.parametrize("n", [0, 1, 150])
def test_equals_reference(case, epsilon, n):
    t = features(*case, n=n)
    for one, other in zip(
        derivatives(ops.norm_features, t, epsilon),
        derivatives(reference.norm_features, t, epsilon),
        strict=True,
    ):
        # a random norm may be as small as 1e-3, and the second derivative holds its inverse
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_float32(epsilon):
    exact = features(4, 8)
    found = derivatives(ops.norm_features, exact.to(torch.float32), epsilon)
    for one, other in zip(found, derivatives(ops.norm_features, exact, epsilon), strict=True):
        assert one.dtype == torch.float32
        # rounding of the input, 6e-8, times the inverse of small norms
        torch.testing.assert_close(one.double(), other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("epsilon", [0.0, 0.5])
def test_first_and_second_derivatives(epsilon):
    t = features(2, 2, n=2).requires_grad_()
    assert gradcheck(lambda x: ops.norm_features(x, epsilon), [t])
    assert gradgradcheck(lambda x: ops.norm_features(x, epsilon), [t])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_vanishes_with_its_derivatives(dtype):
    t = features(3, 2, dtype=dtype)
    t[1] = 0
    t[2, 4:9] = 0
    value, slope, curvature = derivatives(ops.norm_features, t, 0.0)
    assert (value[1] == 0).all() and (slope[1] == 0).all() and (curvature[1] == 0).all()
    assert (value[2, 4:6] == 0).all() and (slope[2, 4:9] == 0).all()
    assert (curvature[2, 4:9] == 0).all() and (value[2, :4] > 0).all()


def test_tiny_features():
    """Of an untrained float32 model: squares and cubes of the norm are not float32 numbers."""
    t = 1e-25 * features(2, 3)
    found = derivatives(ops.norm_features, t.to(torch.float32), 0.0)
    for one, other in zip(found, derivatives(ops.norm_features, t, 0.0), strict=True):
        # rounding of the input, 6e-8, times ratios of components
        largest = float(other.abs().max())
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5 * largest)


def test_epsilon_is_smooth_and_zero_at_zero():
    t = torch.zeros(1, 4, 1, dtype=torch.float64)
    value, slope, _ = derivatives(ops.norm_features, t, 1e-3)
    assert (value == 0).all() and (slope == 0).all()


def test_not_a_number_is_not_hidden():
    t = features(1, 1)
    t[0, 2] = float("nan")
    norms = ops.norm_features(t)
    assert norms[0, 1].isnan() and torch.isfinite(norms[1:]).all()


def test_views_and_script():
    t = features(3, 4)
    expected = ops.norm_features(t, 0.1)
    scripted = torch.jit.script(ops.norm_features)
    features_first = t.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    for view in (torch.cat([t, t], 2)[..., :4], features_first):
        torch.testing.assert_close(scripted(view, 0.1), expected, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_opcheck(dtype):
    t = features(2, 3, dtype=dtype).requires_grad_()
    torch.library.opcheck(torch.ops.loremd.norm_features.default, (t, 0.1))
    grad = torch.randn(5, 9, dtype=dtype, requires_grad=True)
    torch.library.opcheck(torch.ops.loremd.norm_features_gradient.default, (t, grad, 0.1))


def test_third_derivatives_are_refused():
    t = features(1, 1).requires_grad_()
    value = ops.norm_features(t).sum()
    with pytest.raises(NotImplementedError, match="third derivatives"):
        for _ in range(3):
            (slope,) = torch.autograd.grad(value, t, create_graph=True)
            value = slope.square().sum()


@pytest.mark.parametrize(
    ("t", "epsilon", "error", "message"),
    [
        (torch.ones(5, 8, 3), 0.0, ValueError, r"\(degree \+ 1\)\^2 components, got 8"),
        (torch.ones(5, 9, 3), -1.0, ValueError, "must not be negative"),
        (torch.ones(5, 9, 3).half(), 0.0, TypeError, "float32 or float64"),
    ],
)
def test_bad_input(t, epsilon, error, message):
    with pytest.raises(error, match=message):
        ops.norm_features(t, epsilon)
