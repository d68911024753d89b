# SPDX-License-Identifier: BSD-3-Clause
"""Model files of every past schema version still load and give the same results."""

import numpy as np
import pytest
import torch

from loremd import load
from loremd.export import SCHEMA_VERSION

from .schema_files import FOLDER, evaluate

FILES = sorted(FOLDER.glob("schema*.pt"))


def test_there_is_a_file_of_every_version():
    expected = [f"schema{version}.pt" for version in range(1, SCHEMA_VERSION + 1)]
    assert [path.name for path in FILES] == expected


@pytest.mark.parametrize(
    "read", [load, lambda path: torch.jit.load(str(path))], ids=["load", "jit"]
)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_results_are_kept(path, read):
    with np.load(path.with_suffix(".npz")) as expected:
        for name, values in evaluate(read(path)).items():
            # the mesh that is chosen may change from version to version, its accuracy (1e-4) not
            scale = np.abs(expected[name]).max()
            np.testing.assert_allclose(values, expected[name], rtol=0, atol=1e-3 * scale)
