# SPDX-License-Identifier: BSD-3-Clause
"""The long-range block: charges from the features, features from the potentials of the charges."""

from typing import Dict, List, Tuple

import torch
from torch import Tensor, nn

from .blocks import MLP, Arrays, EqDense, NormFeatures, TensorDense, TensorProduct, Update
from .gradients import ATOMS_AT_ONCE, gradients


class LongRangeBlock(nn.Module):
    """Charges from the features, and features from the potentials of these charges."""

    def __init__(self, options: Dict[str, object]):
        super().__init__()
        width, degree = int(options["num_features"]), int(options["max_degree"])
        features, degree_lr = int(options["num_spherical_features"]), int(options["max_degree_lr"])
        self.scalar_charge = MLP(width, [2 * width, 1])
        self.spherical_charges = TensorDense(degree, degree_lr, features, 1)
        self.dense_potential = EqDense(degree_lr, 1, features)
        self.product = TensorProduct(degree_lr, degree, degree, features)
        self.norm_features = NormFeatures(degree, float(options["norm_epsilon"]))
        self.update = Update(width, 1 + (degree + 1) * features)
        self.readout = MLP(width, [width, width, 1])
        self.atoms_at_once = ATOMS_AT_ONCE

    @torch.jit.export
    def charges(self, x: Tensor, t: Tensor) -> Tensor:
        """(n, 1 + (Λ+1)²): the scalar charge, then the spherical ones."""
        return torch.cat([self.scalar_charge(x), self.spherical_charges(t).squeeze(2)], 1)

    def forward(self, x: Tensor, t: Tensor, potentials: Tensor) -> Tensor:
        """Energy (n,) of the long-range readout."""
        spherical = self.dense_potential(potentials[:, 1:].unsqueeze(2))
        norms = self.norm_features(self.product(spherical, t))
        x = self.update(x, torch.cat([potentials[:, :1], norms], 1))
        return self.readout(x).squeeze(1)

    # --- in blocks of atoms ---------------------------------------------------------------------

    @torch.jit.export
    def sweep_charges(self, x: Tensor, t: Tensor) -> Tuple[Tensor, Tensor]:
        """The charges, and the gradient (n, d) of each scalar charge by its x."""
        n = x.shape[0]
        charges = x.new_empty(n, 1 + self.dense_potential.degrees.shape[0])
        by_x = torch.empty_like(x)
        for begin in range(0, n, self.atoms_at_once):
            part = slice(begin, begin + self.atoms_at_once)
            own_x = x[part].requires_grad_()
            scalar = self.scalar_charge(own_x)
            by_x[part] = gradients([scalar], [own_x], [torch.ones_like(scalar)])[0]
            charges[part, :1] = scalar.detach()
            charges[part, 1:] = self.spherical_charges(t[part]).squeeze(2).detach()
        return charges, by_x

    @torch.jit.export
    def sweep_energies(
        self, x: Tensor, t: Tensor, potentials: Tensor
    ) -> Tuple[Tensor, Tensor, Tensor]:
        """Energies (n,) float64, and gradients of their sum by t and potentials.

        The gradient by x takes the place of x, which saves its memory.
        """
        energies = torch.empty(x.shape[0], dtype=torch.float64, device=x.device)
        by_t, by_potentials = torch.empty_like(t), torch.empty_like(potentials)
        for begin in range(0, x.shape[0], self.atoms_at_once):
            part = slice(begin, begin + self.atoms_at_once)
            inputs = [x[part].requires_grad_(), t[part].requires_grad_()]
            inputs.append(potentials[part].requires_grad_())
            readout = self(inputs[0], inputs[1], inputs[2]).to(torch.float64)
            energies[part] = readout.detach()
            by = gradients([readout], inputs, [torch.ones_like(readout)])
            x[part], by_t[part], by_potentials[part] = by[0], by[1], by[2]
        return energies, by_t, by_potentials

    @torch.jit.export
    def sweep_charges_back(
        self, scalar_by_x: Tensor, t: Tensor, by_charges: Tensor, by_x: Tensor, by_t: Tensor
    ) -> None:
        """Add the gradients of Σ by_charges charges to by_x and by_t.

        scalar_by_x is the second result of :meth:`sweep_charges`.
        """
        for begin in range(0, t.shape[0], self.atoms_at_once):
            part = slice(begin, begin + self.atoms_at_once)
            by = by_charges[part]
            by_x[part].addcmul_(by[:, :1], scalar_by_x[part])
            by_t[part] += self.spherical_charges.gradient(t[part], by[:, 1:].unsqueeze(2))

    def layers(self) -> List[Tuple[str, Arrays]]:
        """As in FirstBlock."""
        return [
            ("MLP", self.scalar_charge.arrays()),
            ("TensorDense", self.spherical_charges.arrays()),
            ("Dense", self.dense_potential.arrays()),
            ("Tensor", self.product.arrays()),
            ("Update", self.update.arrays()),
            ("MLP", self.readout.arrays()),
        ]
