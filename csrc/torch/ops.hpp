// SPDX-License-Identifier: BSD-3-Clause
//
// The ops as C++ functions that go through torch's dispatcher, so that a derivative written with
// them is itself differentiable. Shapes: n atoms, C channels, P pairs; a mesh is (nx, ny, nz, C),
// an influence array (nx, ny, nz/2 + 1). Geometry is float64, the rest float32 or float64.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/SymIntArrayRef.h>

namespace loremd_torch {

using at::Tensor;
using c10::SymInt;
using c10::SymIntArrayRef;

// mesh/spread.hpp, mesh/interpolate.hpp. `fractions` (n, 3): positions in units of the cell
// vectors.
Tensor spread(const Tensor &fractions, const Tensor &charges, SymIntArrayRef mesh_shape,
              int64_t order);
Tensor spread_directional(const Tensor &fractions, const Tensor &directions, const Tensor &charges,
                          SymIntArrayRef mesh_shape, int64_t order);
Tensor interpolate(const Tensor &fractions, const Tensor &mesh, int64_t order);
Tensor interpolate_directional(const Tensor &fractions, const Tensor &directions,
                               const Tensor &mesh, int64_t order);
Tensor interpolate_gradient(const Tensor &fractions, const Tensor &mesh, const Tensor &charges,
                            int64_t order);
std::tuple<Tensor, Tensor> interpolate_with_gradient(const Tensor &fractions, const Tensor &mesh,
                                                     const Tensor &charges, int64_t order);
Tensor interpolate_gradient_directional(const Tensor &fractions, const Tensor &directions,
                                        const Tensor &mesh, const Tensor &charges, int64_t order);

// mesh/convolve.hpp
Tensor convolve(const Tensor &mesh, const Tensor &influence);
Tensor correlate(const Tensor &a, const Tensor &b);

// mesh/influence.hpp
Tensor influence_sum(const Tensor &metric, SymIntArrayRef mesh_shape, int64_t order,
                     double smearing);
Tensor influence_sum_directional(const Tensor &metric, const Tensor &direction,
                                 SymIntArrayRef mesh_shape, int64_t order, double smearing);
Tensor influence_sum_gradient(const Tensor &metric, const Tensor &weights,
                              SymIntArrayRef mesh_shape, int64_t order, double smearing);
Tensor influence_sum_gradient_directional(const Tensor &metric, const Tensor &direction,
                                          const Tensor &weights, SymIntArrayRef mesh_shape,
                                          int64_t order, double smearing);

// edges/pair_sum.hpp. `pairs` (2, P) int64: centres, neighbours.
Tensor pair_sum(const Tensor &weights, const Tensor &charges, const Tensor &pairs, SymInt n_out);
Tensor pair_dot(const Tensor &a, const Tensor &b, const Tensor &pairs);

// communicator.hpp
Tensor halo_exchange(const Tensor &owned, SymInt n, int64_t comm);
Tensor halo_reduce(const Tensor &all, SymInt n_owned, int64_t comm);
Tensor sum_over_ranks(const Tensor &values, int64_t comm);

}  // namespace loremd_torch
