// SPDX-License-Identifier: BSD-3-Clause
//
// Schemas of torch.ops.loremd. Model files refer to them: a schema never changes, a change gets a
// new name.
#include <torch/library.h>

TORCH_LIBRARY(loremd, m) {
  m.def(
      "spread(Tensor fractions, Tensor charges, SymInt[] mesh_shape, int order, "
      "Tensor? window=None) -> Tensor");
  m.def(
      "spread_directional(Tensor fractions, Tensor directions, Tensor charges, "
      "SymInt[] mesh_shape, int order, Tensor? window=None) -> Tensor");
  m.def("interpolate(Tensor fractions, Tensor mesh, int order, Tensor? window=None) -> Tensor");
  m.def(
      "interpolate_directional(Tensor fractions, Tensor directions, Tensor mesh, int order, "
      "Tensor? window=None) -> Tensor");
  m.def(
      "interpolate_gradient(Tensor fractions, Tensor mesh, Tensor charges, int order, "
      "Tensor? window=None) -> Tensor");
  m.def(
      "interpolate_with_gradient(Tensor fractions, Tensor mesh, Tensor charges, int order, "
      "Tensor? window=None) -> (Tensor values, Tensor gradient)");
  m.def(
      "interpolate_gradient_directional(Tensor fractions, Tensor directions, Tensor mesh, "
      "Tensor charges, int order, Tensor? window=None) -> Tensor");

  m.def("row_products(Tensor rows, Tensor matrix) -> Tensor");
  m.def("convolve(Tensor mesh, Tensor influence) -> Tensor");
  m.def("correlate(Tensor a, Tensor b) -> Tensor");

  m.def(
      "mesh_potential(Tensor fractions, Tensor charges, Tensor influence, SymInt[] mesh_shape, "
      "int order, Tensor? window=None, int comm=0, float own=0.0, Tensor? uniform=None) -> Tensor");
  m.def(
      "mesh_potential_forward(Tensor fractions, Tensor charges, Tensor influence, "
      "SymInt[] mesh_shape, int order, Tensor? window, int comm, float own, Tensor? uniform, "
      "bool with_field, bool with_spectrum) "
      "-> (Tensor values, Tensor field, Tensor spectrum, Tensor visits)");
  m.def(
      "mesh_potential_backward(Tensor fractions, Tensor charges, Tensor influence, "
      "SymInt[] mesh_shape, int order, Tensor? window, int comm, float own, Tensor? uniform, "
      "Tensor field, Tensor spectrum, Tensor visits, Tensor grad, bool with_uniform=True) "
      "-> (Tensor by_fractions, Tensor by_charges, Tensor by_influence, Tensor by_uniform)");
  m.def(
      "mesh_energy(Tensor fractions, Tensor charges, Tensor influence, SymInt[] mesh_shape, "
      "int order, Tensor? window=None, int comm=0, float own=0.0, Tensor? uniform=None) -> Tensor");
  m.def(
      "mesh_energy_forward(Tensor fractions, Tensor charges, Tensor influence, "
      "SymInt[] mesh_shape, int order, Tensor? window, int comm, float own, Tensor? uniform, "
      "bool with_correlation) "
      "-> (Tensor energy, Tensor values, Tensor gradient, Tensor correlation, Tensor by_uniform)");
  m.def("mesh_bytes() -> int");
  m.def("prolate_shape(float bandlimit) -> Tensor");

  m.def(
      "influence_sum(Tensor metric, SymInt[] mesh_shape, int order, float smearing, "
      "Tensor? window=None, Tensor? interaction=None, int comm=0) -> Tensor");
  m.def(
      "influence_sum_directional(Tensor metric, Tensor direction, SymInt[] mesh_shape, int order, "
      "float smearing, Tensor? window=None, Tensor? interaction=None, int comm=0) -> Tensor");
  m.def(
      "influence_sum_gradient(Tensor metric, Tensor weights, SymInt[] mesh_shape, int order, "
      "float smearing, Tensor? window=None, Tensor? interaction=None, int comm=0) -> Tensor");
  m.def(
      "influence_sum_gradient_directional(Tensor metric, Tensor direction, Tensor weights, "
      "SymInt[] mesh_shape, int order, float smearing, Tensor? window=None, Tensor? "
      "interaction=None, int comm=0) -> Tensor");

  m.def("pair_sum(Tensor weights, Tensor charges, Tensor pairs, SymInt n_out) -> Tensor");
  m.def("pair_dot(Tensor a, Tensor b, Tensor pairs) -> Tensor");
  m.def("gamma_tail(Tensor x, float a, float b, int derivative=0) -> Tensor");
  m.def("compact_sharp(Tensor x, float range, Tensor series, int derivative=0) -> Tensor");

  m.def(
      "pair_potential(Tensor positions, Tensor charges, Tensor cell, Tensor pairs, Tensor shifts, "
      "SymInt n_out, float cutoff, float exponent, float length, Tensor? splitting=None) "
      "-> Tensor");
  m.def(
      "pair_potential_backward(Tensor positions, Tensor charges, Tensor cell, Tensor pairs, "
      "Tensor shifts, SymInt n_out, float cutoff, float exponent, float length, "
      "Tensor? splitting, Tensor grad) "
      "-> (Tensor by_positions, Tensor by_charges, Tensor by_cell)");

  m.def(
      "neighbor_density(Tensor positions, Tensor cell, Tensor pairs, Tensor shifts, "
      "Tensor species, Tensor coefficients, SymInt n_out, float cutoff, bool smooth) "
      "-> (Tensor radial_sums, Tensor spherical)");
  m.def(
      "neighbor_density_backward(Tensor positions, Tensor cell, Tensor pairs, Tensor shifts, "
      "Tensor species, Tensor coefficients, SymInt n_out, float cutoff, bool smooth, "
      "Tensor grad_radial, Tensor grad_spherical, bool want_coefficients, bool want_shifts) "
      "-> (Tensor by_positions, Tensor by_cell, Tensor by_coefficients, Tensor by_shifts)");
  m.def(
      "neighbor_density_backward_directional(Tensor positions, Tensor cell, Tensor pairs, "
      "Tensor shifts, Tensor species, Tensor coefficients, SymInt n_out, float cutoff, "
      "bool smooth, Tensor grad_radial, Tensor grad_spherical, Tensor along_positions, "
      "Tensor along_cell, Tensor along_coefficients, Tensor? along_shifts, "
      "bool want_coefficients, bool want_shifts) "
      "-> (Tensor by_positions, Tensor by_cell, Tensor by_coefficients, Tensor by_shifts, "
      "Tensor by_grad_radial, Tensor by_grad_spherical)");
  m.def("tensor_product(Tensor a, Tensor b, Tensor weight) -> Tensor");
  m.def(
      "tensor_product_gradient(Tensor a, Tensor b, Tensor weight, Tensor grad) -> (Tensor, "
      "Tensor)");
  m.def("tensor_product_weights(Tensor a, Tensor b, Tensor grad) -> Tensor");
  m.def("equivariant_dense(Tensor t, Tensor weight) -> Tensor");
  m.def("equivariant_dense_weights(Tensor t, Tensor grad) -> Tensor");
  m.def("norm_features(Tensor t, float epsilon) -> Tensor");
  m.def("norm_features_gradient(Tensor t, Tensor grad, float epsilon) -> Tensor");
  m.def(
      "norm_features_curvature(Tensor t, Tensor grad, Tensor direction, float epsilon) "
      "-> (Tensor by_t, Tensor by_grad)");

  m.def(
      "neighbor_density_tabulated(Tensor positions, Tensor cell, Tensor pairs, Tensor shifts, "
      "Tensor species, Tensor table, SymInt n_out, float cutoff, int n_radial, int degrees, "
      "int features) -> (Tensor radial_sums, Tensor spherical)");
  m.def(
      "neighbor_density_tabulated_backward(Tensor positions, Tensor cell, Tensor pairs, "
      "Tensor shifts, Tensor species, Tensor table, SymInt n_out, float cutoff, int n_radial, "
      "int degrees, int features, Tensor grad_radial, Tensor grad_spherical, bool want_shifts) "
      "-> (Tensor by_positions, Tensor by_cell, Tensor by_shifts)");

  m.def("tensor_dense(Tensor t, Tensor dense, Tensor weight) -> Tensor");
  m.def("tensor_dense_gradient(Tensor t, Tensor dense, Tensor weight, Tensor grad) -> Tensor");

  m.def("mlp(Tensor x, Tensor[] weights, Tensor[] biases) -> Tensor");
  m.def(
      "mlp_forward(Tensor x, Tensor[] weights, Tensor[] biases) -> (Tensor values, Tensor slopes)");
  m.def("mlp_backward(Tensor grad, Tensor[] weights, Tensor slopes) -> Tensor");
  m.def(
      "residual_mlp(Tensor x, Tensor y, Tensor[] weights, Tensor[] biases, Tensor scale, "
      "Tensor shift) -> Tensor");
  m.def(
      "residual_mlp_forward(Tensor x, Tensor y, Tensor[] weights, Tensor[] biases, Tensor scale, "
      "Tensor shift) -> (Tensor values, Tensor normalised, Tensor inverse)");
  m.def(
      "residual_mlp_slopes(Tensor x, Tensor y, Tensor[] weights, Tensor[] biases, Tensor scale, "
      "Tensor shift) -> (Tensor values, Tensor normalised, Tensor inverse, Tensor slopes)");
  m.def(
      "residual_mlp_again(Tensor x, Tensor y, Tensor[] weights, Tensor[] biases, Tensor scale, "
      "Tensor shift, Tensor normalised, Tensor inverse, Tensor? slopes=None) -> Tensor");
  m.def(
      "residual_mlp_backward(Tensor grad, Tensor y, Tensor[] weights, Tensor[] biases, Tensor "
      "scale, Tensor normalised, Tensor inverse, Tensor? slopes=None) -> (Tensor by_x, Tensor "
      "by_y)");

  m.def("halo_exchange(Tensor owned, SymInt n, int comm) -> Tensor");
  m.def("halo_reduce(Tensor all, SymInt n_owned, int comm) -> Tensor");
  m.def("sum_over_ranks(Tensor values, int comm) -> Tensor");
  m.def("max_over_ranks(Tensor values, int comm) -> Tensor");

  m.def(
      "plan_mesh(Tensor cell, int atoms, int channels, float cutoff, float accuracy, "
      "float smearing, int[] mesh_shape, int order) -> (float, int[], int, float, float)");
  m.def(
      "mesh_errors(Tensor cell, int atoms, float cutoff, float smearing, int[] mesh_shape, "
      "int order) -> (float, float)");
  m.def(
      "plan(Tensor cell, int atoms, int channels, float cutoff, float accuracy, float exponent, "
      "str splitting, float range, str window, int[] mesh, int order) "
      "-> (str, float, float, int[], int, float, float, float)");
  m.def(
      "plan_errors(Tensor cell, int atoms, float cutoff, float exponent, float range, "
      "float splitting_bandlimit, int[] mesh, int order, float window_bandlimit) "
      "-> (float, float, float, float)");
  m.def(
      "plan_cost(Tensor cell, int atoms, int channels, float cutoff, int[] mesh, int order) "
      "-> float");
  m.def("set_cost_model(float[] constants) -> ()");
}
