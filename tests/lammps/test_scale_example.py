# SPDX-License-Identifier: BSD-3-Clause
"""The script of examples/scale runs and reads what LAMMPS prints; no test asserts a time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_table_of_sizes(tmp_path):
    command = [sys.executable, str(EXAMPLES / "scale" / "scale.py"), "--cells", "2", "3"]
    command += ["--ranks", "2", "--steps", "1", "--model", str(EXAMPLES / "mgo" / "model.pt")]
    command += ["--output", str(tmp_path / "scale.json")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "scale.json").read_text())
    assert [run["atoms"] for run in record["runs"]] == [64, 216]
    for run in record["runs"]:
        assert run["seconds_per_step"] > 0
        assert run["peak_bytes"] > 0
        assert sum(run["split"].values()) == pytest.approx(100, abs=0.1)
        assert len(run["mesh"].split()) == 3


def test_missing_model(tmp_path):
    command = [sys.executable, str(EXAMPLES / "scale" / "scale.py"), "--model", "none.pt"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "make_model.py writes default.pt" in done.stderr
