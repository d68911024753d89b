# SPDX-License-Identifier: BSD-3-Clause
import pytest

from tests.core.builds import build_core, has_nvcc


@pytest.fixture(scope="session")
def core_build(tmp_path_factory):
    """The core, with every .cu compiled by nvcc where there is one, and by the host compiler."""
    cuda = ["-DLOREMD_CUDA=OFF"]
    if has_nvcc():
        cuda = ["-DLOREMD_CUDA=KERNELS_ONLY", "-DCMAKE_CUDA_ARCHITECTURES=90-real"]
    return build_core(tmp_path_factory.mktemp("core"), *cuda)
