# SPDX-License-Identifier: BSD-3-Clause
"""Estimated and measured errors of the mesh sum, and the choice between plans."""

import math

import pytest
import torch

from loremd import EwaldPotential, MeshPotential, machine, ops, tune
from loremd.tuning import Tuned, _Reference, _Request

from ..model.crystals import CRYSTALS, DTYPE
from .systems import cell_of
from .test_mesh_potential import random_gas

EYE = torch.eye(3, dtype=DTYPE)


def supercell(name, copies, amplitude):
    """A displaced crystal; the amplitude in mean distances between atoms."""
    positions, charges, cell = CRYSTALS[name].structure()
    origins = torch.cartesian_prod(*[torch.arange(copies, dtype=DTYPE)] * 3) @ cell
    everywhere = (origins[:, None] + positions[None]).reshape(-1, 3)
    cell = copies * cell
    distance = float(torch.linalg.det(cell).abs() / len(everywhere)) ** (1 / 3)
    noise = torch.randn(everywhere.shape, generator=torch.Generator().manual_seed(0), dtype=DTYPE)
    moved = everywhere + amplitude * distance * noise.clamp(-2, 2)
    return moved, charges.repeat(len(origins), 1), cell


SYSTEMS = {
    "NaCl": lambda: supercell("NaCl", 4, 0.05),
    "NaCl, sheared": lambda: supercell("NaCl", 6, 0.1),
    "CsCl": lambda: supercell("CsCl", 4, 0.1),
    "fluorite": lambda: supercell("fluorite", 4, 0.05),
    "wurtzite": lambda: supercell("wurtzite", 4, 0.05),
    "Wigner fcc": lambda: supercell("Wigner fcc", 3, 0.05),
    "gas": lambda: random_gas(400, 4 * cell_of("cubic")),
    "triclinic gas": lambda: random_gas(200, 3 * cell_of("triclinic"), channels=2),
    "strongly triclinic gas": lambda: random_gas(150, 3 * cell_of("strongly triclinic"), 3),
}


def plan(size=20.0, atoms=8000, accuracy=1e-4, **changes):
    arguments = {
        "cutoff": 4.4,
        "accuracy": accuracy,
        "exponent": 1.0,
        "splitting": "auto",
        "range": 0.0,
        "window": "auto",
        "mesh_shape": [],
        "order": 0,
    }
    return ops.plan(size * EYE, atoms, 10, *(arguments | changes).values())


class TestTune:
    """Estimates hold within a factor of 0.2 to 2, and the accuracy is reached."""

    @pytest.fixture(autouse=True)
    def _same_choice_on_every_machine(self, monkeypatch):
        """By the constants the library comes with: those measured depend on the load."""
        ops.set_cost_model([90.0, 1.8, 5.0, 30.0, 1.0])
        monkeypatch.setattr(machine, "measure", list)

    @pytest.mark.parametrize("accuracy", [1e-3, 1e-5])
    @pytest.mark.parametrize("name", SYSTEMS)
    def test_prolate(self, name, accuracy):
        tuned = tune(*SYSTEMS[name](), accuracy)
        assert tuned.splitting == "prolate"
        self.check(tuned, accuracy)

    @pytest.mark.parametrize("name", ["NaCl", "CsCl", "triclinic gas"])
    @pytest.mark.parametrize("window", ["bspline", "prolate"])
    def test_gaussian(self, name, window):
        tuned = tune(*SYSTEMS[name](), 1e-4, splitting="gaussian", window=window)
        assert tuned.splitting == "gaussian"
        assert (tuned.window_bandlimit > 0) == (window == "prolate")
        self.check(tuned, 1e-4)

    @pytest.mark.parametrize("exponent", [2.0, 4.0, 6.0])
    def test_other_exponents(self, exponent):
        tuned = tune(*SYSTEMS["triclinic gas"](), 1e-4, exponent=exponent)
        assert tuned.splitting == "gaussian"
        self.check(tuned, 1e-4)

    def check(self, tuned, accuracy):
        assert tuned.measured_error <= accuracy
        assert 0.2 <= tuned.measured_error / tuned.estimated_error <= 2
        assert 0.2 <= tuned.measured_force_error / tuned.estimated_force_error <= 2
        assert tuned.measured_time > 0

    def test_finer_mesh_as_reference(self):
        """Beyond 600 atoms, where the exact sum is slow; it agrees with it."""
        structure = supercell("NaCl", 7, 0.05)
        request = _Request(*structure, 1.0, "auto", 0.0, "auto")
        reference = _Reference(request, 3.0, 1e-4)
        assert reference.name == "finer mesh"
        exact = EwaldPotential(4.0, accuracy=1e-12)(*structure, *reference.pairs)
        error = (reference.potentials - exact).square().mean().sqrt() / reference.rms_potential
        assert error < 1e-6

    def test_potential_has_exactly_the_parameters(self):
        structure = SYSTEMS["triclinic gas"]()
        tuned = tune(*structure, 1e-4, cutoff=4.0)
        assert tuned.cutoff == 4.0
        assert isinstance(tuned, Tuned)
        potential = tuned.potential()
        assert isinstance(potential, MeshPotential)
        assert potential.settings.mesh == tuned.mesh
        assert potential.settings.order == tuned.order

    def test_given_settings_are_kept(self):
        tuned = tune(
            *SYSTEMS["triclinic gas"](), 1e-3, cutoff=5.0, smearing=1.2, mesh=[24] * 3, order=5
        )
        assert (tuned.smearing, tuned.mesh, tuned.order) == (1.2, [24] * 3, 5)
        assert len(tuned.trials) == 1


class TestPlan:
    def test_choice(self):
        splitting, length, bandlimit, mesh, order, window, *errors = plan(window="prolate")
        assert splitting == "prolate"
        assert length == 4.4
        assert 9 < bandlimit < 13
        assert window > 0
        assert 4 <= order <= 8
        assert all(16 <= n <= 32 for n in mesh)
        assert 1e-6 < math.hypot(*errors) < 1e-4

    def test_prolate_needs_fewer_mesh_points(self):
        """By 3 to 5 times, at the same order (the estimates of the two agree)."""
        prolate = plan(order=6)[3]
        gaussian = plan(order=6, splitting="gaussian", window="bspline")[3]
        assert 2.5 < math.prod(gaussian) / math.prod(prolate) < 6

    def test_other_exponents_are_gaussian(self):
        splitting, smearing, bandlimit, *_ = plan(exponent=3.0)
        assert (splitting, bandlimit) == ("gaussian", 0)
        assert 0.5 < smearing < 2

    def test_given_mesh(self):
        chosen = plan(mesh_shape=[21, 24, 22], order=7)
        assert chosen[3:5] == ([21, 24, 22], 7)

    @pytest.mark.parametrize("order", range(3, 11))
    def test_every_order(self, order):
        assert plan(order=order, accuracy=1e-2, window="bspline")[4] == order
        assert plan(order=order, accuracy=1e-2)[4] == order

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"splitting": "esp"}, "splitting is 'esp'; allowed: auto, gaussian, prolate"),
            ({"window": "hat"}, "window is 'hat'; allowed: auto, bspline, prolate"),
            ({"splitting": "prolate", "exponent": 2.0}, "exponent is 2, but the prolate splitting"),
            ({"splitting": "prolate", "range": 1.0}, "range is 1, but the prolate splitting ends"),
            ({"exponent": 7.0}, "exponent is 7; allowed: above 0, up to 6"),
            ({"order": 11}, "order is 11; allowed: 3 to 10"),
        ],
    )
    def test_errors(self, changes, message):
        with pytest.raises(ValueError, match=message):
            plan(**changes)

    def test_old_ops(self):
        """Files of older versions call these."""
        smearing, mesh, order, sharp, smooth = ops.plan_mesh(
            20.0 * EYE, 8000, 10, 4.4, 1e-4, 0.0, [], 0
        )
        errors = ops.mesh_errors(20.0 * EYE, 8000, 4.4, smearing, mesh, order)
        assert errors == {"real_space": pytest.approx(sharp), "mesh": pytest.approx(smooth)}


class TestEstimates:
    def errors(self, **changes):
        arguments = {
            "cutoff": 4.4,
            "exponent": 1.0,
            "range": 4.4,
            "splitting_bandlimit": 11.0,
            "mesh_shape": [24] * 3,
            "order": 6,
            "window_bandlimit": 14.0,
        }
        return ops.plan_errors(16.0 * EYE, 4096, *(arguments | changes).values())

    def test_finer_meshes_and_bandlimits_help(self):
        assert self.errors(mesh_shape=[27] * 3)[1] < self.errors()[1]
        assert self.errors(splitting_bandlimit=13.0)[0] < 0.3 * self.errors()[0]

    def test_sum_and_quadrature_agree(self):
        """Up to 16384 points the zone is summed, beyond there is a quadrature rule."""
        summed = self.errors(window_bandlimit=0.0)
        rule = ops.plan_errors(32.0 * EYE, 32768, 4.4, 1.0, 4.4, 11.0, [48] * 3, 6, 0.0)
        assert rule == pytest.approx(summed, rel=0.1)

    def test_general_formulas_agree_with_those_of_coulomb(self):
        gaussian = {"range": 1.0, "splitting_bandlimit": 0.0, "window_bandlimit": 0.0}
        coulomb = self.errors(**gaussian)
        general = self.errors(**gaussian, exponent=1.0 + 1e-9)
        assert general == pytest.approx(coulomb, rel=1e-2)


def test_machine_is_measured_once():
    constants = machine.measure()
    assert len(constants) == 5
    assert all(c >= 0 for c in constants)
    assert machine.measure() is constants
    finer = [ops.plan_cost(16.0 * EYE, 4096, 10, 4.4, [n] * 3, 6) for n in (20, 40)]
    assert finer[0] < finer[1]
