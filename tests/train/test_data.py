# SPDX-License-Identifier: BSD-3-Clause
"""Reading, selecting and batching structures; per-element energies."""

from __future__ import annotations

import lzma

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator

from loremd.config import DataConfig, DataSource
from loremd.data import (
    DataError,
    batch_count,
    batches,
    check_elements,
    collate,
    fit_offsets,
    read_structures,
    to_structure,
)

CUTOFF = 3.2


def labelled(symbols: str, energy: float = 0.0, **cell) -> ase.Atoms:
    """Atoms on a line 2 Å apart, with an energy and zero forces."""
    atoms = ase.Atoms(symbols, **cell)
    atoms.positions[:, 0] = 2.0 * np.arange(len(atoms))
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.zeros((len(atoms), 3)))
    return atoms


def test_labels_and_pairs_of_a_file(tmp_path, frames):
    ase.io.write(tmp_path / "a.xyz", frames, format="extxyz")
    (tmp_path / "a.xyz.xz").write_bytes(lzma.compress((tmp_path / "a.xyz").read_bytes()))
    plain = read_structures([DataSource(path=tmp_path / "a.xyz")], CUTOFF)
    packed = read_structures([DataSource(path=tmp_path / "a.xyz.xz")], CUTOFF)
    assert len(plain) == len(packed) == len(frames)
    for structure, other, atoms in zip(plain, packed, frames, strict=True):
        assert torch.equal(structure.positions, other.positions)
        assert float(structure.energy) == pytest.approx(atoms.get_potential_energy(), abs=1e-8)
        np.testing.assert_allclose(structure.forces, atoms.get_forces(), atol=1e-7)
        np.testing.assert_allclose(structure.stress, atoms.get_stress(voigt=False), atol=1e-7)
        vectors = (
            structure.positions[structure.pairs[1]]
            - structure.positions[structure.pairs[0]]
            + structure.shifts.double() @ structure.cell
        )
        assert float(vectors.norm(dim=1).max()) < CUTOFF


def test_labels_under_other_names(tmp_path):
    atoms = ase.Atoms("MgO", positions=[[0, 0, 0], [2, 0, 0]], cell=[4, 4, 4], pbc=True)
    atoms.info["dft_energy"] = -3.0
    atoms.info["dft_stress"] = np.arange(9.0)
    atoms.arrays["dft_forces"] = np.ones((2, 3))
    names = {"energy_key": "dft_energy", "forces_key": "dft_forces", "stress_key": "dft_stress"}
    path = tmp_path / "a.xyz"
    ase.io.write(path, atoms, format="extxyz")
    config = DataConfig(train=path, valid=path, **names)
    structure = read_structures(config.train, CUTOFF, config)[0]
    assert float(structure.energy) == -3.0
    assert torch.equal(structure.forces, torch.ones(2, 3, dtype=torch.float64))
    assert structure.stress.flatten().tolist() == pytest.approx(list(range(9)))


def test_missing_labels_are_nan(frames):
    atoms = labelled("MgO")
    structure = to_structure(atoms, CUTOFF)
    assert bool(torch.isnan(structure.stress).all())
    assert float(structure.energy) == 0.0
    atoms.calc = None
    with pytest.raises(DataError, match="MgO has neither energy nor forces"):
        to_structure(atoms, CUTOFF)


def test_selection_by_force_energy_and_stride(tmp_path, frames):
    path = tmp_path / "a.xyz"
    ase.io.write(path, frames, format="extxyz")
    forces = [np.abs(atoms.get_forces()).max() for atoms in frames]
    energies = np.array([atoms.get_potential_energy() / len(atoms) for atoms in frames])
    bound = sorted(forces)[3]

    def count(**selection):
        return len(read_structures([DataSource(path=path, **selection)], CUTOFF))

    assert count(max_force=bound) == 4
    assert count(max_energy=0.02) == int((energies <= energies.min() + 0.02).sum())
    assert count(stride=3) == 3
    with pytest.raises(DataError, match="keeps no frame"):
        count(max_force=1e-9)


def test_unreadable_data(tmp_path):
    with pytest.raises(DataError, match="no data file"):
        read_structures([DataSource(path=tmp_path / "none.xyz")], CUTOFF)
    path = tmp_path / "bad.xyz"
    path.write_text("three\nH 0 0 0\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"bad\.xyz cannot be read"):
        read_structures([DataSource(path=path)], CUTOFF)


def test_a_batch_is_its_structures_side_by_side():
    structures = [
        to_structure(labelled(symbols, energy, cell=[6, 6, 6], pbc=True), CUTOFF)
        for symbols, energy in (("MgO", -1.0), ("O", -2.0), ("Mg2O", -3.0))
    ]
    batch = collate(structures)
    assert len(batch) == 3
    assert batch.n_atoms.tolist() == [2, 1, 3]
    assert batch.batch.tolist() == [0, 0, 1, 2, 2, 2]
    assert batch.numbers.tolist() == [12, 8, 8, 12, 12, 8]
    assert batch.energy.tolist() == [-1.0, -2.0, -3.0]
    assert batch.cell.shape == batch.stress.shape == (3, 3, 3)
    first = 0
    for index, structure in enumerate(structures):
        own = batch.batch[batch.pairs[0]] == index
        assert torch.equal(batch.pairs[:, own] - first, structure.pairs)
        assert torch.equal(batch.shifts[own], structure.shifts)
        first += len(structure)


def test_every_structure_is_in_one_batch_and_periodicities_never_mix():
    crystals = [to_structure(labelled("Mg", k, cell=[6] * 3, pbc=True), CUTOFF) for k in range(5)]
    molecules = [to_structure(labelled("Mg", 5 + k), CUTOFF) for k in range(4)]
    everything = [*crystals[:2], *molecules, *crystals[2:]]
    generator = torch.Generator().manual_seed(0)
    for order in (None, generator):
        found = list(batches(everything, 2, order))
        assert len(found) == batch_count(everything, 2) == 5
        assert sorted(torch.cat([b.energy for b in found]).tolist()) == list(range(9))
        assert all(len(b.pbc.unique(dim=0)) == 1 for b in found)


def test_offsets_recover_the_energies_of_the_elements():
    energies = {12: -1.5, 8: -4.25}
    structures = [
        to_structure(
            labelled(symbols, sum(energies[z] for z in ase.Atoms(symbols).numbers)), CUTOFF
        )
        for symbols in ("MgO", "Mg2O", "O2")
    ]
    offsets = fit_offsets(structures)
    assert offsets == pytest.approx(energies, abs=1e-10)


def test_offsets_of_one_composition_share_the_energy():
    structures = [to_structure(labelled("MgO", energy), CUTOFF) for energy in (-11.0, -13.0)]
    assert fit_offsets(structures) == pytest.approx({12: -6.0, 8: -6.0}, abs=1e-10)


def test_offsets_without_energies_are_zero():
    atoms = labelled("MgO")
    atoms.calc = SinglePointCalculator(atoms, forces=np.zeros((2, 3)))
    assert fit_offsets([to_structure(atoms, CUTOFF)]) == {8: 0.0, 12: 0.0}


def test_unknown_elements_are_named():
    with pytest.raises(DataError, match=r"the data holds Mg, but the model knows H, O"):
        check_elements([to_structure(labelled("MgO"), CUTOFF)], [1, 8], "the data")
