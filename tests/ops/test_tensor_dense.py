# SPDX-License-Identifier: BSD-3-Clause
"""Two coupled images of spherical features: in one call, or as the two ops it is made of."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from loremd import ops

from .test_tensor_product import TOLERANCE, turned

# degree, input features, degree of the result, its features: those of the model, then a result of
# more and of fewer degrees, and features that fill no vector
CASES = [(6, 8, 6, 8), (6, 8, 2, 1), (2, 3, 4, 5), (3, 1, 0, 2), (0, 2, 0, 1)]


def arguments(degree, inputs, degree_out, features, n=150, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype)

    t, dense = random(n, (degree + 1) ** 2, inputs), random(degree + 1, inputs, 2 * features)
    return t, dense, random(degree + 1, degree + 1, degree_out + 1, features)


def by_two_ops(t, dense, weight):
    first, second = ops.equivariant_dense(t, dense).split(weight.shape[3], 2)
    return ops.tensor_product(first, second, weight)


def test_rotation():
    t, dense, weight = arguments(3, 4, 5, 2)
    one = turned(ops.tensor_dense(t, dense, weight), 5)
    other = ops.tensor_dense(turned(t, 3), dense, weight)
    # sums of a hundred products of numbers up to 4
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("n", [0, 1, 150])  # none, one, more than are worked on together
@pytest.mark.parametrize("case", CASES)
def test_equals_two_ops(case, n):
    t, dense, weight = arguments(*case, n=n)
    expected = by_two_ops(t.requires_grad_(), dense, weight)
    grad = torch.randn_like(expected)
    (slope,) = torch.autograd.grad(expected, t, grad)
    with torch.no_grad():
        value = ops.tensor_dense(t, dense, weight)
        found = ops.tensor_dense_gradient(t, dense, weight, grad)
    torch.testing.assert_close(value, expected.detach(), **TOLERANCE)
    # sums of up to 49 x 16 products
    torch.testing.assert_close(found, slope, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("case", CASES)
def test_float32(case):
    exact = arguments(*case)
    inputs = [t.to(torch.float32) for t in exact]
    grad = torch.randn_like(ops.tensor_dense(*exact))
    found = ops.tensor_dense(*inputs), ops.tensor_dense_gradient(*inputs, grad.to(torch.float32))
    expected = ops.tensor_dense(*exact), ops.tensor_dense_gradient(*exact, grad)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == torch.float32
        # sums of hundreds of products, each rounded to 6e-8
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=1e-5 * float(b.abs().max()))


@pytest.mark.parametrize("case", [(2, 3, 1, 2), (1, 2, 2, 1)])
def test_derivatives(case):
    inputs = [t.requires_grad_() for t in arguments(*case, n=2)]
    assert gradcheck(ops.tensor_dense, inputs)
    assert gradgradcheck(ops.tensor_dense, inputs)
    grad = torch.randn_like(ops.tensor_dense(*inputs)).requires_grad_()
    assert gradcheck(ops.tensor_dense_gradient, [*inputs, grad])


def test_views_and_threads():
    t, dense, weight = arguments(3, 4, 3, 4)
    grad = torch.randn(150, 16, 4, dtype=torch.float64)
    expected = ops.tensor_dense(t, dense, weight), ops.tensor_dense_gradient(t, dense, weight, grad)
    threads = torch.get_num_threads()
    views = (
        torch.cat([t, t], 2)[..., :4],
        dense.transpose(1, 2).contiguous().transpose(1, 2),
        weight.permute(3, 0, 1, 2).contiguous().permute(1, 2, 3, 0),
    )
    strided = grad.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            found = ops.tensor_dense(*views), ops.tensor_dense_gradient(*views, strided)
            for one, other in zip(found, expected, strict=True):
                torch.testing.assert_close(one, other, rtol=0, atol=0)
    finally:
        torch.set_num_threads(threads)


def test_scripted_and_opcheck():
    t, dense, weight = (t.requires_grad_() for t in arguments(2, 3, 1, 2, n=4))
    scripted = torch.jit.script(ops.tensor_dense)
    expected = ops.tensor_dense(t, dense, weight)
    torch.testing.assert_close(scripted(t, dense, weight), expected, rtol=0, atol=0)
    torch.library.opcheck(torch.ops.loremd.tensor_dense.default, (t, dense, weight))
    grad = torch.randn_like(expected).requires_grad_()
    both = torch.ops.loremd.tensor_dense_gradient.default
    torch.library.opcheck(both, (t, dense, weight, grad))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"t": torch.ones(3, 8, 3)}, ValueError, r"\(degree \+ 1\)\^2 components"),
        ({"t": torch.ones(3, 9, 3).half()}, TypeError, "float32 or float64"),
        ({"dense": torch.ones(3, 3, 5)}, ValueError, r"expected dense of shape \(3, 3, 4\)"),
        ({"dense": torch.ones(3, 3, 4).double()}, TypeError, "dense of dtype Float"),
        ({"weight": torch.ones(3, 2, 2, 2)}, ValueError, r"expected weight of shape \(3, 3, deg"),
        ({"weight": torch.ones(3, 3, 2, 2).double()}, TypeError, "weight of dtype Float"),
        ({"grad": torch.ones(3, 9, 2)}, ValueError, "expected grad of degree 1 with 2 features"),
        ({"grad": torch.ones(2, 4, 2)}, ValueError, "expected grad of 3 atoms"),
    ],
)
def test_bad_input(change, error, message):
    given = {
        "t": torch.ones(3, 9, 3),
        "dense": torch.ones(3, 3, 4),
        "weight": torch.ones(3, 3, 2, 2),
        "grad": torch.ones(3, 4, 2),
    } | change
    with pytest.raises(error, match=message):
        ops.tensor_dense_gradient(**given)
    if "grad" not in change:
        with pytest.raises(error, match=message):
            ops.tensor_dense(given["t"], given["dense"], given["weight"])
