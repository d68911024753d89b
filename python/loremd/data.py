# SPDX-License-Identifier: BSD-3-Clause
"""Labelled structures: reading, neighbour lists, batches and per-element energies.

Units are those of ASE: Å, eV, eV/Å, and eV/Å³ for the stress (positive under tension). Neighbour
lists are made once, when a file is read, because the structures never change during training.
"""

from __future__ import annotations

import hashlib
import io
import lzma
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import ase
import ase.io
import ase.io.formats
import numpy as np
import torch
from ase.stress import voigt_6_to_full_3x3_stress
from torch import Tensor

from .config import DataConfig, DataSource
from .neighbors import neighbor_list


class DataError(ValueError):
    """Data that cannot be used; the message names the file and the frame."""


@dataclass(frozen=True)
class Structure:
    """One structure with labels. A missing label is NaN throughout.

    numbers (n,) int64, positions (n,3) Å, cell (3,3) Å with rows as lattice vectors, pbc (3,) bool,
    pairs (2,P) int64 and shifts (P,3) int64: full list up to the cutoff, row 0 the centre;
    energy () eV, forces (n,3) eV/Å, stress (3,3) eV/Å³. Floats are float64.
    """

    numbers: Tensor
    positions: Tensor
    cell: Tensor
    pbc: Tensor
    pairs: Tensor
    shifts: Tensor
    energy: Tensor
    forces: Tensor
    stress: Tensor

    def __len__(self) -> int:
        return int(self.numbers.shape[0])


@dataclass(frozen=True)
class Batch:
    """Several structures in one set of tensors; `batch` (n,) int64 says which one an atom is of.

    cell (B,3,3), pbc (B,3), energy (B,), stress (B,3,3), n_atoms (B,) int64; `pairs` index the
    concatenated atoms; everything else as in `Structure`.
    """

    numbers: Tensor
    positions: Tensor
    cell: Tensor
    pbc: Tensor
    pairs: Tensor
    shifts: Tensor
    batch: Tensor
    n_atoms: Tensor
    energy: Tensor
    forces: Tensor
    stress: Tensor

    def __len__(self) -> int:
        return int(self.n_atoms.shape[0])


def read_structures(
    sources: Sequence[DataSource], cutoff: float, config: DataConfig | None = None
) -> list[Structure]:
    """Read all sources and make the neighbour lists up to `cutoff` (Å).

    `config` gives the names of the labels (default: ASE's own). Raises DataError for a missing or
    unreadable file, an unlabelled frame, or a selection that leaves nothing.
    """
    structures: list[Structure] = []
    for source in sources:
        frames = _select(read_frames(source.path), source, config)
        if not frames:
            raise DataError(f"{source.path}: the selection (max_force, max_energy) keeps no frame")
        structures += [to_structure(atoms, cutoff, config) for atoms in frames]
    return structures


def read_frames(path: str | Path) -> list[ase.Atoms]:
    """All frames of a file that ASE can read, extended XYZ and .xyz.xz among them."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"no data file {path}")
    try:
        frames = _read_compressed(path) if path.suffix == ".xz" else ase.io.read(path, index=":")
    except Exception as error:  # ASE's readers raise whatever the parser met
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} cannot be read: {reason}") from error
    if not frames:
        raise DataError(f"{path} holds no structure")
    return frames


def _read_compressed(path: Path) -> list[ase.Atoms]:
    """Read an .xz file from memory: ASE steps back in a file, which costs a decompression each."""
    kind = ase.io.formats.filetype(path.stem, read=False)
    with lzma.open(path, "rt", encoding="utf-8") as stream:
        return ase.io.read(io.StringIO(stream.read()), index=":", format=kind)


def to_structure(atoms: ase.Atoms, cutoff: float, config: DataConfig | None = None) -> Structure:
    """Labels and neighbour list of one frame; without energy and forces a DataError."""
    energy, forces, stress = labels(atoms, config)
    if np.isnan(energy) and np.isnan(forces).all():
        raise DataError(f"frame {atoms.get_chemical_formula()} has neither energy nor forces")
    positions = torch.as_tensor(atoms.get_positions(), dtype=torch.float64)
    cell = torch.as_tensor(np.asarray(atoms.cell), dtype=torch.float64)
    pbc = torch.as_tensor(atoms.get_pbc(), dtype=torch.bool)
    pairs, shifts = neighbor_list(positions, cell, pbc, cutoff)
    return Structure(
        numbers=torch.as_tensor(atoms.get_atomic_numbers(), dtype=torch.int64),
        positions=positions,
        cell=cell,
        pbc=pbc,
        pairs=pairs,
        shifts=shifts,
        energy=torch.tensor(energy, dtype=torch.float64),
        forces=torch.as_tensor(forces, dtype=torch.float64),
        stress=torch.as_tensor(stress, dtype=torch.float64),
    )


def labels(
    atoms: ase.Atoms, config: DataConfig | None = None
) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy (eV), forces (n,3) and stress (3,3) of a frame, NaN where a label is missing.

    ASE moves `energy`, `forces` and `stress` of an extended XYZ file into a calculator; other names
    stay in `info` and `arrays`.
    """
    energy_key, forces_key, stress_key = (
        (config.energy_key, config.forces_key, config.stress_key)
        if config is not None
        else ("energy", "forces", "stress")
    )
    stored = dict(atoms.calc.results) if atoms.calc is not None else {}
    energy = stored.get(energy_key, atoms.info.get(energy_key, np.nan))
    forces = stored.get(forces_key, atoms.arrays.get(forces_key))
    stress = stored.get(stress_key, atoms.info.get(stress_key))
    forces = np.full((len(atoms), 3), np.nan) if forces is None else np.asarray(forces, float)
    # a stress exists only where all three directions are periodic
    if stress is None or not atoms.pbc.all():
        return float(energy), forces, np.full((3, 3), np.nan)
    return float(energy), forces, _full_stress(np.asarray(stress, float))


def _full_stress(stress: np.ndarray) -> np.ndarray:
    """A stress given as 6 Voigt numbers, 9 numbers or a matrix, as a (3,3) matrix."""
    if stress.shape == (6,):
        return voigt_6_to_full_3x3_stress(stress)
    if stress.size == 9:
        return stress.reshape(3, 3)
    raise DataError(f"stress has shape {stress.shape}, expected (6,), (9,) or (3, 3)")


def _select(
    frames: Sequence[ase.Atoms], source: DataSource, config: DataConfig | None
) -> list[ase.Atoms]:
    """The frames of one file that its `stride`, `max_force` and `max_energy` keep."""
    kept = list(frames[:: source.stride])
    if source.max_energy is not None:
        energies = np.array([labels(a, config)[0] / len(a) for a in kept])
        bound = np.nanmin(energies) + source.max_energy
        kept = [a for a, energy in zip(kept, energies, strict=True) if energy <= bound]
    if source.max_force is not None:
        kept = [a for a in kept if np.abs(labels(a, config)[1]).max() <= source.max_force]
    return kept


def collate(structures: Sequence[Structure]) -> Batch:
    """Concatenate structures into one batch; indices in `pairs` are shifted to the joint atoms."""
    n_atoms = torch.tensor([len(s) for s in structures], dtype=torch.int64)
    first = torch.cumsum(n_atoms, 0) - n_atoms
    return Batch(
        numbers=torch.cat([s.numbers for s in structures]),
        positions=torch.cat([s.positions for s in structures]),
        cell=torch.stack([s.cell for s in structures]),
        pbc=torch.stack([s.pbc for s in structures]),
        pairs=torch.cat([s.pairs + k for s, k in zip(structures, first, strict=True)], dim=1),
        shifts=torch.cat([s.shifts for s in structures]),
        batch=torch.repeat_interleave(torch.arange(len(structures)), n_atoms),
        n_atoms=n_atoms,
        energy=torch.stack([s.energy for s in structures]),
        forces=torch.cat([s.forces for s in structures]),
        stress=torch.stack([s.stress for s in structures]),
    )


def batches(
    structures: Sequence[Structure],
    batch_size: int,
    generator: torch.Generator | None = None,
) -> Iterator[Batch]:
    """Batches of at most `batch_size` structures, in random order if a generator is given.

    Structures with different periodic directions never share a batch: their lattice sums are
    different sums.
    """
    chunks: list[list[int]] = []
    for members in _by_periodicity(structures):
        order = _order(len(members), generator)
        chunks += [
            [members[k] for k in order[start : start + batch_size]]
            for start in range(0, len(members), batch_size)
        ]
    for chunk in _order(len(chunks), generator):
        yield collate([structures[k] for k in chunks[chunk]])


def batch_count(structures: Sequence[Structure], batch_size: int) -> int:
    """How many batches `batches` makes."""
    return sum(-(-len(members) // batch_size) for members in _by_periodicity(structures))


def _by_periodicity(structures: Sequence[Structure]) -> list[list[int]]:
    """Indices of the structures, grouped by periodic directions."""
    groups: dict[tuple[bool, ...], list[int]] = {}
    for index, structure in enumerate(structures):
        groups.setdefault(tuple(structure.pbc.tolist()), []).append(index)
    return list(groups.values())


def _order(count: int, generator: torch.Generator | None) -> list[int]:
    if generator is None:
        return list(range(count))
    return torch.randperm(count, generator=generator).tolist()


def fit_offsets(structures: Sequence[Structure]) -> dict[int, float]:
    """Energy per element (eV) by least squares of the total energies on the composition.

    Where the composition does not determine them (MgO: always as many Mg as O) this is the solution
    of smallest norm, which shares the energy evenly. Structures without energy are left out.
    """
    labelled = [s for s in structures if not bool(torch.isnan(s.energy))]
    elements = sorted({int(z) for s in structures for z in s.numbers.unique()})
    if not labelled:
        return dict.fromkeys(elements, 0.0)
    counts = np.array(
        [[int((s.numbers == z).sum()) for z in elements] for s in labelled], dtype=float
    )
    energies = np.array([float(s.energy) for s in labelled])
    solution = np.linalg.lstsq(counts, energies, rcond=1e-10)[0]
    return dict(zip(elements, solution.tolist(), strict=True))


def check_elements(structures: Sequence[Structure], known: Sequence[int], name: str) -> None:
    """Raise DataError if `structures` hold elements that are not among the `known` ones."""
    present = {int(z) for s in structures for z in s.numbers.unique()}
    unknown = sorted(present - set(known))
    if unknown:
        symbols = ", ".join(ase.data.chemical_symbols[z] for z in unknown)
        allowed = ", ".join(ase.data.chemical_symbols[z] for z in sorted(known))
        raise DataError(f"{name} holds {symbols}, but the model knows {allowed}")


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file, as it enters the provenance of a model."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
