# SPDX-License-Identifier: BSD-3-Clause
"""The density of the neighbours in one op: physics, then the formula pair by pair."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from loremd import ops
from loremd.neighbors import neighbor_list
from loremd.ops import reference

from .systems import CELLS, atoms, cell_of

CUTOFF = 3.0


def system(n=12, species=2, radial=5, degree=3, features=2, name="triclinic", longest=CUTOFF + 0.5):
    """Positions far outside the cell, pairs beyond the cutoff, and the other arguments."""
    generator = torch.Generator().manual_seed(n)
    cell = cell_of(name)
    positions = atoms(n, cell, seed=3)[0]
    pairs, shifts = neighbor_list(positions, cell, True, longest)
    kinds = torch.randint(species, (n,), generator=generator)
    shape = (species, species, radial, degree + 1, features)
    coefficients = torch.randn(shape, generator=generator, dtype=torch.float64)
    return [positions, cell, pairs, shifts, kinds, coefficients, n, CUTOFF, False]


NAMES = ("positions", "cell", "pairs", "shifts", "species", "coefficients", "n_out", "cutoff")


def changed(arguments, **changes):
    names = (*NAMES, "smooth")
    return [changes.get(name, value) for name, value in zip(names, arguments, strict=True)]


def compare(one, other, tolerance):
    """Within a tolerance in units of the largest value: sums of terms of either sign."""
    for a, b in zip(one, other, strict=True):
        scale = float(b.detach().abs().max()) if b.numel() else 1.0
        torch.testing.assert_close(a.to(b.dtype), b, rtol=0, atol=tolerance * scale)


def gradients(function, arguments, weights, **options):
    inputs = [arguments[k].detach().requires_grad_() for k in (0, 1, 5)]
    given = changed(arguments, positions=inputs[0], cell=inputs[1], coefficients=inputs[2])
    results = function(*given)
    total = sum((w.to(r.dtype) * r).sum() for w, r in zip(weights, results, strict=True))
    return torch.autograd.grad(total, inputs, **options)


def random_rotation():
    q, r = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    return q * r.diagonal().sign()


def norms(spherical):
    """Norm of each degree and feature."""
    degrees = round(spherical.shape[1] ** 0.5)
    return [spherical[:, k * k : (k + 1) ** 2].norm(dim=1) for k in range(degrees)]


class TestPhysics:
    def test_rotations_keep_radial_sums_and_norms(self):
        """Proper or not; positions, cell and all."""
        arguments = system(degree=8)
        q = random_rotation()
        for sign in (1, -1):
            turned = changed(
                arguments, positions=sign * arguments[0] @ q, cell=sign * arguments[1] @ q
            )
            (radial, spherical), (sums, other) = (
                ops.neighbor_density(*a) for a in (arguments, turned)
            )
            # differences of positions some 10 Å away from the origin are rounded
            compare([sums], [radial], 1e-12)
            compare(norms(other), norms(spherical), 1e-12)

    def test_degree_one_is_a_vector(self):
        arguments = system(degree=1)
        q = random_rotation()
        turned = changed(arguments, positions=arguments[0] @ q, cell=arguments[1] @ q)
        before, after = (ops.neighbor_density(*a)[1][:, 1:4] for a in (arguments, turned))
        compare([after], [torch.einsum("nxf,xy->nyf", before, q)], 1e-12)

    def test_translations_and_images_change_nothing(self):
        arguments = system()
        expected = ops.neighbor_density(*arguments)
        moved = changed(arguments, positions=arguments[0] + torch.tensor([3.0, -40.0, 0.7]))
        compare(ops.neighbor_density(*moved), expected, 1e-12)
        weights = [torch.randn_like(r) for r in expected]
        force = gradients(ops.neighbor_density, arguments, weights)[0]
        assert force.sum(0).abs().max() < 1e-12 * force.abs().sum()

    @pytest.mark.parametrize("smooth", [False, True])
    def test_nothing_happens_at_the_cutoff(self, smooth):
        """Density and gradient go to zero, and beyond there is nothing, not even on its edge."""
        for distance in (CUTOFF, CUTOFF * (1 - 1e-13), CUTOFF + 1.0, CUTOFF * (1 - 1e-6)):
            arguments = changed(
                system(2),
                positions=torch.tensor([[0.0, 0, 0], [0, 0, distance]], dtype=torch.float64),
                pairs=torch.tensor([[0, 1], [1, 0]]),
                shifts=torch.zeros(2, 3, dtype=torch.int64),
                smooth=smooth,
            )
            results = ops.neighbor_density(*arguments)
            derivatives = gradients(ops.neighbor_density, arguments, results)
            largest = max(float(t.abs().max()) for t in (*results, *derivatives))
            # the cosine ends like the square of the distance from the cutoff, 1e-12 here
            assert largest < 1e-9 if distance == CUTOFF * (1 - 1e-6) else largest == 0

    def test_energy_of_a_strained_cell(self):
        """Positions and cell move together: the derivative by strain is the virial of the pairs."""
        arguments = system()
        weights = [torch.randn_like(r) for r in ops.neighbor_density(*arguments)]
        by_positions, by_cell, _ = gradients(ops.neighbor_density, arguments, weights)
        virial = arguments[0].T @ by_positions + arguments[1].T @ by_cell
        # without a preferred direction it would be symmetric; with weights of components it is not,
        # so it is compared with differences
        step = 1e-5
        for a, b in ((0, 0), (0, 1), (2, 1)):
            totals = []
            for sign in (1, -1):
                strain = torch.eye(3, dtype=torch.float64)
                strain[a, b] += sign * step
                strained = changed(
                    arguments, positions=arguments[0] @ strain, cell=arguments[1] @ strain
                )
                results = ops.neighbor_density(*strained)
                totals.append(sum((w * r).sum() for w, r in zip(weights, results, strict=True)))
            difference = (totals[0] - totals[1]) / (2 * step)
            assert abs(difference - virial[a, b]) < 1e-7 * virial.abs().max()


class TestReference:
    @pytest.mark.parametrize("smooth", [False, True])
    @pytest.mark.parametrize("name", CELLS)
    def test_equal_to_plain_torch(self, name, smooth):
        arguments = changed(system(name=name, species=3), smooth=smooth)
        self.check(arguments)

    @pytest.mark.parametrize("degree", range(9))
    def test_degrees(self, degree):
        self.check(system(degree=degree))

    @pytest.mark.parametrize("features", [1, 3, 5, 8, 17])
    def test_features(self, features):
        self.check(system(features=features))

    @pytest.mark.parametrize("radial", [1, 2, 4, 8, 16, 32])
    def test_radial_functions(self, radial):
        self.check(system(radial=radial))

    def test_default_model(self):
        self.check(system(20, radial=32, degree=6, features=8))

    def check(self, arguments):
        """Values and gradients: the numbers of the two differ by round-off only."""
        results = ops.neighbor_density(*arguments)
        expected = reference.neighbor_density(*arguments)
        compare(results, expected, 1e-12)
        weights = [torch.randn_like(r) for r in results]
        compare(
            gradients(ops.neighbor_density, arguments, weights),
            gradients(reference.neighbor_density, arguments, weights),
            1e-12,
        )
        single = changed(arguments, coefficients=arguments[5].float())
        # some 100 roundings of 6e-8, of either sign
        compare([r.double() for r in ops.neighbor_density(*single)], expected, 3e-6)
        compare(
            [g.double() for g in gradients(ops.neighbor_density, single, weights)],
            gradients(reference.neighbor_density, arguments, weights),
            1e-5,
        )


class TestDerivatives:
    @pytest.mark.parametrize("smooth", [False, True])
    def test_first_and_second(self, smooth):
        positions, cell, pairs, shifts, species, coefficients, *_ = system(
            4, species=2, radial=3, degree=2, features=2, longest=2.6
        )
        images = shifts.double() + 0.01 * torch.randn(shifts.shape, dtype=torch.float64)

        def density(positions, cell, images, coefficients):
            return ops.neighbor_density(
                positions, cell, pairs, images, species, coefficients, 3, 2.5, smooth
            )

        inputs = [t.requires_grad_() for t in (positions, cell, images, coefficients)]
        assert gradcheck(density, inputs)
        assert gradgradcheck(density, inputs)

    @pytest.mark.parametrize("features", [1, 8])
    def test_second_of_a_nonlinear_energy(self, features):
        """Forces as inputs of a loss, in both precisions, against plain torch in float64."""

        def loss_gradient(function, dtype):
            arguments = system(radial=8, degree=4, features=features)
            inputs = [arguments[0], arguments[1], arguments[5].to(dtype)]
            inputs = [t.detach().requires_grad_() for t in inputs]
            given = changed(arguments, positions=inputs[0], cell=inputs[1], coefficients=inputs[2])
            radial, spherical = function(*given)
            energy = radial.square().sum() + (spherical**3).sum() / 100
            force, stress = torch.autograd.grad(energy, inputs[:2], create_graph=True)
            loss = force.square().sum() + stress.square().sum() / 100
            return torch.autograd.grad(loss, inputs)

        expected = loss_gradient(reference.neighbor_density, torch.float64)
        compare(loss_gradient(ops.neighbor_density, torch.float64), expected, 1e-11)
        compare(loss_gradient(ops.neighbor_density, torch.float32), expected, 1e-4)

    def test_vectors_of_images_instead_of_a_cell(self):
        """As batches pass them: cell = identity, derivatives through the vectors."""
        arguments = system()
        cell = arguments[1].clone().requires_grad_()
        images = arguments[3].double() @ cell
        given = changed(arguments, cell=torch.eye(3, dtype=torch.float64), shifts=images)
        results = ops.neighbor_density(*given)
        compare(results, ops.neighbor_density(*arguments), 1e-12)
        weights = [torch.randn_like(r) for r in results]
        total = sum((w * r).sum() for w, r in zip(weights, results, strict=True))
        (by_cell,) = torch.autograd.grad(total, cell)
        compare([by_cell], [gradients(ops.neighbor_density, arguments, weights)[1]], 1e-12)

    def test_third_is_refused(self):
        arguments = system(4, radial=2, degree=1)
        positions = arguments[0].requires_grad_()
        value = ops.neighbor_density(*arguments)[1].square().sum()
        for _ in range(2):
            (gradient,) = torch.autograd.grad(value, positions, create_graph=True)
            value = gradient.square().sum()
        with pytest.raises(NotImplementedError, match="third derivatives"):
            torch.autograd.grad(value, positions)

    def test_one_result_alone(self):
        arguments = system()
        positions = arguments[0].requires_grad_()
        for result in ops.neighbor_density(*arguments):
            (gradient,) = torch.autograd.grad(result.sum(), positions, retain_graph=True)
            assert gradient.abs().max() > 0


class TestInput:
    def test_ghosts(self):
        """Pairs of centres that have no row count for nothing, in values and gradients."""
        arguments = system()
        owned = arguments[2][0] < 5
        fewer = changed(arguments, pairs=arguments[2][:, owned], shifts=arguments[3][owned])
        first, second = (changed(a, n_out=5) for a in (arguments, fewer))
        results = ops.neighbor_density(*first)
        compare(results, [r[:5] for r in ops.neighbor_density(*arguments)], 0)
        compare(ops.neighbor_density(*second), results, 0)
        weights = [torch.randn_like(r) for r in results]
        compare(*(gradients(ops.neighbor_density, a, weights) for a in (first, second)), 0)

    def test_order_of_the_pairs(self):
        arguments = system(radial=8)
        order = torch.randperm(arguments[2].shape[1])
        mixed = changed(arguments, pairs=arguments[2][:, order], shifts=arguments[3][order])
        weights = [torch.randn_like(r) for r in ops.neighbor_density(*arguments)]
        compare(*(ops.neighbor_density(*a) for a in (mixed, arguments)), 1e-13)
        compare(*(gradients(ops.neighbor_density, a, weights) for a in (mixed, arguments)), 1e-12)

    def test_strided(self):
        positions, cell, pairs, shifts, species, coefficients, *rest = arguments = system()
        strided = [
            positions.t().contiguous().t(),
            cell.t().contiguous().t(),
            pairs.t().contiguous().t(),
            shifts.t().contiguous().t(),
            torch.stack([species, species], 1)[:, 0],
            coefficients.transpose(2, 4).contiguous().transpose(2, 4),
            *rest,
        ]
        compare(ops.neighbor_density(*strided), ops.neighbor_density(*arguments), 0)
        weights = [torch.randn_like(r).transpose(0, 1) for r in ops.neighbor_density(*arguments)]
        weights = [w.contiguous().transpose(0, 1) for w in weights]
        compare(*(gradients(ops.neighbor_density, a, weights) for a in (strided, arguments)), 0)

    def test_one_number_for_all_shifts(self):
        """As ghosts need none: an expanded zero, of any kind of integer, or of float64."""
        arguments = system(name="cubic")
        alone = (arguments[3] == 0).all(1)
        pairs = arguments[2][:, alone]
        expected = ops.neighbor_density(
            *changed(arguments, pairs=pairs, shifts=arguments[3][alone])
        )
        for dtype in (torch.int64, torch.int32, torch.float64):
            zero = torch.zeros(1, dtype=dtype).expand(pairs.shape[1], 3)
            compare(
                ops.neighbor_density(*changed(arguments, pairs=pairs, shifts=zero)), expected, 0
            )

    def test_empty(self):
        arguments = system()
        none = changed(arguments, pairs=arguments[2][:, :0], shifts=arguments[3][:0])
        nobody = changed(none, positions=arguments[0][:0], species=arguments[4][:0], n_out=0)
        for given in (none, nobody, changed(arguments, n_out=0)):
            results = ops.neighbor_density(*given)
            assert [tuple(r.shape[1:]) for r in results] == [(2, 5), (16, 2)]
            assert all((r == 0).all() for r in results)
            derivatives = gradients(ops.neighbor_density, given, results)
            assert all((g == 0).all() for g in derivatives)

    @pytest.mark.cpu_kernels
    def test_atoms_at_the_same_place(self):
        arguments = system(3)
        arguments[0][2] = arguments[0][1]
        far = changed(arguments, pairs=torch.tensor([[0], [2]]), shifts=arguments[3][:1])
        ops.neighbor_density(*far)
        same = changed(arguments, pairs=torch.tensor([[1], [2]]), shifts=torch.zeros(1, 3).long())
        with pytest.raises(ValueError, match="atoms 1 and 2 are at the same place"):
            ops.neighbor_density(*same)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            *(
                pytest.param(change, message, marks=pytest.mark.cpu_kernels)
                for change, message in (
                    ({"pairs": torch.tensor([[0], [12]])}, "neighbour index 12 is out of range"),
                    ({"pairs": torch.tensor([[-1], [2]])}, "centre index -1 is out of range"),
                    ({"species": torch.full((12,), 2)}, "species of atom 0 is 2; allowed: 0 to 1"),
                )
            ),
            ({"species": torch.zeros(3).long()}, r"species of shape \(12\)"),
            ({"n_out": 13}, "n_out is 13; allowed: 0 to the number of atoms, 12"),
            ({"coefficients": torch.zeros(2, 2, 3, 10, 1)}, "degree is 9; allowed: 0 to 8"),
            ({"coefficients": torch.zeros(2, 3, 3, 2, 1)}, "expected coefficients of shape"),
            ({"cutoff": 0.0}, "cutoff is 0; it must be positive"),
        ],
    )
    def test_wrong_values(self, change, message):
        arguments = changed(
            system(), pairs=torch.tensor([[0], [1]]), shifts=torch.zeros(1, 3).long()
        )
        with pytest.raises(ValueError, match=message):
            ops.neighbor_density(*changed(arguments, **change))

    def test_wrong_dtypes(self):
        arguments = system()
        for name, place in (("positions", 0), ("cell", 1), ("shifts", 3)):
            with pytest.raises(TypeError, match=f"{name} of dtype"):
                ops.neighbor_density(*changed(arguments, **{name: arguments[place].float()}))


class TestTorch:
    @pytest.mark.parametrize("images", [False, True])
    def test_opcheck(self, images):
        arguments = system(5, radial=3, degree=2)
        arguments = [a.requires_grad_() if k in (0, 1, 5) else a for k, a in enumerate(arguments)]
        if images:
            arguments[3] = arguments[3].double().requires_grad_()
        torch.library.opcheck(torch.ops.loremd.neighbor_density.default, arguments)
        arguments = [a.detach() if isinstance(a, torch.Tensor) else a for a in arguments]
        grads = [torch.randn_like(r) for r in ops.neighbor_density(*arguments)]
        rest = (*arguments, *grads)
        backward = torch.ops.loremd.neighbor_density_backward
        torch.library.opcheck(backward.default, (*rest, True, images))
        along = (arguments[0], arguments[1], arguments[5], arguments[3] if images else None)
        directional = torch.ops.loremd.neighbor_density_backward_directional
        torch.library.opcheck(directional.default, (*rest, *along, True, images))

    def test_script(self):
        arguments = system()
        scripted = torch.jit.script(ops.neighbor_density)
        compare(scripted(*arguments), ops.neighbor_density(*arguments), 0)

    def test_threads(self):
        """More than one thread: the same up to the order of the sums."""
        arguments = system(60, longest=CUTOFF)
        weights = [torch.randn_like(r) for r in ops.neighbor_density(*arguments)]
        before = torch.get_num_threads()
        results = []
        try:
            for threads in (1, 3):
                torch.set_num_threads(threads)
                density = ops.neighbor_density(*arguments)
                results.append([*density, *gradients(ops.neighbor_density, arguments, weights)])
        finally:
            torch.set_num_threads(before)
        compare(*results, 1e-13)
