# SPDX-License-Identifier: BSD-3-Clause
"""The configuration says what is wrong with it, and reads what is right."""

from __future__ import annotations

import pytest

from loremd.config import ConfigError, ModelConfig, load_config, parse_config
from loremd.hyperparameters import DEFAULTS

DATA = {"train": "a.xyz", "valid": "b.xyz"}

WRONG = [
    ({"data": DATA, "trainng": {}}, "trainng: unknown key; allowed here: data, model, training"),
    (
        {"data": DATA, "model": {"degree": 3}},
        "model.degree: unknown key; allowed here: cutoff, max",
    ),
    ({"data": DATA | {"test": "c.xyz"}}, "data.test: unknown key; allowed here: train, valid"),
    (
        {"data": {"train": {"path": "a.xyz", "forces": 1}, "valid": "b.xyz"}},
        "data.train.0.forces: unknown key; allowed here: path, max_force, max_energy, stride",
    ),
    (
        {"data": DATA, "training": {"loss": {"force": 1}}},
        "training.loss.force: unknown key; allowed here: energy, forces, stress",
    ),
    ({"data": {"train": "a.xyz"}}, "data.valid: missing"),
    ({}, "data: missing"),
    (["data"], "expected the sections data, model, training, output"),
    ({"data": {"train": [], "valid": "b.xyz"}}, "data.train: .*at least 1 item"),
    ({"data": DATA, "training": {"epochs": 0}}, "training.epochs: .*greater than 0, got 0"),
    ({"data": DATA, "training": {"dtype": "half"}}, "training.dtype: .*'float32' or 'float64'"),
    ({"data": DATA, "model": {"cutoff": -1.0}}, "model.cutoff: .*greater than 0, got -1"),
    ({"data": DATA, "model": {"cutoff_fn": "step"}}, "model.cutoff_fn: .*'cosine_cutoff'.*'step'"),
    (
        {"data": DATA, "model": {"max_degree": 1, "max_degree_lr": 2}},
        "max_degree_lr is 2, expected at most max_degree = 1",
    ),
    (
        {"data": DATA, "training": {"epochs": 2, "warmup_epochs": 2}},
        "warmup_epochs is 2, expected less than epochs = 2",
    ),
    (
        {"data": DATA, "training": {"learning_rate": 1e-7}},
        "final_learning_rate is 1e-06, expected at most learning_rate = 1e-07",
    ),
    (
        {"data": DATA, "training": {"loss": {"energy": 0, "forces": 0, "stress": 0}}},
        "training.loss: all loss weights are 0",
    ),
]


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_errors_name_the_key_and_the_cure(content, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(content)


def test_all_problems_are_reported_at_once():
    with pytest.raises(ConfigError, match=r"model\.degree.*training\.epoch"):
        parse_config({"data": DATA, "model": {"degree": 3}, "training": {"epoch": 3}})


def test_missing_and_malformed_files(tmp_path):
    with pytest.raises(ConfigError, match="no configuration file"):
        load_config(tmp_path / "none.yaml")
    path = tmp_path / "bad.yaml"
    path.write_text("data: [1, 2", encoding="utf-8")
    with pytest.raises(ConfigError, match="is not a YAML file"):
        load_config(path)


def test_paths_are_relative_to_the_file(write_config, content, tmp_path):
    config = load_config(write_config(content))
    assert config.data.train[0].path == tmp_path / "train.xyz"
    assert config.data.valid[0].path == tmp_path / "valid.xyz"
    assert config.output.folder == tmp_path / "run"


def test_sources_as_name_mapping_and_list():
    mapping = {"path": "a.xyz", "max_force": 5.0, "stride": 2}
    config = parse_config({"data": {"train": ["b.xyz", mapping], "valid": mapping}})
    assert [str(s.path) for s in config.data.train] == ["b.xyz", "a.xyz"]
    assert config.data.train[1].max_force == 5.0
    assert config.data.valid[0].stride == 2


def test_model_section_has_the_names_and_defaults_of_the_model():
    section = ModelConfig().model_dump()
    expected = {name: value for name, value in DEFAULTS.items() if name != "inputs"}
    assert section == expected | {"norm_epsilon": 1e-3}
