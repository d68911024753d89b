# SPDX-License-Identifier: BSD-3-Clause
"""Every bad input stops all ranks with a message that names the value, the choices, the cure."""

import io
import json
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from failing_model import write_failing_model
from lammps_runs import run_lmp, run_python, write_data
from lammps_systems import ELEMENTS, cluster, crystal

RANKS = (1, 2)

BOX = "units metal; atom_modify map yes; box tilt large; read_data crystal.data"
GRID = """units metal; lattice fcc 5.64; region box block 0 3 0 3 0 3; create_box 2 box;
create_atoms 1 box; mass * 1.0"""
STYLE = "pair_style lorem"
KEYWORDS = f"units metal; {STYLE}"
LONG = "pair_coeff * * long.pt Na Cl"

# name: input, pieces of the message
CASES = {
    # where and how the style can run
    "units_lj": ("units lj; " + STYLE, ["cannot run in units lj", "metal"]),
    "newton_off": (f"newton off; {BOX}; {STYLE}; {LONG}; run 0", ["needs 'newton on'"]),
    "no_atom_ids": (f"atom_modify id no; {GRID}; {STYLE}; {LONG}; run 0", ["needs atom IDs"]),
    "two_dimensions": (
        f"""units metal; dimension 2; region box block 0 9 0 9 -0.5 0.5; create_box 2 box;
        create_atoms 1 single 1 1 0; mass * 1.0; {STYLE}; {LONG}; run 0""",
        ["needs 'dimension 3'", "dimension 2"],
    ),
    "kspace_before": (
        f"{BOX}; kspace_style ewald 1e-4; {STYLE}; {LONG}",
        ["cannot run with a kspace_style", "kspace_style none"],
    ),
    "kspace_after": (
        f"atom_style charge; {GRID}; {STYLE}; {LONG}; kspace_style ewald 1e-4; run 0",
        ["KSpace style is incompatible with Pair style"],  # said by LAMMPS
    ),
    "special_bonds": (
        f"""units metal; atom_style full; lattice fcc 5.64; region box block 0 3 0 3 0 3;
        create_box 2 box; create_atoms 1 box; mass * 1.0; {STYLE}; {LONG}; run 0""",
        ["special_bonds lj/coul 1 1 1", "now lj 0 0 0 coul 0 0 0"],
    ),
    "slab": (
        f"boundary p p f; {BOX}; {STYLE}; {LONG}; run 0", ["the scheme of lorem-jax"],
    ),
    "slab_with_mesh": (
        f"boundary p p f; {BOX}; pair_style lorem mesh 8 8 8; {LONG}; run 0",
        ["'mesh' needs 'boundary p p p'"],
    ),
    "wire": (
        f"boundary p fm s; {GRID}; {STYLE}; {LONG}; run 0",
        ["one periodic direction", "'boundary p fm s'"],
    ),
    "exclude": (
        f"{BOX}; {STYLE}; {LONG}; neigh_modify exclude type 1 1; run 0",
        ["needs all pairs", "neigh_modify exclude"],
    ),
    "include": (
        f"{BOX}; group some id 1:20; atom_modify first some; {STYLE}; {LONG}; "
        "neigh_modify include some; run 0",
        ["needs all pairs", "neigh_modify include"],
    ),
    "neighbor_overflow": (
        f"{BOX}; {STYLE}; {LONG}; neigh_modify one 20 page 1000; run 0",
        ["neighbours per atom", "the 20 that", "neigh_modify one 100 page 2000"],
    ),
    "peratom_virial": (
        f"{BOX}; {STYLE}; {LONG}; compute s all stress/atom NULL; "
        "dump d all custom 1 d c_s[1]; run 0",
        ["no per-atom virial", "compute pressure"],
    ),
    "centroid_virial": (
        f"{BOX}; {STYLE}; {LONG}; compute s all centroid/stress/atom NULL; "
        "dump d all custom 1 d c_s[1]; run 0",
        ["centroid"],
    ),
    **{
        f"pair_modify_{word.replace('/', '_')}": (
            f"{BOX}; {STYLE}; {LONG}; pair_modify {word} {value}",
            [f"no 'pair_modify {word}'"],
        )
        for word, value in {
            "mix": "arithmetic", "shift": "yes", "tail": "yes", "table": "12", "table/disp": "12",
        }.items()
    },
    # elements
    "too_few_elements": (
        f"{BOX}; {STYLE}; pair_coeff * * long.pt Na", ["names 1 elements", "2 atom types"],
    ),
    "too_many_elements": (
        f"{BOX}; {STYLE}; pair_coeff * * long.pt Na Cl Na", ["names 3 elements", "2 atom types"],
    ),
    "unknown_element": (
        f"{BOX}; {STYLE}; pair_coeff * * long.pt Na Br",
        ["does not know element 'Br' of atom type 2", "it knows: Na Cl"],
    ),
    "null_alone": (f"{BOX}; {STYLE}; pair_coeff * * long.pt Na NULL", ["hybrid/overlay"]),
    "not_all_types": (f"{BOX}; {STYLE}; pair_coeff 1 1 long.pt Na", ["must start with * *"]),
    "no_model": (f"{BOX}; {STYLE}; pair_coeff * *", ["expects 'pair_coeff * * model.pt'"]),
    "no_coeff": (f"{BOX}; {STYLE}; run 0", ["pair coeffs are not"]),
    # the file
    "missing_file": (
        f"{BOX}; {STYLE}; pair_coeff * * nowhere.pt Na Cl", ["'nowhere.pt' was found neither"],
    ),
    "empty_file": (f"{BOX}; {STYLE}; pair_coeff * * empty.pt Na Cl", ["empty or unreadable"]),
    "other_file": (
        f"{BOX}; {STYLE}; pair_coeff * * text.pt Na Cl",
        ["'text.pt'", "not a model file written by loremd.export"],
    ),
    "truncated_file": (
        f"{BOX}; {STYLE}; pair_coeff * * truncated.pt Na Cl", ["truncated or damaged"],
    ),
    "other_torchscript": (
        f"{BOX}; {STYLE}; pair_coeff * * torchscript.pt Na Cl",
        ["TorchScript file, but not one written by loremd.export"],
    ),
    "newer_schema": (
        f"{BOX}; {STYLE}; pair_coeff * * newer.pt Na Cl",
        ["schema version 99", "reads versions 1 to 1", "Update loremd"],
    ),
    "other_kind": (f"{BOX}; {STYLE}; pair_coeff * * kind.pt Na Cl", ["kind 'LoremBEC'", "'Lorem'"]),
    "damaged_metadata": (
        f"{BOX}; {STYLE}; pair_coeff * * damaged.pt Na Cl", ["loremd.json is damaged"],
    ),
    "incomplete_metadata": (
        f"{BOX}; {STYLE}; pair_coeff * * incomplete.pt Na Cl", ["no valid entry 'cutoff'"],
    ),
    # keywords
    "unknown_keyword": (
        f"{KEYWORDS} cutoff 5", ["unknown keyword 'cutoff'", "accuracy, mesh, order"],
    ),
    "no_value": (f"{KEYWORDS} accuracy", ["'accuracy' needs a value"]),
    "accuracy_range": (f"{KEYWORDS} accuracy 2", ["'accuracy' is 2", "from 1e-12 to 0.1"]),
    "accuracy_word": (f"{KEYWORDS} accuracy high", ["floating point", "high"]),
    "mesh_zero": (f"{KEYWORDS} mesh 8 0 8", ["three positive numbers of points, not 0"]),
    "mesh_short": (f"{KEYWORDS} mesh 8 8", ["'mesh' needs a value"]),
    "order_range": (f"{KEYWORDS} order 11", ["'order' is 11", "auto, or 3 to 10"]),
    "splitting_word": (f"{KEYWORDS} splitting ewald", ["cannot be 'ewald'", "gaussian, prolate"]),
    "rspace_range": (f"{KEYWORDS} rspace -1", ["'rspace' is -1", "positive length"]),
    "precision_word": (f"{KEYWORDS} precision single", ["cannot be 'single'", "mixed, double"]),
    "device_word": (f"{KEYWORDS} device gpu", ["cannot be 'gpu'", "auto, cpu, cuda"]),
    "device_cuda": (
        f"{BOX}; {STYLE} device cuda; {LONG}", ["finds no GPU", "use 'cpu'"],
    ),
    "mesh_too_coarse": (
        f"{BOX}; {STYLE} mesh 4 4 4 order 8; {LONG}; run 0", ["mesh"],
    ),
}  # fmt: skip


def rewrite_metadata(source: Path, target: Path, change):
    """A copy of a model file whose loremd.json is change(json text)."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("extra/loremd.json"):
                content = change(content.decode()).encode()
            new.writestr(name, content)


def replaced(name, value):
    return lambda text: json.dumps({**json.loads(text), name: value})


@pytest.fixture(scope="module")
def workplace(models, tmp_path_factory):
    """A folder with a structure and with good and bad model files."""
    folder = tmp_path_factory.mktemp("errors")
    write_data(crystal(), ELEMENTS, folder / "crystal.data")
    for name in ("long", "message"):
        shutil.copy(models[name], folder / f"{name}.pt")
    good = models["long"].read_bytes()
    (folder / "empty.pt").write_bytes(b"")
    (folder / "text.pt").write_text("units metal\n")
    (folder / "truncated.pt").write_bytes(good[: len(good) // 2])
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), buffer)
    (folder / "torchscript.pt").write_bytes(buffer.getvalue())
    changes = {
        "newer": replaced("schema_version", 99),
        "kind": replaced("model", "LoremBEC"),
        "damaged": lambda text: text[: len(text) // 2],
        "incomplete": lambda text: text.replace('"cutoff"', '"cut"'),
    }
    for name, change in changes.items():
        rewrite_metadata(models["long"], folder / f"{name}.pt", change)
    return folder


@pytest.fixture(scope="module", params=RANKS, ids=lambda n: f"{n}_ranks")
def messages(request, workplace):
    """Of every case, the message of every rank."""
    commands = {
        name: [line.strip() for line in text.replace("\n", " ").split(";") if line.strip()]
        for name, (text, _) in CASES.items()
    }
    (workplace / "cases.json").write_text(json.dumps(commands))
    script = Path(__file__).parent / "error_cases.py"
    run_python(script, ["cases.json"], request.param, workplace).expect_success()
    return [
        json.loads((workplace / f"messages.{rank}.json").read_text())
        for rank in range(request.param)
    ]


@pytest.mark.parametrize("name", CASES)
def test_message_on_every_rank(messages, name):
    told = [of_rank[name] for of_rank in messages]
    for message in told:
        assert message is not None, "nothing was wrong"
        for piece in CASES[name][1]:
            assert piece in message
    assert len(set(told)) == 1


@pytest.mark.parametrize("name", ["units_lj", "truncated_file", "slab"])
def test_lmp_ends_with_one_message(workplace, name):
    text, pieces = CASES[name]
    done = run_lmp(text.replace(";", "\n"), 2, workplace)
    assert done.status != 0
    assert done.output.count("ERROR") == 1
    assert pieces[0] in done.output


# ---- a failure on one rank only -----------------------------------------------------------------


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("moment", ["before", "between", "after", "backward", "memory"])
def test_failure_of_one_rank_stops_all(tmp_path, ranks, moment):
    """Only the rank that owns the lone atom of the cluster fails, the others wait for it."""
    write_data(cluster(), ELEMENTS, tmp_path / "cluster.data")
    write_failing_model(tmp_path / "failing.pt", moment)
    text = f"""
units metal
processors {ranks} 1 1
read_data cluster.data
pair_style lorem
pair_coeff * * failing.pt Na Cl
run 0
"""
    done = run_lmp(text, ranks, tmp_path)
    assert done.status != 0
    assert done.output.count("ERROR") == 1
    texts = {"memory": "allocate memory", "backward": "modified by an inplace operation"}
    assert texts.get(moment, "this rank owns the lone atom") in done.output
    assert ("(rank " in done.output) == (ranks > 1)


# Run by LAMMPS on its first rank: limits the process that runs it to 0.3 GB more than it has.
LIMIT = """
import os, resource
from pathlib import Path
process = os.getppid()
while not Path(f"/proc/{process}/comm").read_text().startswith("lmp"):
    process = int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
pages = int(Path(f"/proc/{process}/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 300_000_000
resource.prlimit(process, resource.RLIMIT_AS, (limit, limit))
"""


def test_too_little_memory(tmp_path):
    """One rank has less than half a crystal of 262,144 atoms needs; all stop with one message."""
    examples = Path(__file__).resolve().parents[2] / "examples"
    (tmp_path / "limit.py").write_text(LIMIT)
    text = (examples / "scale" / "in.scale").read_text()
    text = text.replace("run           ${steps}", f"shell {sys.executable} limit.py\nrun 0")
    head = f"variable cells index 32\nvariable model index {examples / 'mgo' / 'model.pt'}\n"
    done = run_lmp(head + text, 2, tmp_path)
    assert done.status != 0
    assert done.output.count("ERROR") == 1, done.output
    assert "MB are free; use more nodes, fewer atoms" in done.output
