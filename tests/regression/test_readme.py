# SPDX-License-Identifier: BSD-3-Clause
"""What the README shows runs as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BINARIES = Path(sys.executable).parent


def blocks(language):
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [text for name, text in fenced if name == language]


def run(command, **options):
    environment = {**os.environ, "PATH": f"{BINARIES}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, **options
    )


@pytest.mark.parametrize("code", blocks("python"))
def test_python(code):
    result = run([sys.executable, "-c", code])
    assert result.returncode == 0, result.stderr
    expected = re.search(r"\((\d+), 10\)", code)
    assert expected is None or expected[0] in result.stdout + code


def test_lammps(tmp_path):
    (block,) = blocks("lammps")
    script = tmp_path / "in.readme"
    script.write_text(block)
    result = run(["lmp", "-in", str(script), "-log", "none"])
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Total wall time" in result.stdout


def test_commands_exist():
    """Every `loremd` command and `make` target that the README names."""
    names = set(re.findall(r"^loremd (\w+)", "\n".join(blocks("")), re.MULTILINE))
    names |= set(re.findall(r"`loremd (\w+)", README))
    assert {"train", "eval", "info", "import", "check"} <= names
    usage = run(["loremd", "--help"]).stdout
    assert not {name for name in names if name not in usage}
    targets = set(re.findall(r"\bmake (\w+)", README))
    makefile = (ROOT / "Makefile").read_text()
    assert {"demo", "test", "lint"} <= targets
    assert not {target for target in targets if f"\n{target}:" not in makefile}


def test_files_exist():
    for link in re.findall(r"\]\(((?:docs|examples)/[^)]+)\)|`((?:docs|examples)/[^`*]+)`", README):
        path = link[0] or link[1]
        assert (ROOT / path).exists(), path
