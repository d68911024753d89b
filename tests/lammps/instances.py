# SPDX-License-Identifier: BSD-3-Clause
"""LAMMPS as a Python module: when torch is mapped, and several instances in one process.

python instances.py MODEL       in a folder with crystal.data
"""

import json
import sys
from pathlib import Path

from lammps import lammps


def torch_is_mapped() -> bool:
    return "libtorch" in Path("/proc/self/maps").read_text()


def start(style: str) -> lammps:
    instance = lammps(cmdargs=["-screen", "none", "-log", "none"])
    instance.commands_string(f"units metal\nbox tilt large\nread_data crystal.data\n{style}\nrun 0")
    return instance


def main() -> None:
    lorem = f"pair_style lorem precision double\npair_coeff * * {sys.argv[1]} Na Cl"
    found = {}
    other = start("pair_style lj/cut 5.0\npair_coeff * * 0.01 2.5")
    found["mapped_without"] = torch_is_mapped()
    other.close()

    first = start(lorem)
    found["mapped_with"] = torch_is_mapped()
    second = start(lorem)  # beside the first
    energies = [first.get_thermo("pe"), second.get_thermo("pe")]
    first.close()
    second.command("run 0")  # after the first has gone
    energies.append(second.get_thermo("pe"))
    second.close()
    third = start(lorem)
    energies.append(third.get_thermo("pe"))
    third.close()
    found["energies"] = energies
    Path("instances.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
