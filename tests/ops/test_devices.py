# SPDX-License-Identifier: BSD-3-Clause
"""Every op on the GPU gives what it gives on the CPU, whose results the other tests check."""

import contextlib

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

import loremd

from .device_cases import (
    ARGUMENTS,
    FLOATS,
    HALVES_OF_NETWORKS,
    ONCE_DIFFERENTIABLE,
    TWICE_DIFFERENTIABLE,
    WITHOUT_KERNEL,
    Case,
    call,
    dtypes_of,
)
from .systems import CELLS, MESH

# Both sides round in other places; sums of some hundred terms of either sign, relative to the
# largest value. Positions some 10 Å from the origin lose a digit, second derivatives another one.
ROUNDING = {torch.float64: 1e-11, torch.float32: 2e-5}

WITH_DTYPES = [(name, dtype) for name in ARGUMENTS for dtype in dtypes_of(name)]
MESH_OPS = [name for name in ARGUMENTS if "spread" in name or "interpolate" in name]


# those that add with atomics unless they are asked not to
REPEATABLE = (
    *("spread", "spread_directional", "mesh_potential", "mesh_energy", "pair_potential_backward"),
    *("neighbor_density_backward", "neighbor_density_backward_directional"),
    "neighbor_density_tabulated_backward",
)


@contextlib.contextmanager
def deterministic_algorithms():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def cuda():
    """The GPU; a reported skip where there is none, or no kernels for it."""
    if not torch.cuda.is_available():
        pytest.skip("no GPU: nothing was compared with the CPU")
    if not torch._C._dispatch_has_kernel_for_dispatch_key("loremd::spread", "CUDA"):
        pytest.skip(f"loremd was built without CUDA: {loremd.build_info()}")
    return torch.device("cuda")


def expect_same(name, case, device):
    arguments = ARGUMENTS[name](case)
    expected = list(call(name, arguments))
    if name == "mesh_potential_forward":  # the field is in the order of the visits on the CPU alone
        _, field, _, visits = expected
        expected[1] = torch.empty_like(field).index_copy_(0, visits[:, 0].long(), field)
    for on_device, on_cpu in zip(call(name, arguments, device), expected, strict=True):
        assert on_device.device.type == torch.device(device).type
        assert on_device.dtype == on_cpu.dtype
        if not on_cpu.is_floating_point() and not on_cpu.is_complex():
            # the order in which atoms are visited, each side its own
            assert on_device.shape == on_cpu.shape
            assert on_device[:, 0].cpu().sort()[0].equal(on_cpu[:, 0].sort()[0])
            continue
        scale = float(on_cpu.abs().max()) if on_cpu.numel() else 1.0
        torch.testing.assert_close(
            on_device.cpu(), on_cpu, rtol=0, atol=ROUNDING[case.dtype] * max(scale, 1e-30)
        )


@pytest.mark.parametrize(("name", "dtype"), WITH_DTYPES)
def test_cases_are_sound(name, dtype):
    """What is to be compared has no holes: finite, and not just zeros."""
    results = call(name, ARGUMENTS[name](Case(dtype)))
    assert all(r.isfinite().all() for r in results if r.numel())
    assert all(r.abs().max() > 0 for r in results if r.numel())


@pytest.mark.parametrize("name", REPEATABLE)
def test_sums_do_not_depend_on_the_algorithm(name):
    """On the CPU, where only `make kernels` has two algorithms."""
    arguments = ARGUMENTS[name](Case(dtypes_of(name)[0], n=50))
    expected = call(name, arguments)
    with deterministic_algorithms():
        found = call(name, arguments)
    for one, other in zip(found, expected, strict=True):
        scale = max(float(other.abs().max()), 1e-30) if other.numel() else 1.0
        torch.testing.assert_close(one, other, rtol=0, atol=ROUNDING[one.dtype] * scale)


def test_cases_are_complete():
    schemas = {str(schema.name) for schema in torch._C._jit_get_all_schemas()}
    defined = {name.split("::")[1] for name in schemas if name.startswith("loremd::")}
    assert set(ARGUMENTS) == defined - WITHOUT_KERNEL - HALVES_OF_NETWORKS


@pytest.mark.parametrize(("name", "dtype"), WITH_DTYPES)
def test_same_results(cuda, name, dtype):
    expect_same(name, Case(dtype), cuda)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ARGUMENTS)
def test_cells(cuda, name, cell):
    expect_same(name, Case(dtypes_of(name)[0], cell=cell), cuda)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("channels", [1, 2, 4, 10, 13])
@pytest.mark.parametrize("order", range(3, 11))
@pytest.mark.parametrize("name", [*MESH_OPS, "mesh_potential", "mesh_energy"])
def test_orders_and_channels(cuda, name, order, channels, dtype):
    expect_same(name, Case(dtype, order=order, channels=channels, n=40), cuda)


@pytest.mark.parametrize("name", [*MESH_OPS, "mesh_potential", "influence_sum"])
def test_prolate_window(cuda, name):
    expect_same(name, Case(order=6, prolate=True), cuda)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_no_atoms_or_one(cuda, name):
    expect_same(name, Case(dtypes_of(name)[0], n=1), cuda)


def differentiable(name, case, device):
    """The op as a function of its floating-point tensors, and these."""
    arguments = [a.to(device) if torch.is_tensor(a) else a for a in ARGUMENTS[name](case)]
    fixed = {"pair_potential": (4,), "compact_sharp": (2,)}.get(name, ())
    places = [
        k
        for k, a in enumerate(arguments)
        if torch.is_tensor(a) and a.is_floating_point() and k not in fixed
    ]

    def function(*tensors):
        given = list(arguments)
        for place, tensor in zip(places, tensors, strict=True):
            given[place] = tensor
        return getattr(torch.ops.loremd, name)(*given)

    return function, [arguments[k].detach().requires_grad_() for k in places]


@pytest.mark.parametrize("name", [*TWICE_DIFFERENTIABLE, *ONCE_DIFFERENTIABLE])
def test_gradcheck(cuda, name):
    # sums with atomics are not the same to the last digit from call to call
    assert gradcheck(*differentiable(name, Case(n=4, channels=2), cuda), nondet_tol=1e-9)


@pytest.mark.parametrize("name", TWICE_DIFFERENTIABLE)
def test_gradgradcheck(cuda, name):
    assert gradgradcheck(*differentiable(name, Case(n=4, channels=2), cuda), nondet_tol=1e-9)


@pytest.mark.parametrize("name", REPEATABLE)
def test_deterministic_algorithms(cuda, name):
    """The same digits in every call, and the same sums as ever."""
    case = Case(dtypes_of(name)[-1], n=200, channels=10)
    arguments = ARGUMENTS[name](case)
    with deterministic_algorithms():
        first, second = (call(name, arguments, cuda) for _ in range(2))
        expect_same(name, case, cuda)
    assert all(map(torch.equal, first, second))


def test_unsorted_pairs(cuda):
    case = Case(n=30)
    order = torch.randperm(case.pairs.shape[1], generator=case.generator)
    case.pairs, case.shifts = case.pairs[:, order].contiguous(), case.shifts[order]
    for name in ("pair_sum", "pair_potential", "pair_potential_backward"):
        expect_same(name, case, cuda)
    expect_same("neighbor_density_backward", case, cuda)


def test_other_streams(cuda):
    arguments = ARGUMENTS["mesh_potential"](Case(n=200))
    expected = call("mesh_potential", arguments)[0]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        found = call("mesh_potential", arguments, cuda)[0]
    stream.synchronize()
    torch.testing.assert_close(
        found.cpu(), expected, rtol=0, atol=1e-11 * float(expected.abs().max())
    )


@pytest.mark.parametrize("name", ["mesh_energy", "pair_potential", "neighbor_density_backward"])
def test_graph_capture(cuda, name):
    """Nothing waits for the device: the op can be captured, and replayed with other values."""
    arguments = [a.to(cuda) if torch.is_tensor(a) else a for a in ARGUMENTS[name](Case(n=20))]
    op = getattr(torch.ops.loremd, name)
    op(*arguments)  # tables are copied to the device by the first call
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = op(*arguments)
    arguments[0].mul_(1.01)
    graph.replay()
    expected = op(*arguments)
    pairs = [(captured, expected)] if torch.is_tensor(captured) else zip(captured, expected)
    for found, wanted in pairs:
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_tensors_on_two_devices(cuda):
    fractions, charges, *rest = ARGUMENTS["spread"](Case())
    with pytest.raises(ValueError, match="all tensors must be on one device"):
        torch.ops.loremd.spread(fractions.to(cuda), charges, *rest)


def test_positions_that_are_not_finite(cuda):
    """NaN instead of an error, which would have to wait for the device."""
    fractions, charges, *rest = ARGUMENTS["spread"](Case())
    fractions[3, 1] = float("nan")
    mesh = torch.ops.loremd.spread(fractions.to(cuda), charges.to(cuda), *rest)
    assert list(mesh.shape[:3]) == MESH
    assert mesh.isnan().any()
