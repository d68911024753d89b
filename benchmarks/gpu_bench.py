# SPDX-License-Identifier: BSD-3-Clause
"""Time the cases of gpu_cases.toml on the GPU and write the figures as JSON.

    python benchmarks/gpu_bench.py --out gpu.json
    python benchmarks/gpu_bench.py --dry-run         the cases and the bytes they move, no GPU

Times are of CUDA events around one call, medians over rounds after a warm-up. The bytes that a step
has to move are counted, not measured, and compared with the bandwidth of a copy on the same GPU:
the limit of a step is the memory, or the atomics on it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tomllib
import torch

import loremd
import systems
from loremd import ops
from loremd.neighbors import neighbor_list

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "examples" / "scale"))

FAST_SIZES = (2, 3, 5, 7)
ROUNDS, WARM_UP = 20, 5
FLOAT = 4  # bytes
PACK = 4  # channels that are added or read together
GIGA = 1e9


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--only", default="", help="part of the names of the cases to run")
    parser.add_argument("--dry-run", action="store_true")
    given = parser.parse_args()
    cases = tomllib.loads((HERE / "gpu_cases.toml").read_text(encoding="utf-8"))
    chosen = {kind: [c for c in own if given.only in c["name"]] for kind, own in cases.items()}
    if given.dry_run:
        print_plan(chosen)
        return 0
    figures: dict[str, Any] = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__}
    figures["copy_gigabytes_per_second"] = copy_bandwidth()
    figures["mesh"] = [
        mesh_figures(case, figures["copy_gigabytes_per_second"]) for case in chosen["mesh"]
    ]
    figures["model"] = [model_figures(case) for case in chosen["model"]]
    text = json.dumps(figures, indent=2)
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")
    return 0


def print_plan(chosen: dict[str, list[dict[str, Any]]]) -> None:
    for case in chosen["mesh"]:
        moved = {step: f"{n / 1e6:.0f} MB" for step, n in bytes_moved(case).items()}
        print(f"{case['name']}: mesh {mesh_of(case)[0]}^3, {moved}, target {case['target']} ms")
    for case in chosen["model"]:
        print(f"{case['name']}: {8 * case['cells'] ** 3} atoms, target {case['target']} ms")


# ---- what there is to do -------------------------------------------------------------------------


def mesh_of(case: dict[str, Any]) -> list[int]:
    return [systems.coarsest(case["box"] / case["spacing"], FAST_SIZES)] * 3


def bytes_moved(case: dict[str, Any]) -> dict[str, float]:
    """By the fewest accesses: each point of a window read (and, by spread, written) once for all
    channels; a transform reads and writes all it transforms three times over."""
    channels, atoms = case["channels"], case["box"] ** 3
    stride = 1 if channels == 1 else (channels + PACK - 1) // PACK * PACK
    window = atoms * case["order"] ** 3 * stride * FLOAT
    points = mesh_of(case)[0] ** 3 * channels * FLOAT
    return {"spread": 2.0 * window, "convolve": 2.0 * 3 * 2 * points, "interpolate": 1.0 * window}


# ---- measurements --------------------------------------------------------------------------------


def milliseconds(action: Callable[[], Any]) -> float:
    """Median over rounds, by events."""
    for _ in range(WARM_UP):
        action()
    times = []
    for _ in range(ROUNDS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        action()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times)


def copy_bandwidth(values: int = 1 << 28) -> float:
    """Read and written, in gigabytes per second."""
    source = torch.ones(values, device="cuda")
    target = torch.empty_like(source)
    return 2e3 * FLOAT * values / milliseconds(lambda: target.copy_(source)) / GIGA


def mesh_figures(case: dict[str, Any], bandwidth: float) -> dict[str, Any]:
    system = systems.build("nacl", case["box"], case["channels"])
    positions = torch.from_numpy(system.positions).cuda()
    charges = torch.from_numpy(system.charges).float().cuda()
    cell = torch.from_numpy(system.cell).cuda()
    shape, order = mesh_of(case), case["order"]
    window = ops.prolate_shape(case["window_bandlimit"]) if "window_bandlimit" in case else None
    influence = ops.influence(cell, shape, order, case["smearing"], window).float()
    weights = torch.randn_like(charges)

    def potentials(graph: bool) -> torch.Tensor:
        with torch.set_grad_enabled(graph):
            return ops.mesh_potential(positions, charges, cell, influence, shape, order, window)

    def forward_and_backward() -> None:
        inputs = [positions.requires_grad_(), charges.requires_grad_()]
        torch.autograd.grad((weights * potentials(True)).sum(), inputs)

    steps = {
        "spread": lambda: ops.spread(positions, charges, cell, shape, order, window),
        "convolve": lambda: ops.convolve(mesh, influence),
        "interpolate": lambda: ops.interpolate(positions, mesh, cell, order, window),
    }
    with torch.no_grad():
        mesh = steps["spread"]()
        times = {name: milliseconds(step) for name, step in steps.items()}
        times["forward"] = milliseconds(lambda: potentials(False))
    times["forward_and_backward"] = milliseconds(forward_and_backward)
    moved = bytes_moved(case)
    shares = {name: moved[name] / (1e6 * times[name]) / bandwidth for name in moved}
    return {
        **case,
        "mesh": shape,
        "milliseconds": times,
        "bytes_counted": moved,
        "share_of_copy_bandwidth": shares,
        "meets_target": times["forward_and_backward"] <= case["target"],
    }


def model_figures(case: dict[str, Any]) -> dict[str, Any]:
    """Energies and gradients of all atoms, the neighbour list given."""
    import make_model
    from ase.build import bulk

    atoms = bulk("MgO", "rocksalt", a=make_model.LATTICE["MgO"], cubic=True) * (case["cells"],) * 3
    noise = np.random.default_rng(0).standard_normal((len(atoms), 3))
    atoms.positions += make_model.DISPLACEMENT * noise
    model = make_model.make_model()
    calculator = loremd.Calculator(model, device="cuda", accuracy=1e-4)
    cell = np.asarray(atoms.cell.array)
    begin = time.perf_counter()
    pairs, shifts = neighbor_list(atoms.positions, cell, True, model.list_cutoff())
    listing = time.perf_counter() - begin
    calculator.model.plan_long_range(torch.from_numpy(cell), len(atoms))
    arguments = [
        torch.from_numpy(atoms.numbers.astype(np.int64)).cuda(),
        *(torch.from_numpy(a).cuda() for a in (atoms.positions, cell, np.ones(3, bool))),
        *(pairs.cuda(), shifts.cuda(), len(atoms)),
    ]
    torch.cuda.reset_peak_memory_stats()
    taken = milliseconds(lambda: calculator.model.energy_and_gradients(*arguments))
    gigabytes = torch.cuda.max_memory_allocated() / GIGA
    return {
        **case,
        "atoms": len(atoms),
        "pairs": pairs.shape[1],
        "milliseconds": taken,
        "seconds_of_neighbour_list_on_the_cpu": listing,
        "gigabytes": gigabytes,
        "meets_target": taken <= case["target"] and gigabytes <= case["most_gigabytes"],
    }


if __name__ == "__main__":
    sys.exit(main())
