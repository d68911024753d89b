# SPDX-License-Identifier: BSD-3-Clause
"""A mesh divided between ranks gives what one process gives; here ranks are threads."""

import itertools
import json
import math

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from loremd import ops

from .communicators import Images, World
from .systems import CELLS, atoms, cell_of

MESH, ORDER, SMEARING = [11, 12, 15], 4, 0.8


def potentials(positions, charges, cell, comm, influence=None, mesh=MESH, window=None):
    if influence is None:
        influence = ops.influence(cell, mesh, ORDER, SMEARING, window, None, comm)
    influence = influence.to(charges.dtype)
    return ops.mesh_potential(positions, charges, cell, influence, mesh, ORDER, window, comm)


def gradients_on(positions, charges, cell, weights, comm=0, **options):
    """Potentials, and the derivatives of their weighted sum by positions, charges and cell."""
    inputs = [t.detach().clone().requires_grad_(True) for t in (positions, charges, cell)]
    values = potentials(*inputs, comm, **options)
    return values.detach(), *torch.autograd.grad((weights * values).sum(), inputs)


def divided(positions, cell, ranks):
    """The atoms of each rank: slices of the cell along its first vector; the last one has none."""
    first = (positions @ torch.linalg.inv(cell))[:, 0]
    owner = ((first - first.floor()) * (ranks - 1)).long()
    return [torch.nonzero(owner == rank).squeeze(1) for rank in range(ranks)]


def compare(ranks, cell, channels, dtype, tolerance, offset=0.0, **options):
    positions, charges = atoms(40, cell, channels, dtype=dtype)
    positions = positions + offset
    weights = atoms(40, cell, channels, seed=1, dtype=dtype)[1]
    expected = gradients_on(positions, charges, cell, weights, **options)
    owned = divided(positions, cell, ranks)

    def rank_main(rank, comm):
        part = owned[rank]
        return gradients_on(positions[part], charges[part], cell, weights[part], comm, **options)

    found = World(ranks).run(rank_main)
    order = torch.cat(owned)
    for k, name in enumerate(("potentials", "by positions", "by charges", "by cell")):
        reference = expected[k] if k == 3 else expected[k][order]
        together = torch.stack([part[k] for part in found]).sum(0) if k == 3 else None
        together = torch.cat([part[k] for part in found]) if together is None else together
        deviation = (together - reference).abs().max() / reference.abs().max()
        assert float(deviation) < tolerance, name


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("ranks", [2, 3, 4, 7])
def test_equals_one_process(name, ranks):
    compare(ranks, cell_of(name), 3, torch.float64, 1e-12)  # round-off


def test_more_ranks_than_planes():
    compare(30, cell_of("triclinic"), 2, torch.float64, 1e-12)


@pytest.mark.parametrize("channels", [1, 2, 5, 10])  # more than four take turns
def test_channels_and_float32(channels):
    compare(3, cell_of("triclinic"), channels, torch.float64, 1e-12)
    compare(3, cell_of("triclinic"), channels, torch.float32, 1e-5)  # 24 bits, sums of 40 atoms


def test_prolate_window():
    # away from mesh points, where the window has the kink in which it ends
    window = ops.prolate_shape(8.0)
    compare(3, cell_of("cubic"), 3, torch.float64, 1e-12, offset=0.01, window=window)


def test_whole_influence_of_earlier_model_files():
    """Their code makes the half spectrum on every rank, with a graph to the cell."""
    cell = cell_of("triclinic")
    positions, charges = atoms(20, cell, 3)
    half = ops.influence(cell, MESH, ORDER, SMEARING)

    def gradient(part, comm):
        influence = half.detach().requires_grad_(True)
        values = potentials(positions[part], charges[part], cell, comm, influence)
        return torch.autograd.grad(values.square().sum(), influence)[0]

    expected = gradient(slice(None), 0)
    for ranks in (2, 40):  # some of the 40 hold no frequencies
        owned = divided(positions, cell, ranks)
        found = World(ranks).run(lambda rank, comm, owned=owned: gradient(owned[rank], comm))
        torch.testing.assert_close(sum(found), expected, atol=1e-12, rtol=1e-10)


def test_atoms_of_one_rank_reach_around_the_cell():
    """The brick of a rank does not depend on where the cell begins."""
    cell = cell_of("cubic")
    mesh = [32, 32, 32]
    generator = torch.Generator().manual_seed(3)
    near_corner = 0.1 * torch.rand(8, 3, generator=generator, dtype=torch.float64) - 0.05
    charges = torch.randn(8, 2, generator=generator, dtype=torch.float64)
    sent = []
    for shift in (0.0, 0.5, 7.3):
        positions = (near_corner + shift) @ cell
        world = World(2)
        parts = (slice(0, 4), slice(4, 8))
        found = world.run(
            lambda rank, comm, positions=positions, parts=parts: potentials(
                positions[parts[rank]], charges[parts[rank]], cell, comm, mesh=mesh
            )
        )
        expected = potentials(positions, charges, cell, 0, mesh=mesh)
        torch.testing.assert_close(torch.cat(found), expected)
        sent.append(sum(world.sent_bytes))
    assert max(sent) < 1.05 * min(sent)  # a point more where a window begins on another one


def test_communication_falls_with_the_number_of_ranks():
    """No rank sends more than its share of a few meshes: nothing is sent whole."""
    cell = cell_of("cubic")
    positions, charges = atoms(500, cell, 2)
    mesh = [24, 24, 24]
    whole = 2 * math.prod(mesh) * 8  # bytes
    for ranks in (2, 4):
        # blocks of the cell: along x, or x and y
        f = positions @ torch.linalg.inv(cell)
        f = f - f.floor()
        owner = (2 * f[:, 0]).long() + (2 * (2 * f[:, 1]).long() if ranks == 4 else 0)
        world = World(ranks)
        world.run(
            lambda rank, comm, owner=owner: potentials(
                positions[owner == rank], charges[owner == rank], cell, comm, mesh=mesh
            )
        )
        # four moves of a share each; bricks have up to 5 more points per divided axis
        assert max(world.sent_bytes) < 4 * whole / ranks * (1 + 5 / 12) ** (ranks / 2)


def most_allocated(run, folder):
    """The bytes that torch allocates on this thread within `run()`, when they are most."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        run()
    profiled.export_chrome_trace(str(folder / "trace.json"))
    events = json.loads((folder / "trace.json").read_text())["traceEvents"]
    changes = sorted((e["ts"], e["args"]["Bytes"]) for e in events if e["name"] == "[memory]")
    return max(itertools.accumulate(change for _, change in changes))


def block_of(fractions, ranks):
    """The ranks of atoms where axes are cut in halves, the first ones first."""
    halves = (2 * fractions).long()
    return sum(halves[:, axis] << axis for axis in range(int(math.log2(ranks))))


@pytest.mark.cpu_kernels
def test_memory_falls_with_the_number_of_ranks(tmp_path):
    """All that forward and backward take for a mesh, with the derivatives of a virial."""
    cell = cell_of("cubic")
    mesh, channels = [64, 64, 64], 10
    generator = torch.Generator().manual_seed(5)
    fractions = torch.rand(500, 3, generator=generator, dtype=torch.float64)
    charges = torch.randn(500, channels, generator=generator)

    def evaluate(influence, owned, comm):
        position, charge = fractions[owned] @ cell, charges[owned]
        inputs = [t.requires_grad_(True) for t in (position, charge, influence)]
        values = ops.mesh_potential(position, charge, cell, influence, mesh, ORDER, None, comm)
        torch.autograd.grad(values.sum(), inputs)

    def rank_main(rank, owned, comm):
        influence = ops.influence(cell, mesh, ORDER, SMEARING, None, None, comm).float()
        if rank > 0:  # only one thread can be looked at
            evaluate(influence, owned, comm)
            return ops.mesh_bytes()
        found = most_allocated(lambda: evaluate(influence, owned, comm), tmp_path)
        told = ops.mesh_bytes()
        # beside the meshes there are atoms and the weights of windows, and nothing else
        assert found - 0.01 * told < told - influence.nbytes <= found
        return told

    alone = World(1).run(lambda rank, _: rank_main(rank, slice(None), 0))[0]
    # what is kept is divided by the ranks, but the rest is that of four channels and not of ten,
    # with margins of 5 points around 32
    for ranks, most in ((2, 1 / 2), (4, 1 / 3), (8, 1 / 6)):
        owner = block_of(fractions, ranks)
        held = World(ranks).run(
            lambda rank, comm, owner=owner: rank_main(rank, owner == rank, comm)
        )
        assert max(held) < most * alone, ranks


def test_largest_value_on_any_rank():
    values = [torch.tensor([1.0, -5.0, float("-inf")]), torch.tensor([-2.0, 3.0, float("-inf")])]
    found = World(2).run(lambda rank, comm: ops.max_over_ranks(values[rank].double(), comm))
    for row in found:
        assert row.tolist() == [1.0, 3.0, float("-inf")]
    values[1][0] = float("nan")
    found = World(2).run(lambda rank, comm: ops.max_over_ranks(values[rank].double(), comm))
    assert all(bool(row[0].isnan()) for row in found)


def test_one_rank_is_one_process():
    cell = cell_of("triclinic")
    positions, charges = atoms(10, cell, 3)
    with Images(()) as comm:
        found = potentials(positions, charges, cell, comm)
    assert torch.equal(found, potentials(positions, charges, cell, 0))


def test_failure_of_one_rank_ends_all():
    cell = cell_of("cubic")
    positions, charges = atoms(10, cell, 3)

    def rank_main(rank, comm):
        own = positions + (float("nan") if rank == 1 else 0.0)
        return potentials(own, charges, cell, comm)

    with pytest.raises(ValueError, match="a position is not finite"):
        World(3).run(rank_main)


def test_what_it_refuses():
    cell = cell_of("cubic")
    positions, charges = atoms(10, cell, 3)

    def second_derivative(rank, comm):
        x = positions.clone().requires_grad_(True)
        values = potentials(x, charges, cell, comm)
        return torch.autograd.grad(values.sum(), x, create_graph=True)

    with pytest.raises(NotImplementedError, match="second derivatives run in one process"):
        World(2).run(second_derivative)

    def wrong_influence(rank, comm):
        return potentials(positions, charges, cell, comm, torch.zeros(3, 4, 5).double())

    with pytest.raises(ValueError, match=r"influence of shape \(11, 6, 15\) for this mesh"):
        World(2).run(wrong_influence)
