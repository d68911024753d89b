# SPDX-License-Identifier: BSD-3-Clause
"""The exact sum of 1/r^p: Ewald in three and two periodic directions, all pairs without any.

Every potential carries the factor 1/2, ``V_i = 1/2 Σ'_{j,S} q_j / |R_j - R_i + S A|^p`` (tin-foil
boundary, uniform neutralising background for a net charge in three dimensions). All channels share
the phases; everything is done in float64 and twice differentiable, for p = 1 with plain torch, so
that any derivative exists. The reference of :class:`loremd.MeshPotential`, which takes the same
call.
"""

from __future__ import annotations

import math
from typing import List, Optional

import torch
from torch import Tensor

from .geometry import check_coulomb_input, pair_vectors, periodicity, structure_sizes
from .lattice import reciprocal_sum, shrink_open_vector, slab_correction, two_periodic_sum
from .splitting import exclusion, sharp, smooth, smooth_at_zero

SCHEMES = ("lorem-jax", "exact")
# largest net charge, relative to the sum of all magnitudes, that is taken for rounding
NEUTRAL = 1e-6


class EwaldPotential(torch.nn.Module):
    """Potentials of point charges, exact to ``accuracy``.

    Args:
        cutoff: real-space cutoff (Å); the pair list must be complete up to it, pairs beyond it are
            dropped. The smearing follows from cutoff and accuracy.
        accuracy: relative size of the terms left out of both sums, between 1e-17 and 0.1.
        exponent: p of the potentials 1/r^p, 0.5 to 6. Other than 1 for structures with three
            periodic directions or none. A net charge has the neutralising background for p < 3 and
            the finite term of the infinite lattice for p > 3; with p = 3 it is an error.
        smearing: width η (Å) of the Gaussians; 0 takes it from cutoff and accuracy. Where it is
            given, the sum in real space ends at the cutoff whatever is left there.
        exclusion_radius: (Å) above 0 gives the potential of what is far away only, as in torch-pme:
            the real-space part is -smooth(r) f(r), f(r) = 1 - ((1 - cos πr/exclusion_radius)/2)^d
            within the exclusion radius and 0 beyond. Up to the cutoff; needs a smearing, of which
            the values depend.
        exclusion_degree: d, from 1 on.
        scheme: sum for two periodic directions. "exact" is the two-periodic Ewald sum (without
            background: a net charge q gives the potential -2π q |z| / area far away). "lorem-jax"
            is the scheme of that library: the three-dimensional sum in a cell whose open axis is
            shrunk to the slab plus 1.5 lattice vectors, with the dipole correction of a slab
            (Yeh and Berkowitz, DOI 10.1063/1.479595; for charged slabs Ballenegger, Arnold and
            Cerdà, DOI 10.1063/1.3216473), and its gradients: none reach the open lattice vector.
    """

    def __init__(
        self,
        cutoff: float,
        *,
        accuracy: float = 1e-12,
        scheme: str = "exact",
        exponent: float = 1.0,
        smearing: float = 0.0,
        exclusion_radius: float = 0.0,
        exclusion_degree: int = 1,
    ):
        super().__init__()
        _check_interaction(exponent, smearing, exclusion_radius, exclusion_degree)
        self.neutral = NEUTRAL  # scripted code reads attributes, not globals
        self.exponent = float(exponent)
        self.requested_smearing = float(smearing)
        self.exclusion_radius = float(exclusion_radius)
        self.exclusion_degree = int(exclusion_degree)
        self.cutoff = 0.0
        self.accuracy = 0.0
        self.scheme = ""
        self.configure(cutoff, accuracy, scheme)

    @torch.jit.export
    def configure(self, cutoff: float, accuracy: float, scheme: str) -> None:
        """Set the run-time choices; see the arguments of the class."""
        if not (cutoff > 0.0):
            raise ValueError(f"cutoff is {cutoff}, but it must be a positive length in Å")
        if cutoff < self.exclusion_radius:
            raise ValueError(
                f"cutoff is {cutoff}, but the exclusion radius is {self.exclusion_radius}; the "
                "pairs within it must be in the list: choose a cutoff at least as long"
            )
        if not (accuracy >= 1e-17 and accuracy <= 0.1):
            raise ValueError(f"accuracy is {accuracy}, but it must be between 1e-17 and 0.1")
        if scheme != "lorem-jax" and scheme != "exact":
            raise ValueError(f"scheme is '{scheme}', but it must be 'lorem-jax' or 'exact'")
        self.cutoff = float(cutoff)
        self.accuracy = float(accuracy)
        self.scheme = scheme

    @torch.jit.export
    def smearing(self) -> float:
        """Width (Å) of the Gaussians: as given, or both sums end where terms reach the accuracy."""
        if self.requested_smearing > 0.0:
            return self.requested_smearing
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
            (n, C) potentials in units of charge / Å^p, dtype of the charges.
        Raises:
            ValueError: shapes or dtypes are wrong, the cell has no volume, exactly one direction
                is periodic (or two, unless the exponent is 1), a net charge with the exponent 3,
                or ghosts are present.
        """
        if comm != 0:
            raise ValueError(
                "EwaldPotential runs in one process: comm must be 0; use MeshPotential"
            )
        n = positions.shape[0]
        if n_owned != -1 and n_owned != n:
            raise ValueError(
                f"EwaldPotential takes no ghosts: n_owned is {n_owned}, but there are {n} atoms"
            )
        return self._potentials(positions, charges, cell, pairs, shifts, pbc, batch, None)

    @torch.jit.export
    def dipole_potential(
        self,
        positions: Tensor,
        dipoles: Tensor,
        cell: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        pbc: Optional[Tensor] = None,
        batch: Optional[Tensor] = None,
    ) -> Tensor:
        """Potentials of point dipoles, V_i = ½ Σ'_{j,S} μ_j · ∂/∂R_j 1/|R_j - R_i + S A|^p.

        dipoles (n, C, 3) float32 or float64, the rest as in :meth:`forward`; returns (n, C), in
        units of dipole / Å^{p+1}. A dipole gives no potential at its own place.
        Three periodic directions or none, no exclusion radius; else raises ValueError.
        """
        if dipoles.dim() != 3 or dipoles.shape[2] != 3:
            raise ValueError(f"dipoles must be (n, channels, 3), got {dipoles.shape}")
        if self.exclusion_radius > 0.0:
            raise ValueError(
                f"exclusion_radius is {self.exclusion_radius}, but the sum over dipoles has none; "
                "set it to 0"
            )
        none = torch.zeros_like(dipoles[:, :, 0])
        return self._potentials(positions, none, cell, pairs, shifts, pbc, batch, dipoles)

    def _potentials(
        self,
        positions: Tensor,
        charges: Tensor,
        cell: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        pbc: Optional[Tensor],
        batch: Optional[Tensor],
        dipoles: Optional[Tensor],
    ) -> Tensor:
        """The potentials of charges and, where there are any, dipoles."""
        check_coulomb_input(positions, charges, cell, pairs, shifts, positions.shape[0], batch)
        cells = cell.reshape(-1, 3, 3)
        sizes = structure_sizes(positions, cells, batch)
        periodic = periodicity(pbc, cells)
        charges64 = charges.to(torch.float64)
        moments = None if dipoles is None else dipoles.to(torch.float64)
        n_periodic = int(periodic.any(1).sum())
        potentials: List[Tensor] = []
        start = 0
        for b in range(len(sizes)):
            part = slice(start, start + sizes[b])
            mu = None if moments is None else moments[part]
            potentials.append(
                self._smooth_part(positions[part], charges64[part], cells[b], periodic[b], mu)
            )
            start += sizes[b]
        total = torch.cat(potentials, 0)
        if n_periodic > 0:
            if n_periodic < len(sizes):
                assert batch is not None
                used = torch.nonzero(periodic.any(1)[batch[pairs[0]]]).squeeze(1)
                pairs, shifts = pairs[:, used], shifts[used]
            real = self._real_space(positions, charges64, cells, pairs, shifts, batch, moments)
            total = total + real
        return (0.5 * total).to(charges.dtype)

    def _smooth_part(
        self,
        positions: Tensor,
        charges: Tensor,
        cell: Tensor,
        pbc: Tensor,
        dipoles: Optional[Tensor],
    ) -> Tensor:
        """All of 2V that does not use the pair list, for one structure."""
        flags = [bool(pbc[0]), bool(pbc[1]), bool(pbc[2])]
        n_periodic = int(flags[0]) + int(flags[1]) + int(flags[2])
        if positions.shape[0] == 0:
            return torch.zeros_like(charges)
        if n_periodic == 0:
            return self._all_pairs(positions, charges, dipoles)
        if n_periodic == 1:
            raise ValueError(
                "pbc has one periodic direction, but the sum exists for three, two or none"
            )
        smearing = self.smearing()
        k_max = math.sqrt(2.0) * _decay(self.accuracy) / smearing
        self_term = -smooth_at_zero(self.exponent, smearing) * charges
        if n_periodic == 3:
            self._check_neutral(charges)
            smooth_sum = reciprocal_sum(
                positions, charges, cell, smearing, k_max, self.exponent, dipoles
            )
            return self_term + smooth_sum
        if self.exponent != 1.0 or dipoles is not None:
            raise ValueError(
                f"pbc has two periodic directions, but the sum of dipoles or of 1/r^p, here with "
                f"p = {self.exponent}, exists for three or none; charges with p = 1 take two"
            )
        axis = flags.index(False)
        if self.scheme == "exact":
            return self_term + two_periodic_sum(positions, charges, cell, axis, smearing, k_max)
        shrunk, normal = shrink_open_vector(positions, cell, axis)
        smooth_sum = reciprocal_sum(positions, charges, shrunk, smearing, k_max)
        return self_term + smooth_sum + slab_correction(positions, charges, shrunk, axis, normal)

    def _check_neutral(self, charges: Tensor) -> None:
        """ValueError for a net charge where its potential diverges: for p = 3."""
        if self.exponent != 3.0:
            return
        net = charges.detach().sum(0).abs()
        allowed = self.neutral * charges.detach().abs().sum(0)
        if bool((net > allowed).any()):
            raise ValueError(
                f"a channel has the net charge {float(net.max())}, of which the sum of 1/r^3 "
                "diverges; with the exponent 3 every channel must add up to 0, to 1e-6 of the sum "
                "of its magnitudes"
            )

    def _pair_weights(self, squared: Tensor) -> Tensor:
        """What the real-space sum multiplies charges with, by r²."""
        if self.exclusion_radius == 0.0:
            return sharp(squared, self.exponent, self.smearing())
        excluded = exclusion(squared, self.exclusion_radius, self.exclusion_degree)
        return -smooth(squared, self.exponent, self.smearing()) * excluded

    def _real_space(
        self,
        positions: Tensor,
        charges: Tensor,
        cells: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        batch: Optional[Tensor],
        dipoles: Optional[Tensor],
    ) -> Tensor:
        """The sum over the pairs closer than the cutoff (or the exclusion radius), (n, C)."""
        reach = self.exclusion_radius if self.exclusion_radius > 0.0 else self.cutoff
        with torch.no_grad():
            squared = pair_vectors(positions, cells, pairs, shifts, batch).square().sum(1)
            kept = torch.nonzero(squared < reach * reach).squeeze(1)
        pairs, shifts = pairs[:, kept], shifts[kept]
        vectors = pair_vectors(positions, cells, pairs, shifts, batch)
        squared = vectors.square().sum(1)
        if dipoles is None:
            sources = charges.index_select(0, pairs[1])
            weights = self._pair_weights(squared)
        else:
            sources = (dipoles.index_select(0, pairs[1]) * vectors.unsqueeze(1)).sum(2)
            weights = 2.0 * sharp(squared, self.exponent, self.smearing(), 1)
        terms = weights.unsqueeze(1) * sources
        return torch.zeros_like(charges).index_add(0, pairs[0], terms)

    def _all_pairs(self, positions: Tensor, charges: Tensor, dipoles: Optional[Tensor]) -> Tensor:
        """2V without periodic directions: Σ_{j≠i} of what an infinite cell has, no cutoff."""
        p = self.exponent
        difference = positions.unsqueeze(0) - positions.unsqueeze(1)
        itself = torch.eye(positions.shape[0], dtype=torch.bool, device=positions.device)
        one = torch.ones_like(difference[:, :, 0])
        squared = torch.where(itself, one, difference.square().sum(2))
        if dipoles is not None:
            slope = torch.where(itself, torch.zeros_like(one), -p * squared.pow(-0.5 * p - 1.0))
            return torch.einsum("ij,ija,jca->ic", slope, difference, dipoles)
        if self.exclusion_radius > 0.0:
            outside = 1.0 - exclusion(squared, self.exclusion_radius, self.exclusion_degree)
            weights = smooth(squared, p, self.smearing()) * outside
        else:
            weights = squared.pow(-0.5 * p)
        return torch.where(itself, torch.zeros_like(one), weights) @ charges


def _check_interaction(exponent: float, smearing: float, radius: float, degree: int) -> None:
    """ValueError unless exponent, smearing and exclusion go together."""
    if not (exponent >= 0.5 and exponent <= 6.0):
        raise ValueError(f"exponent is {exponent}; allowed: 0.5 to 6")
    if not (smearing >= 0.0 and smearing < math.inf):
        raise ValueError(f"smearing is {smearing}; it must be positive, or 0 for automatic")
    if not (radius >= 0.0 and radius < math.inf):
        raise ValueError(f"exclusion_radius is {radius}; it must be positive, or 0 for none")
    if radius > 0.0 and smearing == 0.0:
        raise ValueError(
            f"exclusion_radius is {radius}, but smearing is 0 (automatic); the potentials depend "
            "on it here: give it as a positive length in Å"
        )
    if degree < 1:
        raise ValueError(f"exclusion_degree is {degree}; it must be at least 1")


def _decay(accuracy: float) -> float:
    """The a with exp(-a²) a tenth of the accuracy: where both Gaussian sums may end."""
    return math.sqrt(-math.log(0.1 * accuracy))
