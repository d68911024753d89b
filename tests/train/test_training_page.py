# SPDX-License-Identifier: BSD-3-Clause
"""docs/training.md names every key of the configuration with its default."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from pydantic import BaseModel

from loremd.config import (
    DataConfig,
    DataSource,
    LossConfig,
    ModelConfig,
    OutputConfig,
    TrainingConfig,
)

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


def defaults(section: type[BaseModel]) -> dict[str, object]:
    """Default by key; "required" where there is none; sections inside as `section.key`."""
    found: dict[str, object] = {}
    for name, field in section.model_fields.items():
        if field.is_required():
            found[name] = "required"
        elif isinstance(field.default, LossConfig):
            found |= {f"{name}.{k}": v for k, v in defaults(LossConfig).items()}
        else:
            found[name] = str(field.default) if isinstance(field.default, Path) else field.default
    return found


def documented(heading: str) -> dict[str, object]:
    """The tables of key and default below a heading."""
    text = PAGE.read_text(encoding="utf-8")
    part = re.split(r"^## ", text, flags=re.MULTILINE)
    section = next(p for p in part if p.startswith(heading + "\n"))
    rows = re.findall(r"^\| `([\w.]+)` \| (`?)(.*?)\2 \|", section, re.MULTILINE)
    return {name: _value(text) if quoted else _word(text) for name, quoted, text in rows}


def _value(text: str) -> object:
    value = yaml.safe_load(text)
    # YAML 1.1 reads 1e-06 as text
    return float(value) if isinstance(value, str) and re.fullmatch(r"\d+e-\d+", value) else value


def _word(text: str) -> object:
    return None if text == "none" else text


def test_every_key_is_documented_with_its_default():
    assert documented("data") == defaults(DataConfig) | defaults(DataSource)
    assert documented("model") == defaults(ModelConfig)
    assert documented("training") == defaults(TrainingConfig)
    assert documented("output") == defaults(OutputConfig)
