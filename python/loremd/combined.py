# SPDX-License-Identifier: BSD-3-Clause
"""Several potentials of the same charges, added with weights that can be trained."""

from typing import List, Optional

import torch
from torch import Tensor


class CombinedPotential(torch.nn.Module):
    """V = Σ_k w_k V_k, for example 1/r and 1/r^6 of the same charges.

    Args:
        potentials: EwaldPotential or MeshPotential, at least one; all get the same call. The pair
            list must be complete up to the longest of their cutoffs, which is ``cutoff``.
        weights: initial weights, one for each potential; None means 1.
        learnable: whether the weights are parameters, else a buffer. float64 both.

    Raises ValueError where the numbers of potentials and weights differ.
    """

    def __init__(
        self,
        potentials: List[torch.nn.Module],
        weights: Optional[List[float]] = None,
        learnable: bool = True,
    ):
        super().__init__()
        if len(potentials) == 0:
            raise ValueError("potentials is empty; it must name at least one potential")
        if weights is not None and len(weights) != len(potentials):
            raise ValueError(
                f"weights has {len(weights)} numbers, but there are {len(potentials)} potentials; "
                "give one each, or None for 1"
            )
        values = torch.ones(len(potentials), dtype=torch.float64)
        if weights is not None:
            values = torch.tensor(weights, dtype=torch.float64)
        self.potentials = torch.nn.ModuleList(potentials)
        self.cutoff = max(float(potential.cutoff) for potential in potentials)
        if learnable:
            self.weights = torch.nn.Parameter(values)
        else:
            self.register_buffer("weights", values)

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
        """Weighted sum of the potentials, (n_owned, C); see MeshPotential.forward."""
        total = torch.zeros_like(charges)
        for k, potential in enumerate(self.potentials):
            values = potential(positions, charges, cell, pairs, shifts, pbc, batch, n_owned, comm)
            total = total + self.weights[k].to(values.dtype) * values
        return total
