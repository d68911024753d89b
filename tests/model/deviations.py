# SPDX-License-Identifier: BSD-3-Clause
"""Print how far the model is from the reference cases: ``python -m tests.model.deviations``.

Every number is the largest deviation from lorem-jax's float64 result, relative to the largest entry
of the quantity; for the checkpoint in float32 it is absolute, in eV and eV/Å.
"""

from __future__ import annotations

import sys

from .reference_cases import (
    CASES,
    MESH_CASES,
    QUANTITIES,
    STRUCTURES,
    checkpoint_case,
    checkpoint_float32,
    exact_case,
    mesh_case,
)


def line(title: str, found: dict[str, float]) -> str:
    """One row of the table."""
    cells = [f"{found[name]:11.1e}" if name in found else f"{'-':>11}" for name in QUANTITIES]
    return f"{title:<38}" + "".join(cells)


def main() -> int:
    header = f"{'':<38}" + "".join(f"{name:>11}" for name in QUANTITIES)
    print("exact sum, float64 (bound 1e-9)", header, sep="\n")
    exact = {name: exact_case(name) for name in CASES}
    exact.update({f"checkpoint {name}": checkpoint_case(name) for name in STRUCTURES})
    print(*(line(name, found) for name, found in exact.items()), sep="\n")
    print("\nmesh at accuracy 1e-6, float64 (bound 1e-5)")
    mesh = {name: mesh_case(name) for name in MESH_CASES}
    print(*(line(name, found) for name, found in mesh.items()), sep="\n")
    print("\ncheckpoint, float32, mesh at accuracy 1e-5, eV and eV/Å (bound 2e-4)")
    single = {f"checkpoint {name}": checkpoint_float32(name) for name in STRUCTURES}
    print(*(line(name, found) for name, found in single.items()), sep="\n")
    groups = ((exact, 1e-9), (mesh, 1e-5), (single, 2e-4))
    worst = [max(max(f.values()) for f in group.values()) / bound for group, bound in groups]
    return int(max(worst) >= 1.0)


if __name__ == "__main__":
    sys.exit(main())
