# SPDX-License-Identifier: BSD-3-Clause
"""MeshPotential with two and with no periodic directions, against the exact sums."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from loremd import EwaldPotential, MeshPotential, ops
from loremd.neighbors import neighbor_list
from loremd.tuning import relative_error

from .systems import cell_of
from .test_mesh_potential import ACCURACIES, CHOICES, random_gas

DTYPE = torch.float64
CUTOFF = 3.0
SLABS = {axis: [k != axis for k in range(3)] for axis in range(3)}
OPEN = [*SLABS.values(), [False] * 3]


def arguments(structure, pbc, cutoff=CUTOFF):
    flags = torch.tensor(pbc)
    return (*structure, *neighbor_list(structure[0], structure[2], flags, cutoff), flags)


def exact(call):
    return EwaldPotential(CUTOFF, accuracy=1e-14)(*call)


def slab(axis, charged=False, n=24):
    """A gas between two planes, its open lattice vector tilted and along ``axis``."""
    positions, charges, cell = random_gas(n, cell_of("triclinic"), channels=2)
    if not charged:
        charges = charges - charges.mean(0)
    tilted = torch.stack([cell[0], cell[1], 9.0 * cell[2] + 2.0 * cell[0]])
    order = [(axis + 1) % 3, (axis + 2) % 3, axis]
    rows = torch.zeros(3, 3, dtype=DTYPE)
    rows[order] = tilted
    return positions, charges, rows


class TestAccuracy:
    @pytest.mark.parametrize("accuracy", ACCURACIES)
    @pytest.mark.parametrize(("splitting", "window"), CHOICES)
    @pytest.mark.parametrize("charged", [False, True])
    @pytest.mark.parametrize("pbc", OPEN)
    def test_gas(self, pbc, charged, splitting, window, accuracy):
        axis = 2 if not any(pbc) else pbc.index(False)
        call = arguments(slab(axis, charged), pbc)
        potential = MeshPotential(CUTOFF, accuracy=accuracy, splitting=splitting, window=window)
        assert relative_error(potential(*call), exact(call)) <= accuracy

    @pytest.mark.parametrize("splitting", ["gaussian", "prolate"])
    @pytest.mark.parametrize("axis", SLABS)
    def test_flat_layer(self, axis, splitting):
        """All atoms at one height, and no open lattice vector at all."""
        positions, charges, cell = slab(2)
        positions = positions * torch.tensor([1.0, 1.0, 0.0], dtype=DTYPE)
        plane = cell * torch.tensor([1.0, 1.0, 0.0], dtype=DTYPE)
        rows = torch.zeros(3, 3, dtype=DTYPE)
        rows[[(axis + 1) % 3, (axis + 2) % 3]] = plane[:2]
        call = arguments((positions, charges, rows), SLABS[axis])
        potential = MeshPotential(CUTOFF, accuracy=1e-6, splitting=splitting)
        assert relative_error(potential(*call), exact(call)) <= 1e-6

    @pytest.mark.parametrize("splitting", ["gaussian", "prolate"])
    @pytest.mark.parametrize("pbc", OPEN)
    def test_one_atom(self, pbc, splitting):
        """In a slab it feels its images; without periodic directions nothing."""
        axis = 2 if not any(pbc) else pbc.index(False)
        positions, charges, cell = slab(axis, charged=True, n=1)
        call = arguments((positions + 7.3, charges, cell), pbc)
        values = MeshPotential(CUTOFF, accuracy=1e-6, splitting=splitting)(*call)
        expected = exact(call)
        scale = charges.abs().max() / CUTOFF
        assert (values - expected).abs().max() < 1e-5 * scale
        assert (expected == 0).all() == (not any(pbc))

    @pytest.mark.parametrize("splitting", ["gaussian", "prolate"])
    def test_no_atoms(self, splitting):
        for pbc in OPEN:
            call = arguments(
                (
                    torch.zeros(0, 3, dtype=DTYPE),
                    torch.zeros(0, 2, dtype=DTYPE),
                    cell_of("triclinic"),
                ),
                pbc,
            )
            assert MeshPotential(CUTOFF, splitting=splitting)(*call).shape == (0, 2)

    @pytest.mark.parametrize("pbc", [SLABS[2], [False] * 3])
    def test_thick_and_long_structures(self, pbc):
        """Three molecules far from each other: nothing of the box between them is periodic."""
        positions, charges, cell = slab(2, charged=True, n=6)
        apart = torch.tensor([[0.0, 0, 0], [0, 0, 23.0], [0, 0, -41.0]], dtype=DTYPE)
        if not any(pbc):
            apart = apart + torch.tensor([[0.0, 0, 0], [9.0, 1, 0], [-2.0, 14, 0]], dtype=DTYPE)
        everywhere = (positions[None] + apart[:, None]).reshape(-1, 3)
        call = arguments((everywhere, charges.repeat(3, 1), cell), pbc)
        assert relative_error(MeshPotential(CUTOFF, accuracy=1e-5)(*call), exact(call)) <= 1e-5

    def test_charged_plane(self):
        """Far from a charged layer the potential is that of a plane, -2π q |z| / area, halved."""
        cell = torch.diag(torch.tensor([3.0, 3.0, 0.0], dtype=DTYPE))
        positions = torch.tensor([[0.0, 0, 0], [1.0, 0.4, 20.0]], dtype=DTYPE)
        charges = torch.tensor([[1.0], [0.0]], dtype=DTYPE)
        call = arguments((positions, charges, cell), SLABS[2])
        values = MeshPotential(CUTOFF, accuracy=1e-8)(*call)
        assert abs(float(values[1]) / (-torch.pi * 20.0 / 9.0) - 1) < 1e-7

    @pytest.mark.parametrize("pbc", OPEN)
    def test_translations_and_cells_that_do_not_matter(self, pbc):
        """To the accuracy: the mesh moves against the atoms."""
        axis = 2 if not any(pbc) else pbc.index(False)
        structure = slab(axis)
        potential = MeshPotential(CUTOFF, accuracy=1e-8)
        values = potential(*arguments(structure, pbc))
        moved = structure[0] + torch.tensor([13.1, -7.7, 100.3], dtype=DTYPE)
        other = structure[2].clone()
        other[axis] = 0.0
        call = arguments((moved, structure[1], other if any(pbc) else 0 * other), pbc)
        assert relative_error(potential(*call), values) < 2e-8

    def test_a_fixed_plan_leaves_open_directions_alone(self):
        """It is for the cell of the structure; that of the mesh is another one."""
        call = arguments(slab(2), SLABS[2])
        potential = MeshPotential(CUTOFF, accuracy=1e-6)
        before = potential(*call)
        potential.plan(cell_of("cubic"), 24, 2)
        torch.testing.assert_close(potential(*call), before, rtol=0, atol=1e-13)


class TestBatches:
    @pytest.mark.parametrize("splitting", ["gaussian", "prolate"])
    @pytest.mark.parametrize("scripted", [False, True])
    def test_they_mix_with_crystals(self, splitting, scripted):
        cases = [
            (slab(1), SLABS[1]),
            (random_gas(7, cell_of("triclinic"), channels=2), [True] * 3),
            (slab(2, charged=True, n=5), [False] * 3),
            (slab(0, n=1), SLABS[0]),
            (random_gas(4, cell_of("left-handed"), channels=2), [True] * 3),
        ]
        calls = [arguments(*c) for c in cases]
        potential = MeshPotential(CUTOFF, accuracy=1e-6, splitting=splitting)
        module = torch.jit.script(potential) if scripted else potential
        sizes = torch.tensor([len(c[0]) for c in calls])
        starts = sizes.cumsum(0) - sizes
        together = module(
            torch.cat([c[0] for c in calls]),
            torch.cat([c[1] for c in calls]),
            torch.stack([c[2] for c in calls]),
            torch.cat([c[3] + start for c, start in zip(calls, starts)], 1),
            torch.cat([c[4] for c in calls]),
            torch.stack([c[5] for c in calls]),
            torch.repeat_interleave(torch.arange(len(calls)), sizes),
        )
        single = torch.cat([potential(*c) for c in calls])
        torch.testing.assert_close(together, single, rtol=0, atol=1e-13)


class TestDerivatives:
    def strained(self, potential, call, strain):
        deformation = torch.eye(3, dtype=DTYPE) + strain
        values = potential(call[0] @ deformation, call[1], call[2] @ deformation, *call[3:])
        return (call[1] * values).sum()

    @pytest.mark.parametrize("splitting", ["gaussian", "prolate"])
    @pytest.mark.parametrize("charged", [False, True])
    @pytest.mark.parametrize("pbc", OPEN)
    def test_forces_and_stress_of_the_exact_sum(self, pbc, charged, splitting):
        """All nine components: those out of the plane come from the positions alone."""
        axis = 2 if not any(pbc) else pbc.index(False)
        call = arguments(slab(axis, charged), pbc)
        found = []
        for potential in (
            EwaldPotential(CUTOFF, accuracy=1e-14),
            MeshPotential(CUTOFF, accuracy=1e-6, splitting=splitting),
        ):
            strain = torch.zeros(3, 3, dtype=DTYPE, requires_grad=True)
            positions = call[0].clone().requires_grad_()
            energy = self.strained(potential, (positions, *call[1:]), strain)
            found.append(torch.autograd.grad(energy, (positions, strain)))
        for wanted, got in zip(*found):
            assert relative_error(got, wanted) < 2e-5  # a derivative is less accurate

    @pytest.mark.parametrize("pbc", [SLABS[2], SLABS[0], [False] * 3])
    @pytest.mark.parametrize("splitting", ["gaussian", "prolate"])
    def test_first_and_second(self, pbc, splitting):
        """With everything given, so that finite differences see one mesh only."""
        axis = 2 if not any(pbc) else pbc.index(False)
        positions, charges, cell = slab(axis, charged=True, n=3)
        charges = charges[:, :1].clone()
        mesh = [9, 10, 9]
        mesh[axis] = 24
        settings = {"mesh": mesh, "order": 7, "window": "bspline"}
        if splitting == "gaussian":
            settings["smearing"] = 0.8
            potential = MeshPotential(CUTOFF, **settings)
        else:
            shape = ops.prolate_shape(10.0)
            settings["splitting"] = shape
            potential = MeshPotential(CUTOFF, **settings)
        _, _, _, pairs, shifts, flags = arguments((positions, charges, cell), pbc)

        def energy(p, q, c):
            own = q * (1 + p[:, :1].sin())
            return (own * potential(p, own, c, pairs, shifts, flags)).sum()

        inputs = [t.clone().requires_grad_() for t in (positions, charges, cell)]
        assert gradcheck(energy, inputs)
        assert gradgradcheck(energy, inputs)

    @pytest.mark.parametrize("pbc", OPEN)
    def test_nothing_reaches_the_open_lattice_vectors(self, pbc):
        axis = 2 if not any(pbc) else pbc.index(False)
        positions, charges, cell = slab(axis)
        call = arguments((positions, charges, cell.clone().requires_grad_()), pbc)
        energy = (charges * MeshPotential(CUTOFF, accuracy=1e-4)(*call)).sum()
        (gradient,) = torch.autograd.grad(energy, call[2], allow_unused=True)
        for row, periodic in enumerate(pbc):
            own = 0.0 if gradient is None else float(gradient[row].abs().max())
            assert (own > 1e-6) if periodic else (own < 1e-12)

    def test_flat_layer_has_second_derivatives(self):
        positions = torch.tensor([[0.0, 0, 1], [1.1, 1.2, 1]], dtype=DTYPE, requires_grad=True)
        charges = torch.tensor([[1.0], [-1.0]], dtype=DTYPE)
        cell = torch.diag(torch.tensor([2.3, 2.2, 0.0], dtype=DTYPE)).requires_grad_()
        call = arguments((positions, charges, cell), SLABS[2])
        potential = MeshPotential(CUTOFF, accuracy=1e-5)
        (force,) = torch.autograd.grad(
            (charges * potential(*call)).sum(), positions, create_graph=True
        )
        second = torch.autograd.grad(force.square().sum() + force[0, 0], (positions, cell))
        assert all(torch.isfinite(s).all() for s in second)
