# SPDX-License-Identifier: BSD-3-Clause
"""Coupling of spherical features: what symmetry demands, then the plain version."""

import math

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from loremd import ops
from loremd.clebsch_gordan import allowed
from loremd.ops import reference
from loremd.spherical import component_degrees, harmonics

# degrees of a, b and the product, features: more and fewer features than lanes, which are 16 or 8
# in float32 and 8 or 4 in float64; degrees that need several groups of sums
CASES = [
    (0, 0, 0, 1),
    (1, 2, 3, 5),
    (6, 6, 2, 1),
    (2, 6, 6, 8),
    (6, 6, 6, 8),
    (3, 2, 1, 16),
    (2, 1, 2, 37),
    (8, 8, 16, 2),
]
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}  # round-off of sums of at most some 100 terms


def arguments(l1, l2, l3, features, n=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype)

    a, b = random(n, (l1 + 1) ** 2, features), random(n, (l2 + 1) ** 2, features)
    return a, b, random(l1 + 1, l2 + 1, l3 + 1, features)


def allowed_paths(l1, l2, l3):
    """Boolean (l1 + 1, l2 + 1, l3 + 1)."""
    return torch.tensor(
        [[[allowed(a, b, c) for c in range(l3 + 1)] for b in range(l2 + 1)] for a in range(l1 + 1)]
    )


def turned(t, degree):
    """Spherical features (n, (degree + 1)², F) after a rotation, from the harmonics themselves."""
    generator = torch.Generator().manual_seed(7)
    u = torch.randn(200, 3, dtype=torch.float64, generator=generator)
    u = u / u.norm(dim=1, keepdim=True)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=generator))
    turn = turn * torch.linalg.det(turn)
    matrix = torch.linalg.lstsq(harmonics(u, degree), harmonics(u @ turn.T, degree)).solution
    return torch.einsum("ncf,cd->ndf", t, matrix)


class TestSymmetry:
    @pytest.mark.parametrize(("l1", "l2", "l3"), [(3, 2, 4), (6, 6, 6)])
    def test_rotation(self, l1, l2, l3):
        a, b, weight = arguments(l1, l2, l3, 3)
        one = turned(ops.tensor_product(a, b, weight), l3)
        other = ops.tensor_product(turned(a, l1), turned(b, l2), weight)
        # of the fitted rotation matrices, whose entries are up to 1
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)

    def test_inversion(self):
        """Degree l changes by (-1)^l, exactly: only signs of sums change."""
        a, b, weight = arguments(4, 5, 3, 2)
        signs = [(-1.0) ** torch.tensor(component_degrees(d))[:, None] for d in (4, 5, 3)]
        one = ops.tensor_product(a, b, weight) * signs[2]
        other = ops.tensor_product(a * signs[0], b * signs[1], weight)
        torch.testing.assert_close(one, other, rtol=0, atol=0)

    def test_exchange_of_the_arguments(self):
        a, b, weight = arguments(4, 6, 5, 3)
        one = ops.tensor_product(a, b, weight)
        other = ops.tensor_product(b, a, weight.transpose(0, 1))
        torch.testing.assert_close(one, other, **TOLERANCE)

    def test_degree_zero_multiplies(self):
        a, b, _ = arguments(0, 6, 6, 8)
        weight = torch.ones(1, 7, 7, 8, dtype=torch.float64)
        torch.testing.assert_close(ops.tensor_product(a, b, weight), a * b, **TOLERANCE)

    def test_degree_one_is_the_scalar_product(self):
        a, b, weight = arguments(1, 1, 0, 4)
        weight = torch.ones_like(weight)
        dot = (a[:, 1:] * b[:, 1:]).sum(1) / math.sqrt(3) + a[:, 0] * b[:, 0]
        torch.testing.assert_close(ops.tensor_product(a, b, weight)[:, 0], dot, **TOLERANCE)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("n", [0, 1, 3, 16, 70, 150])
def test_equals_reference(case, n):
    """Blocks that are full and not, one and several tasks."""
    inputs = [t.requires_grad_() for t in arguments(*case, n=n)]
    one, other = ops.tensor_product(*inputs), reference.tensor_product(*inputs)
    torch.testing.assert_close(one, other, **TOLERANCE)
    grad = torch.randn_like(one)
    for a, b in zip(*(torch.autograd.grad(v, inputs, grad) for v in (one, other)), strict=True):
        # the derivative by a weight sums up to 150 atoms of 33 components
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("case", CASES)
def test_float32(case):
    exact = [t.requires_grad_() for t in arguments(*case, n=9)]
    inputs = [t.detach().to(torch.float32).requires_grad_() for t in exact]
    one, other = ops.tensor_product(*inputs), ops.tensor_product(*exact)
    assert one.dtype == torch.float32
    grad = torch.randn_like(other)
    found = torch.autograd.grad(one, inputs, grad.to(torch.float32))
    expected = torch.autograd.grad(other, exact, grad)
    for a, b in zip((one, *found), (other, *expected), strict=True):
        # sums of hundreds of products, each rounded to 6e-8
        tolerance = 1e-5 * float(b.detach().abs().max())
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=tolerance)


@pytest.mark.parametrize("case", [(1, 2, 3, 2), (2, 2, 2, 1), (3, 1, 2, 3)])
def test_derivatives(case):
    inputs = [t.requires_grad_() for t in arguments(*case, n=3)]
    assert gradcheck(ops.tensor_product, inputs)
    assert gradgradcheck(ops.tensor_product, inputs)


@pytest.mark.parametrize("case", [(1, 2, 3, 5), (6, 6, 2, 1), (2, 6, 6, 8), (3, 3, 3, 8)])
def test_gradient_without_the_product(case):
    """The op by itself, in one pass and as two products, what autograd finds, its derivatives."""
    a, b, weight = (t.requires_grad_() for t in arguments(*case))
    value = ops.tensor_product(a, b, weight)
    grad = torch.randn_like(value).requires_grad_()
    expected = torch.autograd.grad(value, (a, b), grad, create_graph=True)
    found = ops.tensor_product_gradient(a, b, weight, grad)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    with torch.no_grad():
        at_once = ops.tensor_product_gradient(a, b, weight, grad)
    for one, other in zip(at_once, expected, strict=True):
        torch.testing.assert_close(one, other, **TOLERANCE)
    inputs = (a, b, weight, grad)
    slopes = (torch.autograd.grad(sum(map(torch.sum, v)), inputs) for v in (found, expected))
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other, **TOLERANCE)


def test_third_derivative():
    """The sum is trilinear, so its mixed third derivative is the sum itself."""
    inputs = [t.requires_grad_() for t in arguments(2, 3, 2, 2)]
    value = ops.tensor_product(*inputs).sum()
    derivative = value
    for t in inputs:
        (slope,) = torch.autograd.grad(derivative, t, create_graph=True)
        derivative = (slope * t.detach()).sum()
    torch.testing.assert_close(derivative, value, **TOLERANCE)


@pytest.mark.parametrize("other", [math.nan, math.inf, 3.0])
def test_weights_of_other_paths_do_not_count(other):
    a, b, weight = arguments(3, 2, 3, 2)
    paths = allowed_paths(3, 2, 3)
    changed = weight.masked_fill(~paths[..., None], other)
    inputs = [t.requires_grad_() for t in (a, b, changed)]
    value = ops.tensor_product(*inputs)
    torch.testing.assert_close(value, ops.tensor_product(a, b, weight), rtol=0, atol=0)
    slopes = torch.autograd.grad(value.square().sum(), inputs, create_graph=True)
    assert (slopes[2][~paths] == 0).all()
    curvatures = torch.autograd.grad(sum(s.square().sum() for s in slopes), inputs)
    assert all(torch.isfinite(t).all() for t in (*slopes, *curvatures))


def test_views():
    """Halves of an array, permuted axes, expanded gradients."""
    a, b, weight = arguments(3, 3, 3, 4)
    expected = ops.tensor_product(a, b, weight)
    halves = torch.cat([a, b], 2)
    one = ops.tensor_product(halves[..., :4], halves[..., 4:], weight)
    torch.testing.assert_close(one, expected, rtol=0, atol=0)
    features_first = a.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    weights_last = weight.permute(3, 0, 1, 2).contiguous().permute(1, 2, 3, 0)
    one = ops.tensor_product(features_first, b, weights_last)
    torch.testing.assert_close(one, expected, rtol=0, atol=0)
    halves.requires_grad_()
    ops.tensor_product(halves[..., :4], halves[..., 4:], weight).sum().backward()
    inputs = [a.requires_grad_(), b.requires_grad_()]
    by_halves = torch.autograd.grad(reference.tensor_product(*inputs, weight).sum(), inputs)
    torch.testing.assert_close(halves.grad, torch.cat(by_halves, 2), **TOLERANCE)


def test_result_does_not_depend_on_threads():
    """Bit for bit, the derivative by the weights included."""
    results = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        inputs = [t.requires_grad_() for t in arguments(3, 3, 3, 2, n=300, dtype=torch.float32)]
        value = ops.tensor_product(*inputs)
        results.append((value, *torch.autograd.grad(value.square().sum(), inputs)))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_scripted():
    inputs = arguments(2, 2, 2, 3)
    scripted = torch.jit.script(ops.tensor_product)
    torch.testing.assert_close(scripted(*inputs), ops.tensor_product(*inputs), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_opcheck(dtype):
    a, b, weight = (t.requires_grad_() for t in arguments(2, 1, 2, 3, dtype=dtype))
    torch.library.opcheck(torch.ops.loremd.tensor_product.default, (a, b, weight))
    grad = torch.randn(5, 9, 3, dtype=dtype, requires_grad=True)
    torch.library.opcheck(torch.ops.loremd.tensor_product_weights.default, (a, b, grad))
    both = torch.ops.loremd.tensor_product_gradient.default
    torch.library.opcheck(both, (a, b, weight, grad))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"a": torch.ones(5, 10, 3)}, ValueError, r"\(degree \+ 1\)\^2 components, got 10"),
        ({"b": torch.ones(4, 9, 3)}, ValueError, "expected b of 5 atoms"),
        ({"b": torch.ones(5, 9, 3).double()}, TypeError, "expected b of dtype Float"),
        ({"weight": torch.ones(3, 3, 2, 4)}, ValueError, "expected weight of shape"),
        ({"weight": torch.ones(3, 3, 0, 3)}, ValueError, "expected weight of shape"),
    ],
)
def test_bad_input(change, error, message):
    given = {"a": torch.ones(5, 9, 3), "b": torch.ones(5, 9, 3), "weight": torch.ones(3, 3, 2, 3)}
    with pytest.raises(error, match=message):
        ops.tensor_product(**(given | change))
