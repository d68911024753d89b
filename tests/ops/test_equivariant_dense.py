# SPDX-License-Identifier: BSD-3-Clause
"""One matrix per degree, against the plain version."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from loremd import ops
from loremd.ops import reference

from .test_tensor_product import TOLERANCE, turned

# degree, features in and out: those with kernels of their own, single ones, odd ones
CASES = [(0, 1, 1), (6, 8, 16), (6, 16, 8), (6, 8, 8), (6, 8, 2), (2, 1, 8), (3, 5, 19)]


def arguments(degree, inputs, outputs, n=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    t = torch.randn(n, (degree + 1) ** 2, inputs, dtype=torch.float64, generator=generator)
    weight = torch.randn(degree + 1, inputs, outputs, dtype=torch.float64, generator=generator)
    return t.to(dtype), weight.to(dtype)


def test_rotation():
    t, weight = arguments(5, 3, 4)
    one = turned(ops.equivariant_dense(t, weight), 5)
    other = ops.equivariant_dense(turned(t, 5), weight)
    # of the fitted rotation matrices, whose entries are up to 1
    torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def test_transpose():
    """<g, dense(t, w)> = <dense(g, wᵀ), t>."""
    t, weight = arguments(4, 3, 7)
    grad = torch.randn(5, 25, 7, dtype=torch.float64)
    one = (grad * ops.equivariant_dense(t, weight)).sum()
    other = (ops.equivariant_dense(grad, weight.transpose(1, 2)) * t).sum()
    torch.testing.assert_close(one, other, **TOLERANCE)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("n", [0, 1, 3, 150])
def test_equals_reference(case, n):
    inputs = [t.requires_grad_() for t in arguments(*case, n=n)]
    one, other = ops.equivariant_dense(*inputs), reference.equivariant_dense(*inputs)
    torch.testing.assert_close(one, other, **TOLERANCE)
    grad = torch.randn_like(one)
    for a, b in zip(*(torch.autograd.grad(v, inputs, grad) for v in (one, other)), strict=True):
        # the derivative by a weight sums up to 150 atoms of 13 components
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("case", CASES)
def test_float32(case):
    exact = [t.requires_grad_() for t in arguments(*case, n=70)]
    inputs = [t.detach().to(torch.float32).requires_grad_() for t in exact]
    one, other = ops.equivariant_dense(*inputs), ops.equivariant_dense(*exact)
    grad = torch.randn_like(other)
    found = torch.autograd.grad(one, inputs, grad.to(torch.float32))
    expected = torch.autograd.grad(other, exact, grad)
    for a, b in zip((one, *found), (other, *expected), strict=True):
        # sums of tens of products, each rounded to 6e-8, of hundreds for the weights
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=1e-4)


def test_derivatives():
    inputs = [t.requires_grad_() for t in arguments(2, 2, 3, n=3)]
    assert gradcheck(ops.equivariant_dense, inputs)
    assert gradgradcheck(ops.equivariant_dense, inputs)


def test_views_and_script():
    t, weight = arguments(3, 4, 6)
    expected = ops.equivariant_dense(t, weight)
    wide = torch.cat([t, t], 2)
    components_first = t.transpose(0, 1).contiguous().transpose(0, 1)
    features_first = t.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    scripted = torch.jit.script(ops.equivariant_dense)
    for view in (wide[..., :4], components_first, features_first):
        torch.testing.assert_close(scripted(view, weight), expected, rtol=0, atol=0)


def test_opcheck():
    t, weight = (t.requires_grad_() for t in arguments(2, 3, 2))
    torch.library.opcheck(torch.ops.loremd.equivariant_dense.default, (t, weight))
    grad = torch.randn(5, 9, 2, dtype=torch.float64, requires_grad=True)
    torch.library.opcheck(torch.ops.loremd.equivariant_dense_weights.default, (t, grad))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"t": torch.ones(5, 8, 3)}, ValueError, r"\(degree \+ 1\)\^2 components, got 8"),
        ({"weight": torch.ones(3, 4, 2)}, ValueError, "expected weight of shape"),
        ({"weight": torch.ones(2, 3, 2)}, ValueError, "expected weight of shape"),
        ({"weight": torch.ones(3, 3, 2).double()}, TypeError, "expected weight of dtype Float"),
    ],
)
def test_bad_input(change, error, message):
    given = {"t": torch.ones(5, 9, 3), "weight": torch.ones(3, 3, 2)}
    with pytest.raises(error, match=message):
        ops.equivariant_dense(**(given | change))
