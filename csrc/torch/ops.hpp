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
using at::TensorList;
using c10::SymInt;
using c10::SymIntArrayRef;
using TensorVector = std::vector<Tensor>;
using OptionalTensor = std::optional<Tensor>;  // of window and interaction: Legendre terms

// mesh/spread.hpp, mesh/interpolate.hpp. `fractions` (n, 3): positions in units of the cell
// vectors; `window`: Legendre terms of its shape (1-D float64), none for the B-spline.
Tensor spread(const Tensor &fractions, const Tensor &charges, SymIntArrayRef mesh_shape,
              int64_t order, const OptionalTensor &window);
Tensor spread_directional(const Tensor &fractions, const Tensor &directions, const Tensor &charges,
                          SymIntArrayRef mesh_shape, int64_t order, const OptionalTensor &window);
Tensor interpolate(const Tensor &fractions, const Tensor &mesh, int64_t order,
                   const OptionalTensor &window);
Tensor interpolate_directional(const Tensor &fractions, const Tensor &directions,
                               const Tensor &mesh, int64_t order, const OptionalTensor &window);
Tensor interpolate_gradient(const Tensor &fractions, const Tensor &mesh, const Tensor &charges,
                            int64_t order, const OptionalTensor &window);
std::tuple<Tensor, Tensor> interpolate_with_gradient(const Tensor &fractions, const Tensor &mesh,
                                                     const Tensor &charges, int64_t order,
                                                     const OptionalTensor &window);
Tensor interpolate_gradient_directional(const Tensor &fractions, const Tensor &directions,
                                        const Tensor &mesh, const Tensor &charges, int64_t order,
                                        const OptionalTensor &window);

// fractional.cpp: rows (n, 3) times a matrix (3, 3), as torch.mm. float64.
Tensor row_products(const Tensor &rows, const Tensor &matrix);

// mesh/convolve.hpp
Tensor convolve(const Tensor &mesh, const Tensor &influence);
Tensor correlate(const Tensor &a, const Tensor &b);

// mesh_potential.cpp: interpolate(convolve(spread(charges))) in one op, with a multiple of the own
// charge and of the sum of all; and sum of charges times it.
Tensor mesh_potential(const Tensor &fractions, const Tensor &charges, const Tensor &influence,
                      SymIntArrayRef mesh_shape, int64_t order, const OptionalTensor &window,
                      int64_t comm, double own, const OptionalTensor &uniform);
Tensor mesh_energy(const Tensor &fractions, const Tensor &charges, const Tensor &influence,
                   SymIntArrayRef mesh_shape, int64_t order, const OptionalTensor &window,
                   int64_t comm, double own, const OptionalTensor &uniform);

// mesh/influence.hpp. `range` is the smearing, or the range of a compact splitting. `interaction`
// (1-D float64): exponent, number of periodic directions, open axis, reach, whether the spectrum
// of a compact splitting may end at its first zero, and the Legendre terms
// of a compact splitting; none: 1/r in three periodic directions, Gaussian splitting. With `comm`
// on several ranks the influence array is a share of the full spectrum, and gradients are partial
// sums (distributed_mesh.hpp).
Tensor influence_sum(const Tensor &metric, SymIntArrayRef mesh_shape, int64_t order, double range,
                     const OptionalTensor &window, const OptionalTensor &interaction, int64_t comm);
Tensor influence_sum_directional(const Tensor &metric, const Tensor &direction,
                                 SymIntArrayRef mesh_shape, int64_t order, double range,
                                 const OptionalTensor &window, const OptionalTensor &interaction,
                                 int64_t comm);
Tensor influence_sum_gradient(const Tensor &metric, const Tensor &weights,
                              SymIntArrayRef mesh_shape, int64_t order, double range,
                              const OptionalTensor &window, const OptionalTensor &interaction,
                              int64_t comm);
Tensor influence_sum_gradient_directional(const Tensor &metric, const Tensor &direction,
                                          const Tensor &weights, SymIntArrayRef mesh_shape,
                                          int64_t order, double range, const OptionalTensor &window,
                                          const OptionalTensor &interaction, int64_t comm);

// edges/pair_sum.hpp. `pairs` (2, P) int64: centres, neighbours.
Tensor pair_sum(const Tensor &weights, const Tensor &charges, const Tensor &pairs, SymInt n_out);
Tensor pair_dot(const Tensor &a, const Tensor &b, const Tensor &pairs);

// edges/screening.hpp. `x` float64 of any shape, `series` the Legendre terms of a shape.
Tensor gamma_tail(const Tensor &x, double a, double b, int64_t derivative);
Tensor compact_sharp(const Tensor &x, double range, const Tensor &series, int64_t derivative);

// features/tensor_product.hpp. Spherical features (n, (L+1)^2, F), weights (L1+1, L2+1, L3+1, F).
Tensor tensor_product(const Tensor &a, const Tensor &b, const Tensor &weight);
std::tuple<Tensor, Tensor> tensor_product_gradient(const Tensor &a, const Tensor &b,
                                                   const Tensor &weight, const Tensor &grad);
Tensor tensor_product_weights(const Tensor &a, const Tensor &b, const Tensor &grad);

// features/equivariant_dense.hpp. Weights (L+1, Fin, Fout).
Tensor equivariant_dense(const Tensor &t, const Tensor &weight);
Tensor equivariant_dense_weights(const Tensor &t, const Tensor &grad);

// features/norm_features.hpp. Norms (n, (L+1) F).
Tensor norm_features(const Tensor &t, double epsilon);
Tensor norm_features_gradient(const Tensor &t, const Tensor &grad, double epsilon);
std::tuple<Tensor, Tensor> norm_features_curvature(const Tensor &t, const Tensor &grad,
                                                   const Tensor &direction, double epsilon);

// features/tensor_dense.hpp. Weights of the images (L+1, Fin, 2 F), of their product (L+1, L+1,
// L'+1, F). By an equivariant_dense and a tensor_product where something may need a derivative.
Tensor tensor_dense(const Tensor &t, const Tensor &dense, const Tensor &weight);
Tensor tensor_dense_gradient(const Tensor &t, const Tensor &dense, const Tensor &weight,
                             const Tensor &grad);

// networks.cpp, features/{matrix_product,silu,residual_norm}.hpp. Rows (n, in); weights (in, out)
// and biases (out) of each layer; scale, shift (out of the last). `slopes` are the derivatives of
// silu, (n, out) of each layer but the last, one after the other in one dimension; `normalised`
// (n, out) and `inverse` (n) are of the normalisation. mlp, residual_mlp and residual_mlp_again,
// which takes its values from what residual_mlp_forward or residual_mlp_slopes kept, are
// differentiable to any order, the other halves are not. Without slopes residual_mlp_backward finds
// them itself.
Tensor mlp(const Tensor &x, TensorList weights, TensorList biases);
std::tuple<Tensor, Tensor> mlp_forward(const Tensor &x, TensorList weights, TensorList biases);
Tensor mlp_backward(const Tensor &grad, TensorList weights, const Tensor &slopes);
Tensor residual_mlp(const Tensor &x, const Tensor &y, TensorList weights, TensorList biases,
                    const Tensor &scale, const Tensor &shift);
std::tuple<Tensor, Tensor, Tensor> residual_mlp_forward(const Tensor &x, const Tensor &y,
                                                        TensorList weights, TensorList biases,
                                                        const Tensor &scale, const Tensor &shift);
std::tuple<Tensor, Tensor, Tensor, Tensor> residual_mlp_slopes(const Tensor &x, const Tensor &y,
                                                               TensorList weights,
                                                               TensorList biases,
                                                               const Tensor &scale,
                                                               const Tensor &shift);
Tensor residual_mlp_again(const Tensor &x, const Tensor &y, TensorList weights, TensorList biases,
                          const Tensor &scale, const Tensor &shift, const Tensor &normalised,
                          const Tensor &inverse, const OptionalTensor &slopes);
std::tuple<Tensor, Tensor> residual_mlp_backward(const Tensor &grad, const Tensor &y,
                                                 TensorList weights, TensorList biases,
                                                 const Tensor &scale, const Tensor &normalised,
                                                 const Tensor &inverse,
                                                 const OptionalTensor &slopes);

// communicator.hpp
Tensor halo_exchange(const Tensor &owned, SymInt n, int64_t comm);
Tensor halo_reduce(const Tensor &all, SymInt n_owned, int64_t comm);
Tensor sum_over_ranks(const Tensor &values, int64_t comm);

}  // namespace loremd_torch
