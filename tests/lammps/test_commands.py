# SPDX-License-Identifier: BSD-3-Clause
"""The style among other commands: hybrid, restart, fix pair, minimisers, changing boxes."""

import re
import shutil

import ase
import numpy as np
import pytest
from lammps_runs import METAL, evaluate, read_dump, read_evaluation, run_lmp, write_data
from lammps_systems import ELEMENTS, OFFSETS, build_model, crystal, reference

import loremd

ACCURACY = 1e-5
STYLE = f"accuracy {ACCURACY} precision double"
START = """
clear
units metal
atom_modify map yes
box tilt large
read_data {data}
"""


@pytest.fixture(scope="module")
def folder(models, tmp_path_factory):
    """Structure and models, by the names the inputs use."""
    folder = tmp_path_factory.mktemp("commands")
    write_data(crystal(), ELEMENTS, folder / "crystal.data")
    for name, path in models.items():
        shutil.copy(path, folder / f"{name}.pt")
    smooth = build_model("long", norm_epsilon=0.1)  # without kinks, so that energy is conserved
    loremd.export(smooth, folder / "smooth.pt", elements=ELEMENTS)
    return folder


def with_foreign_atoms() -> ase.Atoms:
    atoms = crystal()
    atoms.symbols[::7] = "Ar"
    return atoms


@pytest.mark.parametrize("model", ["long", "message"])
@pytest.mark.parametrize("ranks", [1, 2])
def test_hybrid_overlay_with_null(folder, model, ranks):
    """Atoms without element are invisible to the model, and other styles add their forces."""
    atoms = with_foreign_atoms()
    write_data(atoms, [*ELEMENTS, "Ar"], folder / "foreign.data")
    start = START.format(data="foreign.data")
    text = f"""
{start}
pair_style hybrid/overlay lorem {STYLE} lj/cut 6.0
pair_coeff * * lorem {model}.pt Na Cl NULL
pair_coeff * 3 lj/cut 0.01 2.5
{evaluate("both")}
{start}
pair_style lj/cut 6.0
pair_coeff * * 0.0 1.0
pair_coeff * 3 0.01 2.5
{evaluate("other", extra=False)}
"""
    run_lmp(text, ranks, folder).expect_success()
    both, other = (read_evaluation(folder, name, METAL) for name in ("both", "other"))

    known = np.flatnonzero(atoms.numbers != 18)
    calculator = loremd.Calculator(folder / f"{model}.pt", dtype="float64", accuracy=ACCURACY)
    lorem = atoms[known]
    lorem.calc = calculator
    forces, energies = other.forces.copy(), other.energies.copy()
    forces[known] += lorem.get_forces()
    energies[known] += calculator.results["energies"]
    assert both.energy == pytest.approx(other.energy + lorem.get_potential_energy(), rel=1e-9)
    assert np.abs(both.forces - forces).max() < 1e-8
    assert np.abs(both.energies - energies).max() < 1e-9 * np.abs(energies).max()
    xx, yy, zz, *_ = -lorem.get_stress() * lorem.get_volume()
    virial = np.diag(both.virial - other.virial)
    assert virial == pytest.approx([xx, yy, zz], abs=1e-8 * np.abs(both.virial).max())


def test_style_given_again(folder):
    """New settings hold from then on, the coefficients stay."""
    text = f"""
{START.format(data="crystal.data")}
pair_style lorem accuracy 1e-3
pair_coeff * * long.pt Na Cl
run 0
pair_style lorem {STYLE}
{evaluate("again")}
pair_coeff * * message.pt Na Cl
run 0
variable message equal pe
print "message ${{message}}"
"""
    done = run_lmp(text, 1, folder).expect_success()
    expected = reference("long", "crystal", ACCURACY)
    found = read_evaluation(folder, "again", METAL)
    assert np.abs(found.forces - expected["forces"]).max() < 1e-8
    message = float(re.search(r"^message (\S+)", done.output, re.MULTILINE)[1])
    assert message == pytest.approx(reference("message", "crystal", ACCURACY)["energy"], rel=1e-9)
    assert done.output.count("LOREM potential") == 3


@pytest.mark.parametrize("model", ["long", "message"])
def test_the_way_the_sum_is_split_is_free(folder, model):
    """Real-space cutoffs shorter and longer than that of the model, other orders and meshes: all
    give the forces of the model to the accuracy of the sum."""
    words = {
        "short": "rspace 3.0",
        "long": "rspace 6.5",
        "order": "order 5",
        "mesh": "mesh 48 40 36 rspace 5.5",
    }
    text = ""
    for name, word in words.items():
        text += f"""
{START.format(data="crystal.data")}
pair_style lorem {STYLE} {word}
pair_coeff * * {model}.pt Na Cl
{evaluate(name)}
"""
    run_lmp(text, 2, folder).expect_success()
    expected = reference(model, "crystal", 1e-8)
    scale = np.abs(expected["forces"]).max()
    for name in words:
        found = read_evaluation(folder, name, METAL)
        # potentials to 1e-5; the network may be steeper than 1
        assert np.abs(found.forces - expected["forces"]).max() < 20 * ACCURACY * scale, name
        assert found.energy == pytest.approx(expected["energy"], rel=10 * ACCURACY), name


def test_fix_pair_and_extra_values(folder):
    text = f"""
{START.format(data="crystal.data")}
pair_style lorem {STYLE}
pair_coeff * * long.pt Na Cl
fix features all pair 1 lorem charges 0 potentials 1
dump out all custom 1 features.dump id f_features[*]
dump_modify out sort id format float %.17g
run 0
"""
    run_lmp(text, 2, folder).expect_success()
    expected = reference("long", "crystal", ACCURACY)
    table = read_dump(folder / "features.dump")
    channels = expected["charges"].shape[1]
    assert table[:, 1 : 1 + channels] == pytest.approx(expected["charges"], abs=1e-9)
    assert table[:, 1 + channels :] == pytest.approx(expected["potentials"], abs=1e-9)


def test_offsets_are_told_apart(folder):
    text = f"""
{START.format(data="crystal.data")}
pair_style lorem {STYLE}
pair_coeff * * long.pt Na Cl
{evaluate("offsets")}
"""
    run_lmp(text, 1, folder).expect_success()
    expected = sum(OFFSETS[number] for number in crystal().numbers)
    assert read_evaluation(folder, "offsets", METAL).extra[0] == pytest.approx(expected)


@pytest.mark.parametrize("ranks", [1, 2])
def test_empty_box_and_single_atoms(folder, ranks):
    """No atom, one atom, two atoms out of each other's reach: energies per element and charges that
    feel their own images."""
    text = """
units metal
region box block 0 16 0 16 0 16
create_box 2 box
mass * 1.0
pair_style lorem precision double
pair_coeff * * long.pt Na Cl
variable energy equal pe
run 0
print "before ${energy}"
create_atoms 1 single 1 1 1
run 0
print "before ${energy}"
create_atoms 2 single 9 9 9
run 0
print "before ${energy}"
"""
    done = run_lmp(text, ranks, folder).expect_success()
    calculator = loremd.Calculator(folder / "long.pt", dtype="float64", accuracy=ACCURACY)
    expected = [0.0]
    for positions in ([[1, 1, 1]], [[1, 1, 1], [9, 9, 9]]):
        atoms = ase.Atoms(
            ELEMENTS[: len(positions)], positions=positions, cell=[16.0] * 3, pbc=True
        )
        calculator.calculate(atoms, ["energy"])
        expected.append(calculator.results["energy"])
    assert energies_printed(done.output) == pytest.approx(expected, rel=1e-9)


# ---- restart ------------------------------------------------------------------------------------


RESTART = f"""
{START.format(data="crystal.data")}
pair_style lorem {STYLE} mesh 24 20 20 order 6
pair_coeff * * used.pt Na Cl
run 0
variable energy equal pe
print "before ${{energy}}"
write_restart state.restart
"""
AFTER = """
run 0
variable energy equal pe
print "after ${energy}"
"""


@pytest.mark.parametrize(
    ("cutting", "style"), [("shift xyz 5 1.01", "brick"), ("rcb", "tiled")], ids=["brick", "tiled"]
)
@pytest.mark.parametrize("model", ["long", "message"])
def test_atoms_change_ranks_during_a_run(folder, model, cutting, style):
    """fix balance: atoms of one side come to weigh more, so the cuts move; the forces after ten
    steps are those of one rank."""
    for ranks in (1, 4):
        text = f"""
{START.format(data="crystal.data")}
comm_style {style}
mass * 20.0
pair_style lorem {STYLE}
pair_coeff * * {model}.pt Na Cl
region right block $(0.5*(xlo+xhi)) INF INF INF INF INF
group right region right
variable weight atom 1.0+4.0*gmask(right)*(step>4)
fix cuts all balance 5 1.0 {cutting} weight var weight
fix integrate all nve
timestep 0.0005
neigh_modify every 5 delay 0 check no
run 0 post no
write_dump all custom before_{ranks}.dump id proc modify sort id
run 10 post no
write_dump all custom after_{ranks}.dump id proc fx fy fz modify sort id format float %.17g
"""
        run_lmp(text, ranks, folder).expect_success()
    before = read_dump(folder / "before_4.dump")
    one, four = (read_dump(folder / f"after_{ranks}.dump") for ranks in (1, 4))
    assert (four[:, 1] != before[:, 1]).sum() > 5
    assert np.abs(four[:, 2:] - one[:, 2:]).max() < 1e-8


def energies_printed(output):
    return [float(e) for e in re.findall(r"^(?:before|after) (\S+)", output, re.MULTILINE)]


@pytest.fixture(scope="module")
def restarted(folder):
    shutil.copy(folder / "long.pt", folder / "used.pt")
    return run_lmp(RESTART, 2, folder).expect_success()


def test_restart_brings_settings_and_model_back(folder, restarted):
    done = run_lmp("read_restart state.restart\n" + AFTER, 2, folder).expect_success()
    after = energies_printed(done.output)
    assert after == pytest.approx(energies_printed(restarted.output), rel=1e-5)
    for line in re.findall(r"^  (?:order|mesh|precision) .*$", restarted.output, re.MULTILINE):
        assert line in done.output


def test_restart_refuses_another_model(folder, restarted, tmp_path):
    shutil.copy(folder / "state.restart", tmp_path)
    shutil.copy(folder / "message.pt", tmp_path / "used.pt")
    done = run_lmp("read_restart state.restart\n", 2, tmp_path)
    assert done.status != 0
    assert "the restart file was written with" in done.output
    assert done.output.count("ERROR") == 1


def test_restart_without_the_file_asks_for_it(folder, restarted, tmp_path):
    shutil.copy(folder / "state.restart", tmp_path)
    shutil.copy(folder / "long.pt", tmp_path / "moved.pt")
    shutil.copy(folder / "message.pt", tmp_path / "other.pt")
    text = "read_restart state.restart\npair_coeff * * moved.pt Na Cl\n" + AFTER
    done = run_lmp(text, 1, tmp_path).expect_success()
    assert "used.pt of the restart file was not found; name it with 'pair_coeff * *" in done.output
    assert "the restart file was written with" not in done.output
    assert energies_printed(done.output) == pytest.approx(
        energies_printed(restarted.output), rel=1e-5
    )
    text = "read_restart state.restart\npair_coeff * * other.pt Na Cl\n" + AFTER
    done = run_lmp(text, 1, tmp_path).expect_success()
    assert re.search("WARNING: .*the restart file was written with", done.output)


# ---- dynamics -----------------------------------------------------------------------------------


def test_dynamics_minimiser_and_rerun(folder):
    text = f"""
{START.format(data="crystal.data")}
pair_style lorem {STYLE}
pair_coeff * * smooth.pt Na Cl
thermo_modify format float %.12g
print "minimise"
minimize 0 1e-4 10 40
print "end"
velocity all create 300 4711 mom yes loop all
fix nve all nve
timestep 0.0005
thermo 10
print "dynamics"
run 40
print "end"
run 10 pre no
dump out all custom 20 rerun.dump id type x y z
dump_modify out format float %.17g
run 20
undump out
variable energy equal pe
print "before ${{energy}}"
rerun rerun.dump dump x y z
print "after ${{energy}}"
"""
    done = run_lmp(text, 2, folder).expect_success()
    minimised = re.search(r"Energy initial, next-to-last, final = \n(.*)\n", done.output)[1].split()
    assert float(minimised[2]) < float(minimised[0]) - 1.0
    part = done.output[done.output.index("\ndynamics") :]
    rows = re.findall(r"^ +\d+ +\S+ +(\S+) +\S+ +(\S+) +\S+ *$", part[: part.index("\nend")], re.M)
    potential, total = np.array(rows, dtype=float).T
    # the energy goes back and forth between its two forms
    assert np.ptp(total) < 2e-3 * np.ptp(potential)
    before, after = energies_printed(done.output)
    assert after == pytest.approx(before, rel=1e-9)


def growing(accuracy):
    return f"""
{START.format(data="crystal.data")}
pair_style lorem accuracy {accuracy} precision double
pair_coeff * * smooth.pt Na Cl
fix grow all deform 1 x scale 1.5 y scale 1.5 z scale 1.5 remap x
neigh_modify every 1 delay 0 check no
thermo_style custom step pe
thermo_modify format float %.12g
thermo 1
run 20
"""


def energies_in(output):
    rows = re.findall(r"^ +\d+ +(-?\d\S*) *$", output, re.MULTILINE)
    assert len(rows) == 21
    return np.array(rows, dtype=float)


@pytest.fixture(scope="module")
def energies_of_a_finer_mesh(folder):
    return energies_in(run_lmp(growing(0.1 * ACCURACY), 1, folder).expect_success().output)


@pytest.mark.parametrize("ranks", [1, 2])
def test_mesh_is_kept_while_the_box_changes_and_then_renewed(
    folder, energies_of_a_finer_mesh, ranks
):
    """A box that grows by half keeps its mesh for some steps; when the error gets too large, a note
    says so. The energies stay right throughout."""
    output = run_lmp(growing(ACCURACY), ranks, folder).expect_success().output
    renewed = re.findall(r"the box has changed, step (\d+): new mesh", output)
    assert 1 <= len(renewed) <= 10
    jumps = re.findall(r"the energy jumps by (\S+) per atom", output)
    assert len(jumps) == len(renewed)
    assert max(abs(float(jump)) for jump in jumps) < ACCURACY * np.abs(energies_in(output)).max()
    assert int(renewed[0]) > 1
    error = np.abs(energies_in(output) - energies_of_a_finer_mesh).max()
    assert error < 10 * ACCURACY * np.abs(energies_of_a_finer_mesh).max()


@pytest.mark.parametrize("ranks", [1, 2])
def test_mesh_is_kept_during_a_minimisation(folder, ranks):
    """A box that pulls itself apart keeps its mesh; a warning says what it has come to."""
    text = f"""
{START.format(data="crystal.data")}
pair_style lorem accuracy {ACCURACY} precision double
pair_coeff * * smooth.pt Na Cl
fix relax all box/relax iso -2e6 vmax 0.02
neigh_modify every 1 delay 0 check no
minimize 0 0 10 100
"""
    output = run_lmp(text, ranks, folder).expect_success().output
    assert "new mesh" not in output
    warning = (
        r"WARNING: .*stays the same during a minimisation, has an estimated error of (\S+) now"
    )
    (estimate,) = re.findall(warning, output)
    assert float(estimate) > ACCURACY


def test_log(folder):
    """Settings at the beginning of a run, times at its end."""
    text = f"""
{START.format(data="crystal.data")}
pair_style lorem
pair_coeff * * long.pt Na Cl
fix nve all nve
run 3
"""
    log = run_lmp(text, 2, folder).expect_success().output
    digest = loremd.export.__globals__["read_metadata"](folder / "long.pt")["content_hash"]
    for line in (
        r"model +=.*long\.pt",
        rf"hash +=.*{digest}",
        r"elements +=.*Na Cl",
        r"long range +=.*mesh, prolate splitting, prolate window, 10 channels",
        r"bandlimit +=.* / cutoff",
        r"order +=.*\d",
        r"mesh +=.*\d+ \d+ \d+",
        r"estimated error +=.*asked for 1\.00e-05",
        r"precision +=.*mixed",
        r"device +=.*(cpu, chosen because .*torch|cuda, rank:GPU).*, 1 threads per rank, torch",
    ):
        assert len(re.findall(rf"^  {line}", log, re.MULTILINE)) == 1, line
    assert "LOREM time split over 3 steps" in log
    sections = re.findall(r"^(\w[\w ]*?) +\| \S+ +\| \S+ +\| \S+ +\| +(\S+)$", log, re.MULTILINE)
    names = [
        "Pairs",
        "Density",
        "Products",
        "Networks",
        "Spread",
        "FFT",
        "Interpolate",
        "Real space",
        "Exchange",
    ]
    assert [name for name, _ in sections] == [*names, "Other"]
    shares = {name: float(share) for name, share in sections}
    assert sum(shares.values()) == pytest.approx(100.0, abs=0.1)
    # every kernel is booked under its own name; 2 ranks exchange meshes
    assert min(shares[name] for name in ("Spread", "FFT", "Interpolate", "Exchange")) > 0
    mesh = re.search(
        r"^Mesh memory per rank .* = (\S+) \| (\S+) \| (\S+) Mbytes", log, re.MULTILINE
    )
    assert 0 < float(mesh[1]) <= float(mesh[2]) <= float(mesh[3])
    assert re.search(r"^Peak memory of all ranks: \d+\.\d MB", log, re.MULTILINE)


def test_mesh_that_misses_the_accuracy_is_told(folder):
    text = f"""
{START.format(data="crystal.data")}
pair_style lorem mesh 8 8 8
pair_coeff * * long.pt Na Cl
run 0
"""
    done = run_lmp(text, 1, folder).expect_success()
    assert re.search("WARNING: .*does not reach the accuracy 1e-05", done.output)
