# SPDX-License-Identifier: BSD-3-Clause
"""The transforms of a mesh divided between ranks against LAMMPS's own parallel transform."""

import json
from pathlib import Path

import pytest
from lammps_runs import run_python

SCRIPT = Path(__file__).with_name("transforms.py")
# rounding: the transform of LAMMPS has double precision in all of them
TOLERANCE = {"float64": 1e-14, "float32": 2e-6}


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_equals_the_transform_of_lammps(tmp_path, ranks):
    """Both ways in the potentials, each frequency in their derivative by the influence function."""
    run_python(SCRIPT, [], ranks, tmp_path).expect_success()
    for rank in range(ranks):
        deviations = json.loads((tmp_path / f"deviations.{rank}.json").read_text())
        assert deviations["ranks"] == ranks
        for dtype, tolerance in TOLERANCE.items():
            for found in deviations[dtype].values():
                assert max(found.values()) < tolerance, deviations
