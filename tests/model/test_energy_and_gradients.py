# SPDX-License-Identifier: BSD-3-Clause
"""The way through blocks of atoms, for dynamics, gives what the differentiable forward gives."""

import pytest
import torch

from tests.model.structures import arguments, crystal, derivatives, random_model

# Both ways evaluate the same formulas in float64 in another order, with the same mesh; two layers of
# lively weights make a hundred roundings of it.
TOLERANCE = {"rtol": 1e-11, "atol": 1e-11}
MODELS = {
    "plain": {},
    "no_long_range": {"lr": False},
    "messages": {"num_message_passing": 1},
    "two_layers": {"num_message_passing": 2},
    "scalar_messages": {"num_message_passing": 2, "equivariant_message_passing": False},
    "smooth": {"cutoff_fn": "smooth_cutoff", "initialize_node_features": False},
    "kinks": {"norm_epsilon": 0.0},
}


def in_blocks(model, atoms):
    """The same model, some atoms at a time."""
    model.short_range.first.atoms_at_once = atoms
    for block in model.short_range.blocks:
        block.atoms_at_once = atoms
    if model.long_range is not None:
        model.long_range.atoms_at_once = atoms
    return model


@pytest.fixture(params=MODELS, ids=str)
def model(request):
    model = random_model(**{"norm_epsilon": 1e-3, **MODELS[request.param]})
    model.set_offsets({1: -13.5, 8: -2041.25})
    if model.lr:
        model.set_long_range("mesh", 3.0, 1e-4, 0.0, [], 0)
    return model


def assert_equal_to_forward(model, structure):
    result = model.energy_and_gradients(**arguments(model, structure))
    expected = model(**arguments(model, structure))
    for key, value in expected.items():
        torch.testing.assert_close(result[key], value.detach(), **TOLERANCE)
        assert not result[key].requires_grad
    _, forces, virial = derivatives(model, structure)
    torch.testing.assert_close(result["gradient"], -forces, **TOLERANCE)
    torch.testing.assert_close(result["strain_gradient"], virial, **TOLERANCE)


@pytest.mark.parametrize("atoms", [1, 4, 100])
def test_any_number_of_atoms_at_once(model, atoms):
    assert_equal_to_forward(in_blocks(model, atoms), crystal(n=6))


def test_scripted(model):
    given = arguments(model, crystal())
    result = torch.jit.script(in_blocks(model, 4)).energy_and_gradients(**given)
    for key, value in model.energy_and_gradients(**given).items():
        torch.testing.assert_close(result[key], value, **TOLERANCE)


def test_other_periodicities(model):
    for pbc in ((False, False, False), (True, True, False)):
        assert_equal_to_forward(in_blocks(model, 4), crystal(n=5, pbc=pbc))


def test_pairs_in_any_order_and_beyond_the_cutoff(model):
    structure = crystal()
    given = arguments(model, structure, cutoff=5.0)
    shuffle = torch.randperm(given["pairs"].shape[1])
    shuffled = {**given, "pairs": given["pairs"][:, shuffle], "shifts": given["shifts"][shuffle]}
    expected = model.energy_and_gradients(**arguments(model, structure))
    for key, value in in_blocks(model, 4).energy_and_gradients(**shuffled).items():
        torch.testing.assert_close(value, expected[key], **TOLERANCE)


def test_an_atom_without_neighbours_and_none_at_all(model):
    alone = crystal(n=1, side=20.0)
    assert_equal_to_forward(model, alone)
    given = arguments(model, alone)
    nothing = {
        **given,
        "numbers": given["numbers"][:0],
        "positions": given["positions"][:0],
        "n_owned": 0,
    }
    result = model.energy_and_gradients(**nothing)
    assert result["energies"].shape == (0,)
    assert result["gradient"].shape == (0, 3)
    assert torch.equal(result["strain_gradient"], torch.zeros(3, 3, dtype=torch.float64))


def test_float32_is_close(model):
    structure = crystal()
    expected = model.energy_and_gradients(**arguments(model, structure))
    result = model.float().energy_and_gradients(**arguments(model, structure))
    # rounding to 6e-8 in networks with lively weights, whose forces reach 10 eV/Å
    size = float(expected["gradient"].abs().max())
    difference = result["gradient"] - expected["gradient"]
    assert float(difference.abs().max()) < 1e-4 * max(1.0, size)


def test_ghosts_without_communicator():
    model = random_model(num_message_passing=1, lr=False)
    given = arguments(model, crystal())
    with pytest.raises(ValueError, match="1 ghost atoms, but no communicator"):
        model.energy_and_gradients(**{**given, "n_owned": 5})


def test_bad_input_is_named(model):
    structure = crystal()
    broken = structure.positions.clone()
    broken[2, 1] = float("nan")
    given = arguments(model, structure)
    with pytest.raises(ValueError, match="positions of atom 2 are not finite"):
        model.energy_and_gradients(**{**given, "positions": broken})
    direct = torch.nonzero((given["shifts"] == 0).all(1))[0].squeeze()
    centre, neighbor = given["pairs"][:, direct].tolist()
    same = structure.positions.clone()
    same[centre] = same[neighbor]
    with pytest.raises((ValueError, RuntimeError), match="at the same place"):
        model.energy_and_gradients(**{**given, "positions": same})
