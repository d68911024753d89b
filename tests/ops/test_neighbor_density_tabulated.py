# SPDX-License-Identifier: BSD-3-Clause
"""The density of the neighbours with tabulated radial functions."""

import pytest
import torch

from loremd import ops
from loremd.ops import reference
from loremd.radial import radial_basis, radial_table, table_error

from .test_neighbor_density import CUTOFF, changed, compare, system


def tabulated(arguments, intervals=256):
    """Arguments of the tabulated op from those of the exact one."""
    *geometry, coefficients, n_out, cutoff, smooth = arguments
    table = radial_table(coefficients, cutoff, smooth, intervals)
    return [*geometry, table, n_out, cutoff, *coefficients.shape[2:]]


def forces(function, arguments, weights):
    inputs = [arguments[k].detach().requires_grad_() for k in (0, 1)]
    results = function(*inputs, *arguments[2:])
    total = sum((w.to(r.dtype) * r).sum() for w, r in zip(weights, results, strict=True))
    return torch.autograd.grad(total, inputs)


class TestTable:
    @pytest.mark.parametrize("smooth", [False, True])
    @pytest.mark.parametrize("n_radial", [1, 2, 5, 32])
    def test_basis(self, n_radial, smooth):
        """Values and slopes, the latter by automatic differentiation of the plain formula."""
        r = torch.linspace(0.1, CUTOFF - 0.01, 50, dtype=torch.float64).requires_grad_()
        rho = reference.radial_basis(r, n_radial, CUTOFF, smooth)
        values, slopes = radial_basis(r, n_radial, CUTOFF, smooth)
        compare([values], [rho], 1e-13)
        for k in range(n_radial):
            (slope,) = torch.autograd.grad(rho[:, k].sum(), r, retain_graph=True)
            torch.testing.assert_close(slopes[:, k], slope, rtol=1e-10, atol=1e-12)

    def test_ends(self):
        """All functions are finite everywhere, and zero with their slopes at the cutoff."""
        for smooth in (False, True):
            ends = torch.tensor([0.0, CUTOFF], dtype=torch.float64)
            for function in radial_basis(ends, 8, CUTOFF, smooth):
                assert torch.isfinite(function).all()
                assert function[1].abs().max() < 1e-11  # the cosine ends like (r - cutoff)^2

    @pytest.mark.parametrize("smooth", [False, True])
    def test_error(self, smooth):
        """As stated for 256 intervals, and of fourth order in their length."""
        coefficients = torch.randn(2, 2, 32, 7, 8, dtype=torch.float64)

        def error(intervals, shortest=0.0):
            table = radial_table(coefficients, 5.0, smooth, intervals)
            return table_error(table, coefficients, 5.0, smooth, shortest)

        assert error(256, 0.5) < 2e-7
        assert error(256) < 1e-5
        assert 10 < error(32) / error(64) < 22


class TestDensity:
    @pytest.mark.parametrize(
        "sizes", [(32, 6, 8), (5, 3, 2), (16, 8, 1), (1, 0, 3), (8, 4, 17), (33, 2, 5)]
    )
    def test_equals_polynomials(self, sizes):
        """Values and gradients differ from those of the same table by float32 rounding only."""
        radial, degree, features = sizes
        arguments = tabulated(system(20, radial=radial, degree=degree, features=features))
        results = ops.neighbor_density_tabulated(*arguments)
        assert all(r.dtype == torch.float32 for r in results)
        compare(results, reference.neighbor_density_tabulated(*arguments), 2e-6)
        weights = [torch.randn_like(r) for r in results]
        both = (ops.neighbor_density_tabulated, reference.neighbor_density_tabulated)
        compare(*(forces(function, arguments, weights) for function in both), 1e-5)

    @pytest.mark.parametrize("smooth", [False, True])
    def test_equals_exact(self, smooth):
        exact = changed(system(20, radial=32, degree=6, features=8), smooth=smooth)
        arguments = tabulated(exact)
        expected = ops.neighbor_density(*exact)
        compare([r.double() for r in ops.neighbor_density_tabulated(*arguments)], expected, 2e-6)
        weights = [torch.randn_like(r) for r in expected]

        def density(positions, cell, *rest):
            return ops.neighbor_density(positions, cell, *rest)

        # slopes of the table are of third order in the length of its intervals
        compare(
            forces(ops.neighbor_density_tabulated, arguments, weights),
            forces(density, exact, weights),
            2e-5,
        )

    def test_ghosts_order_and_images(self):
        arguments = tabulated(system())
        pairs, shifts = arguments[2:4]
        order = torch.randperm(pairs.shape[1])
        mixed = [*arguments[:2], pairs[:, order], shifts[order], *arguments[4:6], 5]
        results = ops.neighbor_density_tabulated(*mixed, *arguments[7:])
        expected = [r[:5] for r in ops.neighbor_density_tabulated(*arguments)]
        compare(results, expected, 1e-6)
        images = (shifts.double() @ arguments[1]).requires_grad_()
        cell = torch.eye(3, dtype=torch.float64)
        given = [arguments[0], cell, pairs, images, *arguments[4:]]
        total = sum(r.sum() for r in ops.neighbor_density_tabulated(*given))
        (by_images,) = torch.autograd.grad(total, images)
        weights = [torch.ones_like(r) for r in ops.neighbor_density_tabulated(*arguments)]
        by_cell = forces(ops.neighbor_density_tabulated, arguments, weights)[1]
        compare([shifts.double().T @ by_images], [by_cell], 1e-6)

    def test_empty(self):
        arguments = tabulated(system())
        arguments[2], arguments[3] = arguments[2][:, :0], arguments[3][:0]
        results = ops.neighbor_density_tabulated(*arguments)
        assert all((r == 0).all() for r in results)
        nobody = [arguments[0][:0], *arguments[1:4], arguments[4][:0], arguments[5], 0]
        shapes = [r.shape for r in ops.neighbor_density_tabulated(*nobody, *arguments[7:])]
        assert shapes == [(0, 2, 5), (0, 16, 2)]

    def test_derivatives_that_are_not_there(self):
        arguments = tabulated(system())
        positions = arguments[0].requires_grad_()
        total = ops.neighbor_density_tabulated(*arguments)[1].sum()
        (force,) = torch.autograd.grad(total, positions, create_graph=True)
        with pytest.raises(NotImplementedError, match="first derivatives only"):
            torch.autograd.grad(force.sum(), positions)
        arguments[5].requires_grad_()
        with pytest.raises(NotImplementedError, match="no derivative by its table"):
            ops.neighbor_density_tabulated(*arguments)[1].sum().backward()

    def test_wrong_table(self):
        arguments = tabulated(system())
        for table, error in (
            (arguments[5].double(), TypeError),
            (arguments[5][..., :-1], ValueError),
            (arguments[5][:, :1], ValueError),
        ):
            with pytest.raises(error, match="expected table of"):
                ops.neighbor_density_tabulated(*arguments[:5], table, *arguments[6:])

    def test_opcheck_and_script(self):
        arguments = tabulated(system(5, radial=3, degree=2))
        given = [arguments[0].requires_grad_(), arguments[1].requires_grad_(), *arguments[2:]]
        torch.library.opcheck(torch.ops.loremd.neighbor_density_tabulated.default, given)
        given = [a.detach() if isinstance(a, torch.Tensor) else a for a in given]
        results = ops.neighbor_density_tabulated(*given)
        backward = torch.ops.loremd.neighbor_density_tabulated_backward
        torch.library.opcheck(backward.default, (*given, *results, True))
        scripted = torch.jit.script(ops.neighbor_density_tabulated)
        compare(scripted(*given), results, 0)
        coefficients = torch.randn(2, 2, 3, 2, 1)
        compare(
            [torch.jit.script(radial_table)(coefficients, 4.0)],
            [radial_table(coefficients, 4.0)],
            0,
        )
