# SPDX-License-Identifier: BSD-3-Clause
"""Spherical harmonics and coupling coefficients against their defining properties."""

import math

import pytest
import torch

from loremd.blocks import SphericalHarmonics
from loremd.clebsch_gordan import allowed, clebsch_gordan
from loremd.spherical import component_degrees, harmonics


def random_directions(n: int) -> torch.Tensor:
    vectors = torch.randn(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return vectors / vectors.norm(dim=1, keepdim=True)


def test_low_degrees_are_the_cartesian_formulas():
    u = random_directions(10)
    x, y, z = u.unbind(1)
    expected = [
        torch.ones_like(x), x, y, z,
        math.sqrt(3) / 2 * (x**2 - y**2), math.sqrt(3) * x * y,
        math.sqrt(3) * x * z, math.sqrt(3) * y * z, (3 * z**2 - 1) / 2,
    ]  # fmt: skip
    torch.testing.assert_close(harmonics(u, 2), torch.stack(expected, 1), rtol=1e-14, atol=1e-14)


def test_squares_of_a_degree_sum_to_one():
    values = harmonics(random_directions(20), 8) ** 2
    degrees = torch.tensor(component_degrees(8))
    sums = torch.zeros(20, 9, dtype=torch.float64).index_add(1, degrees, values)
    torch.testing.assert_close(sums, torch.ones_like(sums), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 6, 8])
def test_recursive_module_equals_the_formula(degree):
    u = random_directions(30)
    values = torch.jit.script(SphericalHarmonics(degree))(u.t()).t()
    torch.testing.assert_close(values, harmonics(u, degree), rtol=1e-13, atol=1e-13)


def test_coefficients_are_normalised_and_orthogonal():
    table = clebsch_gordan(4, 3, 5)
    for l1 in range(5):
        for l2 in range(4):
            for l3 in range(6):
                s1, s2, s3 = (slice(k * k, (k + 1) ** 2) for k in (l1, l2, l3))
                block = table[s1, s2, s3].reshape(-1, 2 * l3 + 1)
                expected = torch.eye(2 * l3 + 1, dtype=torch.float64) * allowed(l1, l2, l3)
                torch.testing.assert_close(block.T @ block, expected, rtol=1e-13, atol=1e-13)


def test_known_coefficients():
    table = clebsch_gordan(2, 2, 2)
    identity = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(table[1:4, 1:4, 0], identity / math.sqrt(3), rtol=0, atol=1e-14)
    torch.testing.assert_close(
        table[0, 4:, 4:], torch.eye(5, dtype=torch.float64), rtol=0, atol=1e-14
    )


def test_product_of_harmonics_is_a_multiple_of_the_harmonic():
    # Y_l1 and Y_l2 of one direction couple to a multiple of Y_l3 of this direction
    u = random_directions(5)
    y = harmonics(u, 4)
    for l1, l2, l3 in [(1, 1, 2), (2, 1, 3), (2, 2, 4), (3, 1, 2)]:
        s1, s2, s3 = (slice(k * k, (k + 1) ** 2) for k in (l1, l2, l3))
        table = clebsch_gordan(4, 4, 4)[s1, s2, s3]
        coupled = torch.einsum("na,nb,abc->nc", y[:, s1], y[:, s2], table)
        factor = (coupled * y[:, s3]).sum(1, keepdim=True)
        torch.testing.assert_close(coupled, factor * y[:, s3], rtol=0, atol=1e-13)
        assert (factor > 0).all()
