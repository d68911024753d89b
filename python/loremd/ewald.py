# SPDX-License-Identifier: BSD-3-Clause
"""The exact Coulomb sum: Ewald in three and two periodic directions, all pairs without any.

Every potential carries the factor 1/2, ``V_i = 1/2 Σ'_{j,S} q_j / |R_j - R_i + S A|`` (tin-foil
boundary, uniform neutralising background for a net charge in three dimensions). All channels share
the phases; everything is done in float64, with plain torch, so that any derivative
exists. This is the reference of :class:`loremd.MeshPotential` and takes the same call.
"""

from __future__ import annotations

import math
from typing import List, Optional, Tuple

import torch
from torch import Tensor

from .geometry import (
    check_coulomb_input,
    checked_volume,
    pair_vectors,
    periodicity,
    structure_sizes,
)

SCHEMES = ("lorem-jax", "exact")


class EwaldPotential(torch.nn.Module):
    """Potentials of point charges, exact to ``accuracy``.

    Args:
        cutoff: real-space cutoff (Å); the pair list must be complete up to it, pairs beyond it are
            dropped. The smearing follows from cutoff and accuracy.
        accuracy: relative size of the terms left out of both sums, between 1e-17 and 0.1.
        scheme: sum for two periodic directions. "exact" is the two-periodic Ewald sum (without
            background: a net charge q gives the potential -2π q |z| / area far away). "lorem-jax"
            is the scheme of that library: the three-dimensional sum in a cell whose open axis is
            shrunk to the slab plus 1.5 lattice vectors, with the dipole correction of a slab
            (Yeh and Berkowitz, DOI 10.1063/1.479595; for charged slabs Ballenegger, Arnold and
            Cerdà, DOI 10.1063/1.3216473), and its gradients: none reach the open lattice vector.
    """

    def __init__(self, cutoff: float, *, accuracy: float = 1e-12, scheme: str = "exact"):
        super().__init__()
        self.cutoff = 0.0
        self.accuracy = 0.0
        self.scheme = ""
        self.configure(cutoff, accuracy, scheme)

    @torch.jit.export
    def configure(self, cutoff: float, accuracy: float, scheme: str) -> None:
        """Set the run-time choices; see the arguments of the class."""
        if not (cutoff > 0.0):
            raise ValueError(f"cutoff is {cutoff}, but it must be a positive length in Å")
        if not (accuracy >= 1e-17 and accuracy <= 0.1):
            raise ValueError(f"accuracy is {accuracy}, but it must be between 1e-17 and 0.1")
        if scheme != "lorem-jax" and scheme != "exact":
            raise ValueError(f"scheme is '{scheme}', but it must be 'lorem-jax' or 'exact'")
        self.cutoff = float(cutoff)
        self.accuracy = float(accuracy)
        self.scheme = scheme

    @torch.jit.export
    def smearing(self) -> float:
        """Width (Å) of the Gaussian charges: both sums end where the terms reach the accuracy."""
        return self.cutoff / (math.sqrt(2.0) * _decay(self.accuracy))

    def forward(
        self,
        positions: Tensor,
        charges: Tensor,
        cell: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        pbc: Optional[Tensor] = None,
        batch: Optional[Tensor] = None,
        n_owned: int = -1,
        comm: int = 0,
    ) -> Tensor:
        """Compute the potentials.

        Args:
            positions: (n, 3) float64, Å.
            charges: (n, C) float32 or float64.
            cell: (3, 3) float64, rows are lattice vectors; (B, 3, 3) with ``batch``.
            pairs: (2, P) int64, full list, row 0 the centre; shifts: (P, 3) int64.
            pbc: (3,) or (B, 3) bool; None means three periodic directions. Structures without
                periodic direction use all their pairs and ignore the list.
            batch: (n,) int64, the structure of each atom, non-decreasing.
            n_owned, comm: as in MeshPotential; ghosts and several processes are not supported.
        Returns:
            (n, C) potentials in units of charge / Å, dtype of the charges.
        Raises:
            ValueError: shapes or dtypes are wrong, the cell has no volume, exactly one direction
                is periodic, or ghosts are present.
        """
        n = positions.shape[0]
        if comm != 0:
            raise ValueError(
                "EwaldPotential runs in one process: comm must be 0; use MeshPotential"
            )
        if n_owned != -1 and n_owned != n:
            raise ValueError(
                f"EwaldPotential takes no ghosts: n_owned is {n_owned}, but there are {n} atoms"
            )
        check_coulomb_input(positions, charges, cell, pairs, shifts, n, batch)
        cells = cell.reshape(-1, 3, 3)
        sizes = structure_sizes(positions, cells, batch)
        periodic = periodicity(pbc, cells)
        charges64 = charges.to(torch.float64)
        n_periodic = int(periodic.any(1).sum())
        potentials: List[Tensor] = []
        start = 0
        for b in range(len(sizes)):
            points = positions[start : start + sizes[b]]
            values = charges64[start : start + sizes[b]]
            potentials.append(self._smooth_part(points, values, cells[b], periodic[b]))
            start += sizes[b]
        total = torch.cat(potentials, 0)
        if n_periodic > 0:
            if n_periodic < len(sizes):
                assert batch is not None
                used = torch.nonzero(periodic.any(1)[batch[pairs[0]]]).squeeze(1)
                pairs, shifts = pairs[:, used], shifts[used]
            total = total + self._real_space(positions, charges64, cells, pairs, shifts, batch)
        return (0.5 * total).to(charges.dtype)

    def _smooth_part(self, positions: Tensor, charges: Tensor, cell: Tensor, pbc: Tensor) -> Tensor:
        """All of 2V that does not use the pair list, for one structure."""
        flags = [bool(pbc[0]), bool(pbc[1]), bool(pbc[2])]
        n_periodic = int(flags[0]) + int(flags[1]) + int(flags[2])
        if positions.shape[0] == 0:
            return torch.zeros_like(charges)
        if n_periodic == 0:
            return _all_pairs(positions, charges)
        if n_periodic == 1:
            raise ValueError(
                "pbc has one periodic direction, but the sum exists for three, two or none"
            )
        smearing = self.smearing()
        k_max = math.sqrt(2.0) * _decay(self.accuracy) / smearing
        self_term = -math.sqrt(2.0 / math.pi) / smearing * charges
        if n_periodic == 3:
            return self_term + _reciprocal(positions, charges, cell, smearing, k_max)
        axis = flags.index(False)
        if self.scheme == "exact":
            return self_term + _two_periodic(positions, charges, cell, axis, smearing, k_max)
        shrunk, normal = _shrink(positions, cell, axis)
        smooth = _reciprocal(positions, charges, shrunk, smearing, k_max)
        return self_term + smooth + _slab_correction(positions, charges, shrunk, axis, normal)

    def _real_space(
        self,
        positions: Tensor,
        charges: Tensor,
        cells: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        batch: Optional[Tensor],
    ) -> Tensor:
        """Σ_j q_j erfc(r/√2η)/r over the pairs closer than the cutoff, (n, C)."""
        with torch.no_grad():
            squared = pair_vectors(positions, cells, pairs, shifts, batch).square().sum(1)
            kept = torch.nonzero(squared < self.cutoff * self.cutoff).squeeze(1)
        pairs, shifts = pairs[:, kept], shifts[kept]
        distances = pair_vectors(positions, cells, pairs, shifts, batch).square().sum(1).sqrt()
        weights = torch.erfc(distances / (math.sqrt(2.0) * self.smearing())) / distances
        terms = weights.unsqueeze(1) * charges.index_select(0, pairs[1])
        return torch.zeros_like(charges).index_add(0, pairs[0], terms)


def _chunk(rows: int) -> int:
    """Number of wave vectors handled at a time, so that a matrix of phases stays below 16 MB."""
    return max(1, 2097152 // max(1, rows))


def _decay(accuracy: float) -> float:
    """The a with exp(-a²) a tenth of the accuracy: where both Gaussian sums may end."""
    return math.sqrt(-math.log(0.1 * accuracy))


def _all_pairs(positions: Tensor, charges: Tensor) -> Tensor:
    """Σ_{j≠i} q_j / |R_j - R_i|, no cutoff."""
    n = positions.shape[0]
    difference = positions.unsqueeze(0) - positions.unsqueeze(1)
    itself = torch.eye(n, dtype=torch.bool, device=positions.device)
    squared = torch.where(itself, torch.ones_like(difference[..., 0]), difference.square().sum(2))
    inverse = torch.where(itself, torch.zeros_like(squared), squared.rsqrt())
    return inverse @ charges


def _half_space(inverse_cell: Tensor, cell: Tensor, k_max: float) -> Tensor:
    """Integer vectors m with 0 < |k| ≤ k_max, k = 2π m A^-T, one of each ±m; (K, 3) float64."""
    lengths = cell.norm(2.0, 1)
    axes: List[Tensor] = []
    for a in range(3):
        # m_a = k · A_a / 2π
        bound = int(k_max * float(lengths[a]) / (2.0 * math.pi))
        axes.append(torch.arange(-bound, bound + 1, dtype=cell.dtype, device=cell.device))
    axes[0] = axes[0][axes[0] >= 0]
    grid = torch.cartesian_prod(axes[0], axes[1], axes[2])
    x, y, z = grid[:, 0], grid[:, 1], grid[:, 2]
    upper = (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))
    k = 2.0 * math.pi * grid @ inverse_cell.t()
    return grid[upper & (k.square().sum(1) <= k_max * k_max)]


def _reciprocal(
    positions: Tensor, charges: Tensor, cell: Tensor, smearing: float, k_max: float
) -> Tensor:
    """Reciprocal sum and background of 2V with three periodic directions, (n, C)."""
    volume = checked_volume(cell)
    inverse = torch.linalg.inv(cell)
    fractional = positions @ inverse
    integers = _half_space(inverse.detach(), cell.detach(), k_max)
    background = (-2.0 * math.pi * smearing * smearing) / volume * charges.sum(0, keepdim=True)
    result = torch.zeros_like(charges) + background
    chunk = _chunk(positions.shape[0])
    for begin in range(0, integers.shape[0], chunk):
        m = 2.0 * math.pi * integers[begin : begin + chunk]
        k_squared = (m @ inverse.t()).square().sum(1)
        # twice 4π/k², as each vector stands for ±k
        kernel = (8.0 * math.pi / volume) * torch.exp(-0.5 * smearing**2 * k_squared) / k_squared
        phases = fractional @ m.t()
        cosine, sine = torch.cos(phases), torch.sin(phases)
        weights = kernel.unsqueeze(1)
        result = result + cosine @ (weights * (cosine.t() @ charges))
        result = result + sine @ (weights * (sine.t() @ charges))
    return result


def _normal(cell: Tensor, axis: int) -> Tuple[Tensor, Tensor]:
    """Unit normal of the two periodic lattice vectors, and the area they span."""
    product = torch.linalg.cross(cell[(axis + 1) % 3], cell[(axis + 2) % 3])
    area = product.square().sum().sqrt()
    if not (float(area.detach()) > 0.0):
        raise ValueError(
            f"cell: the two periodic lattice vectors span the area {float(area.detach())}; they "
            "must be linearly independent and finite"
        )
    return product / area, area


def _shrink(positions: Tensor, cell: Tensor, axis: int) -> Tuple[Tensor, Tensor]:
    """The cell of the lattice sum in lorem-jax's scheme, its open row a constant; and the normal.

    The open row is shortened to (or, if it is zero, made) the thickness of the slab plus 1.5 times
    the longer periodic vector.
    """
    normal, _ = _normal(cell, axis)
    with torch.no_grad():
        height = float(torch.dot(cell[axis], normal).abs())
        z = positions @ normal
        periodic = torch.stack([cell[(axis + 1) % 3], cell[(axis + 2) % 3]])
        longest = float(periodic.norm(2.0, 1).max())
        minimum = float(z.max() - z.min()) + 1.5 * longest
        row = cell[axis].detach().clone()
        if float(row.norm()) == 0.0:
            row = normal.detach() * minimum
        elif height > minimum:
            row = row * (minimum / height)
    rows = [cell[0], cell[1], cell[2]]
    rows[axis] = row
    return torch.stack(rows), normal


def _slab_correction(
    positions: Tensor, charges: Tensor, cell: Tensor, axis: int, normal: Tensor
) -> Tensor:
    """What turns the three-dimensional sum into that of a single slab, (n, C)."""
    z = (positions @ normal).unsqueeze(1)
    height = torch.dot(cell[axis].detach(), normal)
    net = charges.sum(0, keepdim=True)
    first = (charges * z).sum(0, keepdim=True)
    second = (charges * z.square()).sum(0, keepdim=True)
    bracket = z * first - 0.5 * (second + net * z.square()) - net * (height.square() / 12.0)
    return (4.0 * math.pi / checked_volume(cell)) * bracket


def _two_periodic(
    positions: Tensor, charges: Tensor, cell: Tensor, axis: int, smearing: float, k_max: float
) -> Tensor:
    """Smooth part of 2V with two periodic directions, (n, C).

    With α = 1/(√2 η), g = G/2α, in-plane reciprocal vectors G and z along the normal
    (Grzybowski, Gwóźdź and Bródka, DOI 10.1103/PhysRevB.61.6706)::

        Σ_j q_j { π/A Σ_{G≠0} cos(G·R_ij)/G [h(z_ij) + h(-z_ij)]
                  - 2√π/A [exp(-α²z_ij²)/α + √π z_ij erf(α z_ij)] },   h(z) = e^{Gz} erfc(g + αz)
    """
    normal, area = _normal(cell, axis)
    rows = [cell[0], cell[1], cell[2]]
    rows[axis] = normal
    inverse = torch.linalg.inv(torch.stack(rows))
    fractional = positions @ inverse
    alpha = 1.0 / (math.sqrt(2.0) * smearing)
    height = positions @ normal
    z = height.unsqueeze(1) - height.unsqueeze(0)
    flat = torch.exp(-(alpha**2) * z.square()) / alpha
    flat = flat + math.sqrt(math.pi) * z * torch.erf(alpha * z)
    kernel = (-2.0 * math.sqrt(math.pi) / area) * flat
    integers = _half_space(inverse.detach(), torch.stack(rows).detach(), k_max)
    integers = integers[integers[:, axis] == 0.0]
    chunk = _chunk(z.numel())
    for begin in range(0, integers.shape[0], chunk):
        m = 2.0 * math.pi * integers[begin : begin + chunk]
        length = (m @ inverse.t()).square().sum(1).sqrt().reshape(-1, 1, 1)
        phases = m @ fractional.t()
        wave = torch.cos(phases.unsqueeze(2) - phases.unsqueeze(1))
        decay = _rising(length, z, alpha) + _rising(length, -z, alpha)
        kernel = kernel + (2.0 * math.pi / area) * (wave * decay / length).sum(0)
    return kernel @ charges


def _rising(length: Tensor, z: Tensor, alpha: float) -> Tensor:
    """e^{Gz} erfc(G/2α + αz) without overflow: by erfcx where the argument is positive."""
    g = length / (2.0 * alpha)
    argument = g + alpha * z
    positive = argument > 0.0
    zero = torch.zeros_like(argument)
    above = torch.exp(-g.square() - (alpha * z).square()) * torch.special.erfcx(
        torch.where(positive, argument, zero)
    )
    exponent = torch.where(positive, zero, length * z)
    below = torch.exp(exponent) * torch.erfc(torch.where(positive, zero, argument))
    return torch.where(positive, above, below)
