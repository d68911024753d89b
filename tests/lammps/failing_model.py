# SPDX-License-Identifier: BSD-3-Clause
"""A model file that fails on the rank that owns an atom with 20 Å < x < 30 Å: before, between or
after its exchanges with other ranks, in their backward, or for lack of memory."""

import json
from pathlib import Path
from typing import Dict

import torch
from torch import Tensor

import loremd  # noqa: F401  (registers torch.ops.loremd)


class FailingModel(torch.nn.Module):
    def __init__(self, moment: str):
        super().__init__()
        self.moment = moment

    def check(self, moment: str, lone: bool) -> None:
        if lone and moment == self.moment:
            raise ValueError("this rank owns the lone atom")

    @torch.jit.export
    def freeze(self) -> None:
        pass

    @torch.jit.export
    def memory(self, n_owned: int, n_atoms: int, n_pairs: int) -> float:
        return 0.0

    def forward(self, positions: Tensor, n_owned: int, comm: int) -> Tensor:
        """Energies of the owned atoms."""
        x = positions[:n_owned]
        lone = bool(((x[:, 0] > 20.0) & (x[:, 0] < 30.0)).any())
        self.check("before", lone)
        if lone and self.moment == "memory":
            x = x + torch.zeros([1 << 50]).sum()
        total = torch.ops.loremd.sum_over_ranks(x.sum(0), comm)
        self.check("between", lone)
        everyone = torch.ops.loremd.halo_exchange(x * total, positions.shape[0], comm)
        self.check("after", lone)
        if lone and self.moment == "backward":
            everyone = everyone.exp()
            everyone.add_(1.0)  # the derivative of exp needs its result as it was
        return everyone[:n_owned].sum(1)

    @torch.jit.export
    def energy_and_gradients(
        self,
        numbers: Tensor,
        positions: Tensor,
        cell: Tensor,
        pbc: Tensor,
        pairs: Tensor,
        shifts: Tensor,
        n_owned: int,
        comm: int = 0,
    ) -> Dict[str, Tensor]:
        leaf = positions.detach().requires_grad_()
        energies = self(leaf, n_owned, comm)
        gradient = torch.autograd.grad([energies.sum()], [leaf])[0]
        assert gradient is not None
        none = torch.zeros(n_owned, 0, dtype=torch.float64)
        return {
            "energies": energies.detach(),
            "long_range_energies": torch.zeros_like(energies).detach(),
            "charges": none,
            "potentials": none,
            "gradient": gradient,
            "strain_gradient": torch.zeros_like(cell),
        }


def write_failing_model(path: Path, moment: str) -> None:
    metadata = {
        "schema_version": 1,
        "model": "Lorem",
        "elements": ["Na", "Cl"],
        "atomic_numbers": [11, 17],
        "cutoff": 4.0,
        "num_message_passing": 0,
        "num_channels": 0,
        "lr": False,
        "content_hash": "of a model that fails",
        "loremd_version": "0.1.0",
        "per_element_energies": {},
    }
    scripted = torch.jit.script(FailingModel(moment))
    torch.jit.save(scripted, str(path), _extra_files={"loremd.json": json.dumps(metadata)})
