# SPDX-License-Identifier: BSD-3-Clause
"""Model files: a TorchScript archive for LAMMPS that also holds what is needed to rebuild it.

The archive has three parts: the scripted model in float64; ``extra/loremd.json``, metadata that can
be read without torch; ``extra/parameters.npz``, the parameters under the paths of lorem-jax, the
hyperparameters and the per-element energies. :func:`load` uses the latter two only, so that a file
written with another torch can be read and exported again.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Union

import numpy as np
import torch
from ase.data import atomic_numbers as NUMBER_OF_SYMBOL
from ase.data import chemical_symbols as SYMBOLS

from .hyperparameters import N_ELEMENTS
from .model import Lorem

SCHEMA_VERSION = 1
_METADATA, _PARAMETERS = "loremd.json", "parameters.npz"


def export(
    model: Lorem,
    path: Union[str, Path],
    *,
    elements: Optional[Sequence[Union[str, int]]] = None,
    provenance: Optional[Dict[str, Any]] = None,
) -> None:
    """Write a model file.

    The file appears complete or not at all. The model itself is not changed.

    Args:
        model: any device and dtype; the dtype is recorded, and restored by :func:`load`.
        path: of the file, usually ``*.pt``; the folder must exist.
        elements: symbols or atomic numbers that the model was made for; None takes those that the
            model names (``model.atomic_numbers``).
        provenance: how the model came about; anything JSON can hold. None keeps that of the model.
    Raises:
        ValueError: no elements, or one that is unknown.
    """
    numbers = _element_numbers(model.atomic_numbers if elements is None else elements)
    stored = copy.deepcopy(model).cpu()
    stored.atomic_numbers = numbers
    if provenance is not None:
        stored.provenance = provenance
    parameters = _parameter_file(stored)
    metadata = _describe(stored)
    scripted = torch.jit.script(stored.double().eval().requires_grad_(False))
    extra = {
        _METADATA: json.dumps(metadata, indent=2, ensure_ascii=False).encode(),
        _PARAMETERS: parameters,
    }
    buffer = io.BytesIO()
    torch.jit.save(scripted, buffer, _extra_files=extra)
    _write_atomically(Path(path), _without_source_ranges(buffer.getvalue()))


def load(path: Union[str, Path]) -> Lorem:
    """Read a model file back as a model, with its dtype, elements, offsets and long-range settings.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated or damaged, not a loremd model, or of a newer schema.
    """
    with _open(path) as archive:
        metadata = _metadata_of(archive, path)
        content = np.load(io.BytesIO(_entry(archive, _PARAMETERS, path)), allow_pickle=False)
        parameters = {name: content[name] for name in content.files}
    hyperparameters = json.loads(str(parameters.pop("hyperparameters_json")))
    offsets = parameters.pop("offsets")
    model = Lorem.from_parameters(hyperparameters, parameters)
    model.to(getattr(torch, metadata["dtype"]))
    model.set_offsets(dict(enumerate(offsets.tolist())))
    model.atomic_numbers = list(metadata["atomic_numbers"])
    model.provenance = metadata["provenance"]
    _restore_long_range(model, metadata["long_range"])
    if _content_hash(model) != metadata["content_hash"]:
        raise ValueError(f"{path} is damaged: its parameters do not have the recorded hash")
    return model


def read_metadata(path: Union[str, Path]) -> Dict[str, Any]:
    """The metadata of a model file; errors as :func:`load`."""
    with _open(path) as archive:
        return _metadata_of(archive, path)


# --- what goes into the file --------------------------------------------------------------------


def _element_numbers(elements: Sequence[Union[str, int]]) -> List[int]:
    numbers = []
    for element in elements:
        number = NUMBER_OF_SYMBOL.get(element) if isinstance(element, str) else int(element)
        if number is None or not 0 < number < N_ELEMENTS:
            raise ValueError(
                f"elements holds {element!r}, which is neither the symbol of an element up to Es "
                "nor an atomic number from 1 to 99"
            )
        numbers.append(number)
    if not numbers:
        raise ValueError(
            "elements is empty and the model names none: pass the elements that the model was "
            'trained on, for example elements=["Mg", "O"]'
        )
    return sorted(set(numbers))


def _parameter_file(model: Lorem) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        hyperparameters_json=np.array(json.dumps(model.hyperparameters)),
        offsets=model.offsets.numpy(),
        **model.to_parameters(),
    )
    return buffer.getvalue()


def _describe(model: Lorem) -> Dict[str, Any]:
    from . import __version__

    offsets = model.offsets
    return {
        "schema_version": SCHEMA_VERSION,
        "model": "Lorem",
        "elements": [SYMBOLS[z] for z in model.atomic_numbers],
        "atomic_numbers": list(model.atomic_numbers),
        "cutoff": model.cutoff,
        "num_message_passing": model.num_message_passing,
        "num_channels": model.num_channels,
        "lr": model.lr,
        "units": {"energy": "eV", "length": "angstrom"},
        "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
        "torch_version": torch.__version__,
        "loremd_version": __version__,
        "content_hash": _content_hash(model),
        "per_element_energies": {SYMBOLS[z]: float(offsets[z]) for z in model.atomic_numbers},
        "long_range": _long_range(model),
        "hyperparameters": dict(model.hyperparameters),
        "provenance": model.provenance,
    }


def _long_range(model: Lorem) -> Dict[str, Any]:
    """The settings with which the model was used (trained, say); none of them is part of it, but
    the two-periodic scheme."""
    mesh = model.long_range_method == "mesh"
    settings = model.mesh if mesh else model.ewald
    return {
        "method": model.long_range_method,
        "cutoff": settings.cutoff,
        "accuracy": settings.accuracy,
        "two_periodic_scheme": model.ewald.scheme,
    }


def _restore_long_range(model: Lorem, settings: Dict[str, Any]) -> None:
    model.set_two_periodic_scheme(settings["two_periodic_scheme"])
    model.set_long_range(settings["method"], settings["cutoff"], settings["accuracy"], 0.0, [], 0)


def _content_hash(model: Lorem) -> str:
    """SHA-256 of hyperparameters, elements, offsets and parameters."""
    head = json.dumps([model.hyperparameters, model.atomic_numbers], sort_keys=True)
    digest = hashlib.sha256(head.encode())
    digest.update(model.offsets.numpy().tobytes())
    for path, array in sorted(model.to_parameters().items()):
        digest.update(f"{path} {array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _without_source_ranges(archive: bytes) -> bytes:
    """The archive without its records of source lines: they are half of a small file, and hold the
    paths of this machine."""
    reader = torch._C.PyTorchFileReader(io.BytesIO(archive))
    result = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(result)
    writer.set_min_version(int(reader.get_record("version")))
    own_records = ("version", "byteorder", ".data/serialization_id")  # the writer adds these
    for name in reader.get_all_records():
        if name not in own_records and not name.endswith(".debug_pkl"):
            content = reader.get_record(name)
            writer.write_record(name, content, len(content))
    writer.write_end_of_file()
    return result.getvalue()


def _write_atomically(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.resolve().parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


# --- reading --------------------------------------------------------------------------------------


def _open(path: Union[str, Path]) -> zipfile.ZipFile:
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no model file {path}")
    with open(path, "rb") as file:
        start = file.read(4)
    if start != b"PK\x03\x04":
        raise ValueError(f"{path} is not a model file written by loremd.export")
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        archive = None
    # a truncated file may end in the directory of the parameters, an archive in the archive
    if archive is None or min((e.header_offset for e in archive.infolist()), default=1) > 0:
        size = Path(path).stat().st_size
        raise ValueError(f"{path} is truncated or damaged ({size} bytes); copy or export it again")
    return archive


def _entry(archive: zipfile.ZipFile, name: str, path: Union[str, Path]) -> bytes:
    for entry in archive.namelist():
        if entry.endswith(f"extra/{name}"):
            try:
                return archive.read(entry)
            except zipfile.BadZipFile as error:
                raise ValueError(f"{path} is truncated or damaged: {error}") from None
    raise ValueError(f"{path} is not a model file written by loremd.export: it holds no {name}")


def _metadata_of(archive: zipfile.ZipFile, path: Union[str, Path]) -> Dict[str, Any]:
    metadata = json.loads(_entry(archive, _METADATA, path))
    version = metadata.get("schema_version")
    if not isinstance(version, int) or not 1 <= version <= SCHEMA_VERSION:
        raise ValueError(
            f"{path} has schema version {version}; this loremd reads versions 1 to "
            f"{SCHEMA_VERSION}. Update loremd, or export the model again with this version"
        )
    if metadata.get("model") != "Lorem":
        raise ValueError(f"{path} holds a model of kind {metadata.get('model')!r}, not 'Lorem'")
    return metadata
