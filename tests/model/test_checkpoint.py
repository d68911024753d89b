# SPDX-License-Identifier: BSD-3-Clause
"""The importer of lorem-jax's checkpoints: what it reads, and what it refuses."""

import shutil

import msgpack
import numpy as np
import pytest
import torch
import yaml

from loremd import import_checkpoint
from loremd.checkpoint import read_parameters

from .reference_cases import CHECKPOINT


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(CHECKPOINT, tmp_path / "checkpoint") / "model"


def rewrite(path, change):
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(change(content)))


def test_contents():
    model = import_checkpoint(CHECKPOINT)
    assert model.atomic_numbers == [1, 6]
    assert float(model.offsets[6]) == -5.976243422203458 and float(model.offsets[8]) == 0.0
    assert model.hyperparameters["num_features"] == 32 and model.num_message_passing == 1
    assert next(model.parameters()).dtype == torch.float32
    assert model.ewald.scheme == "lorem-jax"


def test_inner_folder_and_strings_are_accepted(folder):
    for path in (folder, str(folder.parent)):
        assert import_checkpoint(path).num_message_passing == 1


def test_model_key_and_short_class_name(folder):
    # the form of the training input: one level deeper, under the name of the package
    rewrite(folder / "model.yaml", lambda c: {"model": {"lorem.Lorem": next(iter(c.values()))}})
    assert import_checkpoint(folder).cutoff == 4.0


def test_missing_hyperparameters_take_defaults(folder):
    def drop_inputs(content):
        ((name, values),) = content.items()
        values.pop("inputs")
        return {name: values}

    rewrite(folder / "model.yaml", drop_inputs)
    assert import_checkpoint(folder).hyperparameters["inputs"] == ()


def test_parameters_are_little_endian_arrays(folder):
    arrays = read_parameters(folder / "model.msgpack")
    assert all(path.startswith("params/") for path in arrays)
    assert arrays["params/Dense_1/kernel"].shape == (32, 32)
    assert all(np.isfinite(array).all() for array in arrays.values())


@pytest.mark.parametrize("name", ["model.yaml", "model.msgpack", "baseline.yaml"])
def test_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name} is missing: a checkpoint of lorem-jax"):
        import_checkpoint(folder.parent)


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.model\.yaml is missing"):
        import_checkpoint(tmp_path / "nowhere")


def test_unknown_class(folder):
    rewrite(folder / "model.yaml", lambda c: {"lorem.models.bec.LoremBEC": next(iter(c.values()))})
    with pytest.raises(ValueError, match=r"the model class lorem\.models\.bec\.LoremBEC, but only"):
        import_checkpoint(folder)


def test_unknown_hyperparameter(folder):
    def add(content):
        ((name, values),) = content.items()
        return {name: {**values, "width": 3}}

    rewrite(folder / "model.yaml", add)
    with pytest.raises(ValueError, match=r"unknown hyperparameters \['width'\]"):
        import_checkpoint(folder)


def test_several_classes(folder):
    rewrite(folder / "model.yaml", lambda c: {"a": {}, "b": {}})
    with pytest.raises(ValueError, match="must hold one model class"):
        import_checkpoint(folder)


def test_truncated_parameters(folder):
    path = folder / "model.msgpack"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="not a complete MessagePack file"):
        import_checkpoint(folder)


def test_parameters_of_another_kind(folder):
    (folder / "model.msgpack").write_bytes(msgpack.packb([1, 2]))
    with pytest.raises(ValueError, match="must hold one map of parameters, found list"):
        import_checkpoint(folder)
    (folder / "model.msgpack").write_bytes(msgpack.packb({"a": msgpack.ExtType(3, b"x")}))
    with pytest.raises(ValueError, match="extension type 3 is not an array"):
        import_checkpoint(folder)


def test_parameters_that_do_not_fit(folder):
    def widen(content):
        ((name, values),) = content.items()
        return {name: {**values, "num_radial": 8}}

    rewrite(folder / "model.yaml", widen)
    with pytest.raises(ValueError, match="RadialCoefficients_0/MLP_0/Dense_1/kernel has shape"):
        import_checkpoint(folder)


def test_baseline_without_energies(folder):
    (folder / "baseline.yaml").write_text("other: 1\n")
    with pytest.raises(ValueError, match="energies per element under the key 'elemental'"):
        import_checkpoint(folder)
