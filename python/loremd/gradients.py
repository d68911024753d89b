# SPDX-License-Identifier: BSD-3-Clause
"""What the sweeps over blocks of atoms share."""

from typing import List, Optional

import torch
from torch import Tensor

# enough atoms for matrix products at full speed, few enough for the cache
ATOMS_AT_ONCE = 1024


def gradients(outputs: List[Tensor], inputs: List[Tensor], by: List[Tensor]) -> List[Tensor]:
    """Gradients of Σ by · outputs, zeros where an input plays no part."""
    weights: List[Optional[Tensor]] = []
    for weight in by:
        weights.append(weight)
    found = torch.autograd.grad(outputs, inputs, weights, allow_unused=True)
    result: List[Tensor] = []
    for k in range(len(inputs)):
        gradient = found[k]
        result.append(torch.zeros_like(inputs[k]) if gradient is None else gradient)
    return result
