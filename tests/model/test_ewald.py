# SPDX-License-Identifier: BSD-3-Clause
"""The exact sum against known crystals, other splittings of itself, and limits."""

import math

import pytest
import torch

from loremd import EwaldPotential
from loremd.lattice import plane_normal, reciprocal_sum, slab_correction, two_periodic_sum
from loremd.neighbors import neighbor_list

from .crystals import CRYSTALS, displaced, madelung_energy

DTYPE = torch.float64
UNIMODULAR = {
    "as given": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "sheared": [[1, 1, 0], [0, 1, 0], [0, 0, 1]],
    "strongly sheared": [[1, 1, 2], [0, 1, -1], [1, 1, 3]],
    "left-handed": [[0, 1, 0], [1, 0, 0], [0, 0, 1]],
    "sheared and left-handed": [[1, 0, 0], [-1, -1, 0], [2, 1, 1]],
}


def potentials(structure, cutoff, pbc=True, scheme="exact", accuracy=1e-12):
    positions, charges, cell = structure
    flags = torch.tensor([pbc] * 3 if isinstance(pbc, bool) else pbc)
    pairs, shifts = neighbor_list(positions, cell, flags, cutoff)
    module = EwaldPotential(cutoff, accuracy=accuracy, scheme=scheme)
    return module(positions, charges, cell, pairs, shifts, flags)


def energy(structure, *args, **options):
    return float((structure[1] * potentials(structure, *args, **options)).sum())


@pytest.mark.parametrize("basis", UNIMODULAR)
@pytest.mark.parametrize("name", CRYSTALS)
def test_madelung_constants(name, basis):
    positions, charges, cell = CRYSTALS[name].structure()
    matrix = torch.tensor(UNIMODULAR[basis], dtype=DTYPE)
    assert abs(abs(float(torch.linalg.det(matrix))) - 1) < 1e-12
    value = energy((positions, charges, matrix @ cell), 2.5 * float(cell.norm(dim=1).min()))
    expected = madelung_energy(name)
    assert abs(value / CRYSTALS[name].formula_units - expected) < 1e-10


@pytest.mark.parametrize("name", CRYSTALS)
def test_displaced_crystals_do_not_depend_on_the_splitting(name):
    structure = displaced(CRYSTALS[name].structure(), amplitude=0.1)
    length = float(structure[2].norm(dim=1).min())
    first, second = (potentials(structure, factor * length) for factor in (1.7, 2.6))
    torch.testing.assert_close(first, second, rtol=0, atol=1e-11 * float(first.abs().max()))


def test_net_charge_does_not_depend_on_the_splitting():
    positions, charges, cell = displaced(CRYSTALS["fluorite"].structure(), amplitude=0.05)
    structure = (positions, charges + torch.tensor([[0.7]], dtype=DTYPE), cell)
    first, second = (potentials(structure, cutoff) for cutoff in (1.5, 2.5))
    torch.testing.assert_close(first, second, rtol=0, atol=1e-11 * float(first.abs().max()))


def test_channels_are_independent():
    positions, _, cell = displaced(CRYSTALS["NaCl"].structure(), amplitude=0.1)
    charges = torch.randn(len(positions), 10, dtype=DTYPE)
    together = potentials((positions, charges, cell), 3.0)
    single = [potentials((positions, charges[:, c : c + 1], cell), 3.0) for c in range(10)]
    torch.testing.assert_close(together, torch.cat(single, 1), rtol=1e-13, atol=1e-13)


def test_supercell_has_the_potentials_of_the_cell():
    positions, charges, cell = displaced(CRYSTALS["zincblende"].structure(), amplitude=0.1)
    doubled = torch.cat([positions, positions + cell[1]])
    large = torch.stack([cell[0], 2 * cell[1], cell[2]])
    once = potentials((positions, charges, cell), 4.0)
    twice = potentials((doubled, charges.repeat(2, 1), large), 4.0)
    torch.testing.assert_close(twice, once.repeat(2, 1), rtol=1e-11, atol=1e-11)


def test_isolated_structure_is_the_plain_sum():
    positions = torch.tensor([[0.0, 0, 0], [3, 4, 0], [0, 0, 2]], dtype=DTYPE)
    charges = torch.tensor([[1.0], [-2], [3]], dtype=DTYPE)
    values = potentials((positions, charges, torch.zeros(3, 3, dtype=DTYPE)), 1.0, pbc=False)
    expected = 0.5 * torch.tensor([-2 / 5 + 3 / 2, 1 / 5 + 3 / 29**0.5, 1 / 2 - 2 / 29**0.5])
    torch.testing.assert_close(values[:, 0], expected.to(DTYPE), rtol=1e-7, atol=0)


# --- two periodic directions ---------------------------------------------------------------------


def slab(axis: int, charged: bool = False):
    """A buckled NaCl layer, three atoms thick, open along the lattice vector ``axis``."""
    generator = torch.Generator().manual_seed(3)
    grid = torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(3)).to(DTYPE)
    signs = (1 - 2 * (grid.sum(1) % 2)).unsqueeze(1)
    cell = torch.tensor([[4.0, 0, 0], [0.3, 4.2, 0], [0.5, -0.4, 30]], dtype=DTYPE)
    positions = grid @ torch.diag(torch.tensor([2.0, 2.1, 1.9], dtype=DTYPE))
    positions = positions + 0.2 * torch.randn(positions.shape, generator=generator, dtype=DTYPE)
    charges = torch.cat([signs, torch.randn(len(grid), 1, generator=generator, dtype=DTYPE)], 1)
    if not charged:
        charges = charges - charges.mean(0)
    order = [(axis + 1) % 3, (axis + 2) % 3, axis]  # row order[k] of the new cell is row k
    rows = torch.zeros(3, 3, dtype=DTYPE)
    rows[order] = cell
    flags = [k != axis for k in range(3)]
    return (positions, charges, rows), flags


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_exact_slab_does_not_depend_on_splitting_or_axis(axis):
    reference, flags = slab(2, charged=True)
    expected = potentials(reference, 6.0, pbc=flags)
    structure, flags = slab(axis, charged=True)
    for cutoff in (4.0, 9.0):
        values = potentials(structure, cutoff, pbc=flags)
        torch.testing.assert_close(values, expected, rtol=0, atol=1e-11)


def test_exact_slab_ignores_the_open_vector():
    structure, flags = slab(1)
    other = structure[2].clone()
    other[1] = 0.0
    values = potentials((structure[0], structure[1], other), 6.0, pbc=flags)
    torch.testing.assert_close(values, potentials(structure, 6.0, pbc=flags), rtol=0, atol=1e-12)


def test_exact_slab_is_the_limit_of_wide_open_patches():
    # charges that cancel within every column, so that a finite patch converges quickly
    cell = torch.tensor([[3.0, 0, 0], [0.4, 2.8, 0], [0, 0, 50.0]], dtype=DTYPE)
    positions = torch.tensor([[0.0, 0, 0], [1.4, 1.3, 0.6], [1.5, 0.1, 0.9], [0.1, 1.4, -0.3]])
    charges = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]], dtype=DTYPE)
    positions = positions.to(DTYPE)
    exact = potentials((positions, charges, cell), 8.0, pbc=[True, True, False])
    n = torch.arange(-60, 61, dtype=DTYPE)
    images = torch.cartesian_prod(n, n)
    patch = (images @ cell[:2]).unsqueeze(1) + positions
    distance = (patch.unsqueeze(0) - positions[:, None, None]).norm(dim=3)
    terms = torch.where(distance > 0, charges[:, 0] / distance, torch.zeros_like(distance))
    direct = 0.5 * terms.sum((1, 2))
    # what is left is the quadrupole of the cell over the cube of the patch's radius
    torch.testing.assert_close(exact[:, 0], direct, rtol=0, atol=3e-3)
    assert exact.abs().max() > 0.3


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("charged", [False, True])
def test_slab_schemes_agree(axis, charged):
    structure, flags = slab(axis, charged)
    exact = potentials(structure, 6.0, pbc=flags)
    lorem = potentials(structure, 6.0, pbc=flags, scheme="lorem-jax")
    # images of the slab act as exp(-2π gap / vector), here 1.5 vectors away: 8e-5, times a few
    torch.testing.assert_close(lorem, exact, rtol=0, atol=5e-4)
    assert not torch.allclose(lorem, exact, rtol=0, atol=1e-7)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_three_dimensional_sum_with_slab_correction_has_the_right_limit(axis):
    (positions, charges, cell), _ = slab(axis, charged=True)
    normal, _ = plane_normal(cell, axis)
    exact = two_periodic_sum(positions, charges, cell, axis, smearing=1.0, k_max=8.0)
    wide = cell.clone()
    wide[axis] = 25.0 * normal + 0.3 * cell[(axis + 1) % 3]
    smooth = reciprocal_sum(positions, charges, wide, 1.0, 8.0)
    smooth = smooth + slab_correction(positions, charges, wide, axis, normal)
    torch.testing.assert_close(smooth, exact, rtol=0, atol=1e-11)


@pytest.mark.parametrize("axis", [0, 1])
def test_lorem_jax_slab_does_not_depend_on_the_order_of_rows(axis):
    (positions, charges, cell), flags = slab(axis, charged=True)
    reference, reference_flags = slab(2, charged=True)
    values = potentials((positions, charges, cell), 6.0, pbc=flags, scheme="lorem-jax")
    expected = potentials(reference, 6.0, pbc=reference_flags, scheme="lorem-jax")
    torch.testing.assert_close(values, expected, rtol=0, atol=1e-11)


def test_lorem_jax_slab_shrinks_a_long_open_vector_to_the_same_length():
    (positions, charges, cell), flags = slab(2, charged=True)
    values = potentials((positions, charges, cell), 6.0, pbc=flags, scheme="lorem-jax")
    longer = cell.clone()
    longer[2] *= 1.7
    stretched = potentials((positions, charges, longer), 6.0, pbc=flags, scheme="lorem-jax")
    torch.testing.assert_close(stretched, values, rtol=0, atol=1e-11)
    short = cell.clone()
    short[2] *= 9.0 / 30.0  # shorter than slab and margin: taken as it is
    assert not torch.allclose(
        potentials((positions, charges, short), 6.0, pbc=flags, scheme="lorem-jax"), values
    )


def test_flat_layer_has_second_derivatives():
    # all atoms at one height: every even function of z_ij is at its extremum
    positions = torch.tensor([[0.0, 0, 1], [1.1, 1.2, 1]], dtype=DTYPE)
    charges = torch.tensor([[1.0], [-1.0]], dtype=DTYPE)
    cell = torch.diag(torch.tensor([2.3, 2.2, 0.0], dtype=DTYPE))
    flags = torch.tensor([True, True, False])
    pairs, shifts = neighbor_list(positions, cell, flags, 5.0)
    module = EwaldPotential(5.0, accuracy=1e-10)

    def total(points, vectors):
        return (charges * module(points, charges, vectors, pairs, shifts, flags)).sum()

    inputs = (positions.requires_grad_(), cell.requires_grad_())
    assert torch.autograd.gradcheck(total, inputs, eps=1e-5, atol=1e-7)
    assert torch.autograd.gradgradcheck(total, inputs, eps=1e-5, atol=1e-6)


# --- derivatives ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pbc, scheme",
    [([True] * 3, "exact"), ([True, False, True], "exact"), ([False] * 3, "exact")],
)
def test_derivatives(pbc, scheme):
    positions, charges, cell = displaced(CRYSTALS["CsCl"].structure(), amplitude=0.05)
    charges = torch.cat([charges, torch.tensor([[0.3], [0.9]], dtype=DTYPE)], 1)
    flags = torch.tensor(pbc)
    pairs, shifts = neighbor_list(positions, cell, flags, 1.5)
    module = torch.jit.script(EwaldPotential(1.5, accuracy=1e-4, scheme=scheme))

    def values(points, q, vectors):
        return module(points, q, vectors, pairs, shifts, flags)

    inputs = tuple(x.clone().requires_grad_() for x in (positions, charges, cell))
    assert torch.autograd.gradcheck(values, inputs, eps=1e-6, atol=1e-7)
    assert torch.autograd.gradgradcheck(values, inputs, eps=1e-6, atol=1e-6)


def test_lorem_jax_slab_gives_no_gradient_to_the_open_vector():
    (positions, charges, cell), flags = slab(0)
    cell.requires_grad_()
    values = potentials((positions, charges, cell), 6.0, pbc=flags, scheme="lorem-jax")
    (gradient,) = torch.autograd.grad((charges * values).sum(), cell)
    assert gradient[0].abs().max() == 0.0
    assert gradient[1:].abs().min() > 0.0


def test_lorem_jax_slab_accepts_a_missing_open_vector():
    (positions, charges, cell), flags = slab(2)
    cell[2] = 0.0
    values = potentials((positions, charges, cell), 6.0, pbc=flags, scheme="lorem-jax")
    assert torch.isfinite(values).all()


# --- batches and bad input -----------------------------------------------------------------------


def test_batch_equals_single_structures():
    one = displaced(CRYSTALS["CsCl"].structure(), 0.1)
    two, two_flags = slab(1)
    three = displaced(CRYSTALS["NaCl"].structure(), 0.1)
    structures = [one, (two[0], two[1][:, :1], two[2]), three, three]
    flags = torch.tensor([[True] * 3, two_flags, [False] * 3, [True] * 3])
    single, lists, offset = [], [], 0
    for (positions, charges, cell), pbc in zip(structures, flags, strict=True):
        single.append(potentials((positions, charges, cell), 3.0, pbc=pbc.tolist()))
        pairs, shifts = neighbor_list(positions, cell, pbc, 3.0)
        lists.append((pairs + offset, shifts))
        offset += len(positions)
    module = torch.jit.script(EwaldPotential(3.0))
    together = module(
        torch.cat([s[0] for s in structures]),
        torch.cat([s[1] for s in structures]),
        torch.stack([s[2] for s in structures]),
        torch.cat([pairs for pairs, _ in lists], 1),
        torch.cat([shifts for _, shifts in lists]),
        flags,
        torch.repeat_interleave(torch.arange(4), torch.tensor([len(s[0]) for s in structures])),
    )
    torch.testing.assert_close(together, torch.cat(single), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("pbc", [[True] * 3, [True, True, False]])
def test_chunks_of_wave_vectors_add_up(pbc, monkeypatch):
    structure = displaced(CRYSTALS["zincblende"].structure(), 0.1)
    expected = potentials(structure, 2.0, pbc=pbc)
    monkeypatch.setattr("loremd.lattice._chunk", lambda rows: 7)
    values = potentials(structure, 2.0, pbc=pbc)
    torch.testing.assert_close(values, expected, rtol=0, atol=1e-12)


def test_float32_charges_give_float32_potentials():
    positions, charges, cell = CRYSTALS["NaCl"].structure()
    values = potentials((positions, charges.float(), cell), 3.0)
    assert values.dtype == torch.float32
    exact = potentials((positions, charges, cell), 3.0)
    torch.testing.assert_close(values.double(), exact, rtol=1e-7, atol=0)


def call(**changes):
    arguments = {
        "positions": torch.zeros(1, 3, dtype=DTYPE),
        "charges": torch.ones(1, 1, dtype=DTYPE),
        "cell": torch.eye(3, dtype=DTYPE),
        "pairs": torch.zeros(2, 0, dtype=torch.int64),
        "shifts": torch.zeros(0, 3, dtype=torch.int64),
        **changes,
    }
    return EwaldPotential(2.0)(**arguments)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"positions": torch.zeros(1, 2, dtype=DTYPE)}, r"positions must be \(n, 3\) float64"),
        ({"positions": torch.zeros(1, 3)}, r"positions must be \(n, 3\) float64"),
        ({"charges": torch.ones(2, 1, dtype=DTYPE)}, r"charges must be \(n, channels\) with n = 1"),
        ({"charges": torch.ones(1, 1, dtype=torch.int64)}, "charges must be float32 or float64"),
        ({"cell": torch.eye(3)}, "cell must be float64"),
        ({"cell": torch.eye(2, dtype=DTYPE)}, r"cell must be \(3, 3\)"),
        ({"cell": torch.zeros(3, 3, dtype=DTYPE)}, "cell has the volume 0.0"),
        ({"cell": torch.full((3, 3), math.nan, dtype=DTYPE)}, "cell has the volume nan"),
        ({"pairs": torch.zeros(2, 0)}, r"pairs must be \(2, P\) int64"),
        ({"shifts": torch.zeros(1, 3, dtype=torch.int64)}, r"shifts must be \(P, 3\), P = 0"),
        ({"pbc": torch.tensor([True, False, False])}, "one periodic direction"),
        ({"pbc": torch.tensor([1, 1, 1])}, "pbc must be bool"),
        ({"n_owned": 0}, "takes no ghosts: n_owned is 0"),
        ({"comm": 1}, "comm must be 0"),
        ({"cell": torch.eye(3, dtype=DTYPE).repeat(2, 1, 1)}, "2 structures, but batch is None"),
        ({"batch": torch.tensor([1])}, "batch names structure 1, but there are 1 cells"),
        ({"batch": torch.tensor([0.0])}, r"batch must be \(n,\) int64"),
        (
            {
                "cell": torch.zeros(3, 3, dtype=DTYPE),
                "pbc": torch.tensor([True, True, False]),
            },
            "span the area 0.0",
        ),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(ValueError, match=message):
        call(**changes)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"cutoff": 0.0}, "cutoff is 0.0, but it must be a positive length"),
        ({"cutoff": 1.0, "accuracy": 2.0}, "accuracy is 2.0, but it must be between"),
        ({"cutoff": 1.0, "scheme": "slab"}, "scheme is 'slab', but it must be"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        EwaldPotential(**options)
