# SPDX-License-Identifier: BSD-3-Clause
"""Model files of every schema version, and how the one of the present version is written.

``python -m tests.regression.schema_files`` writes ``schema<version>.pt`` and its results. Once a
version has been released its file is never written again: it stands for the files of users.
"""

from pathlib import Path

import numpy as np
import torch

from loremd import export
from loremd.export import SCHEMA_VERSION
from tests.model.structures import arguments, crystal, random_model

FOLDER = Path(__file__).parent
KEYS = ("energies", "charges", "potentials")


def evaluate(model):
    """Results and forces for one structure; model may be scripted."""
    given = arguments(model, crystal())
    given["positions"] = given["positions"].requires_grad_()
    output = model(**given)
    (gradient,) = torch.autograd.grad(output["energies"].sum(), given["positions"])
    results = {key: output[key].detach().double().numpy() for key in KEYS}
    return {**results, "forces": -gradient.numpy()}


def main() -> None:
    model = random_model(num_message_passing=1, norm_epsilon=1e-3)
    model.set_offsets({1: -13.5, 8: -2041.25, 26: 0.125})
    model.set_long_range("mesh", 3.0, 1e-4, 0.0, [], 0)
    path = FOLDER / f"schema{SCHEMA_VERSION}.pt"
    export(model, path, elements=["H", "O", "Fe"], provenance={"purpose": "regression test"})
    np.savez(path.with_suffix(".npz"), **evaluate(model))


if __name__ == "__main__":
    main()
