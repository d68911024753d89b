# SPDX-License-Identifier: BSD-3-Clause
"""The pictures of a training: learning curve and parity plots, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .evaluate import Evaluation

# quantity, unit in the plots, factor from eV, eV/Å and eV/Å³, unit of the errors
_QUANTITIES = {
    "energy": ("eV/atom", 1e3, "meV/atom"),
    "forces": ("eV/Å", 1e3, "meV/Å"),
    "stress": ("eV/Å³", 1e3, "meV/Å³"),
}
_DPI = 130


def learning_curve(history: Sequence[Mapping[str, float]], path: str | Path) -> None:
    """Training and validation errors over the epochs; `history` as in the CSV log of a training."""
    names = [q for q in _QUANTITIES if any(np.isfinite(row[f"valid_{q}_rmse"]) for row in history)]
    figure = Figure(figsize=(4.2 * max(len(names), 1), 3.4), layout="constrained")
    epochs = [row["epoch"] for row in history]
    best = [row["epoch"] for row in history if row["best"]]
    for column, name in enumerate(names):
        _, factor, unit = _QUANTITIES[name]
        axes = figure.add_subplot(1, len(names), column + 1)
        for part, colour in (("train", "tab:gray"), ("valid", "tab:blue")):
            values = [row[f"{part}_{name}_rmse"] * factor for row in history]
            axes.plot(epochs, values, color=colour, lw=1.2, label=part)
        if best:
            axes.axvline(best[-1], color="tab:orange", lw=0.8, ls="--", label="best")
        axes.set(yscale="log", xlabel="epoch", ylabel=f"RMSE {name} ({unit})")
        axes.legend(frameon=False)
    figure.savefig(path, dpi=_DPI)


def parity(evaluation: Evaluation, path: str | Path) -> None:
    """Predictions against labels, one panel per quantity, with the errors in the titles."""
    errors = evaluation.errors()
    figure = Figure(figsize=(3.8 * max(len(errors), 1), 3.9), layout="constrained")
    for column, (name, error) in enumerate(errors.items()):
        unit, factor, error_unit = _QUANTITIES[name]
        axes = figure.add_subplot(1, len(errors), column + 1)
        _parity_panel(axes, getattr(evaluation, {"energy": "energies"}.get(name, name)))
        axes.set(xlabel=f"reference {name} ({unit})", ylabel=f"LOREM {name} ({unit})")
        axes.set_title(
            f"RMSE {error.rmse * factor:.3g}, MAE {error.mae * factor:.3g} {error_unit}", size=9
        )
    figure.savefig(path, dpi=_DPI)


def _parity_panel(axes: Axes, table: np.ndarray) -> None:
    bounds = [table.min(), table.max()]
    axes.plot(bounds, bounds, color="tab:gray", lw=0.8)
    axes.plot(table[:, 0], table[:, 1], ".", ms=3, color="tab:blue", alpha=0.5, rasterized=True)
    axes.set_aspect("equal", adjustable="datalim")
