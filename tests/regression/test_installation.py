# SPDX-License-Identifier: BSD-3-Clause
"""Importing the package, and what it says where its compiled part does not fit."""

import subprocess
import sys

import pytest
import torch

import loremd
from loremd import _library


def test_ops_are_registered_by_the_import():
    code = "import loremd, torch; assert hasattr(torch.ops.loremd, 'spread')"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_other_torch_version_names_the_rebuild_command(monkeypatch):
    monkeypatch.setattr(_library, "build_info", lambda: {"torch_version": "2.9.1+cpu"})
    with pytest.raises(ImportError, match=r"built for torch 2\.9\.1.*--no-build-isolation"):
        _library.load()


def test_other_patch_version_is_fine():
    assert _library.minor("2.13.0+cpu") == _library.minor("2.13.4+cu130")
    assert _library.minor("2.13.0") != _library.minor("2.12.0")


def test_missing_library_says_how_to_build():
    with pytest.raises(ImportError, match="pip install --no-build-isolation"):
        _library.find_in_package("no_such_library.so")


def test_build_info():
    info = loremd.build_info()
    assert _library.minor(info["torch_version"]) == _library.minor(torch.__version__)
    assert set(info) == {"torch_version", "torch_cuda", "cuda", "lammps", "compiler"}
