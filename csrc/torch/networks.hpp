// SPDX-License-Identifier: BSD-3-Clause
//
// What the two evaluations of the networks share: checks, and the one by the ops of torch.
#pragma once

#include "support.hpp"

namespace loremd_torch {

void check_vector(const char *op, const char *name, const Tensor &t, const SymInt &size,
                  const Tensor &like);

// One weight at least, of layers that fit each other.
void check_weights(const char *op, TensorList weights, const Tensor &like);

// Weights and biases that fit each other and the rows x, which the errors call `name`.
void check_network(const char *op, const char *name, const Tensor &x, TensorList weights,
                   TensorList biases);
void check_residual(const char *op, const Tensor &x, const Tensor &y, TensorList weights,
                    TensorList biases, const Tensor &scale, const Tensor &shift);

// The slopes of every silu for the rows of x, layer after layer, in one array.
Tensor empty_slopes(const Tensor &x, TensorList weights);
void check_slopes(const char *op, const Tensor &slopes, TensorList weights, const Tensor &rows);

// By the ops of torch, each differentiable to any order; arguments and results as those of the ops.
Tensor composite_mlp(const Tensor &x, TensorList weights, TensorList biases);
Tensor composite_mlp_backward(const Tensor &grad, const Tensor &x, TensorList weights,
                              TensorList biases);
Tensor composite_residual_mlp(const Tensor &x, const Tensor &y, TensorList weights,
                              TensorList biases, const Tensor &scale, const Tensor &shift);
std::tuple<Tensor, Tensor> composite_residual_mlp_backward(const Tensor &grad, const Tensor &x,
                                                           const Tensor &y, TensorList weights,
                                                           TensorList biases, const Tensor &scale,
                                                           const Tensor &shift);

}  // namespace loremd_torch
