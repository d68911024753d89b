// SPDX-License-Identifier: BSD-3-Clause
//
// What every op family needs: checks, the translation of core errors, calls through the dispatcher.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "error.hpp"
#include "math/even_series.hpp"
#include "ops.hpp"

namespace loremd_torch {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

// The op `loremd::name` with the C++ signature of `declared`, found once.
#define LOREMD_CALL(name, ...)                                                 \
  static const auto op = c10::Dispatcher::singleton()                          \
                             .findSchemaOrThrow("loremd::" #name, "")          \
                             .typed<std::remove_pointer_t<decltype(&name)>>(); \
  return op.call(__VA_ARGS__)

// Whether autograd has to know of an op with these arguments.
inline bool need_gradients(TensorList tensors) {
  return at::GradMode::is_enabled() &&
         std::any_of(tensors.begin(), tensors.end(),
                     [](const Tensor &tensor) { return tensor.requires_grad(); });
}

// Runs `body`, turning the core's Error into torch's.
template <class Body>
void run_core(const char *op, Body &&body) {
  try {
    body();
  } catch (const loremd::Error &error) {
    TORCH_CHECK_VALUE(false, "loremd::", op, ": ", error.what());
  }
}

inline void check_shape(const char *op, const char *name, const Tensor &t, int64_t rows,
                        int64_t columns) {
  TORCH_CHECK_VALUE(
      t.dim() == 2 && (rows < 0 || t.size(0) == rows) && (columns < 0 || t.size(1) == columns),
      "loremd::", op, ": expected ", name, " of shape (", rows < 0 ? "n" : std::to_string(rows),
      ", ", columns < 0 ? "channels" : std::to_string(columns), "), got ", t.sizes());
}

inline void check_dtype(const char *op, const char *name, const Tensor &t, at::ScalarType dtype) {
  TORCH_CHECK_TYPE(t.scalar_type() == dtype, "loremd::", op, ": expected ", name, " of dtype ",
                   dtype, ", got ", t.scalar_type());
}

inline void check_floating(const char *op, const char *name, const Tensor &t) {
  TORCH_CHECK_TYPE(t.scalar_type() == at::kFloat || t.scalar_type() == at::kDouble, "loremd::", op,
                   ": expected ", name, " of dtype float32 or float64, got ", t.scalar_type());
}

inline std::array<int64_t, 3> mesh_points(const char *op, at::IntArrayRef mesh_shape) {
  TORCH_CHECK_VALUE(mesh_shape.size() == 3, "loremd::", op,
                    ": expected a mesh shape of three numbers, got ", mesh_shape);
  return {mesh_shape[0], mesh_shape[1], mesh_shape[2]};
}

// An optional table of numbers (window, interaction), contiguous; undefined where there is none.
inline Tensor series_of(const char *op, const char *name, const OptionalTensor &table) {
  if (!table || !table->defined()) return {};
  TORCH_CHECK_VALUE(table->dim() == 1 && table->numel() > 0, "loremd::", op, ": expected ", name,
                    " of one dimension, got ", table->sizes());
  check_dtype(op, name, *table, at::kDouble);
  return table->cpu().contiguous();
}

// Its terms as an even series; none where it is undefined. Does not own them.
inline loremd::EvenSeries even_series(const Tensor &table) {
  if (!table.defined()) return {nullptr, 0};
  return {table.const_data_ptr<double>(), static_cast<int>(table.numel())};
}

// The highest derivatives end here.
[[noreturn]] inline void no_further_derivative(const char *op) {
  TORCH_CHECK_NOT_IMPLEMENTED(false, "loremd::", op,
                              " is already a second derivative; third derivatives are not "
                              "available");
  std::abort();
}

}  // namespace loremd_torch
