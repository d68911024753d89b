// SPDX-License-Identifier: BSD-3-Clause
//
// A linear image of spherical features whose halves are coupled, and its gradient by the features:
// in one call for inference on a CPU, else an equivariant_dense and a tensor_product, which are
// differentiable to any order.
#include <ATen/Dispatch.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "features/tensor_dense.hpp"
#include "spherical_argument.hpp"

namespace loremd_torch {

Tensor tensor_dense(const Tensor &t, const Tensor &dense, const Tensor &weight) {
  LOREMD_CALL(tensor_dense, t, dense, weight);
}

Tensor tensor_dense_gradient(const Tensor &t, const Tensor &dense, const Tensor &weight,
                             const Tensor &grad) {
  LOREMD_CALL(tensor_dense_gradient, t, dense, weight, grad);
}

namespace {

loremd::TensorDenseShape check_weights(const char *op, const SphericalArgument &t,
                                       const Tensor &dense, const Tensor &weight,
                                       at::ScalarType dtype) {
  const int degrees = t.degree + 1;
  TORCH_CHECK_VALUE(weight.dim() == 4 && weight.size(0) == degrees && weight.size(1) == degrees &&
                        weight.size(2) > 0,
                    "loremd::", op, ": expected weight of shape (", degrees, ", ", degrees,
                    ", degree + 1, features), got ", weight.sizes());
  const int64_t features = weight.size(3);
  TORCH_CHECK_VALUE(dense.dim() == 3 && dense.size(0) == degrees && dense.size(1) == t.features() &&
                        dense.size(2) == 2 * features,
                    "loremd::", op, ": expected dense of shape (", degrees, ", ", t.features(),
                    ", ", 2 * features, "), got ", dense.sizes());
  check_dtype(op, "dense", dense, dtype);
  check_dtype(op, "weight", weight, dtype);
  return {t.degree, t.features(), static_cast<int>(weight.size(2)) - 1, static_cast<int>(features)};
}

Tensor tensor_dense_cpu(const Tensor &t, const Tensor &dense, const Tensor &weight) {
  const char *op = "tensor_dense";
  const SphericalArgument argument(op, "t", t);
  const auto shape = check_weights(op, argument, dense, weight, t.scalar_type());
  const Tensor linear = dense.contiguous(), weights = weight.contiguous();
  const int64_t degrees = shape.degree_out + 1;
  Tensor out = at::empty({t.size(0), degrees * degrees, shape.features}, t.options());
  AT_DISPATCH_FLOATING_TYPES(t.scalar_type(), "tensor_dense", [&] {
    at::parallel_for(0, t.size(0), atoms_per_task, [&](int64_t begin, int64_t end) {
      run_core(op, [&] {
        loremd::tensor_dense<scalar_t>(
            shape, end - begin, argument.from<scalar_t>(begin), linear.const_data_ptr<scalar_t>(),
            weights.const_data_ptr<scalar_t>(), result_from<scalar_t>(out, begin));
      });
    });
  });
  return out;
}

Tensor tensor_dense_gradient_cpu(const Tensor &t, const Tensor &dense, const Tensor &weight,
                                 const Tensor &grad) {
  const char *op = "tensor_dense_gradient";
  const SphericalArgument argument(op, "t", t), by_out(op, "grad", grad, t, false);
  const auto shape = check_weights(op, argument, dense, weight, t.scalar_type());
  TORCH_CHECK_VALUE(by_out.degree == shape.degree_out && by_out.features() == shape.features,
                    "loremd::", op, ": expected grad of degree ", shape.degree_out, " with ",
                    shape.features, " features, got shape ", grad.sizes());
  const Tensor linear = dense.contiguous(), weights = weight.contiguous();
  Tensor by_t = at::empty(t.sizes(), t.options());
  AT_DISPATCH_FLOATING_TYPES(t.scalar_type(), "tensor_dense_gradient", [&] {
    at::parallel_for(0, t.size(0), atoms_per_task, [&](int64_t begin, int64_t end) {
      run_core(op, [&] {
        loremd::tensor_dense_gradient<scalar_t>(
            shape, end - begin, argument.from<scalar_t>(begin), linear.const_data_ptr<scalar_t>(),
            weights.const_data_ptr<scalar_t>(), by_out.from<scalar_t>(begin),
            result_from<scalar_t>(by_t, begin));
      });
    });
  });
  return by_t;
}

// --- by two ops -----------------------------------------------------------------------------

std::tuple<Tensor, Tensor> images(const Tensor &t, const Tensor &dense, const Tensor &weight) {
  const char *op = "tensor_dense";
  TORCH_CHECK_VALUE(
      weight.dim() == 4 && dense.dim() == 3 && dense.sym_size(2) == 2 * weight.sym_size(3),
      "loremd::", op, ": expected dense of shape (degree + 1, features, 2 F) and ",
      "weight of shape (degree + 1, degree + 1, degrees, F), got ", dense.sym_sizes(), " and ",
      weight.sym_sizes());
  const auto halves = equivariant_dense(t, dense).split_symint(weight.sym_size(3), 2);
  return {halves[0], halves[1]};
}

Tensor composite_tensor_dense(const Tensor &t, const Tensor &dense, const Tensor &weight) {
  const auto [first, second] = images(t, dense, weight);
  return tensor_product(first, second, weight);
}

Tensor composite_tensor_dense_gradient(const Tensor &t, const Tensor &dense, const Tensor &weight,
                                       const Tensor &grad) {
  const auto [first, second] = images(t, dense, weight);
  const auto [by_first, by_second] = tensor_product_gradient(first, second, weight, grad);
  return equivariant_dense(at::cat({by_first, by_second}, 2), dense.transpose(1, 2));
}

Tensor tensor_dense_meta(const Tensor &t, const Tensor &, const Tensor &weight) {
  const SymInt degrees = weight.sym_size(2);
  return t.new_empty_symint({t.sym_size(0), degrees * degrees, weight.sym_size(3)});
}

Tensor tensor_dense_gradient_meta(const Tensor &t, const Tensor &, const Tensor &, const Tensor &) {
  return t.new_empty_symint(t.sym_sizes());
}

Tensor tensor_dense_autograd(const Tensor &t, const Tensor &dense, const Tensor &weight) {
  if (need_gradients({t, dense, weight})) return composite_tensor_dense(t, dense, weight);
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  return tensor_dense(t, dense, weight);
}

Tensor tensor_dense_gradient_autograd(const Tensor &t, const Tensor &dense, const Tensor &weight,
                                      const Tensor &grad) {
  if (need_gradients({t, dense, weight, grad})) {
    return composite_tensor_dense_gradient(t, dense, weight, grad);
  }
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  return tensor_dense_gradient(t, dense, weight, grad);
}

}  // namespace

TORCH_LIBRARY_IMPL(loremd, CPU, m) {
  m.impl("tensor_dense", tensor_dense_cpu);
  m.impl("tensor_dense_gradient", tensor_dense_gradient_cpu);
}

TORCH_LIBRARY_IMPL(loremd, CUDA, m) {
  m.impl("tensor_dense", composite_tensor_dense);
  m.impl("tensor_dense_gradient", composite_tensor_dense_gradient);
}

TORCH_LIBRARY_IMPL(loremd, Meta, m) {
  m.impl("tensor_dense", tensor_dense_meta);
  m.impl("tensor_dense_gradient", tensor_dense_gradient_meta);
}

TORCH_LIBRARY_IMPL(loremd, Autograd, m) {
  m.impl("tensor_dense", tensor_dense_autograd);
  m.impl("tensor_dense_gradient", tensor_dense_gradient_autograd);
}

}  // namespace loremd_torch
