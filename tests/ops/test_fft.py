# SPDX-License-Identifier: BSD-3-Clause
"""The Fourier transforms of csrc/core/mesh/fft.hpp, through convolve and correlate."""

import pytest
import torch

from loremd import ops
from loremd.ops import reference

ROUNDING = {torch.float64: 2e-15, torch.float32: 1e-6}  # of the largest value, times log2 of size
SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 21, 23, 25, 26, 27, 30, 32, 49, 60]
CHANNELS = list(range(1, 18))
SHAPES = [(3, 4, 5), (8, 7, 9), (11, 6, 13), (13, 22, 2), (1, 1, 1), (2, 1, 3), (16, 30, 15)]


def numbers(*shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def spectrum_shape(shape):
    return (*shape[:2], shape[2] // 2 + 1)


def check(shape, channels, dtype):
    """Any influence function, symmetric or not, and its transpose."""
    a, b = (numbers(*shape, channels, dtype=dtype, seed=seed) for seed in (1, 2))
    influence = numbers(*spectrum_shape(shape), dtype=dtype, seed=3)
    exact = influence.double().requires_grad_()
    convolved = reference.convolve(a.double(), exact)
    (correlation,) = torch.autograd.grad((convolved * b.double()).sum(), exact)
    for found, expected in (
        (ops.convolve(a, influence), convolved.detach()),
        (torch.ops.loremd.correlate(b, a), correlation),
    ):
        assert found.dtype == dtype
        scale = ROUNDING[dtype] * float(expected.abs().max()) * (3 + len(str(bin(a.numel()))))
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=scale)


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("size", SIZES)
def test_sizes(size, axis, dtype):
    """All radices, their products, and primes, along every axis."""
    shape = [3, 4, 5]
    shape[axis] = size
    for channels in (1, 2, 10):
        check(tuple(shape), channels, dtype)


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("shape", SHAPES)
def test_channels(shape, channels, dtype):
    """Odd and even nz; points that are whole vectors, and points that share them."""
    check(shape, channels, dtype)


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("radius", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("channels", [1, 2, 3, 10])
@pytest.mark.parametrize("shape", [(12, 10, 16), (9, 15, 21), (8, 7, 40)])
def test_frequencies_without_influence_are_left_out(shape, channels, radius, dtype):
    """Zero outside a sphere, as that of a prolate splitting; 0: everywhere."""
    k = [torch.fft.fftfreq(n) * 2 for n in shape[:2]] + [torch.fft.rfftfreq(shape[2]) * 2]
    square = sum(torch.meshgrid(*(f.double() ** 2 for f in k), indexing="ij"))
    influence = (numbers(*spectrum_shape(shape), seed=3) * (square < radius**2)).to(dtype)
    mesh = numbers(*shape, channels, dtype=dtype)
    expected = reference.convolve(mesh.double(), influence.double())
    scale = 20 * ROUNDING[dtype] * float(mesh.abs().max())
    torch.testing.assert_close(ops.convolve(mesh, influence).double(), expected, rtol=0, atol=scale)


@pytest.mark.parametrize("channels", [1, 3, 10])
def test_without_influence_nothing_changes(channels):
    """Forward and back: the round-off of the transforms alone."""
    mesh = numbers(49, 30, 60, channels)
    result = ops.convolve(mesh, torch.ones(49, 30, 31, dtype=torch.float64))
    torch.testing.assert_close(result, mesh, rtol=0, atol=5e-15)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_a_plane_wave_is_scaled(channels):
    shape = (12, 15, 14)
    influence = numbers(*spectrum_shape(shape)).abs()
    x, y, z = (torch.arange(n, dtype=torch.float64) / n for n in shape)
    phase = 2 * torch.pi * (2 * x[:, None, None] + 4 * y[None, :, None] + 3 * z[None, None, :])
    wave = torch.cos(phase + 0.3)[..., None] * torch.arange(1, channels + 1)
    expected = influence[2, 4, 3] * wave
    torch.testing.assert_close(ops.convolve(wave, influence), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_shift_of_the_mesh_is_a_shift_of_the_result(channels):
    mesh, influence = numbers(10, 9, 14, channels), numbers(10, 9, 8).abs()
    moved = ops.convolve(mesh.roll((3, 2, 5), (0, 1, 2)), influence)
    result = ops.convolve(mesh, influence).roll((3, 2, 5), (0, 1, 2))
    torch.testing.assert_close(moved, result, rtol=0, atol=1e-13)


@pytest.mark.parametrize("channels", [2, 3, 17])
def test_channels_do_not_mix(channels):
    """Two of them share a complex field; zero stays zero to round-off of nothing at all."""
    mesh, influence = numbers(9, 8, 10, channels), numbers(9, 8, 6, seed=5).abs()
    mesh[..., 1::2] = 0
    # even in k, as every influence function of a lattice is
    influence = reference_even(influence)
    result = ops.convolve(mesh, influence)
    assert result[..., 1::2].abs().max() < 1e-13
    assert result[..., 0::2].abs().min(0).values.max() > 0


def reference_even(influence):
    """The mean of what k and -k have, in the planes that hold both."""
    even = influence.clone()
    for plane in (0, influence.shape[2] - 1):
        mirrored = influence[:, :, plane].flip((0, 1)).roll((1, 1), (0, 1))
        even[:, :, plane] = 0.5 * (influence[:, :, plane] + mirrored)
    return even


def test_threads_give_the_same_bits():
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            for channels in (1, 10):
                mesh, influence = numbers(33, 30, 28, channels), numbers(33, 30, 15)
                results.append(ops.convolve(mesh, influence))
                results.append(torch.ops.loremd.correlate(mesh, mesh.flip(0)))
    finally:
        torch.set_num_threads(before)
    for k in range(4, len(results)):
        assert torch.equal(results[k], results[k - 4])


def test_derivatives_to_third_order():
    """Both are linear in each argument, and each other's derivatives."""
    for channels in (1, 3):
        mesh = numbers(4, 3, 5, channels).requires_grad_()
        influence = numbers(4, 3, 3).requires_grad_()
        for _ in range(2):
            value = (ops.convolve(mesh, influence) ** 3).sum()
            plain = (reference.convolve(mesh, influence) ** 3).sum()
        for _ in range(3):
            value, plain = (
                sum(
                    g.sin().sum()
                    for g in torch.autograd.grad(v, (mesh, influence), create_graph=True)
                )
                for v in (value, plain)
            )
            torch.testing.assert_close(value, plain)
