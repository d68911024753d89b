# SPDX-License-Identifier: BSD-3-Clause
"""MeshPotential against crystals, the exact sum and finite differences."""

import functools

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

import loremd
from loremd import CombinedPotential, EwaldPotential, MeshPotential, ops, tune
from loremd.neighbors import neighbor_list
from loremd.tuning import relative_error

from ..model.crystals import CRYSTALS, displaced
from .systems import CELLS, atoms, cell_of

ACCURACIES = [1e-4, 1e-6, 1e-8]
CHOICES = [(s, w) for s in ("gaussian", "prolate") for w in ("bspline", "prolate")]
SHEARED = torch.tensor([[1.0, 1, 2], [0, 1, -1], [1, 1, 3]], dtype=torch.float64)
# energies per formula unit of 1/r^p, as in test_exponents.py; the Wigner crystal without background
ENERGIES = {
    "NaCl": [
        -2.519356152089445,
        -3.238624766051777,
        -3.863163807196585,
        -4.378601149933441,
        -4.788443713891422,
    ],
    "CsCl": [
        -3.423496825411921,
        -5.143526858802458,
        -7.181984336109564,
        -9.541232498988705,
        -12.24188329133413,
    ],
    "Wigner sc": [None, None, 8.266157979880835, 5.188762415423542, 4.200961987413770],
}
POWERS = [(n, p, e) for n, row in ENERGIES.items() for p, e in zip(range(2, 7), row) if e]


def with_pairs(positions, charges, cell, cutoff):
    return positions, charges, cell, *neighbor_list(positions, cell, True, cutoff)


def cutoff_for(positions, cell, spacings=3.0):
    """A number of mean distances between atoms."""
    return spacings * float(torch.linalg.det(cell).abs() / len(positions)) ** (1 / 3)


def random_gas(n, cell, channels=1, seed=0):
    """Charges of both signs anywhere but on top of each other."""
    generator = torch.Generator().manual_seed(seed)
    kept = []
    while len(kept) < n:
        candidate = torch.rand(3, generator=generator, dtype=torch.float64)
        difference = torch.stack(kept) - candidate if kept else torch.ones(1, 3).double() / 2
        difference = (difference - difference.round()) @ cell
        if difference.norm(dim=1).min() > 0.3 * (float(torch.linalg.det(cell).abs()) / n) ** (
            1 / 3
        ):
            kept.append(candidate)
    charges = torch.randn(n, channels, generator=generator, dtype=torch.float64)
    return torch.stack(kept) @ cell, charges, cell


@functools.cache
def case(kind, name):
    """The call for a structure, with the exact potentials; made once for all ways to sum it."""
    if kind == "gas":
        structure = random_gas(40, cell_of(name), channels=4)
    else:
        positions, charges, cell = CRYSTALS[name].structure()
        structure = positions, charges, SHEARED @ cell if kind == "sheared" else cell
        if kind == "displaced":
            structure = displaced(structure, amplitude=0.1)
    cutoff = cutoff_for(structure[0], structure[2])
    call = with_pairs(*structure, cutoff)
    return cutoff, call, EwaldPotential(cutoff, accuracy=1e-14)(*call)


@pytest.mark.parametrize("accuracy", ACCURACIES)
@pytest.mark.parametrize(("splitting", "window"), CHOICES)
class TestAccuracy:
    """Every splitting with every window."""

    def values(self, kind, name, accuracy, splitting, window):
        cutoff, call, exact = case(kind, name)
        potential = MeshPotential(cutoff, accuracy=accuracy, splitting=splitting, window=window)
        return call, potential(*call), exact

    @pytest.mark.parametrize("basis", ["as given", "sheared"])
    @pytest.mark.parametrize("name", CRYSTALS)
    def test_madelung_constants(self, name, basis, splitting, window, accuracy):
        call, values, _ = self.values(basis, name, accuracy, splitting, window)
        energy = float((call[1] * values).sum()) / CRYSTALS[name].formula_units
        assert abs(energy / CRYSTALS[name].energy - 1) <= accuracy

    @pytest.mark.parametrize("name", CRYSTALS)
    def test_displaced_crystals(self, name, splitting, window, accuracy):
        _, values, exact = self.values("displaced", name, accuracy, splitting, window)
        assert relative_error(values, exact) <= accuracy

    @pytest.mark.parametrize("name", CELLS)
    def test_random_gases(self, name, splitting, window, accuracy):
        """Net charge in every channel, and cells down to 40 degrees."""
        _, values, exact = self.values("gas", name, accuracy, splitting, window)
        assert relative_error(values, exact) <= accuracy


class TestOtherExponents:
    @pytest.mark.parametrize("accuracy", ACCURACIES)
    @pytest.mark.parametrize("window", ["bspline", "prolate"])
    @pytest.mark.parametrize("basis", ["as given", "sheared"])
    @pytest.mark.parametrize(("name", "p", "expected"), POWERS)
    def test_crystals(self, name, p, expected, basis, window, accuracy):
        cutoff, call, _ = case(basis, name)
        potential = MeshPotential(cutoff, accuracy=accuracy, exponent=float(p), window=window)
        energy = float((call[1] * potential(*call)).sum()) / CRYSTALS[name].formula_units
        assert abs(energy / expected - 1) <= accuracy

    @pytest.mark.parametrize("p", [0.5, 1.7, 2.999, 3.001, 4.5, 6.0])
    def test_gas_in_a_triclinic_cell(self, p):
        """With a net charge, of which the background is, near p = 3, the most of the potential."""
        _, call, _ = case("gas", "strongly triclinic")
        exact = EwaldPotential(3.0, exponent=p)(*call)
        values = MeshPotential(3.0, accuracy=1e-6, exponent=p)(*call)
        assert relative_error(values, exact) <= 1e-6

    def test_neutral_channels_for_the_exponent_three(self):
        cutoff, call, _ = case("gas", "strongly triclinic")
        neutral = call[1] - call[1].mean(0)
        exact = EwaldPotential(cutoff, exponent=3.0)(call[0], neutral, *call[2:])
        values = MeshPotential(cutoff, accuracy=1e-6, exponent=3.0)(call[0], neutral, *call[2:])
        assert relative_error(values, exact) <= 1e-6


class TestEstimates:
    @pytest.mark.parametrize("order", [3, 5, 8, 10])
    @pytest.mark.parametrize("points", [12, 24])
    @pytest.mark.parametrize("window", ["bspline", "prolate"])
    def test_coarse_meshes_in_a_strongly_triclinic_cell(self, window, points, order):
        """The error stays what the estimate says, which knows the cell."""
        cell = 3 * cell_of("strongly triclinic")
        structure = random_gas(200, cell, channels=2)
        cutoff = 5.0
        call = with_pairs(*structure, cutoff)
        exact = EwaldPotential(cutoff, accuracy=1e-14)(*call)
        settings = {"smearing": 1.0, "mesh": [points] * 3, "order": order, "window": window}
        potential = MeshPotential(cutoff, **settings)
        plan = potential.plan(cell, 200, 2)
        estimate = (plan["mesh_error"] ** 2 + plan["real_space_error"] ** 2) ** 0.5
        assert relative_error(potential(*call), exact) <= 1.5 * estimate

    @pytest.mark.parametrize("accuracy", ACCURACIES)
    @pytest.mark.parametrize(("splitting", "window"), CHOICES)
    @pytest.mark.parametrize("kind", ["as given", "sheared"])
    def test_a_plan_is_within_its_accuracy(self, kind, splitting, window, accuracy):
        """By its own estimate, in small cells and skewed ones, too."""
        for name in ("NaCl", "wurtzite", "Cu2O"):
            cutoff, call, _ = case(kind, name)
            potential = MeshPotential(cutoff, accuracy=accuracy, splitting=splitting, window=window)
            plan = potential.plan(call[2], len(call[0]), 1)
            assert np.hypot(plan["mesh_error"], plan["real_space_error"]) <= accuracy

    def test_float32_floor(self):
        """Float32 reaches 2e-6; below, the mesh is float64 and only the result is rounded."""
        structure = random_gas(300, 4 * cell_of("triclinic"), channels=3)
        cutoff = cutoff_for(structure[0], structure[2])
        call = with_pairs(*structure, cutoff)
        exact = EwaldPotential(cutoff, accuracy=1e-14)(*call)
        single = (call[0], call[1].float(), *call[2:])
        assert relative_error(MeshPotential(cutoff, accuracy=2e-6)(*single), exact) <= 2e-6
        assert relative_error(MeshPotential(cutoff, accuracy=1e-7)(*single), exact) <= 1e-7
        assert MeshPotential(cutoff, accuracy=1e-7)(*single).dtype == torch.float32

    def test_tune_reports_what_is_reached(self):
        positions, charges, cell = random_gas(200, 3 * cell_of("triclinic"), channels=2)
        for accuracy in (1e-3, 1e-5):
            tuned = tune(positions, charges, cell, accuracy, cutoff=5.0)
            assert tuned.measured_error <= accuracy
            assert 0.05 * tuned.estimated_error <= tuned.measured_error <= accuracy
            assert isinstance(tuned.potential(), MeshPotential)


def even_polynomial(power):
    """(1 - t²)^power as Legendre terms, the first one 1."""
    terms = np.polynomial.legendre.poly2leg(np.polynomial.polynomial.polypow([1, 0, -1], power))
    return torch.from_numpy(terms[::2] / terms[0])


class TestOwnSplitting:
    @pytest.mark.parametrize("power", [4, 10])
    def test_a_fine_mesh_is_exact(self, power):
        """Its spectrum falls as k^-(power + 3), so that little of it is left beyond the mesh."""
        call = with_pairs(*random_gas(12, cell_of("triclinic"), channels=2), 3.0)
        exact = EwaldPotential(3.0, accuracy=1e-14)(*call)
        errors = [
            relative_error(
                MeshPotential(3.0, splitting=even_polynomial(power), mesh=[n] * 3, order=8)(*call),
                exact,
            )
            for n in (20, 40)
        ]
        bound = {4: 1e-6, 10: 1e-8}[power]
        assert errors[1] <= bound
        assert errors[1] < 0.1 * errors[0] or errors[0] <= bound

    def test_the_prolate_shape_as_own(self):
        call = with_pairs(*random_gas(12, cell_of("triclinic"), channels=2), 3.0)
        settings = {"mesh": [12, 14, 12], "order": 8, "window": "bspline"}
        chosen = MeshPotential(3.0, splitting="prolate", **settings)
        bandlimit = chosen.plan(call[2], 12, 2)["splitting_bandlimit"]
        own = MeshPotential(3.0, splitting=ops.prolate_shape(bandlimit), **settings)
        # its spectrum is kept as far as it matters, that of the chosen one ends at its first zero
        assert 0 < relative_error(own(*call), chosen(*call)) < chosen.accuracy
        report = own.plan(call[2], 12, 2)
        assert np.isnan(report["mesh_error"])  # no estimate
        assert 0 < relative_error(own(*call), chosen(*call)) < chosen.accuracy

    def test_it_stays_float64_with_the_module(self):
        call = with_pairs(*random_gas(12, cell_of("triclinic"), channels=2), 3.0)
        own = MeshPotential(3.0, splitting=ops.prolate_shape(12.0), mesh=[16] * 3, order=7)
        before = own(*call)
        assert torch.equal(own.float()(*call), before)


class TestSums:
    def structure(self, channels=3):
        return random_gas(12, cell_of("triclinic"), channels=channels)

    @pytest.mark.parametrize("channels", [1, 2, 3, 5, 10, 17])
    @pytest.mark.parametrize("splitting", ["gaussian", "prolate"])
    def test_channels_equal_single_calls(self, splitting, channels):
        call = with_pairs(*self.structure(channels), 4.0)
        potential = MeshPotential(4.0, splitting=splitting, mesh=[12, 12, 12], order=5)
        single = [potential(call[0], call[1][:, c : c + 1], *call[2:]) for c in range(channels)]
        torch.testing.assert_close(potential(*call), torch.cat(single, 1), rtol=0, atol=1e-13)

    @pytest.mark.parametrize("splitting", ["gaussian", "prolate"])
    def test_pairs_beyond_the_cutoff_do_not_count(self, splitting):
        positions, charges, cell = self.structure()
        potential = MeshPotential(3.0, accuracy=1e-4, splitting=splitting)
        near, far = (potential(*with_pairs(positions, charges, cell, r)) for r in (3.0, 5.0))
        torch.testing.assert_close(near, far, rtol=0, atol=1e-13)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
    @pytest.mark.parametrize("options", [{}, {"splitting": "gaussian"}, {"exponent": 4.0}])
    def test_batch_equals_single_structures(self, options, dtype):
        structures = [
            random_gas(n, cell_of(name), channels=2, seed=n)
            for n, name in ((5, "cubic"), (1, "triclinic"), (9, "triclinic"), (3, "left-handed"))
        ]
        structures = [(p, q.to(dtype), c) for p, q, c in structures]
        potential = MeshPotential(4.0, accuracy=1e-5, **options)
        single = [potential(*with_pairs(*structure, 4.0)) for structure in structures]
        pairs, shifts, start = [], [], 0
        for positions, _, cell in structures:
            own_pairs, own_shifts = neighbor_list(positions, cell, True, 4.0)
            pairs.append(own_pairs + start)
            shifts.append(own_shifts)
            start += len(positions)
        sizes = torch.tensor([len(s[0]) for s in structures])
        call = (
            torch.cat([s[0] for s in structures]),
            torch.cat([s[1] for s in structures]),
            torch.stack([s[2] for s in structures]),
            torch.cat(pairs, 1),
            torch.cat(shifts),
            None,
            torch.repeat_interleave(torch.arange(4), sizes),
        )
        tolerance = {torch.float64: 1e-13, torch.float32: 1e-6}[dtype]  # rounding
        for module in (potential, torch.jit.script(potential)):
            together = module(*call)
            torch.testing.assert_close(together, torch.cat(single), rtol=0, atol=tolerance)

    @pytest.mark.parametrize("options", [{}, {"splitting": "gaussian"}, {"exponent": 6.0}])
    def test_script(self, options):
        call = with_pairs(*self.structure(), 4.0)
        potential = MeshPotential(4.0, accuracy=1e-5, **options)
        scripted = torch.jit.script(potential)
        torch.testing.assert_close(scripted(*call), potential(*call))
        plan = scripted.plan(call[2], 12, 3)
        assert plan == potential.plan(call[2], 12, 3)
        torch.testing.assert_close(scripted(*call), potential(*call))

    @pytest.mark.parametrize("splitting", ["gaussian", "prolate"])
    def test_a_saved_plan_is_kept(self, splitting, tmp_path):
        call = with_pairs(*self.structure(), 4.0)
        potential = MeshPotential(4.0, accuracy=1e-5, splitting=splitting)
        plan = potential.plan(call[2], 12, 3)
        torch.jit.script(potential).save(tmp_path / "potential.pt")
        loaded = torch.jit.load(tmp_path / "potential.pt")
        torch.testing.assert_close(loaded(*call), potential(*call))
        own_error = np.hypot(plan["mesh_error"], plan["real_space_error"])
        assert loaded.plan_error(call[2], 12) == pytest.approx(own_error)
        assert loaded.plan_error(1.3 * call[2], 12) > own_error

    @pytest.mark.parametrize("options", [{}, {"splitting": "gaussian"}, {"exponent": 6.0}])
    def test_empty(self, options):
        cell = cell_of("triclinic")
        positions, charges = atoms(0, cell)
        pairs, shifts = torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, 3, dtype=torch.int64)
        potential = MeshPotential(3.0, accuracy=1e-4, **options)
        assert potential(positions, charges, cell, pairs, shifts).shape == (0, 3)
        assert potential.energy(positions, charges, cell, pairs, shifts) == 0


FIXED = {
    "gaussian": {"smearing": 0.8, "mesh": [8, 9, 8], "order": 6, "window": "bspline"},
    "gaussian, prolate window": {"smearing": 0.8, "mesh": [9] * 3, "order": 7, "window": "prolate"},
    "prolate": {"splitting": "prolate", "mesh": [9, 10, 9], "order": 7, "accuracy": 1e-3},
    "1/r^5": {"exponent": 5.0, "smearing": 0.8, "mesh": [8] * 3, "order": 6, "window": "bspline"},
}


def fixed(name, cutoff, cell, n):
    """A potential that chooses nothing for itself, however the cell is moved."""
    potential = MeshPotential(cutoff, **FIXED[name])
    potential.plan(cell.detach(), n, 1)
    return potential


class TestDerivatives:
    @pytest.mark.parametrize("name", FIXED)
    def test_first_and_second(self, name):
        """Charges that depend on the positions, by positions, charges and cell together."""
        positions, charges, cell = random_gas(3, cell_of("triclinic"))
        _, _, _, pairs, shifts = with_pairs(positions, charges, cell, 3.0)
        potential = fixed(name, 3.0, cell, 3)

        def energy(p, q, c):
            own = q * (1 + p[:, :1].sin())
            return (own * potential(p, own, c, pairs, shifts)).sum()

        arguments = [t.requires_grad_() for t in (positions, charges, cell)]
        assert gradcheck(energy, arguments)
        assert gradgradcheck(energy, arguments)

    @pytest.mark.parametrize("name", FIXED)
    def test_virial_by_finite_differences(self, name):
        """Strain of positions and cell at once; fourth-order differences of the energy."""
        positions, charges, cell = random_gas(8, cell_of("strongly triclinic"))
        _, _, _, pairs, shifts = with_pairs(positions, charges, cell, 3.0)
        potential = fixed(name, 3.0, cell, 8)

        def energy(strain):
            deformation = torch.eye(3, dtype=torch.float64) + strain
            values = potential(positions @ deformation, charges, cell @ deformation, pairs, shifts)
            return (charges * values).sum()

        strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
        (virial,) = torch.autograd.grad(energy(strain), strain)
        h = 1e-4
        # the edge of a compact splitting has a jump in its second derivative of about 1e-4
        tolerance = 1e-7 if name == "prolate" else 1e-9
        for a in range(3):
            for b in range(3):
                step = torch.zeros(3, 3, dtype=torch.float64)
                step[a, b] = h
                numerical = (
                    8 * (energy(step) - energy(-step)) - energy(2 * step) + energy(-2 * step)
                ) / (12 * h)
                assert abs(numerical - virial[a, b]) < tolerance * virial.abs().max()

    @pytest.mark.parametrize(("splitting", "window"), CHOICES)
    def test_gradients_of_the_exact_sum(self, splitting, window):
        """Forces and virial are as good as the potentials, but for the factor of a derivative."""
        structure = random_gas(20, 2 * cell_of("triclinic"))
        call = with_pairs(*structure, 5.0)
        results = []
        for potential in (
            EwaldPotential(5.0),
            MeshPotential(5.0, accuracy=1e-6, splitting=splitting, window=window),
        ):
            strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
            p = call[0].clone().requires_grad_()
            deformation = torch.eye(3, dtype=torch.float64) + strain
            values = potential(p @ deformation, call[1], call[2] @ deformation, *call[3:])
            results.append(torch.autograd.grad((call[1] * values).sum(), (p, strain)))
        for exact, found in zip(*results):
            assert relative_error(found, exact) < 2e-5

    def test_forces_of_a_differentiated_mesh_conserve_energy(self):
        """Forces are the exact gradient of the mesh energy; their sum is as small as its error."""
        positions, charges, cell = random_gas(20, 2 * cell_of("triclinic"))
        _, _, _, pairs, shifts = with_pairs(positions, charges, cell, 5.0)
        potential = MeshPotential(5.0, accuracy=1e-5)
        potential.plan(cell, 20, 1)
        p = positions.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(
            (charges * potential(p, charges, cell, pairs, shifts)).sum(), p
        )
        rms = gradient.square().mean().sqrt()
        assert gradient.sum(0).norm() / len(p) ** 0.5 < 1e-4 * rms

    @pytest.mark.parametrize("splitting", ["gaussian", "prolate"])
    def test_isolated_atom(self, splitting):
        """No pairs at all: nothing is NaN in the second derivative either."""
        cell = 20 * torch.eye(3, dtype=torch.float64)
        positions = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64, requires_grad=True)
        charge = torch.ones(1, 1, dtype=torch.float64, requires_grad=True)
        pairs, shifts = neighbor_list(positions, cell, True, 4.0)
        potential = MeshPotential(4.0, accuracy=1e-4, splitting=splitting)
        energy = (charge * potential(positions, charge, cell, pairs, shifts)).sum()
        (force,) = torch.autograd.grad(energy, positions, create_graph=True)
        (second,) = torch.autograd.grad(force.square().sum() + energy, charge)
        assert torch.isfinite(force).all()
        assert torch.isfinite(second).all()


class TestEnergy:
    """energy() is the sum of charges times potentials, with the same gradients."""

    def both(self, potential, call):
        results = []
        for energy in (
            potential.energy,
            lambda p, q, *rest: (q * potential(p, q, *rest)).sum(dtype=torch.float64),
        ):
            inputs = [t.clone().requires_grad_() for t in call[:3]]
            value = energy(*inputs, *call[3:])
            assert value.dtype == torch.float64
            results.append([value, *torch.autograd.grad(value, inputs)])
        return results

    @pytest.mark.parametrize("scripted", [False, True])
    @pytest.mark.parametrize("name", FIXED)
    def test_gradients(self, name, scripted):
        call = with_pairs(*random_gas(12, cell_of("triclinic"), channels=3), 3.0)
        potential = fixed(name, 3.0, call[2], 12)
        module = torch.jit.script(potential) if scripted else potential
        for found, expected in zip(*self.both(module, call)):
            torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)

    @pytest.mark.parametrize("pbc", [[True, True, False], [False] * 3])
    def test_open_directions(self, pbc):
        positions, charges, cell = random_gas(8, cell_of("triclinic"), channels=2)
        flags = torch.tensor(pbc)
        call = positions, charges, cell, *neighbor_list(positions, cell, flags, 3.0), flags
        potential = MeshPotential(3.0, accuracy=1e-5)
        inputs = [t.clone().requires_grad_() for t in call[:2]]
        value = potential.energy(*inputs, *call[2:])
        expected = (inputs[1] * potential(*inputs, *call[2:])).sum()
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
        for found, wanted in zip(
            torch.autograd.grad(value, inputs), torch.autograd.grad(expected, inputs)
        ):
            torch.testing.assert_close(found, wanted, rtol=0, atol=1e-11)

    def test_second_derivatives(self):
        positions, charges, cell = random_gas(3, cell_of("triclinic"))
        _, _, _, pairs, shifts = with_pairs(positions, charges, cell, 3.0)
        potential = fixed("prolate", 3.0, cell, 3)
        arguments = [t.requires_grad_() for t in (positions, charges, cell)]
        assert gradcheck(lambda *a: potential.energy(*a, pairs, shifts), arguments)
        assert gradgradcheck(lambda *a: potential.energy(*a, pairs, shifts), arguments)

    def test_float32_charges(self):
        call = with_pairs(*random_gas(40, 2 * cell_of("triclinic"), channels=3), 4.0)
        single = (call[0], call[1].float(), *call[2:])
        potential = MeshPotential(4.0, accuracy=1e-5)
        exact = potential.energy(*call)
        scale = float((call[1] * potential(*call)).abs().sum())
        assert abs(potential.energy(*single) - exact) < 1e-6 * scale  # rounding of the terms


class TestCombined:
    """1/r and 1/r^6 of the same charges, on meshes, with weights that are learned."""

    def potentials(self):
        return [
            MeshPotential(4.0, accuracy=1e-6),
            MeshPotential(3.0, accuracy=1e-6, exponent=6.0),
            EwaldPotential(4.0, exponent=2.0),
        ]

    @pytest.mark.parametrize("scripted", [False, True])
    def test_weighted_sum(self, scripted):
        call = with_pairs(*random_gas(12, cell_of("triclinic"), channels=2), 4.0)
        parts, weights = self.potentials(), [0.5, -2.0, 0.1]
        combined = CombinedPotential(parts, weights)
        assert combined.cutoff == 4.0
        module = torch.jit.script(combined) if scripted else combined
        values = module(*call)
        expected = sum(w * part(*call) for w, part in zip(weights, parts))
        torch.testing.assert_close(values, expected)
        values.square().sum().backward()
        by_weight = [2 * (expected * part(*call)).sum() for part in parts]
        torch.testing.assert_close(combined.weights.grad, torch.stack(by_weight))

    def test_against_the_exact_sums(self):
        call = with_pairs(*random_gas(12, cell_of("triclinic"), channels=2), 4.0)
        exact = [EwaldPotential(4.0, exponent=p) for p in (1.0, 6.0, 2.0)]
        weights = [1.0, 3.0, -0.2]
        values = CombinedPotential(self.potentials(), weights)(*call)
        torch.testing.assert_close(
            values, CombinedPotential(exact, weights)(*call), rtol=0, atol=1e-5
        )


class TestBadInput:
    def call(self, options=None, **changes):
        positions, charges, cell = random_gas(5, cell_of("cubic"))
        pairs, shifts = neighbor_list(positions, cell, True, 3.0)
        given = {"positions": positions, "charges": charges, "cell": cell}
        given |= {"pairs": pairs, "shifts": shifts}
        settings = {"accuracy": 1e-4} | (options or {})
        return MeshPotential(3.0, **settings)(**(given | changes))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"positions": torch.zeros(5, 3)}, "positions must be .n, 3. float64"),
            ({"charges": torch.zeros(4, 1)}, r"charges must be \(n, channels\) with n = 5"),
            ({"charges": torch.zeros(5, 1, dtype=torch.int64)}, "charges must be float32 or"),
            ({"cell": torch.zeros(3, 3, dtype=torch.float64)}, "cell has volume 0"),
            ({"cell": torch.ones(3, 3, dtype=torch.float64)}, "cell has volume 0"),
            ({"cell": torch.full((3, 3), torch.nan).double()}, "cell has volume nan"),
            ({"cell": torch.eye(2, dtype=torch.float64)}, r"cell must be \(3, 3\)"),
            (
                {"pbc": torch.tensor([True, False, False])},
                "pbc has 1 periodic directions .* allowed: three, for exponent 1 also two or none",
            ),
            ({"pbc": torch.tensor([1, 1, 1])}, "pbc must be bool"),
            ({"shifts": torch.zeros(1, 3)}, r"shifts must be \(P, 3\)"),
            ({"charges": torch.zeros(5, 1, device="meta")}, "one device, got cpu and meta"),
            ({"comm": 7}, "needs a plan"),
        ],
    )
    def test_call(self, changes, message):
        with pytest.raises(ValueError, match=message):
            self.call(**changes)

    @pytest.mark.parametrize(
        ("options", "changes", "message"),
        [
            ({"mesh": [8, 4, 8], "order": 5}, {}, "mesh 8 x 4 x 8 is too coarse for order 5"),
            ({"mesh": [2, 8, 8]}, {}, "mesh 2 x 8 x 8 is too coarse for order 3"),
            ({"exponent": 3.0}, {}, "exponent is 3 and a net charge is"),
            (
                {"exponent": 2.0},
                {"pbc": torch.tensor([True, True, False])},
                "pbc has 2 periodic directions and the exponent is 2.0; allowed: three",
            ),
            (
                {"exponent": 2.0},
                {"pbc": torch.zeros(3, dtype=torch.bool)},
                "pbc has 0 periodic directions and the exponent is 2.0; allowed: three",
            ),
        ],
    )
    def test_call_with_settings(self, options, changes, message):
        with pytest.raises(ValueError, match=message):
            self.call(options, **changes)

    def test_cell_without_area(self):
        cell = torch.tensor([[5.0, 0, 0], [10.0, 0, 0], [0, 0, 5.0]], dtype=torch.float64)
        with pytest.raises(ValueError, match="two periodic lattice vectors span the area 0"):
            self.call(cell=cell, pbc=torch.tensor([True, True, False]))

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"cutoff": 0.0}, "cutoff is 0.0"),
            ({"cutoff": float("nan")}, "cutoff is nan"),
            ({"accuracy": 1e-15}, "accuracy is 1e-15; allowed: 1e-12 to 0.1"),
            ({"accuracy": float("nan")}, "accuracy is nan; allowed"),
            ({"exponent": 0.0}, "exponent is 0.0; allowed: above 0, up to 6"),
            ({"exponent": 6.5}, "exponent is 6.5; allowed: above 0, up to 6"),
            ({"exponent": float("nan")}, "exponent is nan; allowed: above 0, up to 6"),
            ({"smearing": -1.0}, "smearing is -1.0"),
            ({"order": 2}, "order is 2; allowed: 3 to 10"),
            ({"order": 11}, "order is 11; allowed: 3 to 10"),
            ({"mesh": [8, 8]}, r"mesh is \[8, 8\]"),
            ({"mesh": [8, 8, 0]}, r"mesh is \[8, 8, 0\]"),
            ({"splitting": "esp"}, "splitting is 'esp'; allowed: auto, gaussian, prolate"),
            ({"window": "gauss"}, "window is 'gauss'; allowed: auto, bspline, prolate"),
            (
                {"splitting": "prolate", "exponent": 2.0},
                "splitting is 'prolate' with exponent 2.0 and smearing 0.0; it exists for exponent",
            ),
            ({"splitting": "prolate", "smearing": 1.0}, "exponent 1.0 and smearing 1.0"),
            ({"splitting": torch.ones(3)}, "splitting must be .terms,. float64 or a name"),
            ({"splitting": torch.ones(3).double()}, "no error estimate: give mesh and order"),
            ({"exclusion_radius": 2.0}, "exclusion_radius is 2.0; it needs a smearing .got 0.0"),
            (
                {"exclusion_radius": 4.0, "smearing": 1.0},
                "exclusion_radius is 4.0; .* a cutoff at least as long .got 3.0",
            ),
        ],
    )
    def test_settings(self, settings, message):
        with pytest.raises(ValueError, match=message):
            MeshPotential(**({"cutoff": 3.0} | settings))

    @pytest.mark.parametrize(
        "settings",
        [
            {"smearing": 1.0, "exclusion_radius": -1.0},
            {"smearing": 1.0, "exclusion_radius": float("nan")},
            {"smearing": 1.0, "exclusion_radius": 2.0, "exclusion_degree": 0},
            {"smearing": float("inf")},
        ],
    )
    def test_settings_that_ewald_refuses(self, settings):
        """The two take the same call; what one refuses means nothing to the other."""
        with pytest.raises(ValueError, match="must be"):
            EwaldPotential(3.0, **settings)
        with pytest.raises(ValueError, match="must be"):
            MeshPotential(3.0, **settings)

    def test_plan_error_without_a_plan(self):
        with pytest.raises(ValueError, match="there is no plan; call plan.. before"):
            MeshPotential(3.0).plan_error(cell_of("cubic"), 5)

    def test_accuracy_out_of_reach(self):
        positions, charges, cell = random_gas(5, cell_of("cubic"))
        with pytest.raises(
            ValueError, match="no mesh reaches accuracy 1e-12 with cutoff 0.2 and this"
        ):
            tune(positions, charges, cell, 1e-12, cutoff=0.2, order=3)
        with pytest.raises(ValueError, match="no mesh reaches accuracy 1e-12 with cutoff 0.2"):
            MeshPotential(0.2, accuracy=1e-12, order=3).plan(cell, 5, 1)

    @pytest.mark.cpu_kernels
    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    @pytest.mark.parametrize("pbc", [[True] * 3, [True, True, False], [False] * 3])
    def test_positions_that_are_not_finite(self, pbc, value):
        positions, _, _ = random_gas(5, cell_of("cubic"))
        positions[2, 0] = value
        with pytest.raises(ValueError, match="a position is not finite"):
            self.call(positions=positions, pbc=torch.tensor(pbc))


def test_build_info_names_the_torch_of_the_build():
    info = loremd.build_info()
    assert info["torch_version"].split(".")[:2] == torch.__version__.split(".")[:2]
