// SPDX-License-Identifier: BSD-3-Clause
//
// Networks per atom by the ops of torch.
#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/native_layer_norm_backward.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/TensorOperators.h>
#include <torch/library.h>

#include <vector>

#include "features/residual_norm.hpp"
#include "networks.hpp"

namespace loremd_torch {
namespace {

// The values before each silu, then the result.
TensorVector layer_values(const Tensor &x, TensorList weights, TensorList biases) {
  TensorVector values;
  for (size_t k = 0; k < weights.size(); ++k) {
    values.push_back(at::addmm(biases[k], k == 0 ? x : at::silu(values.back()), weights[k]));
  }
  return values;
}

// torch's silu_backward has no derivative.
Tensor silu_slope(const Tensor &x) {
  const Tensor logistic = at::sigmoid(x);
  return logistic * (1 + x * (1 - logistic));
}

// `values` of layer_values.
Tensor layers_backward(Tensor grad, TensorList weights, TensorList values) {
  for (size_t k = weights.size() - 1; k > 0; --k) {
    grad = at::mm(grad, weights[k].t()) * silu_slope(values[k - 1]);
  }
  return at::mm(grad, weights[0].t());
}

// As residual_mlp_slopes.
std::tuple<Tensor, Tensor, Tensor, Tensor> residual_mlp_slopes_cuda(
    const Tensor &x, const Tensor &y, TensorList weights, TensorList biases, const Tensor &scale,
    const Tensor &shift) {
  check_residual("residual_mlp_slopes", x, y, weights, biases, scale, shift);
  const TensorVector layers = layer_values(y, weights, biases);
  TensorVector slopes{y.new_empty({0})};
  for (size_t k = 0; k + 1 < layers.size(); ++k) slopes.push_back(silu_slope(layers[k]).flatten());
  const Tensor sum = x + layers.back();
  const auto [values, mean, inverse] = at::native_layer_norm_symint(
      sum, std::vector<SymInt>{x.sym_size(1)}, scale, shift, loremd::norm_variance);
  return {values, (sum - mean) * inverse, inverse.squeeze(1), at::cat(slopes)};
}

std::tuple<Tensor, Tensor, Tensor> residual_mlp_forward_cuda(const Tensor &x, const Tensor &y,
                                                             TensorList weights, TensorList biases,
                                                             const Tensor &scale,
                                                             const Tensor &shift) {
  auto [values, normalised, inverse, slopes] =
      residual_mlp_slopes_cuda(x, y, weights, biases, scale, shift);
  return {values, normalised, inverse};
}

}  // namespace

Tensor composite_mlp(const Tensor &x, TensorList weights, TensorList biases) {
  check_network("mlp", "x", x, weights, biases);
  return layer_values(x, weights, biases).back();
}

Tensor composite_residual_mlp(const Tensor &x, const Tensor &y, TensorList weights,
                              TensorList biases, const Tensor &scale, const Tensor &shift) {
  check_residual("residual_mlp", x, y, weights, biases, scale, shift);
  return at::layer_norm_symint(x + layer_values(y, weights, biases).back(), {x.sym_size(1)}, scale,
                               shift, loremd::norm_variance);
}

Tensor composite_mlp_backward(const Tensor &grad, const Tensor &x, TensorList weights,
                              TensorList biases) {
  return layers_backward(grad, weights, layer_values(x, weights, biases));
}

std::tuple<Tensor, Tensor> composite_residual_mlp_backward(const Tensor &grad, const Tensor &x,
                                                           const Tensor &y, TensorList weights,
                                                           TensorList biases, const Tensor &scale,
                                                           const Tensor &shift) {
  const TensorVector values = layer_values(y, weights, biases);
  const Tensor sum = x + values.back();
  const std::vector<SymInt> shape{x.sym_size(1)};
  const auto [normalised, mean, inverse] =
      at::native_layer_norm_symint(sum, shape, scale, shift, loremd::norm_variance);
  const Tensor by_sum = std::get<0>(at::native_layer_norm_backward_symint(
      grad, sum, shape, mean, inverse, scale, shift, {true, false, false}));
  return {by_sum, layers_backward(by_sum, weights, values)};
}

TORCH_LIBRARY_IMPL(loremd, CUDA, m) {  // without gradients; mlp_autograd takes the same way
  m.impl("mlp", composite_mlp);
  m.impl("residual_mlp", composite_residual_mlp);
  m.impl("residual_mlp_forward", residual_mlp_forward_cuda);
  m.impl("residual_mlp_slopes", residual_mlp_slopes_cuda);
}

}  // namespace loremd_torch
