# SPDX-License-Identifier: BSD-3-Clause
"""Crystals with known electrostatic energies.

The energies are per formula unit (per ion for the Wigner crystals in a uniform background), from
sums in 25-digit arithmetic on which two splittings agree to 22 digits; E = Σ q_i V_i.
"""

import math
from dataclasses import dataclass

import torch

DTYPE = torch.float64


@dataclass
class Crystal:
    energy: float
    formula_units: int
    cell: list
    fractional: list
    charges: list

    def structure(self):
        """Positions (n, 3), charges (n, 1) and cell (3, 3)."""
        cell = torch.tensor(self.cell, dtype=DTYPE)
        positions = torch.tensor(self.fractional, dtype=DTYPE) @ cell
        return positions, torch.tensor(self.charges, dtype=DTYPE).unsqueeze(1), cell


def cubic(a):
    return [[a, 0, 0], [0, a, 0], [0, 0, a]]


def fcc(a):
    return [[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]]


_C = math.sqrt(8 / 3)
_FCC = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
_TETRAHEDRA = [[x, y, z] for x in (0.25, 0.75) for y in (0.25, 0.75) for z in (0.25, 0.75)]

CRYSTALS = {
    "CsCl": Crystal(-2.035361509452595, 1, cubic(1.0), [[0, 0, 0], [0.5] * 3], [1, -1]),
    "NaCl": Crystal(-1.747564594633182, 1, fcc(2.0), [[0, 0, 0], [0.5] * 3], [1, -1]),
    "zincblende": Crystal(-1.891463052042889, 1, fcc(2.0), [[0, 0, 0], [0.25] * 3], [1, -1]),
    "wurtzite": Crystal(
        -2.680266993903856,
        2,
        [[1, 0, 0], [-0.5, math.sqrt(3) / 2, 0], [0, 0, _C]],
        [[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5], [1 / 3, 2 / 3, 3 / 8], [2 / 3, 1 / 3, 7 / 8]],
        [1, 1, -1, -1],
    ),
    "fluorite": Crystal(-11.63657522707675, 4, cubic(1.0), _FCC + _TETRAHEDRA, [2] * 4 + [-1] * 8),
    "Cu2O": Crystal(
        -10.25945703307504,
        2,
        cubic(1.0),
        [
            [0, 0, 0],
            [0.5] * 3,
            [0.25] * 3,
            [0.25, 0.75, 0.75],
            [0.75, 0.25, 0.75],
            [0.75, 0.75, 0.25],
        ],
        [-2, -2, 1, 1, 1, 1],
    ),
    "Wigner sc": Crystal(-1.418648739740310, 1, cubic(1.0), [[0, 0, 0]], [1]),
    "Wigner bcc": Crystal(-1.819616724754322, 2, cubic(1.0), [[0, 0, 0], [0.5] * 3], [1, 1]),
    "Wigner fcc": Crystal(-2.292431037056901, 4, cubic(1.0), _FCC, [1] * 4),
}


def madelung_energy(name):
    return CRYSTALS[name].energy


def displaced(structure, amplitude, seed=0):
    """The structure with random displacements and, to make it general, no symmetry left."""
    positions, charges, cell = structure
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(positions.shape, generator=generator, dtype=DTYPE)
    length = float(cell.norm(dim=1).min())
    return positions + amplitude * length * noise.clamp(-2, 2) / 2, charges, cell
