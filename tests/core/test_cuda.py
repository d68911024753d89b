# SPDX-License-Identifier: BSD-3-Clause
"""The CUDA side without a GPU: it is complete, compiles without spills, has the formulas of the CPU
side, and gives its results where the host compiler runs it."""

import re
import subprocess

import pytest

from tests.core.builds import ROOT, has_nvcc
from tests.ops.device_cases import HALVES_OF_NETWORKS, WITHOUT_KERNEL

CORE = ROOT / "csrc" / "core"

# What the kernels of one op are: (name of the op, functions of loremd::cuda, dtypes). Forward,
# backward and double backward are ops of their own; those that are their own derivatives (with
# roles exchanged) have no more functions.
BOTH = ("float", "double")
FUNCTIONS = {
    "spread": (("set_windows", "spread", "spread_in_order"), BOTH),
    "spread_directional": (("spread", "spread_in_order"), BOTH),
    "interpolate": (("interpolate",), BOTH),
    "interpolate_directional": (("interpolate",), BOTH),
    "interpolate_gradient": (("interpolate_field", "add_field_gradient"), BOTH),
    "interpolate_with_gradient": (("interpolate_field", "add_field_gradient"), BOTH),
    "interpolate_gradient_directional": (("gradient_along_directions",), BOTH),
    "convolve": (("multiply_spectrum",), BOTH),
    "correlate": (("correlate_half_spectra",), BOTH),
    "mesh_potential": (("spread", "multiply_spectrum", "interpolate"), BOTH),
    "mesh_potential_forward": (("spread", "multiply_spectrum", "interpolate_field"), BOTH),
    "mesh_potential_backward": (("correlate_half_spectra", "add_field_gradient"), BOTH),
    "mesh_energy": (("spread", "interpolate_field", "add_field_gradient"), BOTH),
    "mesh_energy_forward": (("spread", "interpolate_field", "add_field_gradient"), BOTH),
    "influence_sum": (("influence_sum",), ("double",)),
    "influence_sum_directional": (("influence_sum",), ("double",)),
    "influence_sum_gradient": (("influence_sum_gradient",), ("double",)),
    "influence_sum_gradient_directional": (("influence_sum_gradient",), ("double",)),
    "pair_sum": (("pair_sum",), BOTH),
    "pair_dot": (("pair_dot",), BOTH),
    "gamma_tail": (("gamma_tail",), ("double",)),
    "compact_sharp": (("compact_sharp",), ("double",)),
    "pair_potential": (("pair_potential",), BOTH),
    "pair_potential_backward": (("pair_potential_gradient",), BOTH),
    "neighbor_density": (("neighbor_density",), BOTH),
    "neighbor_density_backward": (("neighbor_density_gradient",), BOTH),
    "neighbor_density_backward_directional": (("neighbor_density_along",), BOTH),
    "neighbor_density_tabulated": (("neighbor_density_tabulated",), ("float",)),
    "neighbor_density_tabulated_backward": (("neighbor_density_tabulated_gradient",), ("float",)),
    "tensor_product": (("tensor_product",), BOTH),
    "tensor_product_weights": (("tensor_product_weights",), BOTH),
    "equivariant_dense": (("equivariant_dense",), BOTH),
    "equivariant_dense_weights": (("equivariant_dense_weights",), BOTH),
    "norm_features": (("norm_features",), BOTH),
    "norm_features_gradient": (("norm_features_gradient",), BOTH),
    "norm_features_curvature": (("norm_features_curvature",), BOTH),
}
# Ops that are made of others: torch's own for the networks.
COMPOSED = HALVES_OF_NETWORKS | {
    *("mlp", "residual_mlp", "residual_mlp_forward", "residual_mlp_again"),
    *("tensor_product_gradient", "tensor_dense", "tensor_dense_gradient", "row_products"),
}

# Formulas that both sides must take from a shared header: (stem, header, functions it defines).
# What calls them on the CPU side is the .cpp or a header that only the CPU side includes.
SHARED = [
    ("mesh/spread", "math/polynomial.hpp", ("horner_step",)),
    ("mesh/spread", "mesh/window_table.hpp", ("window_start", "DirectionalWeight")),
    ("mesh/interpolate", "mesh/window_table.hpp", ("window_start", "DirectionalWeight")),
    ("mesh/interpolate", "mesh/window_table.hpp", ("HessianSums",)),
    ("mesh/convolve", "math/half_spectrum.hpp", ("even_part", "multiplicity", "real_product")),
    ("mesh/influence", "math/influence.hpp", ("mesh_frequency", "alias_range", "open_scale")),
    ("mesh/influence", "mesh/interaction.hpp", ("with_interaction",)),
    ("edges/pair_potential", "edges/shifts.hpp", ("pair_vector",)),
    ("edges/screening", "math/compact_sharp.hpp", ("compact_sharp",)),
    ("edges/screening", "math/gamma.hpp", ("derivative",)),
    ("edges/neighbor_density", "math/radial.hpp", ("radial_basis", "smooth_cutoff")),
    ("edges/neighbor_density", "math/radial.hpp", ("cosine_cutoff", "pascal_row")),
    ("edges/neighbor_density", "math/spherical.hpp", ("spherical_harmonics_gradient",)),
    ("edges/neighbor_density_tabulated", "math/polynomial.hpp", ("cubic", "cubic_slope")),
    ("features/norm_features", "math/norm.hpp", ("norm_factor", "inverse_norm", "norm_curvature")),
    ("features/tensor_product", "features/coupling.hpp", ("coupling",)),
    ("features/tensor_product", "features/coupling_terms.hpp", ("multiply_pairs",)),
]


def without_comments(text):
    return re.sub(r"//[^\n]*", "", text)


def sources_of(path):
    """The file and all of csrc/core that it includes, directly or not: {name: code}."""
    found, waiting = {}, [path]
    while waiting:
        current = waiting.pop()
        name = str(current.relative_to(CORE))
        if name in found:
            continue
        found[name] = without_comments(current.read_text(encoding="utf-8"))
        for included in re.findall(r'#include "([^"]+)"', found[name]):
            for folder in (CORE, current.parent):
                if (folder / included).is_file():
                    waiting.append((folder / included).resolve())
                    break
    return found


def callers(sources, header, function):
    """The files that name the function, other than the header that defines it."""
    pattern = re.compile(rf"\b{function}\b *[<({{]")
    return [name for name, code in sources.items() if name != header and pattern.search(code)]


@pytest.mark.parametrize(("stem", "header", "functions"), SHARED)
def test_both_sides_call_the_same_functions(stem, header, functions):
    parts = [f"{stem}.cpp"]
    if stem == "mesh/interpolate":
        parts.append("mesh/interpolate_field.cpp")
    if stem in ("mesh/spread", "mesh/interpolate"):  # what the windows of both start from
        parts.append("mesh/visiting_order.cpp")
    cuda_stem = stem.removesuffix("_tabulated")  # in one file with the exact kernel
    cuda_parts = [f"{cuda_stem}.cu", *(["mesh/windows.cu"] if stem.startswith("mesh/") else [])]
    if stem == "features/tensor_product":
        cuda_parts.append("features/coupling_terms.cpp")  # makes the table of the kernel
    for names in (parts, cuda_parts):
        sources = {}
        for name in names:
            sources |= sources_of(CORE / name)
        assert header in sources, f"{names} does not include {header}"
        for function in functions:
            assert re.search(rf"\b{function}\b", sources[header])
            assert callers(sources, header, function), f"{names} never calls {function}"


def test_every_kernel_has_a_cuda_side():
    lists = (CORE / "CMakeLists.txt").read_text(encoding="utf-8")
    stems = re.search(r"set\(LOREMD_KERNELS([^)]*)\)", lists)[1].split()
    missing = {stem for stem in stems if not (CORE / f"{stem}.cu").is_file()}
    tables, in_another_file = "features/coupling", "edges/neighbor_density_tabulated"
    of_several_ops = ("matrix_product", "silu", "residual_norm", "tensor_dense")
    composed = {f"features/{name}" for name in of_several_ops}
    assert missing == {tables, in_another_file, *composed}


def test_every_op_is_listed():
    library = (ROOT / "csrc" / "torch" / "library.cpp").read_text(encoding="utf-8")
    defined = set(re.findall(r'm\.def\(\s*"(\w+)\(', library))
    assert defined == set(FUNCTIONS) | WITHOUT_KERNEL | COMPOSED
    assert not set(FUNCTIONS) & WITHOUT_KERNEL


@pytest.fixture(scope="module")
def symbols(core_build):
    if not has_nvcc():
        pytest.skip("nvcc is not installed: the CUDA side was not compiled")
    library = core_build.folder / "csrc" / "core" / "libloremd_cuda.a"
    command = ["nm", "--demangle", "--defined-only", str(library)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("op", FUNCTIONS)
def test_cuda_symbols_of_every_op(symbols, op):
    functions, dtypes = FUNCTIONS[op]
    for function in functions:
        found = re.findall(rf" [TWV] .*\bloremd::cuda::{function}(?:<(\w+)>)?\(", symbols)
        assert found, f"no loremd::cuda::{function}"
        if "" not in found:  # one function for each dtype
            assert set(dtypes) <= set(found), f"loremd::cuda::{function} for {found} only"


def test_nothing_spills(core_build):
    """Not at any order, dtype or number of channels."""
    if not has_nvcc():
        pytest.skip("nvcc is not installed: the CUDA side was not compiled")
    reports = re.split(r"Compiling entry function '", core_build.output)[1:]
    kernels = {report.split("'")[0]: report for report in reports}
    # two ways to spread with and without directions and two to interpolate; values and gradients,
    # Hessians: each for eight orders, two dtypes, and one or more channels
    of_mesh = [name for name in kernels if re.search("AtomToMesh|MeshFromAtoms|MeshTo", name)]
    assert len(of_mesh) == 8 * 2 * 2 * (2 + 2 + 2 + 1)
    spills = {name: re.findall(r"(\d+) bytes spill", report) for name, report in kernels.items()}
    assert all(spills.values())  # each has a report
    spilled = [name for name, counts in spills.items() if any(map(int, counts))]
    assert not spilled


def test_maths_headers_are_device_code(core_build):
    if not has_nvcc():
        pytest.skip("nvcc is not installed: the CUDA side was not compiled")
    kernels = set(re.findall(r"Compiling entry function '(\w+)'", core_build.output))
    # weights of eight orders and silu in two dtypes; three influence functions, tails, series;
    # radial functions of two and harmonics of three kinds of numbers
    own = [name for name in kernels if "loremd4cuda" not in name]
    assert len(own) == 28


def test_kernels_agree_with_the_cpu_side(core_build):
    program = core_build.folder / "tests" / "core" / "loremd_cuda_test"
    run = subprocess.run([program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert "CUDA tests on the host passed" in run.stdout
