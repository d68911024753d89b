# SPDX-License-Identifier: BSD-3-Clause
"""The part of docs/benchmarks.md on whole steps, from the JSON of model.py."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

COLUMNS = (
    "atoms", "messages", "long range", "mesh", "s per step", "µs per atom", "kB per atom",
    "where the time goes",
)  # fmt: skip


def section(file: Path, page: Path) -> Iterator[str]:
    """Markdown; draws the plot into the folder figures beside the page."""
    record = json.loads(file.read_text(encoding="utf-8"))
    hardware, sizes = record["hardware"], record["sizes"]
    yield from ["## Whole steps of the default model", ""]
    yield (
        "`benchmarks/model.py`: `pair_style lorem` in LAMMPS, rock salt, accuracy 1e-4, mixed "
        f"precision, {sizes[0]['ranks']} ranks, mean of five warm steps. Memory: peak of all ranks "
        f"beyond a run of eight atoms. {hardware['cpu']}, {hardware['cores']} cores, commit "
        f"`{str(record['commit']['hash'])[:12]}`. What the figures mean: [scaling.md](scaling.md)."
    )
    yield ""
    image = page.parent / "figures" / f"{page.stem}_steps.png"
    draw(sizes, image)
    yield from [f"![Time and memory against the number of atoms](figures/{image.name})", ""]
    yield "| " + " | ".join(COLUMNS) + " |"
    yield "|---" * len(COLUMNS) + "|"
    for size in sizes:
        yield "| " + " | ".join(row(size)) + " |"
    yield ""
    for peer in record["against_lorem_jax"]:
        yield against_lorem_jax(peer)
    if "second_rank" in record:
        yield second_rank(record["second_rank"])
    yield ""


def row(size: dict[str, Any]) -> list[str]:
    largest = sorted(size["split"].items(), key=lambda part: -part[1])[:4]
    return [
        f"{size['atoms']:,}",
        str(size["layers"]),
        "yes" if size["long_range"] else "no",
        size["mesh"].replace(" ", "×") or "-",
        f"{size['seconds_per_step']:.3g}",
        f"{1e6 * size['seconds_per_step'] / size['atoms']:.1f}",
        f"{size['bytes_per_atom'] / 1e3:.1f}",
        ", ".join(f"{name} {share:.0f} %" for name, share in largest),
    ]


def against_lorem_jax(peer: dict[str, Any]) -> str:
    ours, theirs = (statistics.median(peer[f"{side}_seconds"]) for side in ("loremd", "lorem_jax"))
    return (
        f"- lorem-jax 0.2.0, {peer['atoms']:,} atoms {'with' if peer['long_range'] else 'without'} "
        f"long range: {theirs:.3g} s against {ours:.3g} s, {peer['ratio']:.0f} times."
    )


def second_rank(found: dict[str, Any]) -> str:
    lorem, other = found["gain"]["lorem"], found["gain"]["coul/cut"]
    return (
        f"- A second rank, {found['atoms']:,} atoms: `lorem` becomes {lorem:.2f} times as fast, "
        f"LAMMPS's `coul/cut` (Pair) {other:.2f} times, in the same {found['rounds']} rounds."
    )


def draw(sizes: list[dict[str, Any]], file: Path) -> None:
    """Microseconds and kilobytes per atom of the model without messages: level where linear."""
    canvas = Figure(figsize=(6.0, 3.6), layout="constrained")
    time = canvas.add_subplot()
    memory = time.twinx()
    for long_range, name in ((True, "long range"), (False, "none")):
        own = [s for s in sizes if s["layers"] == 0 and s["long_range"] == long_range]
        atoms = [s["atoms"] for s in own]
        per_atom = [1e6 * s["seconds_per_step"] / s["atoms"] for s in own]
        time.plot(atoms, per_atom, "o-", ms=4, lw=1.2, label=f"time, {name}")
        kilobytes = [s["bytes_per_atom"] / 1e3 for s in own]
        memory.plot(atoms, kilobytes, "s--", ms=4, lw=1.0, alpha=0.6, label=f"memory, {name}")
    time.set(xscale="log", xlabel="atoms", ylabel="µs per atom and step", ylim=(0, None))
    memory.set(ylabel="kB per atom", ylim=(0, None))
    time.grid(alpha=0.3)
    canvas.legend(frameon=False, fontsize=8, loc="outside upper center", ncols=4)
    save_figure(canvas, file)


def save_figure(canvas: Figure, file: Path) -> None:
    file.parent.mkdir(exist_ok=True)
    # matplotlib writes its version into a PNG unless told otherwise
    canvas.savefig(file, dpi=130, metadata={"Software": None})
