# SPDX-License-Identifier: BSD-3-Clause
"""The command line: `loremd train | eval | export | import | info | check | bench`.

Every subcommand imports what it needs itself: `check` must also run where other parts are broken.
What a user can get wrong ends in one line on stderr and exit code 2; `--traceback` shows where it
came from.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

EXIT_OK, EXIT_PROBLEM, EXIT_USER_ERROR, EXIT_INTERRUPTED = 0, 1, 2, 130

_UNITS = {"energy": ("meV/atom", 1e3), "forces": ("meV/Å", 1e3), "stress": ("meV/Å³", 1e3)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        hint = "; continue with --resume" if options.command == "train" else ""
        print(f"loremd {options.command}: interrupted{hint}", file=sys.stderr)
        return EXIT_INTERRUPTED
    except (ValueError, OSError, RuntimeError, ArithmeticError, ImportError) as error:
        if options.traceback:
            raise
        print(f"loremd {options.command}: error: {_one_line(error)}", file=sys.stderr)
        return EXIT_USER_ERROR


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="loremd", description="LOREM interatomic potentials: train, convert, inspect."
    )
    parser.add_argument(
        "--traceback", action="store_true", help="show the Python traceback of an error"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_train(commands)
    _add_eval(commands)
    _add_export(commands)
    _add_import(commands)
    _add_info(commands)
    _add_check(commands)
    _add_bench(commands)
    return parser


def _add_train(commands: Any) -> None:
    command = commands.add_parser("train", help="fit a model to energies, forces and stress")
    command.add_argument("config", type=Path, help="YAML configuration, see examples/mgo/mgo.yaml")
    command.add_argument(
        "--resume", action="store_true", help="continue an interrupted training where it stopped"
    )
    command.set_defaults(run=_train)


def _add_eval(commands: Any) -> None:
    command = commands.add_parser("eval", help="errors of a model on labelled structures")
    command.add_argument("model", type=Path, help="model file (.pt)")
    command.add_argument("data", type=Path, help="labelled structures, any file ASE can read")
    command.add_argument("--dtype", choices=("float32", "float64"), default="float64")
    command.add_argument("--accuracy", type=float, default=1e-6, help="of the exact lattice sum")
    command.add_argument("--batch-size", type=_positive, default=4)
    command.add_argument("--plot", type=Path, help="write parity plots to this PNG file")
    command.set_defaults(run=_eval)


def _add_export(commands: Any) -> None:
    command = commands.add_parser("export", help="rebuild a model file with the installed torch")
    command.add_argument("old", type=Path, metavar="MODEL.pt")
    command.add_argument("new", type=Path, metavar="NEW.pt")
    command.set_defaults(run=_export)


def _add_import(commands: Any) -> None:
    command = commands.add_parser("import", help="convert a lorem-jax checkpoint")
    command.add_argument("checkpoint", type=Path, help="folder with model/model.yaml")
    command.add_argument("model", type=Path, metavar="MODEL.pt")
    command.set_defaults(run=_import)


def _add_info(commands: Any) -> None:
    command = commands.add_parser("info", help="what a model file holds")
    command.add_argument("model", type=Path, metavar="MODEL.pt")
    command.add_argument("--json", action="store_true", help="the whole metadata as JSON")
    command.set_defaults(run=_info)


def _add_check(commands: Any) -> None:
    command = commands.add_parser(
        "check", help="what is installed, and whether LAMMPS finds the pair style"
    )
    command.set_defaults(run=_check)


def _add_bench(commands: Any) -> None:
    command = commands.add_parser(
        "bench", help="how fast the long-range sum is here, and how accurate, for rock salt"
    )
    command.add_argument(
        "--atoms", type=_positive, nargs="+", default=[1000, 8000, 64000], metavar="N"
    )
    command.add_argument("--channels", type=_positive, nargs="+", default=[1, 10], metavar="C")
    command.add_argument("--accuracy", type=float, default=1e-4, help="relative, of the potentials")
    command.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    command.add_argument("--threads", type=_positive, default=1)
    command.add_argument("--json", type=Path, help="write the table to this JSON file, too")
    command.set_defaults(run=_bench)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {value}")
    return value


def _train(options: argparse.Namespace) -> int:
    from .config import load_config
    from .progress import TrainingProgress
    from .train import CHECKPOINT, Trainer, read_data, write_results

    config = load_config(options.config)
    folder = config.output.folder
    checkpoint = folder / CHECKPOINT
    if checkpoint.exists() and not options.resume:
        raise ValueError(
            f"{checkpoint} exists already: continue it with --resume, delete it, or choose "
            f"another output.folder"
        )
    trainer = Trainer(config, *read_data(config))
    if options.resume:
        trainer.restore(checkpoint)
    with TrainingProgress(trainer) as progress:
        finished = trainer.run(progress.report)
    evaluation = write_results(config, trainer)
    _print_errors(evaluation, f"Validation, {len(trainer.valid)} structures")
    print(f"model, log and plots are in {folder}")
    if not finished:
        print("stopped at training.time_limit_minutes; continue with --resume")
    return EXIT_OK


def _eval(options: argparse.Namespace) -> int:
    import torch

    from .config import DataSource
    from .data import check_elements, read_structures
    from .evaluate import evaluate
    from .export import load

    _require_file(options.model)
    model = load(options.model).to(getattr(torch, options.dtype))
    cutoff = float(model.cutoff)
    model.set_long_range("ewald", cutoff, options.accuracy, 0.0, [], 0)
    structures = read_structures([DataSource(path=options.data)], cutoff)
    check_elements(structures, _metadata(options.model)["atomic_numbers"], str(options.data))
    evaluation = evaluate(model, structures, options.batch_size)
    _print_errors(evaluation, f"{options.data}, {len(structures)} structures, {options.dtype}")
    if options.plot is not None:
        from .plots import parity

        parity(evaluation, options.plot)
        print(f"parity plots are in {options.plot}")
    return EXIT_OK


def _export(options: argparse.Namespace) -> int:
    from .export import export, load

    _require_file(options.old)
    _require_folder(options.new)
    metadata = _metadata(options.old)
    export(
        load(options.old),
        options.new,
        elements=metadata["elements"],
        provenance=metadata.get("provenance", {}),
    )
    print(f"wrote {options.new}, content {_metadata(options.new)['content_hash'][:12]}")
    return EXIT_OK


def _import(options: argparse.Namespace) -> int:
    from .checkpoint import import_checkpoint
    from .export import export

    if not options.checkpoint.is_dir():
        raise ValueError(f"no checkpoint folder {options.checkpoint}")
    _require_folder(options.model)
    model = import_checkpoint(options.checkpoint)
    export(model, options.model)
    metadata = _metadata(options.model)
    print(f"wrote {options.model} for {' '.join(metadata['elements'])}")
    return EXIT_OK


def _info(options: argparse.Namespace) -> int:
    import json

    _require_file(options.model)
    metadata = _metadata(options.model)
    if options.json:
        print(json.dumps(metadata, indent=2, ensure_ascii=False))
        return EXIT_OK
    for name, value in metadata.items():
        _print_entry(name, value, indent=0)
    return EXIT_OK


def _check(options: argparse.Namespace) -> int:
    from .installation import findings

    problem = False
    for finding in findings():
        print(f"{finding.name:<14} {finding.state}")
        if finding.cure is not None:
            print(f"{'':<14} -> {finding.cure}")
        problem = problem or finding.broken
    return EXIT_PROBLEM if problem else EXIT_OK


def _bench(options: argparse.Namespace) -> int:
    import dataclasses
    import json

    import torch

    from . import benchmark

    if options.json is not None:
        _require_folder(options.json)
    torch.set_num_threads(options.threads)
    print(
        f"Long-range sum of displaced rock salt, relative accuracy {options.accuracy:g}, "
        f"{options.dtype}, {options.threads} thread{'s' if options.threads > 1 else ''}"
    )
    print(benchmark.title())
    timings = []
    dtype = getattr(torch, options.dtype)
    for timing in benchmark.run(options.atoms, options.channels, options.accuracy, dtype):
        print(benchmark.line(timing), flush=True)
        timings.append(dataclasses.asdict(timing))
    print(
        "forward: potentials; + backward: with gradients by positions and charges; both with the "
        "sum over pairs, without the neighbour list\nerror: relative RMS error of the potentials, "
        f"measured up to {benchmark.LARGEST_TUNED:,} atoms"
    )
    if options.json is not None:
        options.json.write_text(json.dumps(timings, indent=1) + "\n", encoding="utf-8")
    return EXIT_OK


def _metadata(path: Path) -> dict[str, Any]:
    from .export import read_metadata

    return read_metadata(path)


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise ValueError(f"no model file {path}")


def _require_folder(path: Path) -> None:
    """Say so before the work is done if the result could not be written."""
    if not path.resolve().parent.is_dir():
        raise ValueError(f"no folder {path.resolve().parent} to write {path.name} to")


def _print_errors(evaluation: Any, title: str) -> None:
    print(title)
    print(f"  {'':<8}{'RMSE':>12}{'MAE':>12}{'constant':>12}   unit")
    for name, error in evaluation.errors().items():
        unit, factor = _UNITS[name]
        values = "".join(f"{factor * v:>12.4g}" for v in (error.rmse, error.mae, error.spread))
        print(f"  {name:<8}{values}   {unit}")


def _print_entry(name: str, value: Any, indent: int) -> None:
    """One entry of the metadata; nested dictionaries as indented blocks."""
    space = "  " * indent
    if isinstance(value, dict):
        print(f"{space}{name}:")
        for key, inner in value.items():
            _print_entry(key, inner, indent + 1)
    else:
        text = " ".join(map(str, value)) if isinstance(value, list | tuple) else value
        print(f"{space}{name}: {text}")


if __name__ == "__main__":
    sys.exit(main())
