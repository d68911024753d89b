# SPDX-License-Identifier: BSD-3-Clause
"""The core alone: built without torch, LAMMPS and Python, as CUDA where nvcc is, and from numpy."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from loremd._library import find_in_package
from tests.core.builds import cmake

ROOT = Path(__file__).resolve().parents[2]


def test_builds_and_passes_without_any_framework(core_build):
    folder = core_build.folder
    program = folder / "tests" / "core" / "loremd_core_test"
    run = subprocess.run([program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert "core tests passed" in run.stdout


@pytest.fixture(scope="module")
def core():
    """The pybind11 module, loaded by itself: it needs no torch."""
    suffix = next(iter(find_in_package("libloremd_torch.so").parent.glob("_core*.so")))
    code = f"import sys; sys.path.insert(0, {str(suffix.parent)!r}); import _core"
    check = code + "; assert 'torch' not in sys.modules; print(_core.smallest_order)"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, check=True)
    sys.path.insert(0, str(suffix.parent))
    try:
        import _core
    finally:
        sys.path.pop(0)
    return _core


@pytest.mark.parametrize("order", range(3, 11))
def test_window_weights(core, order):
    """A partition of unity whose derivatives are finite differences of it, to the first moment."""
    h = 1e-4
    for fraction in (0.0, 0.3, 0.9):
        weights = core.window_weights(fraction, order)
        slopes = core.window_weights(fraction, order, 1)
        assert abs(weights.sum() - 1) < 1e-14
        assert abs(slopes.sum()) < 1e-14
        assert abs(core.window_weights(fraction, order, 2).sum()) < 1e-13
        # the window reproduces linear functions: the mean mesh index moves with the coordinate
        assert abs((slopes * np.arange(order)).sum() - 1) < 1e-13
    for derivative in (0, 1):
        lower, upper = (core.window_weights(0.5 + s * h, order, derivative) for s in (-1, 1))
        exact = core.window_weights(0.5, order, derivative + 1)
        np.testing.assert_allclose((upper - lower) / (2 * h), exact, atol=1e-7)


def test_influence_and_plan(core):
    cell = np.array([[10.0, 0, 0], [2, 9, 0], [-1, 1, 11]])
    influence = core.influence_sum(np.linalg.inv(cell @ cell.T), [12, 10, 14], 5, 1.0)
    assert influence.shape == (12, 10, 8)
    assert influence[0, 0, 0] == 0
    assert (influence[0, 0, 1:] > 0).all()
    plan = core.plan_mesh(cell, atoms=100, cutoff=4.0, accuracy=1e-4)
    assert plan["real_space_error"] < 1e-4
    assert plan["mesh_error"] < 1e-4
    given = core.plan_mesh(cell, 100, 4.0, 1e-4, mesh=[20, 20, 20], order=4, smearing=0.9)
    assert given["mesh"] == [20, 20, 20]
    assert given["order"] == 4


def test_errors_are_value_errors(core):
    with pytest.raises(ValueError, match="order is 2; allowed: 3 to 10"):
        core.window_weights(0.5, 2)
    with pytest.raises(ValueError, match="the cell has volume 0"):
        core.plan_mesh(np.zeros((3, 3)), 10, 4.0, 1e-4)
    with pytest.raises(ValueError, match="accuracy is 2; allowed: 1e-12 to 0.1"):
        core.plan_mesh(np.eye(3), 10, 4.0, 2.0)


def test_wrong_cmake_options_say_what_is_allowed(tmp_path):
    result = cmake("-S", ROOT, "-B", tmp_path, "-DLOREMD_CUDA=MAYBE", "-DLOREMD_TORCH=OFF")
    assert result.returncode != 0
    assert "LOREMD_CUDA is 'MAYBE'; allowed" in result.stderr
