# SPDX-License-Identifier: BSD-3-Clause
"""One thread for every test: the machine's cores are shared by MPI ranks, and results repeat."""

import pytest
import torch

import loremd


def pytest_configure(config):
    config.addinivalue_line(
        "markers",
        "cpu_kernels: of the CPU's own kernels, their checks of values and their memory; skipped "
        "where CUDA kernels serve the CPU",
    )


def pytest_collection_modifyitems(items):
    if loremd.build_info()["cuda"] != "ON_HOST":
        return
    for item in items:
        if item.get_closest_marker("cpu_kernels"):
            item.add_marker(pytest.mark.skip(reason="CUDA kernels serve the CPU"))


@pytest.fixture(autouse=True)
def single_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
