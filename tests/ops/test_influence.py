# SPDX-License-Identifier: BSD-3-Clause
"""The influence function of every window and interaction, against aliases summed one by one."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from loremd import ops
from loremd.ops import reference

from .systems import cell_of

SHAPE = [6, 7, 6]
# so sharp that next to nothing is left beyond the first zero of its spectrum, where it ends
SHARP = ops.prolate_shape(34.0)
BOX = torch.diag(torch.tensor([4.0, 5.0, 11.0], dtype=torch.float64))
TILTED = BOX + torch.tensor([[0, 0.7, 0], [-0.4, 0, 0], [0, 0, 0]], dtype=torch.float64)


def turned(axis):
    """A slab cell whose open row ``axis`` is a coordinate axis and perpendicular to the others."""
    order = [(axis + 1) % 3, (axis + 2) % 3, axis]
    cell = torch.zeros(3, 3, dtype=torch.float64)
    for row, source in zip(order, TILTED):
        cell[row, order] = source
    return cell


# name: cell, range, interaction
CASES = {
    "Gaussian": (cell_of("triclinic"), 0.7, None),
    "compact": (cell_of("triclinic"), 6.0, ops.interaction(1.0, SHARP)),
    "p = 0.5": (cell_of("triclinic"), 0.7, ops.interaction(0.5)),
    "p = 2": (cell_of("strongly triclinic"), 0.7, ops.interaction(2.0)),
    "p = 3": (cell_of("triclinic"), 0.7, ops.interaction(3.0)),
    "p = 6": (cell_of("left-handed"), 0.7, ops.interaction(6.0)),
    "cluster": (BOX, 0.7, ops.interaction(1.0, None, 0, 2, 3.1)),
    "compact cluster": (BOX, 6.0, ops.interaction(1.0, SHARP, 0, 2, 3.1)),
    "slab": (turned(2), 0.7, ops.interaction(1.0, None, 2, 2, 5.5)),
    "slab, axis 0": (turned(0), 0.7, ops.interaction(1.0, None, 2, 0, 5.5)),
    "slab, axis 1": (turned(1), 0.7, ops.interaction(1.0, None, 2, 1, 5.5)),
    "compact slab": (turned(2), 6.0, ops.interaction(1.0, SHARP, 2, 2, 5.5)),
}
WINDOWS = {
    "B-spline 3": (3, None),
    "B-spline 6": (6, None),
    "prolate 4": (4, ops.prolate_shape(9.0)),
    "prolate 6": (6, ops.prolate_shape(15.0)),
}


def tolerance(name):
    """The reference leaves out aliases of the window, 1e-11 of B-splines of order 3, the engine
    what a compact splitting has beyond its first zero, over a window power that is small there."""
    return 1e-7 if name.startswith("compact") else 1e-11


# of the exponents, whose reference is slow, one window
EVERY = [(n, w) for n in CASES for w in WINDOWS if n[0] != "p" or w == "prolate 4"]


@pytest.mark.parametrize(("name", "window"), EVERY)
def test_equal_to_the_sum_over_aliases(name, window):
    cell, length, interaction = CASES[name]
    order, shape = WINDOWS[window]
    expected = reference.influence(cell, SHAPE, order, length, shape, interaction)
    found = ops.influence(cell, SHAPE, order, length, shape, interaction)
    scale = float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=tolerance(name) * scale)


@pytest.mark.parametrize(("name", "window"), [(n, "prolate 6") for n in CASES])
def test_derivative_by_the_cell_equals_that_of_the_sum_over_aliases(name, window):
    """In the plane only where a direction is open: the cell of the mesh is made for it there."""
    cell, length, interaction = CASES[name]
    order, shape = WINDOWS[window]
    gradients = []
    for influence in (ops.influence, reference.influence):
        variable = cell.clone().requires_grad_()
        values = influence(variable, SHAPE, order, length, shape, interaction)
        weights = (1 + torch.arange(values.numel()).double()).cos().reshape(values.shape)
        gradients.append(torch.autograd.grad((values * weights).sum(), variable)[0])
    used = torch.ones(3, 3, dtype=torch.bool)
    if interaction is not None and interaction[1] == 2:
        axis = int(interaction[2])
        used[axis], used[:, axis] = False, False
    found, expected = (g[used] for g in gradients)
    scale = 1e3 * tolerance(name) if name[0] != "c" else 1e-7
    torch.testing.assert_close(found, expected, rtol=0, atol=scale * float(expected.abs().max()))


@pytest.mark.parametrize("window", ["B-spline 6", "prolate 4"])
@pytest.mark.parametrize("name", CASES)
def test_first_and_second_derivative(name, window):
    """By a strain of the periodic directions."""
    cell, length, interaction = CASES[name]
    order, shape = WINDOWS[window]
    axis = int(interaction[2]) if interaction is not None and interaction[1] == 2 else None
    scale = ops.influence(cell, [7, 8, 7], order, length, shape, interaction).abs().max()
    kept = torch.ones(3, 3, dtype=torch.float64)
    if axis is not None:
        kept[axis], kept[:, axis] = 0.0, 0.0

    def call(strain):
        strained = cell @ (torch.eye(3, dtype=torch.float64) + strain * kept)
        values = ops.influence(strained, [7, 8, 7], order, length, shape, interaction)
        weights = (1 + torch.arange(4 * values.numel()).double()).cos().reshape(4, *values.shape)
        return (values * weights).sum((1, 2, 3)) / scale

    strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(call, (strain,), atol=1e-6)
    assert gradgradcheck(call, (strain,), atol=1e-5)


def test_compact_splitting_ends_where_its_spectrum_does():
    """k = 34 / 6 lies within this mesh: nothing beyond."""
    cell = 5.0 * torch.eye(3, dtype=torch.float64)
    influence = ops.influence(cell, [24] * 3, 6, 6.0, None, ops.interaction(1.0, SHARP))
    frequency = torch.fft.rfftfreq(24, 1 / 24, dtype=torch.float64)
    beyond = influence[0, 0, 2 * torch.pi * frequency / 5.0 > 36 / 6.0]
    assert len(beyond) > 5
    assert beyond.abs().max() < 1e-12 * influence.max()


@pytest.mark.parametrize(
    ("interaction", "message"),
    [
        (ops.interaction(0.0), "exponent is 0; allowed: above 0, up to 6"),
        (ops.interaction(7.0), "exponent is 7; allowed: above 0, up to 6"),
        (ops.interaction(float("nan")), "exponent is nan; allowed: above 0, up to 6"),
        (ops.interaction(2.0, SHARP), "exponent is 2; a compact splitting and open directions"),
        (ops.interaction(2.0, None, 0, 2, 3.0), "exponent is 2; a compact splitting and open"),
        (ops.interaction(1.0, None, 1, 2, 3.0), "number of periodic directions is 1; allowed: 3"),
        (ops.interaction(1.0, None, 2, 2, 0.0), "reach is 0; it must be positive where"),
        (ops.interaction(1.0, None, 2, 3, 3.0), "open axis is 3; allowed: 0, 1, 2"),
        (torch.ones(2, dtype=torch.float64), "interaction"),
    ],
)
def test_errors(interaction, message):
    with pytest.raises(ValueError, match=message):
        ops.influence(BOX, SHAPE, 4, 0.8, None, interaction)


@pytest.mark.cpu_kernels
def test_coarse_meshes():
    with pytest.raises(ValueError, match="mesh 8 x 3 x 8 is too coarse for order 4"):
        ops.influence(BOX, [8, 3, 8], 4, 0.8)
    with pytest.raises(ValueError, match="is too coarse for a smearing of 0.01"):
        ops.influence(BOX, SHAPE, 4, 0.01)


def test_a_kept_result_is_that_of_its_arguments():
    """The last result is kept: it must be neither that of other arguments nor what a caller made of
    it."""

    def sums(cell, window=None, form=None):
        return ops.influence(cell, SHAPE, 4, 0.7, window, form)

    cell = cell_of("triclinic")
    first = sums(cell)
    expected = first.clone()
    first.zero_()
    again = sums(cell)
    assert torch.equal(again, expected) and again.data_ptr() != first.data_ptr()
    others = [
        sums(1.01 * cell),
        sums(cell, ops.prolate_shape(9.0)),
        sums(cell, None, ops.interaction(2.0)),
        ops.influence(cell, SHAPE, 5, 0.7),
        ops.influence(cell, SHAPE, 4, 0.8),
    ]
    for k, other in enumerate(others):
        assert not torch.equal(other, expected), k
        assert torch.equal(sums(cell), expected), k
