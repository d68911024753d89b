# SPDX-License-Identifier: BSD-3-Clause
"""One side in a process of its own: reads requests, answers, one JSON object a line.

The first line holds {"case", "side"}; then come {"do": "prepare" | "measure" | "error"}.
An answer is {"value": ...} or {"error": message}, after which the process ends.
"""

from __future__ import annotations

import json
import os
import sys
import traceback

import numpy as np

from cases import Case
from sides import SideRunner, create


def answer(runner: SideRunner, request: dict) -> object:
    if request["do"] == "prepare":
        return runner.prepare()
    if request["do"] == "measure":
        return runner.measure()
    reference = request.get("reference")
    return runner.error(np.load(reference) if reference else np.zeros((0, 3)))


def main() -> int:
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    setup = json.loads(sys.stdin.readline())
    case = Case.model_validate(setup["case"])
    side = next(side for side in case.sides if side.name == setup["side"])
    runner = create(case, side)
    status = 0
    for line in sys.stdin:
        try:
            reply = {"value": answer(runner, json.loads(line))}
        except Exception as error:
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}
            status = 1
        print(json.dumps(reply), file=out, flush=True)
        if status:
            break
    runner.close()
    return status


if __name__ == "__main__":
    sys.exit(main())
