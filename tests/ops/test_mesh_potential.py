# SPDX-License-Identifier: BSD-3-Clause
"""MeshPotential against crystals, the exact sum and finite differences."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

import loremd
from loremd import EwaldPotential, MeshPotential, tune
from loremd.neighbors import neighbor_list
from loremd.tuning import relative_error

from ..model.crystals import CRYSTALS, displaced
from .systems import CELLS, atoms, cell_of

ACCURACIES = [1e-4, 1e-6, 1e-8]
SHEARED = torch.tensor([[1.0, 1, 2], [0, 1, -1], [1, 1, 3]], dtype=torch.float64)


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


class TestAccuracy:
    @pytest.mark.parametrize("accuracy", ACCURACIES)
    @pytest.mark.parametrize("name", CRYSTALS)
    def test_madelung_constants(self, name, accuracy):
        positions, charges, cell = CRYSTALS[name].structure()
        for rows in (cell, SHEARED @ cell):
            cutoff = cutoff_for(positions, rows)
            potential = MeshPotential(cutoff, accuracy=accuracy)
            values = potential(*with_pairs(positions, charges, rows, cutoff))
            energy = float((charges * values).sum()) / CRYSTALS[name].formula_units
            assert abs(energy / CRYSTALS[name].energy - 1) <= accuracy

    @pytest.mark.parametrize("accuracy", ACCURACIES)
    @pytest.mark.parametrize("name", CRYSTALS)
    def test_displaced_crystals(self, name, accuracy):
        structure = displaced(CRYSTALS[name].structure(), amplitude=0.1)
        self.check(structure, accuracy)

    @pytest.mark.parametrize("accuracy", ACCURACIES)
    @pytest.mark.parametrize("name", CELLS)
    def test_random_gases(self, name, accuracy):
        """Net charge in every channel, and cells down to 40 degrees."""
        self.check(random_gas(40, cell_of(name), channels=4), accuracy)

    def check(self, structure, accuracy):
        cutoff = cutoff_for(structure[0], structure[2])
        call = with_pairs(*structure, cutoff)
        exact = EwaldPotential(cutoff, accuracy=1e-14)(*call)
        assert relative_error(MeshPotential(cutoff, accuracy=accuracy)(*call), exact) <= accuracy

    @pytest.mark.parametrize("order", [3, 5, 8])
    @pytest.mark.parametrize("points", [12, 24])
    def test_coarse_meshes_in_a_strongly_triclinic_cell(self, points, order):
        """The error stays what the estimate says, which knows the cell."""
        cell = 3 * cell_of("strongly triclinic")
        structure = random_gas(200, cell, channels=2)
        cutoff = 5.0
        call = with_pairs(*structure, cutoff)
        exact = EwaldPotential(cutoff, accuracy=1e-14)(*call)
        potential = MeshPotential(cutoff, smearing=1.0, mesh=[points] * 3, order=order)
        plan = potential.plan(cell, 200, 2)
        estimate = (plan["mesh_error"] ** 2 + plan["real_space_error"] ** 2) ** 0.5
        assert relative_error(potential(*call), exact) <= 1.5 * estimate

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


class TestSums:
    def structure(self, channels=3):
        return random_gas(12, cell_of("triclinic"), channels=channels)

    def test_ten_channels_equal_ten_single_calls(self):
        call = with_pairs(*self.structure(channels=10), 4.0)
        potential = MeshPotential(4.0, smearing=1.0, mesh=[12, 12, 12], order=5)
        single = [potential(call[0], call[1][:, c : c + 1], *call[2:]) for c in range(10)]
        torch.testing.assert_close(potential(*call), torch.cat(single, 1), rtol=0, atol=1e-13)

    def test_pairs_beyond_the_cutoff_do_not_count(self):
        positions, charges, cell = self.structure()
        potential = MeshPotential(3.0, accuracy=1e-4)
        near, far = (potential(*with_pairs(positions, charges, cell, r)) for r in (3.0, 5.0))
        torch.testing.assert_close(near, far, rtol=0, atol=1e-13)

    def test_batch_equals_single_structures(self):
        structures = [
            random_gas(n, cell_of(name), seed=n)
            for n, name in ((5, "cubic"), (9, "triclinic"), (3, "left-handed"))
        ]
        potential = MeshPotential(4.0, accuracy=1e-6)
        single = [potential(*with_pairs(*structure, 4.0)) for structure in structures]
        pairs, shifts, start = [], [], 0
        for positions, _, cell in structures:
            own_pairs, own_shifts = neighbor_list(positions, cell, True, 4.0)
            pairs.append(own_pairs + start)
            shifts.append(own_shifts)
            start += len(positions)
        sizes = torch.tensor([len(s[0]) for s in structures])
        together = potential(
            torch.cat([s[0] for s in structures]),
            torch.cat([s[1] for s in structures]),
            torch.stack([s[2] for s in structures]),
            torch.cat(pairs, 1),
            torch.cat(shifts),
            batch=torch.repeat_interleave(torch.arange(3), sizes),
        )
        torch.testing.assert_close(together, torch.cat(single), rtol=0, atol=1e-13)

    def test_script(self):
        call = with_pairs(*self.structure(), 4.0)
        potential = MeshPotential(4.0, accuracy=1e-5)
        scripted = torch.jit.script(potential)
        torch.testing.assert_close(scripted(*call), potential(*call))
        plan = scripted.plan(call[2], 12, 3)
        assert plan == potential.plan(call[2], 12, 3)
        torch.testing.assert_close(scripted(*call), potential(*call))

    def test_empty(self):
        cell = cell_of("triclinic")
        positions, charges = atoms(0, cell)
        pairs, shifts = torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, 3, dtype=torch.int64)
        result = MeshPotential(3.0, accuracy=1e-4)(positions, charges, cell, pairs, shifts)
        assert result.shape == (0, 3)


class TestDerivatives:
    def potential(self):
        return MeshPotential(3.0, smearing=0.8, mesh=[8, 9, 8], order=6)

    def test_first_and_second(self):
        """Charges that depend on the positions, by positions, charges and cell together."""
        positions, charges, cell = random_gas(3, cell_of("triclinic"))
        _, _, _, pairs, shifts = with_pairs(positions, charges, cell, 3.0)

        def energy(p, q, c):
            own = q * (1 + p[:, :1].sin())
            return (own * self.potential()(p, own, c, pairs, shifts)).sum()

        arguments = [t.requires_grad_() for t in (positions, charges, cell)]
        assert gradcheck(energy, arguments)
        assert gradgradcheck(energy, arguments)

    def test_virial_by_finite_differences(self):
        """Strain of positions and cell at once; fourth-order differences of the energy."""
        positions, charges, cell = random_gas(8, cell_of("strongly triclinic"))
        _, _, _, pairs, shifts = with_pairs(positions, charges, cell, 3.0)

        def energy(strain):
            deformation = torch.eye(3, dtype=torch.float64) + strain
            values = self.potential()(
                positions @ deformation, charges, cell @ deformation, pairs, shifts
            )
            return (charges * values).sum()

        strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
        (virial,) = torch.autograd.grad(energy(strain), strain)
        h = 1e-4
        for a in range(3):
            for b in range(3):
                step = torch.zeros(3, 3, dtype=torch.float64)
                step[a, b] = h
                numerical = (
                    8 * (energy(step) - energy(-step)) - energy(2 * step) + energy(-2 * step)
                ) / (12 * h)
                assert abs(numerical - virial[a, b]) < 1e-9 * virial.abs().max()

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

    def test_isolated_atom(self):
        """No pairs at all: nothing is NaN in the second derivative either."""
        cell = 20 * torch.eye(3, dtype=torch.float64)
        positions = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64, requires_grad=True)
        charge = torch.ones(1, 1, dtype=torch.float64, requires_grad=True)
        pairs, shifts = neighbor_list(positions, cell, True, 4.0)
        potential = MeshPotential(4.0, accuracy=1e-4)
        energy = (charge * potential(positions, charge, cell, pairs, shifts)).sum()
        (force,) = torch.autograd.grad(energy, positions, create_graph=True)
        (second,) = torch.autograd.grad(force.square().sum() + energy, charge)
        assert torch.isfinite(force).all()
        assert torch.isfinite(second).all()


class TestBadInput:
    def call(self, **changes):
        positions, charges, cell = random_gas(5, cell_of("cubic"))
        pairs, shifts = neighbor_list(positions, cell, True, 3.0)
        given = {"positions": positions, "charges": charges, "cell": cell}
        given |= {"pairs": pairs, "shifts": shifts}
        return MeshPotential(3.0, accuracy=1e-4)(**(given | changes))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"positions": torch.zeros(5, 3)}, "positions must be .n, 3. float64"),
            ({"charges": torch.zeros(4, 1)}, r"charges must be \(n, channels\) with n = 5"),
            ({"charges": torch.zeros(5, 1, dtype=torch.int64)}, "charges must be float32 or"),
            ({"cell": torch.zeros(3, 3, dtype=torch.float64)}, "cell has volume 0"),
            ({"cell": torch.eye(2, dtype=torch.float64)}, r"cell must be \(3, 3\)"),
            ({"pbc": torch.tensor([True, True, False])}, "needs three periodic directions"),
            ({"shifts": torch.zeros(1, 3)}, r"shifts must be \(P, 3\)"),
            ({"charges": torch.zeros(5, 1, device="meta")}, "one device, got cpu and meta"),
            ({"comm": 7}, "needs a plan"),
        ],
    )
    def test_call(self, changes, message):
        with pytest.raises(ValueError, match=message):
            self.call(**changes)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"cutoff": 0.0}, "cutoff is 0.0"),
            ({"accuracy": 1e-15}, "accuracy is 1e-15; allowed: 1e-12 to 0.1"),
            ({"smearing": -1.0}, "smearing is -1.0"),
            ({"order": 9}, "order is 9; allowed: 3 to 8"),
            ({"mesh": [8, 8]}, r"mesh is \[8, 8\]"),
            ({"splitting": "prolate"}, "splitting is 'prolate'; allowed: gaussian"),
            ({"window": "gauss"}, "window is 'gauss'; allowed: bspline"),
        ],
    )
    def test_settings(self, settings, message):
        with pytest.raises(ValueError, match=message):
            MeshPotential(**({"cutoff": 3.0} | settings))

    def test_accuracy_out_of_reach(self):
        positions, charges, cell = random_gas(5, cell_of("cubic"))
        with pytest.raises(
            ValueError, match="no mesh reaches accuracy 1e-12 with cutoff 0.2 and this"
        ):
            tune(positions, charges, cell, 1e-12, cutoff=0.2, order=3)

    def test_nan_positions(self):
        positions, _, _ = random_gas(5, cell_of("cubic"))
        positions[2, 0] = float("nan")
        with pytest.raises(ValueError, match="not finite"):
            self.call(positions=positions)


def test_build_info_names_the_torch_of_the_build():
    info = loremd.build_info()
    assert info["torch_version"].split(".")[:2] == torch.__version__.split(".")[:2]
