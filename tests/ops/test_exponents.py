# SPDX-License-Identifier: BSD-3-Clause
"""EwaldPotential of 1/r^p: crystals, other splittings of itself, exterior potentials, dipoles."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from loremd import CombinedPotential, EwaldPotential
from loremd.neighbors import neighbor_list

from ..model.crystals import CRYSTALS, displaced
from .systems import cell_of

DTYPE = torch.float64
EXPONENTS = [0.5, 1.0, 1.7, 2.0, 2.999, 3.0, 3.001, 4.0, 5.0, 6.0]
SHEARED = torch.tensor([[1.0, 1, 2], [0, 1, -1], [1, 1, 3]], dtype=DTYPE)
# energies per formula unit from sums in 25-digit arithmetic on which two splittings agree
ENERGIES = {
    "NaCl": {
        2: -2.519356152089445,
        3: -3.238624766051777,
        4: -3.863163807196585,
        5: -4.378601149933441,
        6: -4.788443713891422,
    },
    "CsCl": {
        2: -3.423496825411921,
        3: -5.143526858802458,
        4: -7.181984336109564,
        5: -9.541232498988705,
        6: -12.24188329133413,
    },
    # no background: the finite term of k = 0 is kept
    "Wigner sc": {4: 8.266157979880835, 5: 5.188762415423542, 6: 4.200961987413770},
}
CASES = [(name, p) for name, energies in ENERGIES.items() for p in energies]


def arguments(structure, cutoff, pbc=True):
    positions, charges, cell = structure
    flags = torch.tensor([pbc] * 3)
    return positions, charges, cell, *neighbor_list(positions, cell, flags, cutoff), flags


def potentials(structure, cutoff, pbc=True, **options):
    return EwaldPotential(cutoff, **options)(*arguments(structure, cutoff, pbc))


def four_ions():
    """In a triclinic cell, two channels, with a net charge in both."""
    cell = cell_of("triclinic")
    fractions = [[0.0, 0, 0], [0.31, 0.42, 0.08], [0.77, 0.15, 0.52], [0.2, 0.8, 0.71]]
    charges = [[1.0, 0.5], [-1.0, 0.3], [2.0, -0.4], [-1.5, 0.1]]
    return torch.tensor(fractions, dtype=DTYPE) @ cell, torch.tensor(charges, dtype=DTYPE), cell


def neutral(structure):
    positions, charges, cell = structure
    return positions, charges - charges.mean(0), cell


class TestLattice:
    @pytest.mark.parametrize("basis", ["as given", "sheared"])
    @pytest.mark.parametrize("name, p", CASES)
    def test_crystals(self, name, p, basis):
        positions, charges, cell = CRYSTALS[name].structure()
        rows = SHEARED @ cell if basis == "sheared" else cell
        cutoff = 2.5 * float(cell.norm(dim=1).min())
        values = potentials((positions, charges, rows), cutoff, exponent=float(p))
        energy = float((charges * values).sum()) / CRYSTALS[name].formula_units
        assert abs(energy - ENERGIES[name][p]) < 1e-10

    @pytest.mark.parametrize("p", EXPONENTS)
    @pytest.mark.parametrize("name", ["NaCl", "zincblende", "fluorite"])
    def test_displaced_crystals_do_not_depend_on_the_splitting(self, name, p):
        positions, charges, cell = displaced(CRYSTALS[name].structure(), amplitude=0.1)
        if p != 3.0:
            charges = charges + 0.1  # a net charge
        length = float(cell.norm(dim=1).min())
        first, second = (
            potentials((positions, charges, cell), factor * length, exponent=p)
            for factor in (1.7, 2.6)
        )
        # near p = 3 the background and the sum both grow as 1/(p - 3)
        scale = float(first.abs().max()) * max(1, 0.01 / abs(p - 3) if p != 3.0 else 1)
        torch.testing.assert_close(first, second, rtol=0, atol=3e-11 * scale)

    def test_exponents_are_continuous(self):
        structure = displaced(CRYSTALS["NaCl"].structure(), amplitude=0.1)
        for p in (1.0, 2.0, 3.0, 5.0):
            below, at, above = (
                potentials(structure, 3.0, exponent=p + d) for d in (-1e-6, 0, 1e-6)
            )
            torch.testing.assert_close(0.5 * (below + above), at, rtol=0, atol=1e-9)

    def test_given_smearing(self):
        structure = four_ions()
        exact = potentials(structure, 6.0)
        assert EwaldPotential(6.0, smearing=0.7).smearing() == 0.7
        values = potentials(structure, 6.0, smearing=0.7)
        torch.testing.assert_close(values, exact, rtol=0, atol=1e-11)

    def test_isolated_structure_is_the_plain_sum(self):
        positions = torch.tensor([[0.0, 0, 0], [3, 4, 0], [0, 0, 2]], dtype=DTYPE)
        charges = torch.tensor([[1.0], [-2], [3]], dtype=DTYPE)
        structure = (positions, charges, torch.zeros(3, 3, dtype=DTYPE))
        values = potentials(structure, 1.0, pbc=False, exponent=4.0)
        expected = [-2 / 625 + 3 / 16, 1 / 625 + 3 / 841, 1 / 16 - 2 / 841]
        expected = 0.5 * torch.tensor(expected, dtype=DTYPE)
        torch.testing.assert_close(values[:, 0], expected, rtol=1e-14, atol=0)

    @pytest.mark.parametrize("p", [0.5, 2.0, 3.0, 6.0])
    def test_derivatives(self, p):
        structure = displaced(CRYSTALS["CsCl"].structure(), amplitude=0.05)
        inputs = tuple(x.clone().requires_grad_() for x in structure)
        *_, pairs, shifts, flags = arguments(structure, 1.5)
        module = torch.jit.script(EwaldPotential(1.5, accuracy=1e-4, exponent=p))

        def values(points, charges, cell):
            centred = charges - charges.mean(0) if p == 3.0 else charges
            return module(points, centred, cell, pairs, shifts, flags)

        assert gradcheck(values, inputs, eps=1e-6, atol=1e-6)
        assert gradgradcheck(values, inputs, eps=1e-6, atol=1e-5)

    def test_batch_and_float32(self):
        first = neutral(four_ions())
        second = displaced(CRYSTALS["NaCl"].structure(), 0.1)
        second = (second[0], torch.cat([second[1], -second[1]], 1), second[2])
        third = (first[0] + 1.0, first[1], first[2])
        structures, flags = [first, second, third], [True, True, False]
        module = torch.jit.script(EwaldPotential(3.0, exponent=3.0))
        calls = [arguments(s, 3.0, pbc) for s, pbc in zip(structures, flags, strict=True)]
        offsets = [0, 4, 4 + len(second[0])]
        together = module(
            torch.cat([c[0] for c in calls]),
            torch.cat([c[1] for c in calls]).float(),
            torch.stack([c[2] for c in calls]),
            torch.cat([c[3] + offset for c, offset in zip(calls, offsets, strict=True)], 1),
            torch.cat([c[4] for c in calls]),
            torch.stack([c[5] for c in calls]),
            torch.repeat_interleave(torch.arange(3), torch.tensor([len(c[0]) for c in calls])),
        )
        assert together.dtype == torch.float32
        single = torch.cat([EwaldPotential(3.0, exponent=3.0)(*c) for c in calls])
        # float32 rounding of charges of size 1, times potentials of neighbours
        torch.testing.assert_close(together.double(), single, rtol=0, atol=1e-6)


# what torch-pme 0.5.0 gives for the first channel of four_ions(): EwaldCalculator, smearing 0.9,
# reciprocal sum to a wavelength of 0.4. (exponent, exclusion radius, degree): potentials
EXTERIOR = {
    (1, 2.5, 1): [-0.25654161474, 0.229567238946, -0.523177076654, 0.358071745181],
    (6, 4.0, 3): [2.83460938751e-05, 0.00193692391506, -0.000751385037451, 0.00158209966059],
}


class TestExterior:
    @pytest.mark.parametrize("p, radius, degree", EXTERIOR)
    def test_stored_values_of_torch_pme(self, p, radius, degree):
        values = potentials(
            four_ions(),
            6.0,
            exponent=float(p),
            smearing=0.9,
            exclusion_radius=radius,
            exclusion_degree=degree,
        )
        expected = torch.tensor(EXTERIOR[p, radius, degree], dtype=DTYPE)
        # ten digits are stored
        torch.testing.assert_close(values[:, 0], expected, rtol=0, atol=1e-9)

    @pytest.mark.parametrize("p", range(1, 7))
    @pytest.mark.parametrize("radius, degree", [(2.5, 1), (4.0, 3), (5.5, 2)])
    def test_torch_pme(self, p, radius, degree):
        torchpme = pytest.importorskip("torchpme")
        options = {"smearing": 0.9, "exclusion_radius": radius, "exclusion_degree": degree}
        structure = neutral(four_ions()) if p == 3 else four_ions()
        values = potentials(structure, 6.0, exponent=float(p), **options)
        positions, charges, cell, pairs, shifts, _ = arguments(structure, 6.0)
        vectors = positions[pairs[1]] - positions[pairs[0]] + shifts.to(DTYPE) @ cell
        potential = torchpme.InversePowerLawPotential(exponent=p, **options).to(DTYPE)
        calculator = torchpme.EwaldCalculator(potential, lr_wavelength=0.4, full_neighbor_list=True)
        expected = calculator.to(DTYPE)(charges, cell, positions, pairs.T, vectors.norm(dim=1))
        torch.testing.assert_close(values, expected, rtol=0, atol=1e-6)

    @pytest.mark.parametrize("p, images", [(1.0, 1e-3), (4.0, 1e-5)])
    def test_isolated_structure_is_the_limit_of_large_cells(self, p, images):
        positions, charges, _ = neutral(four_ions())
        large = 60.0 * torch.eye(3, dtype=DTYPE)
        options = {"exponent": p, "smearing": 1.5, "exclusion_radius": 5.0}
        periodic = potentials((positions, charges, large), 5.0, accuracy=1e-6, **options)
        isolated = potentials((positions, charges, large), 5.0, pbc=False, **options)
        torch.testing.assert_close(periodic, isolated, rtol=0, atol=images)
        assert isolated.abs().max() > 10 * images

    @pytest.mark.parametrize("pbc", [[True] * 3, [True, True, False], [False] * 3])
    def test_derivatives(self, pbc):
        structure = displaced(CRYSTALS["CsCl"].structure(), amplitude=0.05)
        inputs = tuple(x.clone().requires_grad_() for x in structure)
        flags = torch.tensor(pbc)
        pairs, shifts = neighbor_list(structure[0], structure[2], flags, 1.5)
        module = torch.jit.script(
            EwaldPotential(1.5, accuracy=1e-4, smearing=0.3, exclusion_radius=1.1)
        )

        def values(points, charges, cell):
            return module(points, charges, cell, pairs, shifts, flags)

        assert gradcheck(values, inputs, eps=1e-6, atol=1e-7)
        assert gradgradcheck(values, inputs, eps=1e-6, atol=1e-6)

    def test_pairs_within_cancel_where_the_inside_is_everything(self):
        positions = torch.tensor([[0.0, 0, 0], [0.01, 0, 0]], dtype=DTYPE)
        structure = (positions, torch.ones(2, 1, dtype=DTYPE), torch.zeros(3, 3, dtype=DTYPE))
        values = potentials(structure, 5.0, pbc=False, smearing=1.0, exclusion_radius=5.0)
        assert values.abs().max() < 1e-4


class TestDipoles:
    @pytest.mark.parametrize("pbc", [True, False])
    @pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 6.0])
    def test_they_are_pairs_of_opposite_charges(self, p, pbc):
        positions, _, cell = four_ions()
        generator = torch.Generator().manual_seed(0)
        dipoles = torch.randn(4, 2, 3, generator=generator, dtype=DTYPE)
        *_, pairs, shifts, flags = arguments(four_ions(), 6.0, pbc)
        module = torch.jit.script(EwaldPotential(6.0, exponent=p))
        values = module.dipole_potential(positions, dipoles, cell, pairs, shifts, flags)
        h, expected = 1e-3, torch.zeros(4, 2, dtype=DTYPE)
        for j in range(1, 4):
            for channel in range(2):
                ends = positions[j] + h * torch.stack([-dipoles[j, channel], dipoles[j, channel]])
                points = torch.cat([positions, ends])
                charges = torch.tensor([0.0] * 4 + [-0.5 / h, 0.5 / h], dtype=DTYPE).unsqueeze(1)
                field = potentials((points, charges, cell), 6.0, pbc, exponent=p)[:, 0]
                # at the dipole itself the two charges cancel, and its images are symmetric
                expected[:, channel] += torch.where(torch.arange(4) == j, 0.0, field[:4])
        values = values - module.dipole_potential(
            positions, dipoles * (torch.arange(4) == 0).reshape(4, 1, 1), cell, pairs, shifts, flags
        )
        # what is left is the third derivative of 1/r^p times h²
        torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("p", [1.0, 3.0, 5.0])
    def test_they_do_not_depend_on_the_splitting(self, p):
        positions, _, cell = four_ions()
        dipoles = torch.linspace(-1, 1, 12, dtype=DTYPE).cos().reshape(4, 1, 3)
        first, second = (
            EwaldPotential(cutoff, exponent=p).dipole_potential(
                positions, dipoles, cell, *neighbor_list(positions, cell, True, cutoff)
            )
            for cutoff in (6.0, 9.0)
        )
        torch.testing.assert_close(first, second, rtol=0, atol=1e-11)
        assert first.abs().max() > 0.01

    def test_derivatives(self):
        structure = displaced(CRYSTALS["CsCl"].structure(), amplitude=0.05)
        *_, pairs, shifts, flags = arguments(structure, 1.5)
        dipoles = torch.linspace(-1, 1, 12, dtype=DTYPE).cos().reshape(2, 2, 3)
        inputs = (structure[0], dipoles, structure[2])
        inputs = tuple(x.clone().requires_grad_() for x in inputs)
        module = EwaldPotential(1.5, accuracy=1e-4)

        def values(points, moments, cell):
            return module.dipole_potential(points, moments, cell, pairs, shifts, flags)

        assert gradcheck(values, inputs, eps=1e-6, atol=1e-6)
        assert gradgradcheck(values, inputs, eps=1e-6, atol=1e-5)


class TestCombined:
    def test_weighted_sum(self):
        structure = arguments(four_ions(), 6.0)
        parts = [EwaldPotential(6.0), EwaldPotential(5.0, exponent=6.0)]
        combined = torch.jit.script(CombinedPotential(parts, [0.5, -2.0]))
        values = combined(*structure)
        expected = 0.5 * parts[0](*structure) - 2.0 * parts[1](*structure)
        torch.testing.assert_close(values, expected)
        assert combined.cutoff == 6.0
        values.sum().backward()
        expected = torch.stack([part(*structure).sum() for part in parts])
        torch.testing.assert_close(combined.weights.grad, expected)

    def test_weights_need_not_be_learnable(self):
        combined = CombinedPotential([EwaldPotential(6.0)], learnable=False)
        assert list(combined.parameters()) == []
        assert combined.weights.tolist() == [1.0]
        values = combined(*arguments(four_ions(), 6.0))
        torch.testing.assert_close(values, potentials(four_ions(), 6.0))

    @pytest.mark.parametrize(
        "call, message",
        [
            (lambda: CombinedPotential([]), "potentials is empty"),
            (
                lambda: CombinedPotential([EwaldPotential(1.0)], [1.0, 2.0]),
                "weights has 2 numbers, but there are 1 potentials",
            ),
        ],
    )
    def test_errors(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()


def dipole_call(**options):
    flags = options.pop("pbc", [True] * 3)
    width = options.pop("width", 3)
    positions, _, cell = four_ions()
    pairs, shifts = neighbor_list(positions, cell, torch.tensor(flags), 2.0)
    dipoles = torch.zeros(4, 1, width, dtype=DTYPE)
    module = EwaldPotential(2.0, **options)
    return module.dipole_potential(positions, dipoles, cell, pairs, shifts, torch.tensor(flags))


EXCLUSION = {"exclusion_radius": 2.0, "smearing": 1.0}


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: EwaldPotential(2.0, exponent=0.1), "exponent is 0.1; allowed: 0.5 to 6"),
        (lambda: EwaldPotential(2.0, exponent=float("nan")), "exponent is nan; allowed"),
        (lambda: EwaldPotential(2.0, smearing=-1.0), "smearing is -1.0; it must be positive"),
        (lambda: EwaldPotential(2.0, exclusion_radius=-1.0), "exclusion_radius is -1.0; it must"),
        (
            lambda: EwaldPotential(2.0, exclusion_radius=1.0),
            "exclusion_radius is 1.0, but smearing is 0",
        ),
        (lambda: EwaldPotential(1.0, **EXCLUSION), "cutoff is 1.0, but the exclusion radius is 2"),
        (lambda: EwaldPotential(2.0, exclusion_degree=0), "exclusion_degree is 0; it must be at"),
        (
            lambda: potentials(four_ions(), 2.0, exponent=3.0),
            r"net charge 0.5.*, of which the sum of 1/r\^3 diverges",
        ),
        (
            lambda: EwaldPotential(2.0, exponent=2.0)(
                *arguments(four_ions(), 2.0)[:5], torch.tensor([True, True, False])
            ),
            "two periodic directions, but .* p = 2.0, exists for three or none",
        ),
        (lambda: dipole_call(pbc=[True, True, False]), "two periodic directions, but"),
        (lambda: dipole_call(width=2), r"dipoles must be \(n, channels, 3\), got"),
        (lambda: dipole_call(**EXCLUSION), "exclusion_radius is 2.0, but the sum over dipoles"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
