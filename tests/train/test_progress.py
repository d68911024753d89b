# SPDX-License-Identifier: BSD-3-Clause
"""What a training shows: a bar in a terminal, lines in a file."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from loremd.config import load_config
from loremd.progress import TrainingProgress
from loremd.train import Trainer, read_data

ROW = {"epoch": 1, "seconds": 2.0, "best": 1}
ROW |= {"valid_energy_rmse": 1.5e-3, "valid_forces_rmse": 40e-3}


@pytest.mark.parametrize("terminal", [True, False])
def test_the_errors_of_an_epoch_are_shown(write_config, content, terminal):
    config = load_config(write_config(content))
    trainer = Trainer(config, *read_data(config))
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, highlight=False, width=120)
    with TrainingProgress(trainer, console) as progress:
        progress.report(ROW)
    text = stream.getvalue()
    assert "6 training and 2 validation structures" in text
    assert "energy 1.5 meV/atom, forces 40 meV/Å" in text
    assert ("\x1b" in text) == terminal
    assert ("1/4" in text) == terminal
