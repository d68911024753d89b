# SPDX-License-Identifier: BSD-3-Clause
"""Fitting a LOREM model to energies, forces and stress.

A training is a pure function of its configuration, its data and the number of threads: an
interrupted training that is resumed gives bit for bit the parameters of an uninterrupted one.
Everything that must survive an interruption is in one file, `last.pt`, replaced at every epoch.
"""

from __future__ import annotations

import copy
import csv
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .config import Config, ConfigError, LossConfig, TrainingConfig
from .data import (
    Batch,
    Structure,
    batch_count,
    batches,
    check_elements,
    file_hash,
    fit_offsets,
    read_structures,
)
from .evaluate import Evaluation, Prediction, evaluate, predict, voigt, volumes
from .initial import scale_features
from .model import Lorem

CHECKPOINT = "last.pt"
LOG = "log.csv"
LOG_COLUMNS = (
    "epoch",
    "seconds",
    "learning_rate",
    "train_loss",
    "train_energy_rmse",
    "train_forces_rmse",
    "train_stress_rmse",
    "valid_loss",
    "valid_energy_rmse",
    "valid_forces_rmse",
    "valid_stress_rmse",
    "best",
)
# What may differ between the configuration of a checkpoint and that of the run that resumes it.
_FREE_ON_RESUME = {"training": {"time_limit_minutes"}, "output": {"folder", "model"}}

Report = Callable[[dict[str, float]], None]


@dataclass
class Sums:
    """Sums of squared errors and numbers of labels, by quantity, over any number of batches."""

    squares: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_TERMS, 0.0))
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_TERMS, 0))

    def rmse(self, quantity: str) -> float:
        """Root mean square error; NaN if there is no label."""
        count = self.counts[quantity]
        return math.sqrt(self.squares[quantity] / count) if count else math.nan

    def loss(self, weights: LossConfig) -> float:
        """The loss over everything added so far."""
        return sum(
            getattr(weights, weight) * self.squares[term] / self.counts[term]
            for term, weight in _TERMS.items()
            if weight is not None and self.counts[term]
        )


# Terms that are summed, and the loss weight each belongs to. The virial per atom (eV) enters the
# loss, the stress (eV/Å³) is what people read.
_TERMS: dict[str, str | None] = {
    "energy": "energy",
    "forces": "forces",
    "virial": "stress",
    "stress": None,
}


def residuals(result: Prediction, batch: Batch) -> dict[str, Tensor]:
    """Prediction minus label by term, only where there is a label, as flat float64 tensors.

    energy: per atom (eV); forces: per component (eV/Å); virial: per atom (eV), 9 components;
    stress: eV/Å³, 6 components.
    """
    size = batch.n_atoms.to(torch.float64)
    found = {"energy": _difference(result.energies / size, batch.energy / size)}
    if result.forces is not None:
        found["forces"] = _difference(result.forces, batch.forces)
    if result.virial is not None:
        volume = volumes(batch.cell)[:, None, None]
        found["stress"] = _difference(voigt(result.virial / volume), voigt(batch.stress))
        scale = volume / size[:, None, None]
        found["virial"] = _difference(result.virial / size[:, None, None], batch.stress * scale)
    return found


def _difference(predicted: Tensor, label: Tensor) -> Tensor:
    """Prediction minus label, flat, where the label is not missing (a NaN prediction is kept)."""
    return (predicted - label)[~torch.isnan(label)]


def batch_loss(errors: Mapping[str, Tensor], weights: LossConfig) -> Tensor:
    """Weighted sum of the mean squared errors of one batch, a float64 scalar."""
    loss = torch.zeros((), dtype=torch.float64)
    for term, weight in _TERMS.items():
        if weight is not None and term in errors and errors[term].numel():
            loss = loss + getattr(weights, weight) * errors[term].square().mean()
    return loss


def learning_rate(step: int, steps_per_epoch: int, config: TrainingConfig) -> float:
    """Linear warm-up from zero, then half a cosine down to the final learning rate."""
    epoch = step / steps_per_epoch
    if epoch < config.warmup_epochs:
        return config.learning_rate * (step + 1) / (config.warmup_epochs * steps_per_epoch + 1)
    progress = (epoch - config.warmup_epochs) / (config.epochs - config.warmup_epochs)
    low, high = config.final_learning_rate, config.learning_rate
    return low + 0.5 * (high - low) * (1 + math.cos(math.pi * min(progress, 1.0)))


def build_model(config: Config, structures: Sequence[Structure]) -> Lorem:
    """A fresh model with offsets and scales from `structures`, and the exact lattice sum."""
    torch.manual_seed(config.training.seed)
    model = Lorem(**config.model.model_dump())
    model.set_offsets(fit_offsets(structures))
    cutoff, accuracy = config.model.cutoff, config.training.ewald_accuracy
    model.set_long_range("ewald", cutoff, accuracy, 0.0, [], 0)
    if config.training.scale_features:
        scale_features(model, structures)
    return model.to(getattr(torch, config.training.dtype))


def _optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW; only matrices decay, never biases and norms."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, foreach=True)


class Trainer:
    """One training: model, average of its weights, optimizer, position in the schedule, log.

    `run` trains until the last epoch or the time limit; `save` and `restore` carry the whole state.
    The averaged weights (`average`) are what is validated, kept as best and exported.
    """

    def __init__(
        self, config: Config, train: Sequence[Structure], valid: Sequence[Structure]
    ) -> None:
        self.config = config
        self.train, self.valid = list(train), list(valid)
        if config.training.threads is not None:
            torch.set_num_threads(config.training.threads)
        self.model = build_model(config, train)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimizer = _optimizer(self.model, config.training)
        self.steps_per_epoch = batch_count(train, config.training.batch_size)
        self.generator = torch.Generator().manual_seed(config.training.seed)
        self.epoch = 0
        self.step = 0
        self.seconds = 0.0
        self.best_loss = math.inf
        self.best_state = copy.deepcopy(self.average.state_dict())
        self.history: list[dict[str, float]] = []

    def run(self, report: Report | None = None) -> bool:
        """Train to the last epoch, writing checkpoint and log after each; False if the time limit
        came first. `report` receives each new row of the log."""
        folder = self.config.output.folder
        folder.mkdir(parents=True, exist_ok=True)
        write_log(self.history, folder / LOG)
        # averages of gradients decay through the denormal numbers, which cost half the speed
        torch.set_flush_denormal(True)
        try:
            return self._run(report)
        finally:
            torch.set_flush_denormal(False)

    def _run(self, report: Report | None) -> bool:
        folder = self.config.output.folder
        limit = self.config.training.time_limit_minutes
        start, before = time.monotonic(), self.seconds
        while self.epoch < self.config.training.epochs:
            if limit is not None and time.monotonic() - start > 60 * limit:
                return False
            row = self.run_epoch()
            self.seconds = before + time.monotonic() - start
            row["seconds"] = round(self.seconds, 1)
            self.history.append(row)
            append_log(row, folder / LOG)
            self.save(folder / CHECKPOINT)
            if report is not None:
                report(row)
        return True

    def run_epoch(self) -> dict[str, float]:
        """One pass over the training data and one validation; the row of the log."""
        training = self._train_pass()
        validation = self._valid_pass()
        self.epoch += 1
        loss = validation.loss(self.config.training.loss)
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"validation loss is {loss} in epoch {self.epoch}; lower training.learning_rate "
                f"(now {self.config.training.learning_rate:g})"
            )
        best = loss < self.best_loss
        if best:
            self.best_loss = loss
            self.best_state = copy.deepcopy(self.average.state_dict())
        row = {
            "epoch": self.epoch,
            "seconds": 0.0,
            "learning_rate": self._rate(),
            "best": int(best),
        }
        for part, sums in (("train", training), ("valid", validation)):
            row[f"{part}_loss"] = sums.loss(self.config.training.loss)
            for quantity in ("energy", "forces", "stress"):
                row[f"{part}_{quantity}_rmse"] = sums.rmse(quantity)
        return row

    def _train_pass(self) -> Sums:
        sums = Sums()
        for batch in batches(self.train, self.config.training.batch_size, self.generator):
            for group in self.optimizer.param_groups:
                group["lr"] = self._rate()
            errors = self._errors(self.model, batch, create_graph=True)
            self.optimizer.zero_grad(set_to_none=True)
            batch_loss(errors, self.config.training.loss).backward()
            clip = self.config.training.gradient_clip
            if clip is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), clip)
            self.optimizer.step()
            self.step += 1
            self._update_average()
            _add(sums, errors)
        return sums

    def _valid_pass(self) -> Sums:
        sums = Sums()
        for batch in batches(self.valid, self.config.training.batch_size):
            _add(sums, self._errors(self.average, batch, create_graph=False))
        return sums

    def _errors(self, model: nn.Module, batch: Batch, *, create_graph: bool) -> dict[str, Tensor]:
        # a derivative that the loss leaves out is still shown in validation, but never paid for
        # in training
        weights = self.config.training.loss
        every = not create_graph
        has_stress = bool((~torch.isnan(batch.stress)).any())
        result = predict(
            model,
            batch,
            forces=every or weights.forces > 0,
            stress=has_stress and (every or weights.stress > 0),
            create_graph=create_graph,
        )
        return residuals(result, batch)

    def _rate(self) -> float:
        return learning_rate(self.step, self.steps_per_epoch, self.config.training)

    @torch.no_grad()
    def _update_average(self) -> None:
        # a short memory at the start, when the parameters still move fast
        decay = min(self.config.training.ema_decay, (1 + self.step) / (10 + self.step))
        pairs = zip(self.average.parameters(), self.model.parameters(), strict=True)
        for average, current in pairs:
            average.lerp_(current, 1 - decay)

    def best_model(self) -> Lorem:
        """A copy of the model with the averaged weights of the best validation loss."""
        model = copy.deepcopy(self.average)
        model.load_state_dict(self.best_state)
        return model

    def save(self, path: Path) -> None:
        """Write the whole state to `path`; an interruption leaves the old file or the new one."""
        state = {
            "config": self.config.model_dump(mode="json"),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "best_state": self.best_state,
            "best_loss": self.best_loss,
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "structures": [len(self.train), len(self.valid)],
        }
        temporary = path.with_suffix(".tmp")
        torch.save(state, temporary)
        os.replace(temporary, path)

    def restore(self, path: Path) -> None:
        """Continue from a file of `save`; ConfigError if it belongs to another configuration."""
        if not path.is_file():
            raise ConfigError(f"nothing to resume: no checkpoint {path}; train without --resume")
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many types for a damaged file
            raise ConfigError(f"{path} is not a checkpoint of loremd train: {error}") from error
        _check_same(state["config"], self.config.model_dump(mode="json"), path)
        structures = [len(self.train), len(self.valid)]
        if state["structures"] != structures:
            raise ConfigError(
                f"{path} was made with {state['structures']} training and validation structures, "
                f"now there are {structures}; train without --resume"
            )
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        for name in ("best_state", "best_loss", "epoch", "step", "seconds", "history"):
            setattr(self, name, state[name])


def _add(sums: Sums, errors: Mapping[str, Tensor]) -> None:
    for name, values in errors.items():
        sums.squares[name] += float(values.detach().square().sum())
        sums.counts[name] += values.numel()


def _check_same(old: dict[str, Any], new: dict[str, Any], path: Path) -> None:
    """Raise ConfigError if the two configurations differ in anything that decides the result."""
    changed = [
        f"{section}.{key} (was {old[section].get(key)!r}, now {value!r})"
        for section, values in new.items()
        for key, value in values.items()
        if key not in _FREE_ON_RESUME.get(section, set()) and old[section].get(key) != value
    ]
    if changed:
        raise ConfigError(
            f"{path} belongs to another configuration: {'; '.join(changed)}. Restore the old "
            f"values, choose another output.folder, or train without --resume"
        )


def write_log(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Write the CSV log anew, so that it holds the rows of `history` and no later ones."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.DictWriter(stream, LOG_COLUMNS).writeheader()
    for row in history:
        append_log(row, path)


def append_log(row: Mapping[str, float], path: Path) -> None:
    """Add one row to the CSV log; energies in eV/atom, forces in eV/Å, stress in eV/Å³."""
    text = {k: f"{v:.6g}" if isinstance(v, float) else str(v) for k, v in row.items()}
    with path.open("a", newline="", encoding="utf-8") as stream:
        csv.DictWriter(stream, LOG_COLUMNS).writerow(text)


def read_data(config: Config) -> tuple[list[Structure], list[Structure]]:
    """Training and validation structures of a configuration, checked against each other."""
    cutoff = config.model.cutoff
    train = read_structures(config.data.train, cutoff, config.data)
    valid = read_structures(config.data.valid, cutoff, config.data)
    known = {int(z) for s in train for z in s.numbers.unique()}
    check_elements(valid, sorted(known), "the validation data")
    return train, valid


def provenance(config: Config, trainer: Trainer, evaluation: Evaluation) -> dict[str, Any]:
    """What a model file says about its origin: data hashes, configuration, errors on validation."""
    files = [s.path for s in (*config.data.train, *config.data.valid)]
    settings = config.model_dump(mode="json", include={"model", "training"})
    for part in ("train", "valid"):
        settings[part] = [
            s.model_dump(mode="json", exclude_none=True) | {"path": s.path.name}
            for s in getattr(config.data, part)
        ]
    best = max((row["epoch"] for row in trainer.history if row["best"]), default=0)
    return {
        "data_sha256": {path.name: file_hash(path) for path in files},
        "structures": {"train": len(trainer.train), "valid": len(trainer.valid)},
        "configuration": settings,
        "epochs": trainer.epoch,
        "best_epoch": best,
        "seconds": round(trainer.seconds, 1),
        "validation": {
            name: {"rmse": error.rmse, "mae": error.mae, "labels": error.count}
            for name, error in evaluation.errors().items()
        },
    }


def write_results(config: Config, trainer: Trainer) -> Evaluation:
    """Export the best model, evaluate it on the validation data and draw the plots."""
    from . import plots
    from .export import export

    folder = config.output.folder
    model = trainer.best_model()
    evaluation = evaluate(model, trainer.valid, config.training.batch_size)
    elements = sorted({int(z) for s in trainer.train for z in s.numbers.unique()})
    export(
        model,
        folder / config.output.model,
        elements=elements,
        provenance=provenance(config, trainer, evaluation),
    )
    plots.learning_curve(trainer.history, folder / "learning_curve.png")
    plots.parity(evaluation, folder / "parity.png")
    return evaluation
