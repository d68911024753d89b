# SPDX-License-Identifier: BSD-3-Clause
"""Builds of the core alone, for the tests: without torch, LAMMPS and Python."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
CMAKE = Path(sys.executable).parent / "cmake"
CORE_ONLY = ("-DLOREMD_TORCH=OFF", "-DLOREMD_LAMMPS=OFF", "-DLOREMD_PYTHON=OFF")


class Build(NamedTuple):
    folder: Path
    output: str  # of configuration and compilers


def cmake(*arguments):
    program = str(CMAKE) if CMAKE.exists() else "cmake"
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def has_nvcc():
    return shutil.which("nvcc") is not None


def build_core(folder, *options):
    """The core and its tests; what the compilers said is kept in `folder`/build.log as well."""
    output = ""
    for arguments in (
        ("-S", ROOT, "-B", folder, "-DLOREMD_TESTS=ON", *CORE_ONLY, *options),
        ("--build", folder, "--parallel", "2"),
    ):
        result = cmake(*arguments)
        output += result.stdout + result.stderr
        assert result.returncode == 0, output
    (folder / "build.log").write_text(output, encoding="utf-8")
    return Build(folder, output)
