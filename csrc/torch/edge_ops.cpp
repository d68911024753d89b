// SPDX-License-Identifier: BSD-3-Clause
//
// The real-space pair sum. <a, pair_sum(w, b)> = <w, pair_dot(a, b)> is trilinear in a, w and b, so
// the derivatives of the two ops are the two again (with the pair list transposed where the roles
// of centre and neighbour change), to any order.
#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include "edges/pair_sum.hpp"
#include "support.hpp"

namespace loremd_torch {

Tensor pair_sum(const Tensor &weights, const Tensor &charges, const Tensor &pairs, SymInt n_out) {
  LOREMD_CALL(pair_sum, weights, charges, pairs, n_out);
}

Tensor pair_dot(const Tensor &a, const Tensor &b, const Tensor &pairs) {
  LOREMD_CALL(pair_dot, a, b, pairs);
}

namespace {

void check_pairs(const char *op, const Tensor &pairs) {
  TORCH_CHECK_VALUE(pairs.dim() == 2 && pairs.size(0) == 2, "loremd::", op,
                    ": expected pairs of shape (2, pairs), got ", pairs.sizes());
  check_dtype(op, "pairs", pairs, at::kLong);
}

loremd::PairList pair_list(const Tensor &pairs, int64_t n_centres, int64_t n_neighbours) {
  const int64_t *data = pairs.const_data_ptr<int64_t>();
  return {data, data + pairs.size(1), pairs.size(1), n_centres, n_neighbours};
}

Tensor pair_sum_cpu(const Tensor &weights, const Tensor &charges, const Tensor &pairs,
                    int64_t n_out) {
  check_pairs("pair_sum", pairs);
  check_shape("pair_sum", "charges", charges, -1, -1);
  check_floating("pair_sum", "charges", charges);
  TORCH_CHECK_VALUE(weights.dim() == 1 && weights.size(0) == pairs.size(1),
                    "loremd::pair_sum: expected one weight for each of ", pairs.size(1),
                    " pairs, got shape ", weights.sizes());
  check_dtype("pair_sum", "weights", weights, charges.scalar_type());
  TORCH_CHECK_VALUE(n_out >= 0, "loremd::pair_sum: n_out is ", n_out, "; it must not be negative");
  const Tensor w = weights.contiguous(), q = charges.contiguous(), list = pairs.contiguous();
  Tensor sums = at::zeros({n_out, q.size(1)}, q.options());
  AT_DISPATCH_FLOATING_TYPES(q.scalar_type(), "pair_sum", [&] {
    run_core("pair_sum", [&] {
      loremd::pair_sum(pair_list(list, n_out, q.size(0)), w.const_data_ptr<scalar_t>(),
                       q.const_data_ptr<scalar_t>(), q.size(1), sums.mutable_data_ptr<scalar_t>());
    });
  });
  return sums;
}

Tensor pair_dot_cpu(const Tensor &a, const Tensor &b, const Tensor &pairs) {
  check_pairs("pair_dot", pairs);
  check_shape("pair_dot", "a", a, -1, -1);
  check_shape("pair_dot", "b", b, -1, a.size(1));
  check_floating("pair_dot", "a", a);
  check_dtype("pair_dot", "b", b, a.scalar_type());
  const Tensor left = a.contiguous(), right = b.contiguous(), list = pairs.contiguous();
  Tensor products = at::empty({list.size(1)}, left.options());
  AT_DISPATCH_FLOATING_TYPES(left.scalar_type(), "pair_dot", [&] {
    run_core("pair_dot", [&] {
      loremd::pair_dot(pair_list(list, left.size(0), right.size(0)),
                       left.const_data_ptr<scalar_t>(), right.const_data_ptr<scalar_t>(),
                       left.size(1), products.mutable_data_ptr<scalar_t>());
    });
  });
  return products;
}

Tensor pair_sum_meta(const Tensor &weights, const Tensor &charges, const Tensor &pairs,
                     SymInt n_out) {
  return charges.new_empty_symint({n_out, charges.sym_size(1)});
}

Tensor pair_dot_meta(const Tensor &a, const Tensor &b, const Tensor &pairs) {
  return a.new_empty_symint({pairs.sym_size(1)});
}

struct PairSum : torch::autograd::Function<PairSum> {
  static Tensor forward(AutogradContext *ctx, const Tensor &weights, const Tensor &charges,
                        const Tensor &pairs, SymInt n_out) {
    ctx->save_for_backward({weights, charges, pairs});
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return pair_sum(weights, charges, pairs, n_out);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &weights = saved[0], &charges = saved[1], &pairs = saved[2], &grad = grads[0];
    return {ctx->needs_input_grad(0) ? pair_dot(grad, charges, pairs) : Tensor(),
            ctx->needs_input_grad(1) ? pair_sum(weights, grad, pairs.flip(0), charges.sym_size(0))
                                     : Tensor(),
            Tensor(), Tensor()};
  }
};

struct PairDot : torch::autograd::Function<PairDot> {
  static Tensor forward(AutogradContext *ctx, const Tensor &a, const Tensor &b,
                        const Tensor &pairs) {
    ctx->save_for_backward({a, b, pairs});
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return pair_dot(a, b, pairs);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &a = saved[0], &b = saved[1], &pairs = saved[2], &grad = grads[0];
    return {ctx->needs_input_grad(0) ? pair_sum(grad, b, pairs, a.sym_size(0)) : Tensor(),
            ctx->needs_input_grad(1) ? pair_sum(grad, a, pairs.flip(0), b.sym_size(0)) : Tensor(),
            Tensor()};
  }
};

}  // namespace

TORCH_LIBRARY_IMPL(loremd, CPU, m) {
  m.impl("pair_sum", pair_sum_cpu);
  m.impl("pair_dot", pair_dot_cpu);
}

TORCH_LIBRARY_IMPL(loremd, Meta, m) {
  m.impl("pair_sum", pair_sum_meta);
  m.impl("pair_dot", pair_dot_meta);
}

TORCH_LIBRARY_IMPL(loremd, Autograd, m) {
  m.impl("pair_sum", [](const Tensor &weights, const Tensor &charges, const Tensor &pairs,
                        SymInt n_out) { return PairSum::apply(weights, charges, pairs, n_out); });
  m.impl("pair_dot", [](const Tensor &a, const Tensor &b, const Tensor &pairs) {
    return PairDot::apply(a, b, pairs);
  });
}

}  // namespace loremd_torch
