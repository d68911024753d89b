# SPDX-License-Identifier: BSD-3-Clause
"""Put what the steps of gpu_check.sh left in a folder into results.json and summary.txt.

python benchmarks/gpu_summary.py FOLDER

Exit status 1 if a step failed. Needs no package.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    folder = Path(sys.argv[1])
    results = {"steps": steps(folder), "figures": figures(folder), "pair_style": loops(folder)}
    (folder / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    text = summary(results)
    (folder / "summary.txt").write_text(text, encoding="utf-8")
    print(text, end="")
    return int(any(step["result"].startswith("failed") for step in results["steps"]))


def steps(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "steps.tsv").read_text(encoding="utf-8").splitlines()
    fields = [line.split("\t") for line in lines]
    return [{"name": f[0], "result": f[1], "seconds": int(f[2])} for f in fields]


def figures(folder: Path) -> dict[str, Any] | None:
    file = folder / "benchmark.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def loops(folder: Path) -> list[dict[str, Any]]:
    """LAMMPS's own loop times."""
    file = folder / "pair_style.log"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    pattern = r"Loop time of ([0-9.e+-]+) on (\d+) procs for (\d+) steps with (\d+) atoms"
    return [
        {"ranks": int(ranks), "atoms": int(atoms), "milliseconds": 1e3 * float(t) / int(n)}
        for t, ranks, n, atoms in re.findall(pattern, text)
    ]


def summary(results: dict[str, Any]) -> str:
    lines = [f"{s['name']:12} {s['result']} ({s['seconds']} s)" for s in results["steps"]]
    found = results["figures"] or {"mesh": [], "model": []}
    for case in found["mesh"]:
        times = ", ".join(f"{k} {v:.3f} ms" for k, v in case["milliseconds"].items())
        lines.append(f"{case['name']}: {times}; target {case['target']} ms")
    for case in found["model"]:
        lines.append(
            f"{case['name']}: {case['milliseconds']:.1f} ms, {case['gigabytes']:.1f} GB; "
            f"target {case['target']} ms, {case['most_gigabytes']} GB"
        )
    for run in results["pair_style"]:
        lines.append(
            f"pair_style lorem, {run['atoms']} atoms, {run['ranks']} ranks: "
            f"{run['milliseconds']:.1f} ms per step"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
