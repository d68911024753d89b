# SPDX-License-Identifier: BSD-3-Clause
"""Seconds per step of lorem-jax with its default model, for benchmarks/model.py.

Runs in the Python that has lorem-jax; knows nothing of loremd. A step is what molecular dynamics
with its ASE calculator does: energy and forces for positions that have moved a little. The first
two calls, which compile, are left out.

    python lorem_jax_step.py CELLS on|off STEPS
"""

import json
import sys
import time

import ase.build
import jax
import lorem
import numpy as np
from lorem.calculator import Calculator


def main() -> None:
    cells, long_range, steps = int(sys.argv[1]), sys.argv[2] == "on", int(sys.argv[3])
    atoms = ase.build.bulk("NaCl", "rocksalt", a=5.64, cubic=True) * (cells, cells, cells)
    generator = np.random.default_rng(0)
    sites = atoms.positions.copy()
    model = lorem.Lorem(lr=long_range)
    atoms.calc = Calculator.from_model(model)
    seconds = []
    for _ in range(steps + 2):
        atoms.positions = sites + 0.02 * generator.standard_normal(sites.shape)
        start = time.perf_counter()
        atoms.get_forces()
        seconds.append(time.perf_counter() - start)
    versions = {"lorem-jax": lorem.__version__, "jax": jax.__version__}
    print(json.dumps({"atoms": len(atoms), "seconds": seconds[2:], "versions": versions}))


if __name__ == "__main__":
    main()
