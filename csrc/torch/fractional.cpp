// SPDX-License-Identifier: BSD-3-Clause
//
// Positions in units of the cell. A product of so thin a matrix takes torch several times as long
// as reading and writing it.
#include <ATen/ops/mm.h>
#include <ATen/Parallel.h>

#include "device_call.hpp"
#include "math/row_products.hpp"
#include "mesh_memory.hpp"

namespace loremd_torch {

Tensor row_products(const Tensor &rows, const Tensor &matrix) {
  LOREMD_CALL(row_products, rows, matrix);
}

namespace {

constexpr int64_t rows_per_task = 16384;

Tensor row_products_kernel(const Tensor &rows, const Tensor &matrix) {
  const char *op = "row_products";
  check_shape(op, "rows", rows, -1, 3);
  check_shape(op, "matrix", matrix, 3, 3);
  check_dtype(op, "rows", rows, at::kDouble);
  check_dtype(op, "matrix", matrix, at::kDouble);
  check_devices(op, {&rows, &matrix});
  if (!rows.device().is_cpu()) return rows.mm(matrix);
  const Tensor from = rows.contiguous(), with = matrix.contiguous();
  Tensor products = empty_large(rows.sizes(), rows.options());
  const double *r = from.const_data_ptr<double>(), *m = with.const_data_ptr<double>();
  double *p = products.mutable_data_ptr<double>();
  at::parallel_for(0, rows.size(0), rows_per_task, [&](int64_t begin, int64_t end) {
    loremd::row_products(end - begin, r + 3 * begin, m, p + 3 * begin);
  });
  return products;
}

Tensor row_products_meta(const Tensor &rows, const Tensor &matrix) {
  return at::empty_like(rows, at::MemoryFormat::Contiguous);
}

// Bilinear, so the derivatives are products again, to any order.
struct RowProducts : torch::autograd::Function<RowProducts> {
  static Tensor forward(AutogradContext *ctx, const Tensor &rows, const Tensor &matrix) {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    ctx->save_for_backward({rows, matrix});
    return row_products(rows, matrix);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    return {ctx->needs_input_grad(0) ? row_products(grads[0], saved[1].t()) : Tensor(),
            ctx->needs_input_grad(1) ? saved[0].t().mm(grads[0]) : Tensor()};
  }
};

Tensor row_products_autograd(const Tensor &rows, const Tensor &matrix) {
  if (need_gradients({rows, matrix})) return RowProducts::apply(rows, matrix);
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  return row_products(rows, matrix);
}

}  // namespace

LOREMD_KERNELS(m) {
  m.impl("row_products", row_products_kernel);
}

TORCH_LIBRARY_IMPL(loremd, Meta, m) {
  m.impl("row_products", row_products_meta);
}

TORCH_LIBRARY_IMPL(loremd, Autograd, m) {
  m.impl("row_products", row_products_autograd);
}

}  // namespace loremd_torch
