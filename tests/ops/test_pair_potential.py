# SPDX-License-Identifier: BSD-3-Clause
"""The real-space part in one op, against the same from pair_sum and the sharp parts."""

import math

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from loremd import MeshPotential, ops
from loremd.geometry import pair_vectors
from loremd.neighbors import neighbor_list

from .systems import CELLS, cell_of
from .test_mesh_potential import random_gas

SPLITTINGS = {
    "gaussian": (1.0, 0.9, None),
    "1/r^2.5": (2.5, 0.9, None),
    "prolate": (1.0, 3.0, ops.prolate_shape(11.0)),
}
CUTOFF = 3.0


def in_steps(positions, charges, cell, pairs, shifts, n_out, cutoff, exponent, length, splitting):
    squared = pair_vectors(positions, cell[None], pairs, shifts, None).square().sum(1)
    near = squared < cutoff**2
    if splitting is None:
        weights = ops.gamma_tail(squared[near], 0.5 * exponent, 0.5 / length**2)
        weights = weights / math.gamma(0.5 * exponent)
    else:
        weights = ops.compact_sharp(squared[near], length, splitting)
    return ops.pair_sum(weights.to(charges.dtype), charges, pairs[:, near], n_out)


def system(n=6, channels=3, name="triclinic", longest=CUTOFF + 0.5):
    positions, charges, cell = random_gas(n, cell_of(name), channels=channels)
    return (positions, charges, cell), neighbor_list(positions, cell, True, longest)


@pytest.mark.parametrize("splitting", SPLITTINGS)
@pytest.mark.parametrize("channels", [1, 2, 10, 17])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_steps(splitting, channels, dtype):
    (positions, charges, cell), (pairs, shifts) = system(40, channels)
    inputs = [t.requires_grad_() for t in (positions, charges.to(dtype), cell)]
    rest = (pairs, shifts, len(positions), CUTOFF, *SPLITTINGS[splitting])
    one, other = ops.pair_potential(*inputs, *rest), in_steps(*inputs, *rest)
    tolerance = {"rtol": 1e-12, "atol": 1e-12} if dtype == torch.float64 else {}
    torch.testing.assert_close(one, other, **tolerance)
    weights = torch.randn_like(one)
    for a, b in zip(*(torch.autograd.grad(v, inputs, weights) for v in (one, other))):
        torch.testing.assert_close(a, b, **tolerance or {"rtol": 1e-4, "atol": 1e-4})


@pytest.mark.parametrize("splitting", SPLITTINGS)
def test_first_and_second_derivatives(splitting):
    inputs, (pairs, shifts) = system()

    def sums(positions, charges, cell):
        rest = (pairs, shifts, len(positions), CUTOFF, *SPLITTINGS[splitting])
        return ops.pair_potential(positions, charges, cell, *rest)

    arguments = [t.requires_grad_() for t in inputs]
    assert gradcheck(sums, arguments)
    assert gradgradcheck(sums, arguments)


def test_opcheck():
    inputs, (pairs, shifts) = system()
    arguments = [t.requires_grad_() for t in inputs]
    rest = (pairs, shifts, len(arguments[0]), CUTOFF, *SPLITTINGS["prolate"])
    torch.library.opcheck(torch.ops.loremd.pair_potential.default, (*arguments, *rest))


def test_ghosts_strided_and_empty_input():
    """Fewer sums than atoms, views of larger tensors, 32-bit shifts, no pairs, no atoms."""
    (positions, charges, cell), (pairs, shifts) = system(20, 4)
    owned = pairs[0] < 12
    rest = (12, CUTOFF, *SPLITTINGS["gaussian"])
    whole = ops.pair_potential(positions, charges, cell, pairs, shifts, 20, *rest[1:])
    wide = torch.stack([charges, charges], 2)[:, :, 0]
    part = ops.pair_potential(
        positions, wide, cell, pairs[:, owned], shifts[owned].to(torch.int32), *rest
    )
    torch.testing.assert_close(part, whole[:12], rtol=0, atol=1e-14)
    none = ops.pair_potential(positions, charges, cell, pairs[:, :0], shifts[:0], *rest)
    assert (none == 0).all()
    nobody = ops.pair_potential(
        positions[:0], charges[:0], cell, pairs[:, :0], shifts[:0], 0, *rest[1:]
    )
    assert nobody.shape == (0, 4)


def test_pairs_of_other_centres_and_shifts_of_any_form():
    (positions, charges, cell), (pairs, shifts) = system()
    rest = (3.0, 1.0, 0.9)
    whole = ops.pair_potential(positions, charges, cell, pairs, shifts, 6, *rest)
    part = ops.pair_potential(positions, charges, cell, pairs, shifts, 3, *rest)
    assert torch.equal(part, whole[:3])
    for form in (shifts.double(), shifts.to(torch.int32), shifts.t().contiguous().t()):
        assert torch.equal(
            ops.pair_potential(positions, charges, cell, pairs, form, 6, *rest), whole
        )
    none = torch.zeros(1, 3, dtype=torch.int64)
    direct = ops.pair_potential(positions, charges, cell, pairs, torch.zeros_like(shifts), 6, *rest)
    same = ops.pair_potential(positions, charges, cell, pairs, none.expand_as(shifts), 6, *rest)
    assert torch.equal(direct, same)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            {"pairs": torch.tensor([[6], [0]])},
            "centre index 6 is out of range",
            marks=pytest.mark.cpu_kernels,
        ),
        ({"charges": torch.ones(5, 3, dtype=torch.float64)}, r"charges of shape \(6, channels\)"),
        ({"length": -1.0}, "must be positive"),
        ({"exponent": 2.0, "splitting": ops.prolate_shape(9.0)}, "for exponent 1 only"),
    ],
)
def test_bad_input(change, message):
    (positions, charges, cell), (pairs, shifts) = system()
    given = {"positions": positions, "charges": charges, "cell": cell, "pairs": pairs}
    given |= {"shifts": shifts, "n_out": 6, "cutoff": 3.0, "exponent": 1.0, "length": 0.9}
    given["shifts"] = shifts[:1] if "pairs" in change else shifts
    with pytest.raises(ValueError, match=message):
        ops.pair_potential(**(given | change))


class TestShortList:
    """A pair list that ends before the cutoff does."""

    @pytest.mark.parametrize("name", CELLS)
    def test_is_found(self, name):
        structure, found = system(9, 1, name, longest=4.0)
        MeshPotential(4.0, accuracy=1e-3)(*structure, *found)
        potential = MeshPotential(6.0, accuracy=1e-3)
        for call in (potential, torch.jit.script(potential), potential.energy):
            with pytest.raises((ValueError, torch.jit.Error), match="the pair list has"):
                call(*structure, *found)

    def test_open_directions_and_no_pairs(self):
        (positions, charges, cell), _ = system(9, 1)
        pbc = torch.tensor([True, False, True])
        found = neighbor_list(positions, cell, pbc, 4.0)
        MeshPotential(4.0, accuracy=1e-3)(positions, charges, cell, *found, pbc)
        with pytest.raises(ValueError, match="the pair list has"):
            MeshPotential(6.0, accuracy=1e-3)(positions, charges, cell, *found, pbc)
        nothing = found[0][:, :0], found[1][:0]
        MeshPotential(6.0, accuracy=1e-3)(positions, charges, cell, *nothing, pbc)
