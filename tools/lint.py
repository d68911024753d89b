# SPDX-License-Identifier: BSD-3-Clause
"""`make lint`: ruff, clang-format, and the rules of who may include, import or name what."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("*.py", "*.cpp", "*.hpp", "*.h", "*.cu")

FRAMEWORK = r'#include *[<"](torch|ATen|c10|mpi\.h|lammps|pair|Python\.h|pybind11)'
LAMMPS_OR_MPI = (
    r'#include *[<"](mpi|lammps|pair|atom|comm|force|neigh|neighbor|update|domain|error)\.h[>"]'
)

# (what holds, files it holds for, pattern that must not occur, files excepted)
RULES = (
    ("csrc/core knows no torch, LAMMPS, MPI or Python", "csrc/core/", FRAMEWORK, ()),
    ("mesh/ does not include edges/", "csrc/core/mesh/", r'#include "edges/', ()),
    ("edges/ does not include mesh/", "csrc/core/edges/", r'#include "mesh/', ()),
    (
        "only device.hpp and cuda_stream.cpp see CUDA",
        "csrc/",
        r'#include *[<"](cuda|c10/cuda|ATen/cuda)|<<<|atomicAdd|__syncthreads',
        ("csrc/core/device.hpp", "csrc/torch/cuda_stream.cpp"),
    ),
    ("csrc/ reaches no LAMMPS or MPI header", "csrc/", LAMMPS_OR_MPI, ()),
    (
        "only the torch side of the plugin sees torch",
        "lammps_plugin/",
        r'#include *[<"](torch|ATen|c10|caffe2)/',
        ("lammps_plugin/model_",),
    ),
    (
        "the torch side of the plugin sees no LAMMPS or MPI",
        "lammps_plugin/model_",
        LAMMPS_OR_MPI,
        (),
    ),
    (
        "only loremd.ops names torch.ops.loremd",
        "python/",
        r"torch\.ops\.loremd\.",
        ("python/loremd/ops/",),
    ),
    (
        "every pattern or path is the project's own",
        "",
        r"(^|[^A-Za-z0-9._])/(home|root|work|farm|tmp|mnt)/[a-z]|index-url",
        ("tools/lint.py",),
    ),
)

# ops <- potentials <- blocks <- model <- files and training <- command line; never upwards
LAYERS = (
    ("_library", "ops", "geometry", "spherical", "radial", "clebsch_gordan", "neighbors"),
    ("splitting", "compact", "lattice"),
    ("mesh_lattice",),
    ("ewald", "mesh", "combined", "machine", "spectrum", "tuning"),
    ("blocks", "slots", "hyperparameters", "gradients"),
    ("environment", "first_block", "message_block", "long_range_block", "short_range"),
    ("model",),
    ("checkpoint", "export", "calculator", "config", "data"),
    ("initial", "evaluate", "plots", "installation", "benchmark"),
    ("train",),
    ("progress",),
    ("cli", "__main__"),
)


def tracked() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in files.splitlines() if (ROOT / name).is_file()]


def text_of(name: str) -> str:
    try:
        return (ROOT / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""  # binary


def pattern_findings(files: list[str]) -> list[str]:
    found = []
    for rule, folder, pattern, excepted in RULES:
        regex = re.compile(pattern)
        for name in files:
            if not name.startswith(folder) or name.startswith(excepted or ("\0",)):
                continue
            for number, line in enumerate(text_of(name).splitlines(), 1):
                if regex.search(line):
                    found.append(f"{name}:{number}: {rule}: {line.strip()}")
    return found


def layer_findings(files: list[str]) -> list[str]:
    level = {module: i for i, layer in enumerate(LAYERS) for module in layer}
    found = []
    for name in files:
        match = re.fullmatch(r"python/loremd/(\w+)(/\w+)?\.py", name)
        if not match or match[1] == "__init__":
            continue
        if match[1] not in level:
            found.append(f"{name}: module {match[1]} has no layer; add it to tools/lint.py")
            continue
        own = level[match[1]]
        imports = r"^\s*(?:from \.+(\w+)[\w.]* import|from \. import (\w+)|from loremd\.(\w+))"
        for number, line in enumerate(text_of(name).splitlines(), 1):
            imported = re.match(imports, line)
            module = imported and next(filter(None, imported.groups()))
            if module in level and level[module] > own:
                found.append(f"{name}:{number}: imports {module}, which is a layer above")
    return found


def licence_findings(files: list[str]) -> list[str]:
    found = []
    for name in files:
        if not any(Path(name).match(pattern) for pattern in SOURCES) or not text_of(name):
            continue
        gpl = name.startswith("lammps_plugin/")
        licence = "GPL-2.0-or-later" if gpl else "BSD-3-Clause"
        if f"SPDX-License-Identifier: {licence}" not in "".join(text_of(name)[:200]):
            found.append(f"{name}: first lines lack 'SPDX-License-Identifier: {licence}'")
    return found


def run(command: list[str]) -> bool:
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def main() -> int:
    files = tracked()
    binaries = Path(sys.executable).parent
    findings = pattern_findings(files) + layer_findings(files) + licence_findings(files)
    for finding in findings:
        print(finding)
    cpp = [name for name in files if name.endswith((".cpp", ".hpp", ".h", ".cu"))]
    fine = run([str(binaries / "ruff"), "check", "."])
    fine &= run([str(binaries / "ruff"), "format", "--check", "."])
    fine &= run([str(binaries / "clang-format"), "--dry-run", "-Werror", *cpp])
    print("lint: clean" if fine and not findings else "lint: see above")
    return 0 if fine and not findings else 1


if __name__ == "__main__":
    sys.exit(main())
