# SPDX-License-Identifier: BSD-3-Clause
"""The command line, as a user types it."""

from __future__ import annotations

import json

import ase.io
import pytest
import torch

from loremd.cli import EXIT_INTERRUPTED, EXIT_OK, EXIT_PROBLEM, EXIT_USER_ERROR, main
from loremd.export import load


def run(*arguments) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture
def trained(tmp_path, write_config, content):
    """A model file after two epochs."""
    content["training"]["epochs"] = 2
    assert run("train", write_config(content)) == EXIT_OK
    return tmp_path / "run" / "model.pt"


def test_train_leaves_model_log_and_plots(trained):
    folder = trained.parent
    for name in ("model.pt", "log.csv", "last.pt", "learning_curve.png", "parity.png"):
        assert (folder / name).stat().st_size > 0


def test_train_says_what_it_does(write_config, content, capsys):
    content["training"] |= {"epochs": 1, "warmup_epochs": 0}
    assert run("train", write_config(content)) == EXIT_OK
    output = capsys.readouterr().out
    assert "6 training and 2 validation structures" in output
    assert "meV/Å" in output


def test_train_refuses_to_overwrite_and_resumes(trained, tmp_path, capsys):
    config = tmp_path / "config.yaml"
    assert run("train", config) == EXIT_USER_ERROR
    assert "continue it with --resume" in capsys.readouterr().err
    assert run("train", config, "--resume") == EXIT_OK
    assert "all epochs are done" in capsys.readouterr().out


def test_eval_prints_the_errors_of_the_log(trained, tmp_path, capsys):
    plot = tmp_path / "plot.png"
    assert run("eval", trained, tmp_path / "valid.xyz", "--plot", plot) == EXIT_OK
    output = capsys.readouterr().out
    assert plot.stat().st_size > 0
    printed = next(line for line in output.splitlines() if line.strip().startswith("forces"))
    stated = run_info(trained, capsys)["provenance"]["validation"]["forces"]["rmse"]
    # the model was trained in float32 with a coarser lattice sum
    assert float(printed.split()[1]) == pytest.approx(1e3 * stated, rel=1e-2)


def run_info(model, capsys) -> dict:
    capsys.readouterr()
    assert run("info", model, "--json") == EXIT_OK
    return json.loads(capsys.readouterr().out)


def test_info_shows_elements_and_provenance(trained, capsys):
    metadata = run_info(trained, capsys)
    assert sorted(metadata["elements"]) == ["Mg", "O"]
    assert metadata["cutoff"] == pytest.approx(3.2)
    provenance = metadata["provenance"]
    assert set(provenance["data_sha256"]) == {"train.xyz", "valid.xyz"}
    assert provenance["structures"] == {"train": 6, "valid": 2}
    assert provenance["configuration"]["training"]["epochs"] == 2
    assert run("info", trained) == EXIT_OK
    assert "num_spherical_features: 2" in capsys.readouterr().out


def test_export_rebuilds_the_same_model(trained, tmp_path, capsys):
    new = tmp_path / "new.pt"
    assert run("export", trained, new) == EXIT_OK
    assert run_info(new, capsys)["content_hash"] == run_info(trained, capsys)["content_hash"]
    assert run_info(new, capsys)["provenance"] == run_info(trained, capsys)["provenance"]
    assert float(load(new).cutoff) == pytest.approx(3.2)


def test_errors_are_one_line_and_exit_code_2(trained, tmp_path, frames, content, write_config):
    """No traceback, whatever the user got wrong."""
    foreign = frames[0].copy()
    foreign.numbers[:] = 3
    foreign.calc = frames[0].calc
    ase.io.write(tmp_path / "foreign.xyz", foreign, format="extxyz")
    (tmp_path / "text.pt").write_text("not a model", encoding="utf-8")
    (tmp_path / "half.pt").write_bytes(trained.read_bytes()[:2000])
    content["model"]["degree"] = 3
    wrong = write_config(content, "wrong.yaml")
    cases = [
        (("train", tmp_path / "none.yaml"), "no configuration file"),
        (("train", wrong), "model.degree: unknown key; allowed here: cutoff"),
        (("eval", tmp_path / "none.pt", tmp_path / "valid.xyz"), "no model file"),
        (("eval", trained, tmp_path / "none.xyz"), "no data file"),
        (("eval", trained, tmp_path / "foreign.xyz"), "holds Li, but the model knows"),
        (("info", tmp_path / "text.pt"), "text.pt"),
        (("info", tmp_path / "half.pt"), "half.pt"),
        (("export", trained, tmp_path / "nowhere" / "new.pt"), "no folder"),
        (("import", tmp_path / "none", tmp_path / "new.pt"), "no checkpoint folder"),
    ]
    for arguments, message in cases:
        with pytest.MonkeyPatch.context() as patch:
            lines: list[str] = []
            patch.setattr("sys.stderr", _Lines(lines))
            assert run(*arguments) == EXIT_USER_ERROR, arguments
        text = "".join(lines)
        assert message in text, arguments
        assert text.count("\n") == 1, text


def test_an_interrupted_training_says_how_to_go_on(write_config, content, capsys, monkeypatch):
    def interrupt(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("loremd.train.Trainer.run_epoch", interrupt)
    assert run("train", write_config(content)) == EXIT_INTERRUPTED
    assert "interrupted; continue with --resume" in capsys.readouterr().err


def test_check_reports_what_is_installed(capsys):
    """Its exit code depends on whether LAMMPS is there; the report comes in any case."""
    assert run("check") in (EXIT_OK, EXIT_PROBLEM)
    output = capsys.readouterr().out
    for name in ("Python", "torch", "CUDA", "loremd", "MPI", "LAMMPS", "pair_style"):
        assert any(line.startswith(name) for line in output.splitlines()), name


def test_check_without_lammps_says_how_to_add_it(capsys, monkeypatch):
    monkeypatch.setattr("loremd.installation._executable", lambda name: None)
    assert run("check") == EXIT_OK
    output = capsys.readouterr().out
    assert "pip install" in output
    assert "LOREMD_LAMMPS_DIR" in output


def test_bench_reports_settings_and_errors(tmp_path, capsys, monkeypatch):
    """Tuned where that measures the error, else planned; the JSON file has what the table has."""
    monkeypatch.setattr("loremd.benchmark.LARGEST_TUNED", 500)
    monkeypatch.setattr("loremd.benchmark.SMALLER", 216)
    out, threads = tmp_path / "bench.json", torch.get_num_threads()
    options = ("--accuracy", 1e-3, "--threads", threads, "--json", out)
    assert run("bench", "--atoms", 200, 512, "--channels", 2, *options) == EXIT_OK
    tuned, planned = json.loads(out.read_text())
    assert (tuned["atoms"], planned["atoms"]) == (216, 512)  # whole, even crystals
    assert 0 < tuned["error"] <= 1e-3
    assert planned["error"] is None
    assert planned["cutoff"] > 0
    for timing in (tuned, planned):
        assert timing["channels"] == 2
        assert (timing["splitting_bandlimit"] > 0) == (timing["splitting"] == "prolate")
        assert min(timing["mesh"]) >= timing["order"]
        assert timing["forward"] > 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:2] == ["216", "2"] for line in lines)
    assert any(line.split()[:2] == ["512", "2"] and line.endswith("-") for line in lines)


def test_bench_says_so_before_the_work_if_it_cannot_write(tmp_path, capsys):
    assert run("bench", "--json", tmp_path / "nowhere" / "bench.json") == EXIT_USER_ERROR
    assert "no folder" in capsys.readouterr().err


class _Lines:
    """A stream that keeps what is written."""

    def __init__(self, lines: list[str]) -> None:
        self.write = lines.append

    def flush(self) -> None:
        """Nothing is buffered."""


def test_usage_errors_exit_with_2(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train"])
    assert stopped.value.code == EXIT_USER_ERROR
    assert "config" in capsys.readouterr().err
