# SPDX-License-Identifier: BSD-3-Clause
"""loremd: LOREM potentials with long-range equivariant messages, in torch and in LAMMPS."""

from . import ops
from ._library import build_info
from .calculator import Calculator
from .checkpoint import import_checkpoint
from .combined import CombinedPotential
from .ewald import EwaldPotential
from .export import export, load
from .mesh import MeshPotential
from .model import Lorem
from .tuning import tune

__version__ = "0.1.0"
__all__ = [
    "Calculator",
    "CombinedPotential",
    "EwaldPotential",
    "Lorem",
    "MeshPotential",
    "build_info",
    "export",
    "import_checkpoint",
    "load",
    "ops",
    "tune",
]
