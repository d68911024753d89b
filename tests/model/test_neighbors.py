# SPDX-License-Identifier: BSD-3-Clause
"""Neighbour lists against all images within reach."""

import itertools

import numpy as np
import pytest
import torch

from loremd.neighbors import neighbor_list

CELLS = {
    "cubic": [[4.0, 0, 0], [0, 4, 0], [0, 0, 4]],
    "triclinic": [[4.0, 0, 0], [1.5, 3, 0], [-1, 0.8, 3.5]],
    "left-handed": [[0.0, 4, 0], [4, 0, 0], [0, 0.5, 4]],
    "smaller than the cutoff": [[1.5, 0, 0], [0.2, 1.4, 0], [0, 0.1, 1.6]],
}
PERIODICITIES = list(itertools.product([False, True], repeat=3))


def all_images(positions, cell, pbc, cutoff, reach=6):
    """Every (i, j, shift) closer than the cutoff, by trying all images."""
    ranges = [range(-reach, reach + 1) if flag else (0,) for flag in pbc]
    found = set()
    for shift in itertools.product(*ranges):
        vectors = positions[None] + np.array(shift) @ cell - positions[:, None]
        distances = np.linalg.norm(vectors, axis=2)
        if shift == (0, 0, 0):
            np.fill_diagonal(distances, np.inf)
        found |= {(int(i), int(j), *shift) for i, j in np.argwhere(distances < cutoff)}
    return found


@pytest.mark.parametrize("pbc", PERIODICITIES)
@pytest.mark.parametrize("name", CELLS)
def test_every_pair_is_listed_once(name, pbc):
    cell = np.array(CELLS[name])
    positions = np.random.default_rng(0).uniform(-6, 6, (5, 3))  # atoms outside the cell, too
    pairs, shifts = neighbor_list(positions, cell, pbc, 3.1)
    assert pairs.dtype == shifts.dtype == torch.int64
    listed = [tuple(row) for row in torch.cat([pairs.T, shifts], 1).tolist()]
    expected = all_images(positions, cell, pbc, 3.1, reach=12)
    assert len(listed) == len(set(listed)) and set(listed) == expected
    assert (pairs[0].diff() >= 0).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_open_rows_may_be_zero_or_anything(axis):
    cell = np.diag([3.0, 3.1, 3.2])
    pbc = np.arange(3) != axis
    positions = np.random.default_rng(1).uniform(0, 3, (4, 3))
    expected = neighbor_list(positions, cell, pbc, 4.0)
    for row in ([0.0, 0, 0], [1.0, 1, 1], [np.nan] * 3):
        changed = cell.copy()
        changed[axis] = row
        found = neighbor_list(positions, changed, pbc, 4.0)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_one_flag_and_tensors():
    positions, cell = torch.rand(3, 3), torch.eye(3) * 2
    by_flag = neighbor_list(positions, cell, True, 2.5)
    by_tensor = neighbor_list(positions, cell, torch.ones(3, dtype=torch.bool), 2.5)
    assert all(torch.equal(a, b) for a, b in zip(by_flag, by_tensor, strict=True))


def test_no_atoms_and_no_pairs():
    for positions in (np.zeros((0, 3)), np.zeros((1, 3))):
        pairs, shifts = neighbor_list(positions, np.zeros((3, 3)), False, 3.0)
        assert pairs.shape == (2, 0) and shifts.shape == (0, 3)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"positions": np.zeros((2, 2))}, r"positions must be \(n, 3\), got \(2, 2\)"),
        ({"positions": [[0, 0, 0], [0, np.nan, 0]]}, "positions of atom 1 are .*finite"),
        ({"cell": np.eye(2)}, r"cell must be \(3, 3\), got \(2, 2\)"),
        ({"cell": np.zeros((3, 3))}, "zero volume: the periodic lattice vectors"),
        ({"cell": [[1, 0, 0], [2, 0, 0], [0, 0, 1]]}, "zero volume"),
        ({"cell": np.full((3, 3), np.inf)}, "cell must hold finite numbers"),
        ({"cutoff": 0.0}, "cutoff is 0.0, but it must be a positive length"),
        ({"cutoff": np.nan}, "cutoff is nan"),
    ],
)
def test_bad_input(changes, message):
    given = {"positions": np.zeros((1, 3)), "cell": np.eye(3), "pbc": True, "cutoff": 1.0}
    with pytest.raises(ValueError, match=message):
        neighbor_list(**{**given, **changes})
