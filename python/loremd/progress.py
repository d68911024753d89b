# SPDX-License-Identifier: BSD-3-Clause
"""What a training shows while it runs: a progress bar in a terminal, lines in a file."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from .train import Trainer

# Lines written over a whole training when the output is not a terminal.
_LINES = 50


class TrainingProgress:
    """Context manager around `Trainer.run`; its `report` takes each new row of the log."""

    def __init__(self, trainer: Trainer, console: Console | None = None) -> None:
        self.console = console if console is not None else Console(highlight=False)
        self.total = trainer.config.training.epochs
        self.every = max(1, self.total // _LINES)
        self.start = trainer.epoch
        count = sum(p.numel() for p in trainer.model.parameters())
        remaining = f"epochs {self.start + 1} to {self.total}"
        self.console.print(
            f"{len(trainer.train)} training and {len(trainer.valid)} validation structures, "
            f"{count} parameters, {remaining if self.start < self.total else 'all epochs are done'}"
        )
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("training", total=self.total, completed=self.start)

    def __enter__(self) -> TrainingProgress:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def report(self, row: dict[str, float]) -> None:
        """Show the validation errors of one epoch."""
        energy, forces = 1e3 * row["valid_energy_rmse"], 1e3 * row["valid_forces_rmse"]
        text = f"energy {energy:.3g} meV/atom, forces {forces:.3g} meV/Å"
        epoch = int(row["epoch"])
        if self.console.is_terminal:
            self.bar.update(self.task, completed=epoch, description=text)
        elif epoch % self.every == 0 or epoch in (self.start + 1, self.total):
            mark = " (best)" if row["best"] else ""
            self.console.print(f"epoch {epoch:>5}  {row['seconds']:>8.0f} s  {text}{mark}")
