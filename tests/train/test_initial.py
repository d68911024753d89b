# SPDX-License-Identifier: BSD-3-Clause
"""Starting scales: every degree of every spherical quantity begins at one."""

from __future__ import annotations

import pytest
import torch

from loremd.config import load_config
from loremd.data import collate
from loremd.initial import scale_features
from loremd.model import Lorem
from loremd.train import read_data


def per_degree(values: torch.Tensor) -> list[float]:
    """Root mean square of each degree of (n, (L+1)², f)."""
    degrees = round(values.shape[1] ** 0.5)
    blocks = [values[:, m * m : (m + 1) ** 2] for m in range(degrees)]
    return [float(block.double().square().mean().sqrt()) for block in blocks]


def evaluate(model, structures):
    batch = collate(structures)
    n = len(batch.numbers)
    with torch.no_grad():
        return model(
            batch.numbers,
            batch.positions,
            batch.cell,
            batch.pbc,
            batch.pairs,
            batch.shifts,
            n,
            batch.batch,
        )


@pytest.mark.parametrize(("layers", "lr"), [(0, True), (1, True), (1, False)])
def test_features_and_charges_begin_at_one(write_config, content, layers, lr):
    content["model"] |= {"num_message_passing": layers, "lr": lr, "max_degree": 2}
    config = load_config(write_config(content))
    train, _ = read_data(config)
    torch.manual_seed(3)
    model = Lorem(**config.model.model_dump())
    scale_features(model, train)
    seen = {}
    model.short_range.first.square.register_forward_hook(
        lambda _module, inputs, output: seen.update(density=inputs[0], square=output)
    )
    charges = evaluate(model, train)["charges"]
    assert per_degree(seen["density"]) == pytest.approx([1.0] * 3, rel=1e-4)
    assert per_degree(seen["square"]) == pytest.approx([1.0] * 3, rel=1e-4)
    if lr:
        assert per_degree(charges[:, 1:, None]) == pytest.approx([1.0] * 2, rel=1e-4)


def test_isolated_atoms_leave_finite_weights(write_config, content):
    """Without neighbours everything spherical vanishes, and nothing is divided by zero."""
    config = load_config(write_config(content))
    train, _ = read_data(config)
    for structure in train:
        structure.pairs.resize_(2, 0)
        structure.shifts.resize_(0, 3)
    model = Lorem(**config.model.model_dump())
    scale_features(model, train)
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())
