# SPDX-License-Identifier: BSD-3-Clause
"""Small data and a small configuration that train in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ase.io
import pytest
import yaml

EXAMPLE = Path(__file__).parents[2] / "examples" / "mgo"
TINY_MODEL = {
    "cutoff": 3.2,
    "max_degree": 1,
    "max_degree_lr": 1,
    "num_features": 8,
    "num_radial": 4,
    "num_species": 2,
    "num_spherical_features": 2,
}


@pytest.fixture
def frames() -> list:
    """Eight of the shipped MgO frames, 64 atoms each."""
    return ase.io.read(EXAMPLE / "data" / "valid.xyz.xz", index=":8")


@pytest.fixture
def content(tmp_path: Path, frames: list) -> dict[str, Any]:
    """A configuration of a tiny model, as nested dictionaries; its data lie in tmp_path."""
    ase.io.write(tmp_path / "train.xyz", frames[:6], format="extxyz")
    ase.io.write(tmp_path / "valid.xyz", frames[6:], format="extxyz")
    return {
        "data": {"train": "train.xyz", "valid": "valid.xyz"},
        "model": dict(TINY_MODEL),
        "training": {"epochs": 4, "batch_size": 2, "learning_rate": 1e-2, "ewald_accuracy": 1e-3},
        "output": {"folder": "run"},
    }


@pytest.fixture
def write_config(tmp_path: Path):
    """Write nested dictionaries as a configuration file in tmp_path; returns its path."""

    def write(content: dict[str, Any], name: str = "config.yaml") -> Path:
        path = tmp_path / name
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    return write
