# SPDX-License-Identifier: BSD-3-Clause
"""Starting values of the parameters, adapted to the data.

With random weights of unit variance the spherical features, which vanish in a perfect crystal, are
small, their products smaller, and the spherical charges made from those of order 1e-5: training
would spend its first epochs on raising them. Here the weights are scaled so that every degree of
these quantities has a root mean square of one on a sample of the training structures. The model
stays the same function of other weights, so that nothing of this is needed later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .data import Batch, Structure, batches
from .model import Lorem

SAMPLE = 16  # structures that are looked at
_SMALLEST = 1e-12  # a degree below this vanishes by symmetry and is left alone


@torch.no_grad()
def scale_features(model: Lorem, structures: Sequence[Structure]) -> None:
    """Scale, in place and from input to output, the weights that make spherical quantities.

    In this order: the density of the neighbours, its square, the features after every block of
    message passing, the spherical charges, and the product of their potentials with the features.
    """
    step = max(1, len(structures) // SAMPLE)
    sample = list(batches(structures[::step][:SAMPLE], SAMPLE))
    first = model.short_range.first
    density = _rms(model, sample, first.square, of_input=True)
    width = first.edge_spherical.weight.shape[0]
    # the columns are the degrees, each with its features
    first.edge_spherical.weight.view(width, len(density), -1).mul_(_factors(density)[:, None])
    for module, product in _products(model):
        product.weight.mul_(_factors(_rms(model, sample, module))[:, None])


def _products(model: Lorem) -> list[tuple[nn.Module, Any]]:
    """The tensor products, in the order of evaluation, each behind the module that returns it.

    Their weights are (l1, l2, l3, feature).
    """
    square = model.short_range.first.square
    found: list[tuple[nn.Module, Any]] = [(square, square.tensor)]
    for block in model.short_range.blocks:
        if block.equivariant is not None:
            found.append((block.equivariant.product, block.equivariant.product))
    if model.long_range is not None:
        charges = model.long_range.spherical_charges
        found.append((charges, charges.tensor))
        found.append((model.long_range.product, model.long_range.product))
    return found


def _rms(
    model: Lorem, sample: Sequence[Batch], module: nn.Module, *, of_input: bool = False
) -> Tensor:
    """Root mean square of each degree of what a module returns (or gets), (degrees,) float64."""
    seen: list[Tensor] = []
    hook = module.register_forward_hook(
        lambda _module, inputs, output: seen.append(inputs[0] if of_input else output)
    )
    try:
        for b in sample:
            n = int(b.numbers.shape[0])
            model(b.numbers, b.positions, b.cell, b.pbc, b.pairs, b.shifts, n, b.batch)
    finally:
        hook.remove()
    components = torch.cat(seen).to(torch.float64).square().mean((0, 2))
    degrees = round(components.shape[0] ** 0.5)
    return torch.stack([components[m * m : (m + 1) ** 2].mean() for m in range(degrees)]).sqrt()


def _factors(rms: Tensor) -> Tensor:
    """What brings each degree to one, float64."""
    return torch.where(rms > _SMALLEST, 1.0 / rms.clamp_min(_SMALLEST), torch.ones_like(rms))
