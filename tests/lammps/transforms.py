# SPDX-License-Identifier: BSD-3-Clause
"""On every rank: the mesh of loremd against the same with LAMMPS's parallel Fourier transform.

    mpirun -np 2 python transforms.py

writes the largest deviations, relative to the largest value, to deviations.{rank}.json.
"""

import ctypes as C
import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import torch

from lammps import lammps

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.ops.communicators import (
    ALL_GATHER,
    ALL_TO_ALL,
    HALO,
    SUM,
    Registered,
    Table,
)

from loremd import ops

# four ranks divide the first into slabs and the second into pencils
MESHES = {"slabs": (12, 15, 10), "pencils": (5, 9, 14)}
ORDER, ATOMS, CHANNELS = 4, 60, 6
CELL = torch.eye(3, dtype=torch.float64)
FORWARD, BACKWARD = 1, -1


def address(values):
    return C.c_void_p(values.ctypes.data)


class Ranks:
    """LAMMPS's communicator and what is called on it. Everything travels as bytes."""

    def __init__(self, instance):
        self.comm = instance.lib.lammps_get_mpi_comm(instance.lmp)
        self.rank, self.size = (instance.extract_setting(n) for n in ("world_rank", "world_size"))
        self.mpi = C.CDLL(None)  # LAMMPS has brought it
        header = (Path(sys.prefix) / "include" / "mpi.h").read_text()
        self.byte = int(re.search(r"MPI_BYTE +\(\(MPI_Datatype\)(0x\w+)\)", header)[1], 16)

    def all_gather(self, _, mine, count, everyone):
        length = count * C.sizeof(C.c_int64)
        return self.mpi.MPI_Allgather(
            mine, length, self.byte, everyone, length, self.byte, self.comm
        )

    def all_to_all(self, _, send, send_bytes, receive, receive_bytes):
        def blocks(lengths):
            lengths = [lengths[r] for r in range(self.size)]
            begins = [sum(lengths[:r]) for r in range(self.size)]
            integers = C.c_int * self.size
            return integers(*lengths), integers(*begins), self.byte

        return self.mpi.MPI_Alltoallv(
            C.c_void_p(send), *blocks(send_bytes), C.c_void_p(receive), *blocks(receive_bytes),
            self.comm,
        )  # fmt: skip

    def table(self):
        return Table(
            None, HALO(), HALO(), SUM(), self.rank, self.size,
            ALL_GATHER(self.all_gather), ALL_TO_ALL(self.all_to_all),
        )  # fmt: skip

    def sum(self, values):
        values = np.ascontiguousarray(values)
        everyone = np.empty((self.size, *values.shape), values.dtype)
        assert values.itemsize % C.sizeof(C.c_int64) == 0
        count = values.nbytes // C.sizeof(C.c_int64)
        self.all_gather(None, address(values), count, address(everyone))
        return everyone.sum(0)


class Transform:
    """fft_3d of liblammps, double precision, from slabs along x to slabs along z and back.

    What it needs to know: the fastest axis comes first, both ends of a range belong to it, the two
    flags are "no factor" and "the axes stay as they are", the last argument "no collective calls".
    """

    def __init__(self, library, ranks, mesh):
        self.library, self.mesh = library, mesh
        library.fft_3d_create_plan.restype = C.c_void_p
        self.by_x, self.by_z = (self.slab(axis, ranks) for axis in (0, 2))
        self.plans = {FORWARD: self.plan(self.by_x, self.by_z, ranks)}
        self.plans[BACKWARD] = self.plan(self.by_z, self.by_x, ranks)

    def slab(self, axis, ranks):
        cuts = [self.mesh[axis] * r // ranks.size for r in (ranks.rank, ranks.rank + 1)]
        return tuple(slice(*cuts) if a == axis else slice(0, n) for a, n in enumerate(self.mesh))

    def plan(self, source, target, ranks):
        ranges = [
            end for box in (source, target) for s in box[::-1] for end in (s.start, s.stop - 1)
        ]
        size = C.c_int()
        plan = self.library.fft_3d_create_plan(
            ranks.comm, *self.mesh[::-1], *ranges, 0, 0, C.byref(size), 0
        )
        assert plan
        return C.c_void_p(plan)

    def __call__(self, part, flag):
        """This rank's part of the transform, along z, of a field, along x; or backward."""
        part = np.ascontiguousarray(part, dtype=np.complex128)
        target = self.by_z if flag == FORWARD else self.by_x
        result = np.empty([s.stop - s.start for s in target], np.complex128)
        self.library.fft_3d(address(part), address(result), flag, self.plans[flag])
        return result


def whole_spectrum(half, mesh):
    """A half spectrum at all k, even in k, which is what a real mesh sees of it."""
    x, y, z = torch.meshgrid(*(torch.arange(n) for n in mesh), indexing="ij")
    stored = z <= mesh[2] // 2
    minus = [(-k) % n for k, n in zip((x, y, z), mesh)]
    own = half[x, y, torch.where(stored, z, 0)]
    mirrored = half[minus[0], minus[1], torch.where(stored, 0, minus[2])]
    full = torch.where(stored, own, mirrored)
    return (full + full[minus[0], minus[1], minus[2]]) / 2


class Reference:
    """Whole meshes on every rank; only LAMMPS's transforms between them are shared."""

    def __init__(self, ranks, transform, half):
        self.ranks, self.transform = ranks, transform
        self.half = half.double().requires_grad_(True)
        self.whole = whole_spectrum(self.half, transform.mesh)
        self.points = math.prod(transform.mesh)

    def spectra(self, mesh):
        """Pairs of channels as complex fields: this rank's part of their transforms."""
        fields = mesh.numpy()[..., 0::2] + 1j * mesh.numpy()[..., 1::2]
        fields = np.moveaxis(fields, -1, 0)
        return [self.transform(field[self.transform.by_x], FORWARD) for field in fields]

    def convolve(self, mesh):
        factors = self.whole.detach().numpy()[self.transform.by_z] / self.points
        result = np.zeros(mesh.shape)
        for pair, spectrum in enumerate(self.spectra(mesh)):
            field = self.transform(factors * spectrum, BACKWARD)
            result[(*self.transform.by_x, 2 * pair)] = field.real
            result[(*self.transform.by_x, 2 * pair + 1)] = field.imag
        return torch.from_numpy(self.ranks.sum(result))

    def by_influence(self, first, second):
        """Of the sum of `second` times `first` convolved."""
        products = np.zeros(self.transform.mesh)
        for a, b in zip(self.spectra(first), self.spectra(second)):
            products[self.transform.by_z] += (a.conj() * b).real / self.points
        products = torch.from_numpy(self.ranks.sum(products))
        return torch.autograd.grad(self.whole, self.half, products)[0]


def deviation(found, expected):
    return float((found.double() - expected).abs().max() / expected.abs().max())


def compare(instance, ranks, mesh, dtype):
    """Charges and, for the derivatives, weights are random, and so is the influence function."""
    generator = torch.Generator().manual_seed(7)
    fractions = torch.rand(ATOMS, 3, generator=generator, dtype=torch.float64)
    charges, weights = torch.randn(2, ATOMS, CHANNELS, generator=generator).to(dtype)
    half = torch.rand(mesh[0], mesh[1], mesh[2] // 2 + 1, generator=generator).to(dtype)
    own = (ranks.size * fractions[:, 1]).long() == ranks.rank

    charge, influence = (t.clone().requires_grad_(True) for t in (charges[own], half))
    with Registered(ranks.table()) as comm:
        values = ops.mesh_potential(
            fractions[own], charge, CELL, influence, mesh, ORDER, None, comm
        )
        by_charges, by_half = torch.autograd.grad(values, (charge, influence), weights[own])
    by_half = torch.from_numpy(ranks.sum(by_half.double().numpy()))

    reference = Reference(ranks, Transform(instance.lib, ranks, mesh), half)
    spread = [ops.spread(fractions, v.double(), CELL, mesh, ORDER) for v in (charges, weights)]
    expected = [
        ops.interpolate(fractions[own], reference.convolve(field), CELL, ORDER) for field in spread
    ]
    return {
        "potentials": deviation(values.detach(), expected[0]),
        "by charges": deviation(by_charges, expected[1]),
        "by influence": deviation(by_half, reference.by_influence(*spread)),
    }


def main():
    instance = lammps(cmdargs=["-log", "none", "-screen", "none"])
    ranks = Ranks(instance)
    deviations = {
        dtype: {
            name: compare(instance, ranks, mesh, getattr(torch, dtype))
            for name, mesh in MESHES.items()
        }
        for dtype in ("float64", "float32")
    }
    deviations["ranks"] = ranks.size
    Path(f"deviations.{ranks.rank}.json").write_text(json.dumps(deviations))
    instance.close()
    instance.finalize()


if __name__ == "__main__":
    main()
