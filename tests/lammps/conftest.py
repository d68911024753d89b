# SPDX-License-Identifier: BSD-3-Clause
import pytest
from lammps_systems import ELEMENTS, MODELS, build_model

import loremd


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Path of every exported model, by name."""
    folder = tmp_path_factory.mktemp("models")
    paths = {name: folder / f"{name}.pt" for name in MODELS}
    for name, path in paths.items():
        loremd.export(build_model(name), path, elements=ELEMENTS)
    return paths
