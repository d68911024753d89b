# SPDX-License-Identifier: BSD-3-Clause
"""Read checkpoints of lorem-jax; neither jax nor flax is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Union

import msgpack
import numpy as np
import yaml

from .model import Lorem

# import paths under which lorem-jax writes its energy model
_MODEL_CLASSES = ("lorem.models.mlip.Lorem", "lorem.Lorem")


def import_checkpoint(folder: Union[str, Path]) -> Lorem:
    """Build the model from a checkpoint folder of lorem-jax.

    Args:
        folder: holds ``model/model.yaml`` (hyperparameters), ``model/model.msgpack`` (parameters)
            and ``model/baseline.yaml`` (energies per element, eV). The inner folder ``model`` is
            taken as well.
    Returns:
        The model, in float32 as the weights are stored, with the per-element energies as offsets;
        elements without one are unknown to it. Two-periodic structures use lorem-jax's scheme.
    Raises:
        FileNotFoundError: a file is missing; the message names it.
        ValueError: the file is of another model class, or cannot be read.
    """
    inner = Path(folder)
    if (inner / "model").is_dir():
        inner = inner / "model"
    for name in ("model.yaml", "model.msgpack", "baseline.yaml"):
        if not (inner / name).is_file():
            raise FileNotFoundError(
                f"{inner / name} is missing: a checkpoint of lorem-jax is a folder with "
                "model/model.yaml, model/model.msgpack and model/baseline.yaml"
            )
    hyperparameters = _read_hyperparameters(inner / "model.yaml")
    model = Lorem.from_parameters(hyperparameters, read_parameters(inner / "model.msgpack"))
    offsets = _read_offsets(inner / "baseline.yaml")
    model.set_offsets(offsets)
    model.atomic_numbers = sorted(offsets)
    return model


def _read_hyperparameters(path: Path) -> Dict[str, object]:
    content = yaml.safe_load(path.read_text())
    if isinstance(content, dict) and set(content) & {"model"}:
        content = content["model"]
    if not isinstance(content, dict) or len(content) != 1:
        raise ValueError(f"{path} must hold one model class with its hyperparameters")
    ((name, hyperparameters),) = content.items()
    if name not in _MODEL_CLASSES:
        raise ValueError(
            f"{path} holds the model class {name}, but only {' and '.join(_MODEL_CLASSES)} can be "
            "imported"
        )
    return dict(hyperparameters or {})


def _read_offsets(path: Path) -> Dict[int, float]:
    content = yaml.safe_load(path.read_text())
    elemental = content.get("elemental") if isinstance(content, dict) else None
    if not isinstance(elemental, dict):
        raise ValueError(f"{path} must hold the energies per element under the key 'elemental'")
    return {int(number): float(energy) for number, energy in elemental.items()}


def read_parameters(path: Union[str, Path]) -> Dict[str, np.ndarray]:
    """Read flax's MessagePack file as arrays by path, "params/..." with slashes."""
    try:
        tree = msgpack.unpackb(
            Path(path).read_bytes(), ext_hook=_decode_array, raw=False, strict_map_key=False
        )
    except (ValueError, msgpack.UnpackException) as error:
        raise ValueError(f"{path} is not a complete MessagePack file: {error}") from error
    if not isinstance(tree, dict):
        raise ValueError(f"{path} must hold one map of parameters, found {type(tree).__name__}")
    return dict(_flatten("", tree))


def _decode_array(code: int, data: bytes) -> np.ndarray:
    """Extension type 1 of flax: [shape, dtype name, bytes in C order, little-endian]."""
    if code != 1:
        raise ValueError(f"MessagePack extension type {code} is not an array")
    shape, dtype, content = msgpack.unpackb(data, raw=False)
    return np.frombuffer(content, dtype=np.dtype(dtype).newbyteorder("<")).reshape(shape)


def _flatten(prefix: str, tree: dict) -> list[tuple[str, np.ndarray]]:
    leaves = []
    for key, value in tree.items():
        path = f"{prefix}/{key}" if prefix else str(key)
        leaves += _flatten(path, value) if isinstance(value, dict) else [(path, value)]
    return leaves
