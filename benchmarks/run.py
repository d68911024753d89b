# SPDX-License-Identifier: BSD-3-Clause
"""Run the benchmarks of cases.toml and write their figures as JSON.

    python benchmarks/run.py --list
    python benchmarks/run.py --set short --out benchmarks/results/short.json
    python benchmarks/run.py --case nacl-262k --out one.json

All sides of a case are processes that live through the whole case; every round asks each of them
for one time, in turns, so that what disturbs the machine disturbs all of them. The error of each
side is measured afterwards. A side that fails is recorded with its message, and the exit status is
then 1; one that is not installed is recorded as skipped.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional

import numpy as np

import cases as cases_module
import machine
import systems
from cases import Case, Side
from results import EXCLUDED, SCHEMA, CaseResult, Result, SideResult, ratio_of, times_of
from sides import INSTALL, missing

HERE = Path(__file__).resolve().parent


class SideFailed(Exception):
    """A side reported an error or its process ended."""


class Worker:
    """The process of one side."""

    def __init__(self, case: Case, side: Side):
        self.side = side
        threads = str(side.threads)
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py")],
            env={
                **os.environ,
                "OMP_NUM_THREADS": threads,
                "MKL_NUM_THREADS": threads,
                "OMP_WAIT_POLICY": "passive",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._send({"case": case.model_dump(), "side": side.name})

    def ask(self, do: str, **arguments: object) -> Any:
        """Raises SideFailed."""
        self._send({"do": do, **arguments})
        line = self.process.stdout.readline()
        if not line:
            raise SideFailed(f"the process ended with status {self.process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise SideFailed(reply["error"])
        return reply["value"]

    def _send(self, message: dict[str, object]) -> None:
        try:
            print(json.dumps(message), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            raise SideFailed(f"the process ended with status {self.process.wait()}") from None

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


class References:
    """Converged forces of the error boxes, computed once, as files for the workers."""

    def __init__(self, folder: Path):
        self.folder = folder

    def file_for(self, case: Case) -> Optional[str]:
        if case.time == "spread":
            return None
        path = self.folder / f"{case.system}-{case.error_box}.npy"
        if not path.exists():
            np.save(path, systems.converged_forces(case.system, case.error_box))
        return str(path)


class Running:
    """The sides of a case that are still alive, and what is known of all of them."""

    def __init__(self, case: Case):
        self.results = {
            side.name: SideResult(side=side, status="measured", details={}) for side in case.sides
        }
        self.rounds: dict[str, list[float]] = {side.name: [] for side in case.sides}
        self.workers: dict[str, Worker] = {}
        for side in case.sides:
            self._start(case, side)

    def _start(self, case: Case, side: Side) -> None:
        result = self.results[side.name]
        if missing(side.program):
            result.status = "skipped"
            result.reason = f"{side.program} is not installed"
            result.install = INSTALL[side.program]
            say(f"  {side.name}: skipped, {result.reason}; install it with: {result.install}")
            return
        self.workers[side.name] = Worker(case, side)
        result.details = self.ask(side.name, "prepare") or {}

    def ask(self, name: str, do: str, **arguments: object) -> Any:
        """The answer, or None after a failure, which ends the side."""
        try:
            return self.workers[name].ask(do, **arguments)
        except SideFailed as failure:
            say(f"  {name}: failed at {do}: {failure}")
            self.results[name].status = "failed"
            self.results[name].reason = f"{do}: {failure}"
            self.workers.pop(name).close()
            return None

    def measure(self, backwards: bool) -> None:
        for name in sorted(self.workers, key=list(self.workers).index, reverse=backwards):
            seconds = self.ask(name, "measure")
            if seconds is not None:
                self.rounds[name].append(seconds)

    def errors(self, reference: Optional[str]) -> None:
        for name in list(self.workers):
            self.results[name].error = self.ask(name, "error", reference=reference)

    def close(self) -> None:
        for worker in self.workers.values():
            worker.close()

    def finished(self, baseline: str) -> list[SideResult]:
        for name, result in self.results.items():
            if self.rounds[name]:
                result.times = times_of(self.rounds[name])
        for result in self.results.values():
            reference = self.results[result.side.against or baseline].times
            if result.times is not None and reference is not None:
                result.ratio = ratio_of(result.times, reference)
        return list(self.results.values())


def run_case(case: Case, references: References) -> CaseResult:
    say(f"{case.name}: {case.title}")
    reference = references.file_for(case)
    baseline = case.baseline or case.sides[0].name
    running = Running(case)
    load = []
    try:
        for number in range(case.rounds):
            load.append(os.getloadavg()[0])
            running.measure(backwards=number % 2 == 1)
        running.errors(reference)
    finally:
        running.close()
    result = CaseResult(
        case=case,
        particles=case.boxes[0] ** 3,
        baseline=baseline,
        load=load,
        sides=running.finished(baseline),
    )
    for side in result.sides:
        say_side(side)
    return result


def say(text: str) -> None:
    print(text, flush=True)


def say_side(result: SideResult) -> None:
    if result.times is None:
        return
    ratio = f"x{result.ratio.median:.3g}" if result.ratio else ""
    error = f"error {result.error['value']:.2e}" if result.error else ""
    times = f"{result.times.median:.4g} s, spread {100 * result.times.spread:.0f} %"
    say(f"  {result.side.name:32s} {times:28s} {ratio:8s} {error}")


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def run(cases: list[Case], chosen: str, note: str, save: Callable[[Result], None]) -> Result:
    """Run the cases; `save` gets what there is after each of them."""
    result = Result(
        schema_version=SCHEMA,
        set=chosen,
        started=now(),
        finished=now(),
        note=note,
        hardware=machine.hardware(),
        versions=machine.versions(),
        commit=machine.commit(),
        excluded=EXCLUDED,
        cases=[],
    )
    with tempfile.TemporaryDirectory(prefix="loremd-benchmark-") as folder:
        references = References(Path(folder))
        for case in cases:
            result.cases.append(run_case(case, references))
            result.finished = now()
            result.hardware["load_at_the_end"] = list(os.getloadavg())
            if machine.commit()["library_sha256"] != result.commit["library_sha256"]:
                result.note = f"{note} The compiled library was replaced during the run.".strip()
            save(result)
    return result


def choose(cases: list[Case], set_: str, names: list[str]) -> list[Case]:
    """The cases of a set, or those that are named or begin with a name and a hyphen."""
    if not names:
        chosen = [case for case in cases if set_ in case.sets]
        if not chosen:
            known = sorted({name for case in cases for name in case.sets})
            raise SystemExit(f"no case is in set '{set_}'; sets: {', '.join(known)}")
        return chosen
    unknown = [n for n in names if not any(f"{c.name}-".startswith(f"{n}-") for c in cases)]
    if unknown:
        raise SystemExit(f"no case is called {', '.join(unknown)}; --list shows all")
    return [c for c in cases if any(f"{c.name}-".startswith(f"{n}-") for n in names)]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cases", type=Path, default=HERE / "cases.toml", help="file of cases")
    parser.add_argument("--set", default="short", help="set of cases to run (default: short)")
    parser.add_argument(
        "--case", action="append", default=[], help="run this case only; repeatable"
    )
    parser.add_argument("--list", action="store_true", help="list cases, sets and sides, and stop")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--note", default="", help="remark on the machine, kept in the JSON")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    cases = cases_module.load(options.cases)
    if options.list:
        for case in cases:
            sides = ", ".join(side.name for side in case.sides)
            say(f"{case.name} [{', '.join(case.sets)}] {case.title}\n    {sides}")
        return 0
    chosen = choose(cases, options.set, options.case)

    def save(result: Result) -> None:
        if options.out:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")

    result = run(chosen, "chosen" if options.case else options.set, options.note, save)
    if options.out:
        say(f"written to {options.out}")
    failed = [side for case in result.cases for side in case.sides if side.status == "failed"]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
