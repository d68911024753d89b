# SPDX-License-Identifier: BSD-3-Clause
"""Hyperparameters: names, defaults of lorem-jax, and what is allowed."""

from typing import Dict

import numpy as np

N_ELEMENTS = 100  # rows of the tables indexed by the atomic number

DEFAULTS = {
    "cutoff": 5.0,
    "max_degree": 6,
    "max_degree_lr": 2,
    "num_features": 128,
    "num_radial": 32,
    "num_species": 8,
    "num_spherical_features": 8,
    "cutoff_fn": "cosine_cutoff",
    "radial_basis": "basic_bernstein",
    "lr": True,
    "num_message_passing": 0,
    "equivariant_message_passing": True,
    "initialize_node_features": True,
    "inputs": (),
    "norm_epsilon": 0.0,
}
CUTOFF_FUNCTIONS = ("cosine_cutoff", "smooth_cutoff")
RADIAL_BASES = ("basic_bernstein",)
LOWEST = {
    "max_degree": 0,
    "max_degree_lr": 0,
    "num_features": 1,
    "num_radial": 1,
    "num_species": 1,
    "num_spherical_features": 1,
    "num_message_passing": 0,
    "norm_epsilon": 0.0,
}


def checked_hyperparameters(given: Dict[str, object]) -> Dict[str, object]:
    """Complete hyperparameters with the defaults; ValueError for unknown names and values."""
    unknown = sorted(set(given) - set(DEFAULTS))
    if unknown:
        raise ValueError(
            f"unknown hyperparameters {unknown}; the names are {', '.join(sorted(DEFAULTS))}"
        )
    options = {
        name: _converted(name, given.get(name, default)) for name, default in DEFAULTS.items()
    }
    for name, lowest in LOWEST.items():
        if not options[name] >= lowest:
            raise ValueError(f"{name} is {options[name]}, but must be at least {lowest}")
    if not options["cutoff"] > 0.0:
        raise ValueError(f"cutoff is {options['cutoff']}, but must be a positive length in Å")
    for name, allowed in (("cutoff_fn", CUTOFF_FUNCTIONS), ("radial_basis", RADIAL_BASES)):
        if options[name] not in allowed:
            raise ValueError(
                f"{name} is '{options[name]}', but must be one of {', '.join(allowed)}"
            )
    if options["inputs"]:
        raise ValueError(f"inputs is {options['inputs']}, but only () is supported")
    if options["lr"] and options["max_degree_lr"] > options["max_degree"]:
        raise ValueError(
            f"max_degree_lr is {options['max_degree_lr']}, but must be at most max_degree = "
            f"{options['max_degree']}"
        )
    return options


def _converted(name: str, value: object) -> object:
    """The value in the type of its default, if nothing is lost."""
    kind = type(DEFAULTS[name])
    if kind is bool and not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} is {value!r}, but must be true or false")
    if kind is str and not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}, but must be a name")
    try:
        converted = kind(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r}, but must be of type {kind.__name__}") from None
    if kind in (int, float) and (isinstance(value, bool) or converted != value):
        raise ValueError(f"{name} is {value!r}, but must be of type {kind.__name__}")
    return converted
