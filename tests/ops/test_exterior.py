# SPDX-License-Identifier: BSD-3-Clause
"""Exterior potentials (exclusion_radius) through the mesh, against EwaldPotential.

The smearing is a parameter of these features, so that both sums have the same one and the mesh is
all that is between them.
"""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from loremd import EwaldPotential, MeshPotential
from loremd.neighbors import neighbor_list
from loremd.tuning import relative_error

from .systems import CELLS, cell_of
from .test_mesh_potential import random_gas, with_pairs

CUTOFF = 4.0
REGIONS = [(2.5, 1), (4.0, 3)]
GIVEN = {"mesh": [24, 27, 25], "order": 8}


def exterior(radius, degree, smearing=0.9):
    return {"smearing": smearing, "exclusion_radius": radius, "exclusion_degree": degree}


def gas(p, name="triclinic", n=12, channels=3):
    """With a net charge, but for the exponent that has none."""
    positions, charges, cell = random_gas(n, cell_of(name), channels=channels)
    return positions, charges - charges.mean(0) if p == 3 else charges, cell


@pytest.mark.parametrize(("radius", "degree"), REGIONS)
@pytest.mark.parametrize("window", ["bspline", "prolate"])
@pytest.mark.parametrize("p", range(1, 7))
def test_every_exponent(p, window, radius, degree):
    call = with_pairs(*gas(p), CUTOFF)
    options = exterior(radius, degree) | {"exponent": float(p)}
    exact = EwaldPotential(CUTOFF, accuracy=1e-14, **options)(*call)
    # the accuracy sets the bandlimit of a prolate window
    potential = MeshPotential(CUTOFF, window=window, accuracy=1e-9, **GIVEN, **options)
    assert relative_error(potential(*call), exact) < 1e-7


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("p", [1, 6])
def test_the_mesh_is_chosen_for_the_accuracy(p, name):
    """Relative to potentials of the whole: those of the exterior are smaller."""
    call = with_pairs(*gas(p, name, n=40), CUTOFF)
    options = exterior(2.5, 1) | {"exponent": float(p)}
    exact = EwaldPotential(CUTOFF, accuracy=1e-14, **options)(*call)
    whole = EwaldPotential(CUTOFF, exponent=float(p))(*call)
    # a cutoff that leaves nothing of the Gaussian splitting out, so that the smearing fits it
    values = MeshPotential(CUTOFF, accuracy=1e-5, **options)(*call)
    assert (values - exact).norm() <= 1e-5 * whole.norm()


@pytest.mark.parametrize("pbc", [[True, True, False], [False] * 3])
def test_open_directions(pbc):
    positions, charges, cell = gas(1)
    flags = torch.tensor(pbc)
    call = positions, charges, cell, *neighbor_list(positions, cell, flags, CUTOFF), flags
    exact = EwaldPotential(CUTOFF, accuracy=1e-14, **exterior(2.5, 2, 0.6))(*call)
    values = MeshPotential(CUTOFF, accuracy=1e-6, **exterior(2.5, 2, 0.6))(*call)
    assert relative_error(values, exact) < 1e-5


def test_pairs_beyond_the_radius_do_not_count():
    structure = gas(1)
    potential = MeshPotential(CUTOFF, **exterior(2.5, 1), mesh=[12] * 3, order=6)
    near, far = (potential(*with_pairs(*structure, r)) for r in (2.5, 6.0))
    torch.testing.assert_close(near, far, rtol=0, atol=1e-13)


def test_it_does_not_depend_on_the_cutoff():
    call = with_pairs(*gas(1), 6.0)
    settings = exterior(2.5, 1) | {"mesh": [16] * 3, "order": 8}
    near, far = (MeshPotential(r, **settings)(*call) for r in (2.5, 6.0))
    torch.testing.assert_close(near, far, rtol=0, atol=1e-13)


def test_batch_and_script():
    structures = [gas(1), gas(1, "cubic", n=5), gas(1, "left-handed", n=1)]
    potential = torch.jit.script(
        MeshPotential(CUTOFF, accuracy=1e-4, exponent=2.0, **exterior(2.5, 2))
    )
    calls = [with_pairs(*s, CUTOFF) for s in structures]
    sizes = torch.tensor([len(c[0]) for c in calls])
    starts = sizes.cumsum(0) - sizes
    together = potential(
        torch.cat([c[0] for c in calls]),
        torch.cat([c[1] for c in calls]),
        torch.stack([c[2] for c in calls]),
        torch.cat([c[3] + start for c, start in zip(calls, starts)], 1),
        torch.cat([c[4] for c in calls]),
        None,
        torch.repeat_interleave(torch.arange(3), sizes),
    )
    single = torch.cat([potential(*c) for c in calls])
    torch.testing.assert_close(together, single, rtol=0, atol=1e-13)


@pytest.mark.parametrize("p", [1.0, 4.0])
def test_derivatives(p):
    """The radius ends between two distances; a pair that passes it is smooth to first order."""
    positions, charges, cell = random_gas(3, cell_of("triclinic"))
    _, _, _, pairs, shifts = with_pairs(positions, charges, cell, 3.0)
    settings = exterior(2.5, 2, 0.8) | {"mesh": [8, 9, 8], "order": 6, "window": "bspline"}
    potential = MeshPotential(3.0, exponent=p, **settings)

    def energy(x, q, c):
        own = q * (1 + x[:, :1].sin())
        return (own * potential(x, own, c, pairs, shifts)).sum()

    inputs = [t.requires_grad_() for t in (positions, charges, cell)]
    assert gradcheck(energy, inputs)
    assert gradgradcheck(energy, inputs)


def test_energy():
    call = with_pairs(*gas(1), CUTOFF)
    potential = MeshPotential(CUTOFF, accuracy=1e-5, **exterior(2.5, 1))
    expected = (call[1] * potential(*call)).sum()
    torch.testing.assert_close(potential.energy(*call), expected, rtol=1e-12, atol=0)
