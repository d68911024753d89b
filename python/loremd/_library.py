# SPDX-License-Identifier: BSD-3-Clause
"""Load the compiled ops, which register themselves as `torch.ops.loremd`."""

import importlib
import os
from pathlib import Path

import torch

LIBRARY_NAME = "libloremd_torch.so"


def find_in_package(name: str) -> Path:
    """Path of a compiled file. In an editable install it is not beside the sources, so all folders
    of the package are searched; first the one that LOREMD_LIBRARY_FOLDER names, another build to be
    tested. Raises ImportError that says how to build."""
    folders = [Path(folder) for folder in importlib.import_module("loremd").__path__]
    if "LOREMD_LIBRARY_FOLDER" in os.environ:
        folders.insert(0, Path(os.environ["LOREMD_LIBRARY_FOLDER"]))
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise ImportError(
        f"{name} is not in {', '.join(map(str, folders))}: the compiled part of loremd is missing. "
        "Build it with `pip install --no-build-isolation .` in the source folder."
    )


def minor(version: str) -> str:
    """'2.13.0+cpu' -> '2.13'; torch's C++ ABI changes with every minor version."""
    return ".".join(version.split("+")[0].split(".")[:2])


def build_info() -> dict[str, str]:
    """What the compiled part was built with: torch, its CUDA, loremd's CUDA, LAMMPS, compiler."""
    namespace: dict[str, str] = {}
    exec(find_in_package("_build_info.py").read_text(), namespace)
    keys = ("TORCH_VERSION", "TORCH_CUDA", "CUDA", "LAMMPS", "COMPILER")
    return {key.lower(): namespace[key] for key in keys}


def checked_device(device: str | torch.device) -> torch.device:
    """The device, if the ops run there. Raises ValueError that says what was found instead."""
    wanted = torch.device(device)
    if wanted.type == "cpu":
        return wanted
    if wanted.type != "cuda":
        found = "loremd computes on cpu and cuda only"
    elif not torch.cuda.is_available():
        found = f"torch {torch.__version__} finds no GPU"
    elif not torch._C._dispatch_has_kernel_for_dispatch_key("loremd::spread", "CUDA"):
        found = "this build of loremd has no CUDA kernels; install it again where nvcc is found"
    else:
        return wanted
    raise ValueError(f"device is '{device}', but {found}")


def load() -> None:
    """Load the ops library once. Raises ImportError if it was built for another torch."""
    library = find_in_package(LIBRARY_NAME)
    built = build_info()["torch_version"]
    if minor(built) != minor(torch.__version__):
        raise ImportError(
            f"loremd was built for torch {built}, but torch {torch.__version__} is installed, and "
            "the two do not fit. Rebuild loremd in its source folder with "
            "`pip install --no-build-isolation --force-reinstall --no-deps .`"
        )
    torch.ops.load_library(str(library))
