# SPDX-License-Identifier: BSD-3-Clause
"""Training: the loss and its gradients, the schedule, interruption and resumption."""

from __future__ import annotations

import csv
import math

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator

from loremd.config import ConfigError, LossConfig, TrainingConfig, load_config
from loremd.data import Structure, batches, collate
from loremd.evaluate import evaluate, predict
from loremd.train import (
    CHECKPOINT,
    LOG,
    LOG_COLUMNS,
    Trainer,
    batch_loss,
    build_model,
    learning_rate,
    read_data,
    residuals,
    write_results,
)


@pytest.fixture
def config(write_config, content):
    return load_config(write_config(content))


def trainer_for(config) -> Trainer:
    return Trainer(config, *read_data(config))


def isolated_atom() -> Structure:
    """One atom, no neighbour, no periodic direction."""
    return Structure(
        numbers=torch.tensor([8]),
        positions=torch.zeros(1, 3, dtype=torch.float64),
        cell=torch.zeros(3, 3, dtype=torch.float64),
        pbc=torch.zeros(3, dtype=torch.bool),
        pairs=torch.zeros(2, 0, dtype=torch.int64),
        shifts=torch.zeros(0, 3, dtype=torch.int64),
        energy=torch.tensor(-1.0, dtype=torch.float64),
        forces=torch.zeros(1, 3, dtype=torch.float64),
        stress=torch.full((3, 3), math.nan, dtype=torch.float64),
    )


def test_forces_and_virial_are_derivatives_of_the_energy(content, write_config):
    """Central differences of a float64 model, along one random direction each."""
    # as the frames are close to the perfect crystal, scaled features would change fast with them
    content["training"]["scale_features"] = False
    config = load_config(write_config(content))
    train, _ = read_data(config)
    model = build_model(config, train).double()
    model.set_long_range("ewald", config.model.cutoff, 1e-12, 0.0, [], 0)
    batch = collate(train[:2])
    result = predict(model, batch)
    random = np.random.default_rng(1)
    step = 1e-5  # Å

    displacement = torch.as_tensor(random.normal(size=batch.positions.shape))
    strain = torch.as_tensor(random.normal(size=(3, 3)))

    def energies(scale: float, *, strained: bool) -> torch.Tensor:
        matrix = torch.eye(3, dtype=torch.float64) + scale * strain
        changes = (
            {"positions": batch.positions @ matrix, "cell": batch.cell @ matrix}
            if strained
            else {"positions": batch.positions + scale * displacement}
        )
        moved = type(batch)(**{**vars(batch), **changes})
        return predict(model, moved, forces=False, stress=False).energies.detach()

    for strained in (False, True):
        found = (energies(step, strained=strained) - energies(-step, strained=strained)) / 2 / step
        if strained:
            expected = (result.virial * strain).sum((1, 2))
        else:
            work = -(result.forces * displacement).sum(1)
            expected = torch.zeros(2, dtype=torch.float64).index_add(0, batch.batch, work)
        # the error of the formula is of order (step / norm_epsilon)², where the norms are curved
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_loss_is_the_weighted_mean_square(config):
    train, _ = read_data(config)
    batch = collate(train[:2])
    model = build_model(config, train)
    weights = LossConfig(energy=3.0, forces=0.5, stress=2.0)
    result = predict(model, batch)
    volume = torch.linalg.det(batch.cell).abs()[:, None, None]
    expected = (
        3.0 * ((result.energies - batch.energy) / 64).square().mean()
        + 0.5 * (result.forces - batch.forces).square().mean()
        + 2.0 * ((result.virial - batch.stress * volume) / 64).square().mean()
    )
    found = batch_loss(residuals(result, batch), weights)
    assert float(found) == pytest.approx(float(expected), rel=1e-12)


def test_missing_labels_leave_the_loss_finite(config):
    train, _ = read_data(config)
    without = Structure(**{**vars(train[0]), "energy": torch.tensor(math.nan).double()})
    without = Structure(**{**vars(without), "stress": torch.full((3, 3), math.nan).double()})
    batch = collate([without, train[1]])
    model = build_model(config, train)
    errors = residuals(predict(model, batch), batch)
    assert errors["energy"].numel() == 1
    assert errors["virial"].numel() == 9
    assert math.isfinite(float(batch_loss(errors, LossConfig())))


def test_an_isolated_atom_trains_without_nan(config):
    train, _ = read_data(config)
    for epsilon in (0.0, 1e-3):
        chosen = config.model.model_copy(update={"norm_epsilon": epsilon})
        model = build_model(config.model_copy(update={"model": chosen}), train)
        batch = collate([isolated_atom()])
        result = predict(model, batch, stress=False, create_graph=True)
        batch_loss(residuals(result, batch), LossConfig()).backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert gradients
        assert all(bool(torch.isfinite(g).all()) for g in gradients)


def test_learning_rate_rises_and_falls():
    config = TrainingConfig(
        epochs=10, warmup_epochs=2, learning_rate=1e-2, final_learning_rate=1e-4
    )
    rates = [learning_rate(step, 5, config) for step in range(51)]
    assert rates[:11] == sorted(rates[:11])
    assert rates[10] == pytest.approx(1e-2)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[50] == pytest.approx(1e-4)


def test_training_lowers_the_loss(content, write_config):
    content["training"] |= {"epochs": 25, "batch_size": 1, "ema_decay": 0.9}
    content["data"]["valid"] = "train.xyz"
    content["model"]["num_features"] = 16
    config = load_config(write_config(content))
    trainer = trainer_for(config)
    initial = trainer._valid_pass().loss(config.training.loss)
    assert trainer.run()
    assert trainer.best_loss < 0.5 * initial


def test_the_log_has_one_row_per_epoch(config):
    trainer_for(config).run()
    with (config.output.folder / LOG).open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert set(rows[0]) == set(LOG_COLUMNS)
    assert all(math.isfinite(float(value)) for row in rows for value in row.values())


def test_the_best_model_has_the_best_validation_loss(config):
    trainer = trainer_for(config)
    trainer.run()
    errors = evaluate(trainer.best_model(), trainer.valid, config.training.batch_size).errors()
    best = min(trainer.history, key=lambda row: row["valid_loss"])
    for quantity in ("energy", "forces", "stress"):
        assert errors[quantity].rmse == pytest.approx(best[f"valid_{quantity}_rmse"], rel=1e-6)


def test_resuming_gives_the_uninterrupted_training_to_the_last_bit(config):
    """Two epochs, a new process' worth of state, two epochs more, against four in one go."""
    whole = trainer_for(config)
    whole.run()
    folder = config.output.folder
    log = (folder / LOG).read_text(encoding="utf-8")

    first = trainer_for(config)
    for _ in range(2):
        first.history.append(first.run_epoch())
    first.save(folder / CHECKPOINT)
    torch.manual_seed(99)  # the state is in the checkpoint, not in the process
    second = trainer_for(config)
    second.restore(folder / CHECKPOINT)
    assert second.epoch == 2
    second.run()

    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name
    for name, value in whole.best_state.items():
        assert torch.equal(value, second.best_state[name]), name

    def without_times(text: str) -> list[list[str]]:
        return [row[:1] + row[2:] for row in csv.reader(text.splitlines())]

    resumed = (folder / LOG).read_text(encoding="utf-8")
    assert without_times(resumed) == without_times(log)


def test_the_time_limit_stops_between_epochs_and_resume_goes_on(config):
    limited = config.training.model_copy(update={"time_limit_minutes": 1e-9})
    trainer = trainer_for(config.model_copy(update={"training": limited}))
    assert not trainer.run()
    assert trainer.epoch == 0
    trainer.save(config.output.folder / CHECKPOINT)
    resumed = trainer_for(config)
    resumed.restore(config.output.folder / CHECKPOINT)
    assert resumed.run()
    assert resumed.epoch == config.training.epochs


def test_a_checkpoint_of_another_training_is_refused(config):
    trainer = trainer_for(config)
    path = config.output.folder / CHECKPOINT
    with pytest.raises(ConfigError, match="nothing to resume"):
        trainer.restore(path)
    path.parent.mkdir(parents=True)
    trainer.save(path)
    other = config.training.model_copy(update={"batch_size": 3})
    changed = trainer_for(config.model_copy(update={"training": other}))
    with pytest.raises(ConfigError, match=r"training\.batch_size \(was 2, now 3\)"):
        changed.restore(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ConfigError, match="is not a checkpoint of loremd train"):
        trainer.restore(path)


def test_weights_of_zero_leave_derivatives_out(config, content, write_config):
    content["training"]["loss"] = {"energy": 1.0, "forces": 0.0, "stress": 0.0}
    trainer = trainer_for(load_config(write_config(content)))
    errors = trainer._errors(trainer.model, next(batches(trainer.train, 2)), create_graph=True)
    assert set(errors) == {"energy"}
    assert errors["energy"].requires_grad


def test_molecules_without_stress_train_in_float64(content, write_config, tmp_path):
    """No periodic direction, no stress label: the columns of the stress are NaN, all else works."""
    random = np.random.default_rng(5)
    frames = []
    for _ in range(4):
        atoms = ase.Atoms("OH2", positions=[[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
        atoms.positions += random.normal(scale=0.05, size=(3, 3))
        forces = random.normal(size=(3, 3))
        atoms.calc = SinglePointCalculator(atoms, energy=random.normal(), forces=forces)
        frames.append(atoms)
    for name in ("train.xyz", "valid.xyz"):
        ase.io.write(tmp_path / name, frames, format="extxyz")
    content["training"] |= {"epochs": 2, "dtype": "float64"}
    config = load_config(write_config(content))
    trainer = trainer_for(config)
    assert trainer.run()
    assert next(trainer.model.parameters()).dtype == torch.float64
    assert math.isnan(trainer.history[-1]["valid_stress_rmse"])
    assert math.isfinite(trainer.history[-1]["valid_loss"])
    assert set(write_results(config, trainer).errors()) == {"energy", "forces"}
    assert (config.output.folder / "parity.png").is_file()


def test_divergence_is_reported(config):
    trainer = trainer_for(config)
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter.fill_(math.nan)
    with pytest.raises(FloatingPointError, match=r"lower training\.learning_rate \(now 0\.01\)"):
        trainer.run_epoch()
