# SPDX-License-Identifier: BSD-3-Clause
"""Writes default.pt: a model with the default hyperparameters for MgO (or NaCl), to measure times.

Its weights are random. Features are scaled to order one and the readouts to forces of 1 eV/Å in a
crystal whose atoms are displaced by 0.05 Å, so that its numbers are as those of a trained model;
its physics is not.
"""

import argparse

import ase.build
import numpy as np
import torch
from ase.calculators.singlepoint import SinglePointCalculator

import loremd
from loremd.data import to_structure
from loremd.initial import scale_features

DISPLACEMENT = 0.05  # Å
FORCE = 1.0  # eV/Å, root mean square
LATTICE = {"MgO": 4.24, "NaCl": 5.64}  # Å


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="default.pt")
    parser.add_argument("--layers", type=int, default=0, help="message-passing layers (default 0)")
    parser.add_argument("--no-long-range", action="store_true")
    parser.add_argument("--salt", choices=LATTICE, default="MgO")
    given = parser.parse_args()
    model = make_model(given.salt, given.layers, not given.no_long_range)
    provenance = {"purpose": "measurements of time; random weights"}
    elements = sorted(set(crystal(given.salt).symbols))
    loremd.export(model, given.output, elements=elements, provenance=provenance)


def make_model(salt: str = "MgO", layers: int = 0, long_range: bool = True) -> loremd.Lorem:
    torch.manual_seed(0)
    model = loremd.Lorem(num_message_passing=layers, lr=long_range, norm_epsilon=1e-3)
    return scaled(model, crystal(salt))


def scaled(model: loremd.Lorem, atoms: ase.Atoms) -> loremd.Lorem:
    """The model with features of order one and forces of FORCE for these atoms."""
    atoms.calc = SinglePointCalculator(atoms, energy=0.0)  # a label, which nothing looks at
    scale_features(model, [to_structure(atoms, model.cutoff)])
    scale_forces(model, atoms)
    return model


def crystal(salt: str) -> ase.Atoms:
    """Rock salt, 64 atoms off their sites."""
    atoms = ase.build.bulk(salt, "rocksalt", a=LATTICE[salt], cubic=True) * (2, 2, 2)
    atoms.positions += DISPLACEMENT * np.random.default_rng(0).standard_normal((len(atoms), 3))
    return atoms


def scale_forces(model: loremd.Lorem, atoms: ase.Atoms) -> None:
    """The energy is linear in the last layers of the readouts."""
    atoms.calc = loremd.Calculator(model)
    factor = FORCE / float(np.sqrt((atoms.get_forces() ** 2).mean()))
    readouts = [model.short_range.first.readout]
    readouts += [block.readout for block in model.short_range.blocks]
    if model.long_range is not None:
        readouts.append(model.long_range.readout)
    with torch.no_grad():
        for readout in readouts:
            readout.layers[-1].weight *= factor


if __name__ == "__main__":
    main()
