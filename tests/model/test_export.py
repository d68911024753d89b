# SPDX-License-Identifier: BSD-3-Clause
"""Model files: round trip, what is inside, and damaged ones."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from loremd import Lorem, __version__, export, load
from loremd.export import read_metadata

from .structures import arguments, crystal, random_model

OFFSETS = {1: -13.6, 8: -2041.123456789012, 26: 1 / 3}


@pytest.fixture
def model():
    model = random_model(num_message_passing=1)
    model.set_offsets(OFFSETS)
    model.set_long_range("mesh", 3.0, 1e-6, 0.0, [], 0)
    return model


@pytest.fixture
def file(model, tmp_path):
    path = tmp_path / "model.pt"
    export(model, path, elements=["Fe", "H", 8], provenance={"data": "none", "epochs": 3})
    return path


def changed_metadata(source, target, **changes):
    """A copy of a model file with other metadata."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("loremd.json"):
                content = json.dumps({**json.loads(content), **changes}).encode()
            new.writestr(name, content)
    return target


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip(model, tmp_path, dtype):
    model.to(dtype)
    export(model, tmp_path / "model.pt", elements=["H", "O", "Fe"])
    loaded = load(tmp_path / "model.pt")
    given = arguments(model, crystal())
    expected, found = model(**given), loaded(**given)
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert next(loaded.parameters()).dtype == dtype
    assert loaded.hyperparameters == model.hyperparameters
    assert loaded.atomic_numbers == [1, 8, 26]
    assert loaded.long_range_method == "mesh" and loaded.mesh.accuracy == 1e-6
    assert loaded.ewald.scheme == "exact"
    assert torch.equal(loaded.offsets, model.offsets)


def test_scripted_part_is_the_model_in_float64(model, file):
    scripted = torch.jit.load(str(file))
    given = arguments(model, crystal())
    for key, value in model(**given).items():
        torch.testing.assert_close(scripted(**given)[key], value, rtol=1e-12, atol=1e-12)
    assert (scripted.cutoff, scripted.num_message_passing) == (3.0, 1)
    assert (scripted.num_channels, scripted.lr) == (10, True)
    assert not any(parameter.requires_grad for parameter in scripted.parameters())
    scripted.to(torch.float32)  # as the pair style does; offsets must not be rounded
    energies = scripted(**given)["energies"]
    torch.testing.assert_close(energies, model(**given)["energies"], rtol=0, atol=1e-4)


def test_metadata(file):
    metadata = read_metadata(file)
    assert metadata["schema_version"] == 1 and metadata["model"] == "Lorem"
    assert metadata["elements"] == ["H", "O", "Fe"] and metadata["atomic_numbers"] == [1, 8, 26]
    assert metadata["per_element_energies"] == {"H": -13.6, "O": OFFSETS[8], "Fe": 1 / 3}
    assert metadata["units"] == {"energy": "eV", "length": "angstrom"}
    assert metadata["cutoff"] == 3.0 and metadata["num_message_passing"] == 1
    assert metadata["num_channels"] == 10 and metadata["lr"] is True
    assert metadata["dtype"] == "float64" and metadata["torch_version"] == torch.__version__
    assert metadata["loremd_version"] == __version__ and len(metadata["content_hash"]) == 64
    assert metadata["provenance"] == {"data": "none", "epochs": 3}
    assert metadata["hyperparameters"]["max_degree"] == 2
    assert metadata["long_range"] == {
        "method": "mesh",
        "cutoff": 3.0,
        "accuracy": 1e-6,
        "two_periodic_scheme": "exact",
    }


def test_export_of_a_loaded_file_keeps_everything(file, tmp_path):
    export(load(file), tmp_path / "again.pt")
    assert read_metadata(tmp_path / "again.pt") == read_metadata(file)


def test_content_hash_follows_the_content(model, tmp_path):
    def exported(**options):
        export(model, tmp_path / "x.pt", **{"elements": ["H", "O", "Fe"], **options})
        return read_metadata(tmp_path / "x.pt")["content_hash"]

    first = exported()
    assert exported(provenance={"other": 1}) == first
    assert exported(elements=["H", "O"]) != first
    with torch.no_grad():
        model.short_range.first.readout.layers[2].bias += 1e-9
    second = exported()
    assert second != first
    model.set_offsets({1: 0.5})
    assert exported() not in (first, second)


def test_the_model_is_not_changed(model, tmp_path):
    before = (next(model.parameters()).dtype, list(model.atomic_numbers), model.provenance)
    export(model.float(), tmp_path / "model.pt", elements=["H"], provenance={"a": 1})
    assert (torch.float64, model.atomic_numbers, model.provenance) == before
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_loaded_model_can_be_trained_on(file):
    assert all(parameter.requires_grad for parameter in load(file).parameters())


def test_default_model_without_long_range(tmp_path):
    export(Lorem(lr=False, max_degree=2), tmp_path / "a.pt", elements=["Mg"])
    assert read_metadata(tmp_path / "a.pt")["num_channels"] == 0
    assert load(tmp_path / "a.pt").long_range is None


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "elements, message",
    [
        (None, "elements is empty and the model names none"),
        ([], "elements is empty"),
        (["Mg", "Ox"], "elements holds 'Ox', which is neither the symbol"),
        ([0], "elements holds 0"),
        (["Fm"], "elements holds 'Fm'"),
    ],
)
def test_bad_elements(model, tmp_path, elements, message):
    with pytest.raises(ValueError, match=message):
        export(model, tmp_path / "model.pt", elements=elements)
    assert not list(tmp_path.iterdir())


def test_a_failed_export_leaves_the_old_file(model, file):
    content = file.read_bytes()
    with pytest.raises(TypeError):
        export(model, file, elements=["H"], provenance={"not JSON": object()})
    assert file.read_bytes() == content and len(list(file.parent.iterdir())) == 1


def test_truncated_file(file):
    for size in (200, file.stat().st_size // 2, file.stat().st_size - 10):
        broken = file.with_name("broken.pt")
        broken.write_bytes(file.read_bytes()[:size])
        with pytest.raises(ValueError, match=f"truncated or damaged .{size} bytes"):
            load(broken)


def test_flipped_byte(file):
    content = bytearray(file.read_bytes())
    position = content.index(b"extra/parameters.npz") + 2000
    content[position] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(ValueError, match="truncated or damaged"):
        load(file)


def test_parameters_and_metadata_of_different_models(file, tmp_path):
    target = changed_metadata(file, tmp_path / "other.pt", content_hash="0" * 64)
    with pytest.raises(ValueError, match="do not have the recorded hash"):
        load(target)


def test_not_a_model_file(tmp_path):
    (tmp_path / "a.pt").write_text("pair_style lorem\n")
    with pytest.raises(ValueError, match="is not a model file written by"):
        load(tmp_path / "a.pt")
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), str(tmp_path / "b.pt"))
    with pytest.raises(ValueError, match=r"it holds no loremd\.json"):
        load(tmp_path / "b.pt")
    np.savez(tmp_path / "c.npz", a=np.ones(1))
    with pytest.raises(ValueError, match=r"it holds no loremd\.json"):
        load(tmp_path / "c.npz")


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no model file"):
        load(tmp_path / "a.pt")


@pytest.mark.parametrize("version", [2, 99, "1", None])
def test_newer_schema(file, tmp_path, version):
    target = changed_metadata(file, tmp_path / "new.pt", schema_version=version)
    message = f"has schema version {version}; this loremd reads versions 1 to 1. Update loremd"
    with pytest.raises(ValueError, match=message):
        load(target)


def test_another_kind_of_model(file, tmp_path):
    target = changed_metadata(file, tmp_path / "bec.pt", model="LoremBEC")
    with pytest.raises(ValueError, match="a model of kind 'LoremBEC', not 'Lorem'"):
        read_metadata(target)


def test_no_paths_of_this_machine_in_the_file(file):
    here = str(Path(__file__).parents[2]).encode()
    with zipfile.ZipFile(file) as archive:
        assert not any(here in archive.read(name) for name in archive.namelist())


def test_a_file_can_be_copied(file, tmp_path):
    shutil.copy(file, tmp_path / "copy.pt")
    assert read_metadata(tmp_path / "copy.pt") == read_metadata(file)
