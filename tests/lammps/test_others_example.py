# SPDX-License-Identifier: BSD-3-Clause
"""The inputs of examples/others run, at the size of their data sets."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "others" / "others.py"


def test_water(tmp_path):
    """The script checks that all numbers are finite and the total force is small."""
    command = [sys.executable, str(SCRIPT), "water", "--steps", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4500 atoms, 2 steps, all finite" in done.stdout


@pytest.mark.parametrize(("accuracy", "status"), [("1e-4", 0), ("1e-9", 1)])
def test_the_check_can_fail(tmp_path, accuracy, status, monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    import others

    rows = [{"Step": 0.0, "Atoms": 8.0, "v_total": 1e-6}]
    monkeypatch.setattr(others, "run", lambda *_: rows)
    monkeypatch.setattr(sys, "argv", ["others.py", "water", "--accuracy", accuracy])
    if status:
        with pytest.raises(SystemExit, match="at most"):
            others.main()
    else:
        others.main()
