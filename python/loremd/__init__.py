# SPDX-License-Identifier: BSD-3-Clause
"""loremd: LOREM potentials with long-range equivariant messages, in torch and in LAMMPS."""

from . import _library

_library.load()

from . import ops
from ._library import build_info
from .ewald import EwaldPotential
from .mesh import MeshPotential
from .tuning import tune

__version__ = "0.1.0"
__all__ = ["EwaldPotential", "MeshPotential", "build_info", "ops", "tune"]
