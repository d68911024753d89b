# SPDX-License-Identifier: BSD-3-Clause
"""One thread for every test: the machine's cores are shared by MPI ranks, and results repeat."""

import pytest
import torch


@pytest.fixture(autouse=True)
def single_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
