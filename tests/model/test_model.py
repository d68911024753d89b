# SPDX-License-Identifier: BSD-3-Clause
"""The model as physics: symmetries, derivatives, images, ghosts, batches; and its errors."""

import math

import pytest
import torch

from loremd import Lorem
from loremd.neighbors import neighbor_list

from .structures import (
    DTYPE,
    SMALL,
    arguments,
    crystal,
    derivatives,
    energy,
    moved,
    random_model,
    rotation,
    strained_energy,
)

# every branch of the model: options by name
VARIANTS = {
    "plain": {},
    "no long range": {"lr": False},
    "two equivariant layers": {"num_message_passing": 2},
    "scalar messages": {"num_message_passing": 1, "equivariant_message_passing": False},
    "scalar charges only": {"max_degree_lr": 0},
    "degree 3": {"max_degree": 3, "max_degree_lr": 3, "cutoff_fn": "smooth_cutoff"},
    "degree 0": {"max_degree": 0, "max_degree_lr": 0},
    "no node features": {"initialize_node_features": False},
    "smooth norm": {"norm_epsilon": 1e-2},
}
PERIODICITIES = {
    "crystal": (True, True, True),
    "slab open along 0": (False, True, True),
    "slab open along 1": (True, False, True),
    "slab open along 2": (True, True, False),
    "cluster": (False, False, False),
}


@pytest.fixture(params=VARIANTS)
def model(request):
    return random_model(**VARIANTS[request.param])


# --- symmetries -----------------------------------------------------------------------------------


def test_rotation_translation_permutation(model):
    structure = crystal()
    total, forces, virial = derivatives(model, structure)
    turn = rotation()
    order = torch.randperm(len(structure.numbers))
    shift = torch.tensor([3.0, -11.0, 0.3], dtype=DTYPE)
    transformed = moved(
        structure,
        numbers=structure.numbers[order],
        positions=(structure.positions @ turn)[order] + shift,
        cell=structure.cell @ turn,
    )
    turned_total, turned_forces, turned_virial = derivatives(model, transformed)
    assert turned_total == pytest.approx(total, rel=1e-11)
    torch.testing.assert_close(turned_forces, (forces @ turn)[order], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(turned_virial, turn.T @ virial @ turn, rtol=1e-9, atol=1e-9)
    assert forces.abs().max() > 1e-2


def test_reflection():
    model = random_model(num_message_passing=1)
    structure = crystal()
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=DTYPE))  # cell becomes left-handed
    reflected = moved(
        structure, positions=structure.positions @ mirror, cell=structure.cell @ mirror
    )
    assert energy(model, reflected) == pytest.approx(energy(model, structure), rel=1e-11)


def test_forces_add_up_to_zero_and_virial_is_symmetric(model):
    _, forces, virial = derivatives(model, crystal())
    assert forces.sum(0).abs().max() < 1e-10
    torch.testing.assert_close(virial, virial.T, rtol=1e-9, atol=1e-9)


def test_charges_turn_as_spherical_tensors():
    from loremd.spherical import harmonics

    model = random_model(max_degree_lr=2)
    structure = crystal()
    turn = rotation(3)
    turned = moved(structure, positions=structure.positions @ turn, cell=structure.cell @ turn)
    before = model(**arguments(model, structure))
    after = model(**arguments(model, turned))
    # the matrix that turns harmonics, from their values on random directions
    directions = torch.nn.functional.normalize(torch.randn(40, 3, dtype=DTYPE), dim=1)
    wigner = torch.linalg.lstsq(harmonics(directions, 2), harmonics(directions @ turn, 2)).solution
    for key in ("charges", "potentials"):
        torch.testing.assert_close(after[key][:, :1], before[key][:, :1], rtol=1e-9, atol=1e-10)
        expected = before[key][:, 1:] @ wigner
        torch.testing.assert_close(after[key][:, 1:], expected, rtol=1e-8, atol=1e-10)


# --- derivatives ----------------------------------------------------------------------------------


def central_difference(function, step=1e-5):
    """Fourth order; larger steps may cross a kink of the norms."""
    return (8 * (function(step) - function(-step)) - function(2 * step) + function(-2 * step)) / (
        12 * step
    )


@pytest.mark.parametrize("periodicity", PERIODICITIES)
def test_forces_are_the_gradient(model, periodicity):
    structure = crystal(seed=1, pbc=PERIODICITIES[periodicity])
    _, forces, _ = derivatives(model, structure)
    direction = torch.randn_like(forces)

    def displaced(step):
        return energy(model, moved(structure, positions=structure.positions + step * direction))

    slope = central_difference(displaced)
    assert slope == pytest.approx(-float((forces * direction).sum()), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("periodicity", PERIODICITIES)
def test_virial_is_the_strain_derivative(model, periodicity):
    structure = crystal(seed=2, pbc=PERIODICITIES[periodicity])
    _, _, virial = derivatives(model, structure)
    direction = torch.randn(3, 3, dtype=DTYPE)

    def strained(step):
        deformation = torch.eye(3, dtype=DTYPE) + step * direction
        return energy(
            model,
            moved(
                structure,
                positions=structure.positions @ deformation,
                cell=structure.cell @ deformation,
            ),
        )

    slope = central_difference(strained)
    assert slope == pytest.approx(float((virial * direction).sum()), rel=1e-6, abs=1e-7)


def test_second_derivatives():
    model = random_model(max_degree=1, max_degree_lr=1, num_message_passing=1, num_features=4)
    model.set_long_range("ewald", 3.0, 1e-5, 0.0, [], 0)
    structure = crystal(n=2, side=3.2)
    given = arguments(model, structure)

    def total(positions, cell):
        return model(**{**given, "positions": positions, "cell": cell})["energies"].sum()

    inputs = (structure.positions.clone().requires_grad_(), structure.cell.clone().requires_grad_())
    assert torch.autograd.gradgradcheck(total, inputs, eps=1e-6, atol=1e-5, rtol=1e-4)


def training_gradients(model, structure):
    """Gradients of the parameters for a loss of energy, forces and stress."""
    total, variables = strained_energy(model, structure)
    gradient, virial = torch.autograd.grad(total, variables, create_graph=True)
    loss = total**2 + gradient.square().sum() + virial.square().sum()
    model.zero_grad()
    loss.backward()
    return [parameter.grad for parameter in model.parameters()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("periodicity", ["crystal", "cluster"])
@pytest.mark.parametrize("layers", [0, 1])
def test_training_step_on_an_isolated_atom_has_no_nan(layers, periodicity, dtype):
    model = random_model(num_message_passing=layers).to(dtype)
    atom = crystal(n=1, pbc=PERIODICITIES[periodicity], side=9.0)
    gradients = training_gradients(model, atom)
    assert all(torch.isfinite(g).all() for g in gradients if g is not None)


def test_training_step_of_an_untrained_float32_model_has_no_nan():
    # the spherical charges of a fresh model with message passing are of order 1e-12
    torch.manual_seed(0)
    model = Lorem(**SMALL, num_message_passing=1)
    gradients = training_gradients(model, crystal())
    assert all(torch.isfinite(g).all() for g in gradients if g is not None)


def test_smooth_norm_has_no_kink():
    # one neighbour moves through the place where the scalar component of t changes sign: the slope
    # jumps with norm_epsilon = 0 and does not with norm_epsilon > 0
    from loremd.blocks import NormFeatures

    x = torch.linspace(-1e-3, 1e-3, 9, dtype=DTYPE, requires_grad=True)
    for epsilon, largest_jump in ((0.0, 2.0), (1e-2, 0.05)):
        values = NormFeatures(0, epsilon)(x.reshape(-1, 1, 1))
        (slope,) = torch.autograd.grad(values.sum(), x)
        jump = float((slope[1:] - slope[:-1]).abs().max())
        assert jump <= largest_jump and (epsilon > 0 or jump >= 1.0)
        assert float(values[4].detach()) == 0.0


# --- images, ghosts, batches ----------------------------------------------------------------------


def test_two_atom_cell_smaller_than_the_cutoff_equals_its_supercell(model):
    small = crystal(n=2, side=2.6)
    total, forces, virial = derivatives(model, small)
    copies = torch.cartesian_prod(*[torch.arange(2)] * 3).to(DTYPE) @ small.cell
    large = moved(
        small,
        numbers=small.numbers.repeat(8),
        positions=(copies.unsqueeze(1) + small.positions).reshape(-1, 3),
        cell=2 * small.cell,
    )
    large_total, large_forces, large_virial = derivatives(model, large)
    assert large_total == pytest.approx(8 * total, rel=1e-11)
    torch.testing.assert_close(large_forces, forces.repeat(8, 1), rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(large_virial, 8 * virial, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("method", ["ewald", "mesh"])
@pytest.mark.parametrize("layers", [0, 1])
def test_batch_equals_single_structures(layers, method):
    model = random_model(num_message_passing=layers)
    model.set_offsets({1: -3.0, 8: 5.5})
    model.set_long_range(method, 3.0, 1e-8, 0.0, [], 0)
    periodicities = [(True,) * 3] * 3 if method == "mesh" else list(PERIODICITIES.values())
    structures = [crystal(k, n=2 + k, pbc=pbc) for k, pbc in enumerate(periodicities)]
    single = [model(**arguments(model, structure)) for structure in structures]
    given = [arguments(model, structure) for structure in structures]
    sizes = torch.tensor([len(s.numbers) for s in structures])
    starts = torch.cumsum(sizes, 0) - sizes
    together = model(
        torch.cat([g["numbers"] for g in given]),
        torch.cat([g["positions"] for g in given]),
        torch.stack([g["cell"] for g in given]),
        torch.stack([g["pbc"] for g in given]),
        torch.cat([g["pairs"] + start for g, start in zip(given, starts, strict=True)], 1),
        torch.cat([g["shifts"] for g in given]),
        int(sizes.sum()),
        torch.repeat_interleave(torch.arange(len(sizes)), sizes),
    )
    for key, value in together.items():
        expected = torch.cat([output[key] for output in single])
        torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)


def with_ghosts(model, structure, shells):
    """The same structure with explicit images as ghosts, as LAMMPS gives it."""
    reach = range(-shells, shells + 1)
    images = [(a, b, c) for a in reach for b in reach for c in reach if (a, b, c) != (0, 0, 0)]
    offsets = torch.tensor(images, dtype=DTYPE) @ structure.cell
    ghosts = (offsets.unsqueeze(1) + structure.positions).reshape(-1, 3)
    n = len(structure.numbers)
    positions = torch.cat([structure.positions, ghosts])
    pairs, _ = neighbor_list(positions, torch.zeros(3, 3), False, model.cutoff)
    if model.num_message_passing == 0:
        pairs = pairs[:, pairs[0] < n]
    return {
        "numbers": structure.numbers.repeat(1 + len(images)),
        "positions": positions,
        "cell": structure.cell,
        "pbc": structure.pbc,
        "pairs": pairs,
        "shifts": torch.zeros(pairs.shape[1], 3, dtype=torch.int64),
        "n_owned": n,
    }


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_explicit_images_as_ghosts_equal_the_periodic_form(layers):
    model = random_model(num_message_passing=layers, lr=False)
    model.set_offsets({8: 2.0})
    structure = crystal()
    expected = model(**arguments(model, structure))["energies"]
    shells = 1 + layers if layers < 2 else 3  # (layers + 1) × 3 Å reach no further
    values = model(**with_ghosts(model, structure, shells))["energies"]
    torch.testing.assert_close(values, expected, rtol=1e-12, atol=1e-12)


def test_pairs_beyond_the_cutoff_and_their_order_do_not_matter(model):
    structure = crystal()
    given = arguments(model, structure, cutoff=5.5)
    shuffle = torch.randperm(given["pairs"].shape[1])
    shuffled = {
        **given,
        "pairs": given["pairs"][:, shuffle],
        "shifts": given["shifts"][shuffle],
    }
    expected = model(**arguments(model, structure))["energies"]
    torch.testing.assert_close(model(**shuffled)["energies"], expected, rtol=1e-12, atol=1e-12)


def test_nothing_to_evaluate(model):
    nothing = crystal(n=1)
    empty = moved(nothing, numbers=nothing.numbers[:0], positions=nothing.positions[:0])
    for pbc in PERIODICITIES.values():
        structure = moved(empty, pbc=torch.tensor(pbc))
        output = model(**{**arguments(model, nothing), **{
            "numbers": structure.numbers,
            "positions": structure.positions.clone().requires_grad_(),
            "pbc": structure.pbc,
            "pairs": torch.zeros(2, 0, dtype=torch.int64),
            "shifts": torch.zeros(0, 3, dtype=torch.int64),
            "n_owned": 0,
        }})  # fmt: skip
        assert output["energies"].shape == (0,)
        assert output["charges"].shape == (0, model.num_channels)
        assert output["energies"].requires_grad


def test_a_rank_with_ghosts_only():
    for layers in (0, 1):
        model = random_model(lr=False, num_message_passing=layers)
        given = arguments(model, crystal())
        if layers == 0:  # no owned centre, no pair
            given = {**given, "pairs": given["pairs"][:, :0], "shifts": given["shifts"][:0]}
        assert model(**{**given, "n_owned": 0})["energies"].shape == (0,)


# --- precision and forms --------------------------------------------------------------------------


def test_scripted_equals_eager(model):
    structure = crystal()
    scripted = torch.jit.script(model)
    for pbc in PERIODICITIES.values():
        given = arguments(model, moved(structure, pbc=torch.tensor(pbc)))
        expected, found = model(**given), scripted(**given)
        for key, value in expected.items():
            torch.testing.assert_close(found[key], value, rtol=1e-12, atol=1e-12)


def test_float32_is_close_to_float64(model):
    structure = crystal()
    total, forces, virial = derivatives(model, structure)
    single_total, single_forces, single_virial = derivatives(model.float(), structure)
    assert single_total == pytest.approx(total, rel=1e-5, abs=1e-5)
    scale = float(forces.abs().max())
    torch.testing.assert_close(single_forces, forces, rtol=0, atol=1e-4 * scale)
    torch.testing.assert_close(single_virial, virial, rtol=0, atol=1e-4 * float(virial.abs().max()))


def test_long_range_part_is_reported():
    model = random_model()
    output = model(**arguments(model, crystal()))
    assert output["long_range_energies"].abs().max() > 1e-3
    local = random_model(lr=False)
    assert local(**arguments(local, crystal()))["long_range_energies"].abs().max() == 0.0


def test_offsets_enter_the_energies():
    model = random_model()
    structure = crystal(n=3)
    before = model(**arguments(model, structure))["energies"]
    model.set_offsets({1: 1.5, 8: -1e6, 26: 1 / 3})
    after = model(**arguments(model, structure))["energies"]
    expected = torch.tensor([1.5, -1e6, 1 / 3], dtype=DTYPE)
    torch.testing.assert_close(after - before, expected, rtol=1e-12, atol=1e-10)
    assert torch.equal(model.offsets[[1, 8, 26]], expected)


def test_empty_slots_and_uneven_neighbourhoods():
    # a dense cluster and a lone atom far away share the blocks of slots
    model = random_model()
    dense = crystal(n=5, pbc=(False,) * 3)
    lone = moved(
        dense,
        numbers=torch.cat([dense.numbers, torch.tensor([8])]),
        positions=torch.cat([dense.positions, torch.full((1, 3), 1e5, dtype=DTYPE)]),
    )
    expected = model(**arguments(model, dense))["energies"]
    values = model(**arguments(model, lone))["energies"]
    torch.testing.assert_close(values[:5], expected, rtol=1e-4, atol=1e-4)  # 1/r of the lone charge


def test_initialisation_has_the_variances_of_lorem_jax():
    torch.manual_seed(0)
    model = Lorem(num_message_passing=1)
    arrays = {path: torch.from_numpy(a) for path, a in model.to_parameters().items()}
    embedding = arrays["Initial_0/ChemicalEmbedding_0/Embed_0/embedding"]
    assert float(embedding.var()) == pytest.approx(1 / 8, rel=0.15)
    kernel = arrays["RadialCoefficients_0/MLP_0/Dense_1/kernel"]
    assert float(kernel.var()) == pytest.approx(1 / 128, rel=0.02)
    assert float(kernel.abs().max()) <= 2 / math.sqrt(128) / 0.8796
    tensor = arrays["TensorDense_0/tensor/kernel"][0, :, 0, :, 0]
    assert tensor[0, 0, 1].abs().max() == 0.0 and tensor[1, 1, 1].abs().max() == 0.0
    assert float(tensor[:, :, 6].flatten(0, 1).square().sum(0).mean()) == pytest.approx(1, rel=0.4)
    assert all(float(a.abs().max()) == 0 for path, a in arrays.items() if path.endswith("bias"))


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hyperparameters, message",
    [
        ({"max_degre": 3}, r"unknown hyperparameters \['max_degre'\]; the names are .*max_degree"),
        ({"cutoff": -1.0}, "cutoff is -1.0, but must be a positive length"),
        ({"cutoff": "wide"}, "cutoff is 'wide', but must be of type float"),
        ({"max_degree": 2.5}, "max_degree is 2.5, but must be of type int"),
        ({"max_degree": -1}, "max_degree is -1, but must be at least 0"),
        ({"num_features": 0}, "num_features is 0, but must be at least 1"),
        ({"lr": 1}, "lr is 1, but must be true or false"),
        ({"cutoff_fn": "hard"}, "must be one of cosine_cutoff, smooth_cutoff"),
        ({"radial_basis": "bessel"}, "must be one of basic_bernstein"),
        ({"max_degree": 1}, "max_degree_lr is 2, but must be at most max_degree = 1"),
        ({"inputs": ["charge"]}, "inputs is .*only"),
    ],
)
def test_bad_hyperparameters(hyperparameters, message):
    with pytest.raises(ValueError, match=message):
        Lorem(**hyperparameters)


def test_from_parameters_names_all_problems():
    stored = random_model().to_parameters()
    stored.pop("Dense_1/kernel")
    stored["Dense_9/kernel"] = stored["Dense_0/kernel"]
    stored["MLP_0/Dense_2/bias"] = stored["MLP_0/Dense_0/bias"]
    with pytest.raises(ValueError, match="do not fit") as error:
        Lorem.from_parameters(SMALL, {f"params/{k}": v for k, v in stored.items()})
    text = str(error.value)
    assert "missing Dense_1/kernel" in text and "unexpected Dense_9/kernel" in text
    assert "MLP_0/Dense_2/bias has shape (8,), expected (1,)" in text


NAN = torch.zeros(6, 3, dtype=DTYPE)
NAN[1, 2] = math.nan


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"numbers": torch.zeros(6)}, r"numbers must be \(n,\) int64"),
        ({"numbers": torch.full((6,), -1)}, "numbers holds -1, but must be between 0 and 99"),
        ({"numbers": torch.full((6,), 100)}, "numbers holds 100, but must be between 0 and 99"),
        ({"positions": torch.zeros(5, 3, dtype=DTYPE)}, r"positions must be \(n, 3\) with n = 6"),
        ({"positions": torch.zeros(6, 3)}, "positions and cell must be float64, got torch.float32"),
        ({"positions": NAN}, "positions of atom 1 are not finite numbers"),
        ({"positions": torch.zeros(6, 3, dtype=DTYPE)}, r"atoms \d and \d are at the same place"),
        ({"cell": torch.zeros(3, dtype=DTYPE)}, r"cell must be \(3, 3\)"),
        ({"cell": torch.eye(3, dtype=DTYPE, device="meta")}, "one device, got cpu and meta"),
        ({"cell": torch.full((3, 3), math.inf, dtype=DTYPE)}, "cell must hold finite numbers"),
        ({"cell": torch.ones(2, 3, 3, dtype=DTYPE)}, "cell holds 2 structures, but batch is None"),
        ({"cell": torch.zeros(3, 3, dtype=DTYPE)}, "cell has the volume 0.0"),
        ({"pbc": torch.ones(3)}, r"pbc must be \(3,\) or \(B, 3\) bool"),
        ({"pbc": torch.tensor([True, False, False])}, "one periodic direction"),
        ({"pairs": torch.zeros(2, 4, dtype=torch.int32)}, r"pairs must be \(2, P\) int64"),
        ({"shifts": torch.zeros(1, 3, dtype=torch.int64)}, r"shifts must be \(P, 3\), P ="),
        ({"shifts": None}, "shifts must be int64"),
        ({"n_owned": 7}, "n_owned is 7, but must be between 0 and n = 6"),
        ({"n_owned": 5}, "takes no ghosts: n_owned is 5, but there are 6 atoms"),
        ({"comm": 3}, "comm must be 0"),
        ({"batch": torch.zeros(5, dtype=torch.int64)}, r"batch must be \(n,\) int64, n = 6"),
    ],
)
def test_bad_input(changes, message):
    model = random_model()
    given = arguments(model, crystal())
    if changes.get("shifts", 0) is None:
        changes = {"shifts": given["shifts"].double()}
    with pytest.raises(ValueError, match=message):
        model(**{**given, **changes})


def test_errors_of_the_scripted_model_say_the_same():
    model = random_model()
    given = arguments(model, crystal())
    with pytest.raises(torch.jit.Error, match="n_owned is 7, but must be between 0 and n = 6"):
        torch.jit.script(model)(**{**given, "n_owned": 7})


def test_unknown_element():
    model = random_model()
    model.atomic_numbers = [1, 8]
    with pytest.raises(ValueError, match=r"element 26, but the model was made for \[1, 8\]"):
        model(**arguments(model, crystal()))


@pytest.mark.parametrize(
    "settings, message",
    [
        (("pme", 3.0, 1e-5, 0.0, [], 0), "method is 'pme', but must be 'mesh' or 'ewald'"),
        (("mesh", -3.0, 1e-5, 0.0, [], 0), "cutoff is -3.0"),
        (("mesh", 3.0, 1.0, 0.0, [], 0), "accuracy is 1.0"),
        (("mesh", 3.0, 1e-5, 0.0, [8, 8], 0), r"mesh is \[8, 8\]"),
        (("mesh", 3.0, 1e-5, 0.0, [], 2), "order is 2"),
    ],
)
def test_bad_long_range_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        random_model().set_long_range(*settings)


def test_planning_needs_a_long_range_part():
    with pytest.raises(ValueError, match="no long-range part"):
        random_model(lr=False).plan_long_range(torch.eye(3, dtype=DTYPE), 1)


def test_offsets_of_impossible_elements():
    with pytest.raises(ValueError, match="atomic number 100 must be between 0 and 99"):
        random_model().set_offsets({100: 1.0})
