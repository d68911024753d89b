# SPDX-License-Identifier: BSD-3-Clause
"""Write docs/benchmarks.md and its plots from the JSON of a run, and from nothing else.

python benchmarks/report.py benchmarks/results/short.json [--choice OUTPUT_OF_choice.py]
    [--steps benchmarks/results/model.json]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import results
import steps
from results import CaseResult, Result, SideResult

ROOT = Path(__file__).resolve().parent.parent
FIGURES = {
    "size": "Time against the number of ions",
    "error": "Time against the measured force error",
}
# Load averages below this, one of it the benchmark's own process, are an idle machine.
IDLE = 1.5


def shared(result: Result) -> list[float]:
    """Load averages before the rounds that were not those of an otherwise idle machine."""
    allowed = {
        case.case.name: IDLE + max(side.side.threads * side.side.ranks for side in case.sides) - 1
        for case in result.cases
    }
    return [x for case in result.cases for x in case.load if x > allowed[case.case.name]]


def header(result: Result) -> list[str]:
    return [
        "# Benchmarks",
        "",
        f"Written by `benchmarks/report.py` from the JSON of a run (set `{result.set}`, "
        f"{result.started} to {result.finished}); `make bench` makes another.",
        "",
        *environment(result),
        load(result),
        *([f"- {result.note}"] if result.note else []),
        f"- {result.excluded}",
        "",
    ]


def environment(result: Result) -> list[str]:
    machine, commit = result.hardware, result.commit
    versions = ", ".join(f"{name} {v}" for name, v in result.versions.items() if v)
    absent = ", ".join(name for name, v in result.versions.items() if not v)
    changed = f", with changes in {', '.join(commit['changed'])}" if commit["changed"] else ""
    return [
        f"- Machine: {machine['cpu']}, {machine['cores']} cores, {' '.join(machine['isa'])}, "
        f"{machine['memory_gib']} GiB, {machine['system']}.",
        f"- Versions: {versions}." + (f" Not installed: {absent}." if absent else ""),
        f"- Commit `{str(commit['hash'])[:12]}`{changed}; compiled library "
        f"{commit['library_sha256']}.",
    ]


def load(result: Result) -> str:
    loads = [x for case in result.cases for x in case.load]
    busy = shared(result)
    if not busy:
        return f"- Load average before the rounds: {min(loads):.1f} to {max(loads):.1f}."
    return (
        f"- **The machine was not idle**: the load average before {len(busy)} of {len(loads)} "
        f"rounds was above that of the benchmark alone (up to {max(busy):.1f}). All sides of a "
        "case suffer from it, not always to the same degree; look at the ranges of the ratios."
    )


COLUMNS = (
    "side",
    "channels, dtype, threads",
    "mesh",
    "splitting",
    "window",
    "time",
    "spread",
    "ratio",
    "target",
    "error",
    "memory",
)
LEGEND = (
    "All sides of a case run in turns, round by round, each in its own process. *Time* is the "
    "median over the rounds with the minimum in brackets, *spread* the range over the median. "
    "*Ratio* is the median over that of the side marked with 1, or of the side that is named, in "
    "brackets the range of the ratios of single rounds; *target* is the largest ratio that the "
    "project wants. *Splitting*: Gaussian with its smearing, or prolate with its bandlimit; "
    "*window*: order, and bandlimit where it is prolate. *Error* is the total RMS force error of "
    "the first channel (charges ±1) with the settings that are timed, real-space part included, "
    "against a converged Ewald sum in a box of the same density, in units of the force of two unit "
    "charges at distance 1. Where that box cannot have the same mesh spacing, the error is "
    "interpolated between the spacings above and below; the JSON has both. *Memory* is the peak of "
    "the resident memory during the first call, beyond the inputs; LAMMPS does not tell it apart "
    "from its neighbour list."
)
SPREADING = (
    "Here *error* is the relative error of the Fourier coefficients up to a quarter of the mesh, "
    "divided by the transform of the window, against the exact sum over the points."
)


def case_section(case: CaseResult) -> Iterator[str]:
    about = case.case
    number_of = f" ({case.particles:,})" if about.figure == "size" else ""
    yield f"## {about.title}{number_of}"
    yield ""
    what = {"mesh": "mesh part", "all": "real space and mesh"}[about.part]
    if about.time == "spread":
        yield f"`{about.name}`: {about.system}, {about.rounds} rounds. {SPREADING}"
    else:
        yield (
            f"`{about.name}`: {about.system}, {about.time}, {what}, cutoff {about.cutoff:g}, "
            f"{about.rounds} rounds."
        )
    yield ""
    yield from table(case)
    absent = [absence(side) for side in case.sides if side.times is None]
    if absent:
        yield from [*absent, ""]


def table(case: CaseResult) -> Iterator[str]:
    """The sides with times; columns in which all cells are empty are left out."""
    rows = [COLUMNS, *(row(side, case.baseline) for side in case.sides if side.times is not None)]
    used = [k for k in range(len(COLUMNS)) if any(cells[k] for cells in rows[1:])]
    for cells in rows:
        yield "| " + " | ".join(cells[k] for k in used) + " |"
        if cells is COLUMNS:
            yield "|---" * len(used) + "|"
    yield ""


def absence(side: SideResult) -> str:
    if side.status == "skipped":
        return f"- {side.side.name}: skipped, {side.reason}. Install it with `{side.install}`."
    return f"- {side.side.name}: failed, {' '.join(str(side.reason).split())}"


def row(result: SideResult, baseline: str) -> list[str]:
    side, details, times = result.side, result.details, result.times
    parallel = f"{side.ranks} ranks" if side.ranks > 1 else str(side.threads)
    return [
        side.name,
        f"{side.channels}, {side.dtype}, {parallel}",
        "×".join(map(str, details.get("mesh", []))),
        splitting(details),
        window(details),
        f"{duration(times.median)} ({duration(times.minimum)})",
        f"{100 * times.spread:.0f} %",
        ratio(result, baseline),
        f"≤ {number(side.target)}" if side.target is not None else "",
        error(result),
        memory(details.get("peak_bytes")),
    ]


def splitting(details: dict) -> str:
    if details.get("splitting_bandlimit", 0.0) > 0:
        return f"prolate {details['splitting_bandlimit']:.3g}"
    smearing = details.get("smearing") or 0.0
    return f"Gaussian {smearing:.3g}" if smearing > 0 else ""


def window(details: dict) -> str:
    if "tolerance" in details:
        return f"tolerance {details['tolerance']:g}"
    order = str(details.get("order", ""))
    if details.get("window_bandlimit", 0.0) > 0:
        return f"{order}, prolate {details['window_bandlimit']:.3g}"
    return order


def ratio(result: SideResult, baseline: str) -> str:
    if result.ratio is None:
        return ""
    other = result.side.against or baseline
    if other == result.side.name:
        return "1"
    middle, low, high = result.ratio.median, result.ratio.minimum, result.ratio.maximum
    named = f" of {result.side.against}" if result.side.against else ""
    return f"{number(middle)} ({number(low)} to {number(high)}){named}"


def error(result: SideResult) -> str:
    if result.error is not None:
        return f"{result.error['value']:.1e}"
    if result.status == "failed":
        return "failed, " + " ".join(str(result.reason).split())
    return ""


def number(x: float) -> str:
    return f"{x:.0f}" if x >= 100 else f"{x:.3g}"


def duration(seconds: float) -> str:
    if seconds < 1.0:
        return f"{1e3 * seconds:.3g} ms"
    return f"{seconds:.3g} s"


def memory(amount: Optional[int]) -> str:
    if amount is None:
        return ""
    return f"{amount / 2**20:.3g} MiB" if amount < 2**30 else f"{amount / 2**30:.3g} GiB"


def points(result: Result, figure: str) -> dict[str, list[tuple[float, float]]]:
    """The lines of a plot: name -> sorted (x, seconds)."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for case in result.cases:
        for side in case.sides:
            if case.case.figure != figure or side.times is None:
                continue
            if figure == "size":
                lines.setdefault(side.side.name, []).append((case.particles, side.times.median))
            elif side.error is not None:
                name = side.side.name.rsplit(" ", 1)[0]  # without the accuracy asked
                lines.setdefault(name, []).append((side.error["value"], side.times.median))
    return {name: sorted(line) for name, line in lines.items()}


def plot(axes: Axes, figure: str, lines: dict[str, list[tuple[float, float]]]) -> None:
    for name, line in lines.items():
        x, seconds = zip(*line)
        axes.plot(x, seconds, marker="o", ms=4, lw=1.2, label=name)
    if figure == "size":
        linearithmic(axes, next(iter(lines.values())))
    axes.set(xscale="log", yscale="log", ylabel="time (s)")
    axes.set_xlabel("ions" if figure == "size" else "measured RMS force error")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)


def linearithmic(axes: Axes, line: list[tuple[float, float]]) -> None:
    """c N log N through the last point of a line."""
    x, seconds = (np.array(column) for column in zip(*line))
    guide = x * np.log(x)
    guide *= seconds[-1] / guide[-1]
    axes.plot(x, guide, color="0.6", ls=":", lw=1.0, label="N log N")


def figures(result: Result, page: Path) -> Iterator[str]:
    """Draw the plots in the folder figures beside the page; the Markdown that shows them."""
    for name, title in FIGURES.items():
        lines = points(result, name)
        if not lines:
            continue
        canvas = Figure(figsize=(6.0, 4.2), layout="constrained")
        plot(canvas.add_subplot(), name, lines)
        file = page.parent / "figures" / f"{page.stem}_{name}.png"
        steps.save_figure(canvas, file)
        yield from [f"![{title}](figures/{file.name})", ""]


def choice_section(output: Optional[Path]) -> Iterator[str]:
    """What choice.py printed: tune against the best of many settings."""
    if output is None:
        return
    yield from ["## `loremd.tune` against brute force", ""]
    yield "What `benchmarks/choice.py` printed on the machine above; the target is a factor of 1.3."
    yield from ["", "```", output.read_text(encoding="utf-8").strip(), "```", ""]


def write(result: Result, page: Path, choice: Optional[Path], whole: Optional[Path]) -> None:
    page.parent.mkdir(parents=True, exist_ok=True)
    lines = [*header(result), LEGEND, "", *figures(result, page)]
    for case in result.cases:
        lines += case_section(case)
    lines += choice_section(choice)
    lines += steps.section(whole, page) if whole else []
    page.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "result", type=Path, nargs="+", help="JSON files of run.py, of one machine and one build"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--choice", type=Path, help="what choice.py printed, to be shown as well")
    parser.add_argument("--steps", type=Path, help="JSON of model.py, whole steps in LAMMPS")
    options = parser.parse_args()
    first, *others = (results.load(file) for file in options.result)
    for other in others:
        first.cases.extend(other.cases)
    write(first, options.out, options.choice, options.steps)
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
