# SPDX-License-Identifier: BSD-3-Clause
"""benchmarks/gpu_check.sh without a GPU: what it would do, and what it makes of results."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu_check.sh"
STEPS = ["environment", "build", "tests", "memcheck", "benchmark", "profile", "pair_style"]


def run(*command, **options):
    return subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, check=False, cwd=ROOT, **options
    )


def test_dry_run(tmp_path):
    result = run(SCRIPT, "--dry-run", "--out", tmp_path, "--python", sys.executable)
    assert result.returncode == 0, result.stderr
    plan = re.findall(r"== (\w+) \(at most (\d+) s\): (.*)", result.stdout)
    assert [name for name, _, _ in plan] == STEPS
    assert sum(int(seconds) for _, seconds, _ in plan) <= 540  # nine minutes, if all need all
    commands = " ".join(command for _, _, command in plan)
    for path in re.findall(r"(?:tests|benchmarks|examples)/[\w/.]+", commands):
        assert (ROOT / path).is_file(), path
    results = json.loads((tmp_path / "results.json").read_text())
    assert [step["result"] for step in results["steps"]] == ["planned"] * len(STEPS)


def test_commands_are_shell(tmp_path):
    result = run(SCRIPT, "--dry-run", "--out", tmp_path, "--python", sys.executable)
    for command in re.findall(r"== \w+ \(at most \d+ s\): (.*)", result.stdout):
        parsed = run("bash", "-n", "-c", command)
        assert parsed.returncode == 0, parsed.stderr


def test_unknown_option():
    result = run(SCRIPT, "--fast")
    assert result.returncode == 2
    assert "unknown option --fast" in result.stderr


def test_cases_without_a_gpu():
    result = run(sys.executable, "benchmarks/gpu_bench.py", "--dry-run")
    assert result.returncode == 0, result.stderr
    # 262,144 atoms, 216 points of 12 floats, read and written
    assert "spread': '5436 MB" in result.stdout
    assert result.stdout.count("target") == 5


def test_summary_of_failures_and_loops(tmp_path):
    (tmp_path / "steps.tsv").write_text("build\tpassed\t100\ntests\tfailed with 1\t20\n")
    (tmp_path / "pair_style.log").write_text(
        "Loop time of 0.5 on 2 procs for 10 steps with 4096 atoms\n"
    )
    result = run(sys.executable, "benchmarks/gpu_summary.py", tmp_path)
    assert result.returncode == 1
    assert "tests        failed with 1 (20 s)" in result.stdout
    assert "4096 atoms, 2 ranks: 50.0 ms per step" in result.stdout
