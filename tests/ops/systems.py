# SPDX-License-Identifier: BSD-3-Clause
"""Cells, atoms and charges that are meant to be nasty."""

import torch

CELLS = {
    "cubic": [[5.0, 0, 0], [0, 5.0, 0], [0, 0, 5.0]],
    "triclinic": [[4.0, 0.3, 0.1], [1.5, 5.0, -0.2], [-0.7, 0.9, 4.5]],
    "strongly triclinic": [[4.0, 0, 0], [3.5, 3.0, 0], [-3.0, 2.0, 3.5]],
    "left-handed": [[0, 5.0, 0.2], [4.0, 0, 0.5], [0.1, 0.3, 6.0]],
}
MESH = [11, 12, 10]


def cell_of(name, dtype=torch.float64):
    return torch.tensor(CELLS[name], dtype=dtype)


def atoms(n, cell, channels=3, seed=0, dtype=torch.float64):
    """Positions (n, 3) float64, some far outside the cell, one on a mesh point, and charges."""
    generator = torch.Generator().manual_seed(seed)
    fractions = 5 * torch.rand(n, 3, generator=generator, dtype=torch.float64) - 2
    if n > 1:
        fractions[0] = 0.0
        fractions[1] = torch.tensor([-1e-17, 1.0, 0.5], dtype=torch.float64)
    charges = torch.randn(n, channels, generator=generator, dtype=torch.float64)
    return fractions @ cell, charges.to(dtype)
