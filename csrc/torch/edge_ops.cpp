// SPDX-License-Identifier: BSD-3-Clause
//
// The real-space pair sum. <a, pair_sum(w, b)> = <w, pair_dot(a, b)> is trilinear in a, w and b, so
// the derivatives of the two ops are the two again (with the pair list transposed where the roles
// of centre and neighbour change), to any order. And the sharp part of the splittings, whose
// derivatives are the same ops with a higher `derivative`.
#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include "device_call.hpp"
#include "edges/cuda.hpp"
#include "edges/pair_sum.hpp"
#include "edges/screening.hpp"
#include "pair_rows.hpp"
#include "support.hpp"

namespace loremd_torch {

Tensor pair_sum(const Tensor &weights, const Tensor &charges, const Tensor &pairs, SymInt n_out) {
  LOREMD_CALL(pair_sum, weights, charges, pairs, n_out);
}

Tensor pair_dot(const Tensor &a, const Tensor &b, const Tensor &pairs) {
  LOREMD_CALL(pair_dot, a, b, pairs);
}

Tensor gamma_tail(const Tensor &x, double a, double b, int64_t derivative) {
  LOREMD_CALL(gamma_tail, x, a, b, derivative);
}

Tensor compact_sharp(const Tensor &x, double range, const Tensor &series, int64_t derivative) {
  LOREMD_CALL(compact_sharp, x, range, series, derivative);
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

Tensor pair_sum_kernel(const Tensor &weights, const Tensor &charges, const Tensor &pairs,
                       int64_t n_out) {
  check_pairs("pair_sum", pairs);
  check_shape("pair_sum", "charges", charges, -1, -1);
  check_floating("pair_sum", "charges", charges);
  TORCH_CHECK_VALUE(weights.dim() == 1 && weights.size(0) == pairs.size(1),
                    "loremd::pair_sum: expected one weight for each of ", pairs.size(1),
                    " pairs, got shape ", weights.sizes());
  check_dtype("pair_sum", "weights", weights, charges.scalar_type());
  check_devices("pair_sum", {&weights, &charges, &pairs});
  TORCH_CHECK_VALUE(n_out >= 0, "loremd::pair_sum: n_out is ", n_out, "; it must not be negative");
  const Tensor w = weights.contiguous(), q = charges.contiguous(), list = pairs.contiguous();
  Tensor sums = at::zeros({n_out, q.size(1)}, q.options());
  AT_DISPATCH_FLOATING_TYPES(q.scalar_type(), "pair_sum", [&] {
    if constexpr (device_kernels) {
      if (on_device(q)) {
        const PairRowsOnDevice rows("pair_sum", list, n_out);
        return run_on_device("pair_sum", q, [&](loremd::cuda::Stream stream) {
          loremd::cuda::pair_sum(pair_list(list, n_out, q.size(0)), rows.view(),
                                 w.const_data_ptr<scalar_t>(), q.const_data_ptr<scalar_t>(),
                                 q.size(1), sums.mutable_data_ptr<scalar_t>(), stream);
        });
      }
    }
    run_core("pair_sum", [&] {
      loremd::pair_sum(pair_list(list, n_out, q.size(0)), w.const_data_ptr<scalar_t>(),
                       q.const_data_ptr<scalar_t>(), q.size(1), sums.mutable_data_ptr<scalar_t>());
    });
  });
  return sums;
}

Tensor pair_dot_kernel(const Tensor &a, const Tensor &b, const Tensor &pairs) {
  check_pairs("pair_dot", pairs);
  check_shape("pair_dot", "a", a, -1, -1);
  check_shape("pair_dot", "b", b, -1, a.size(1));
  check_floating("pair_dot", "a", a);
  check_dtype("pair_dot", "b", b, a.scalar_type());
  check_devices("pair_dot", {&a, &b, &pairs});
  const Tensor left = a.contiguous(), right = b.contiguous(), list = pairs.contiguous();
  Tensor products = at::empty({list.size(1)}, left.options());
  AT_DISPATCH_FLOATING_TYPES(left.scalar_type(), "pair_dot", [&] {
    if constexpr (device_kernels) {
      if (on_device(left)) {
        return run_on_device("pair_dot", left, [&](loremd::cuda::Stream stream) {
          loremd::cuda::pair_dot(pair_list(list, left.size(0), right.size(0)),
                                 left.const_data_ptr<scalar_t>(), right.const_data_ptr<scalar_t>(),
                                 left.size(1), products.mutable_data_ptr<scalar_t>(), stream);
        });
      }
    }
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

void check_screening(const char *op, const Tensor &x, int64_t derivative) {
  check_dtype(op, "x", x, at::kDouble);
  TORCH_CHECK_NOT_IMPLEMENTED(derivative <= loremd::largest_screening_derivative, "loremd::", op,
                              ": derivative is ", derivative, "; available: 0 to ",
                              loremd::largest_screening_derivative);
}

// out = kernel(n, x, out) in parallel, a part of the values each
template <class Kernel>
Tensor for_each_value(const char *op, const Tensor &values, Kernel &&kernel) {
  constexpr int64_t fewest = 4096;  // some 20 us of work
  Tensor results = at::empty_like(values);
  const double *from = values.const_data_ptr<double>();
  double *to = results.mutable_data_ptr<double>();
  at::parallel_for(0, values.numel(), fewest, [&](int64_t begin, int64_t end) {
    run_core(op, [&] { kernel(end - begin, from + begin, to + begin); });
  });
  return results;
}

// The same for all of them at once, on a device.
template <class Kernel>
Tensor on_all_values(const char *op, const Tensor &values, Kernel &&kernel) {
  Tensor results = at::empty_like(values);
  run_on_device(op, values, [&](loremd::cuda::Stream stream) {
    kernel(values.numel(), values.const_data_ptr<double>(), results.mutable_data_ptr<double>(),
           stream);
  });
  return results;
}

Tensor gamma_tail_kernel(const Tensor &x, double a, double b, int64_t derivative) {
  check_screening("gamma_tail", x, derivative);
  const Tensor values = x.contiguous();
  const auto order = static_cast<int>(derivative);
  if constexpr (device_kernels) {
    if (on_device(x)) {
      return on_all_values("gamma_tail", values, [&](auto n, auto from, auto to, auto stream) {
        loremd::cuda::gamma_tail(n, from, {a, b}, order, to, stream);
      });
    }
  }
  return for_each_value("gamma_tail", values, [&](int64_t n, const double *from, double *to) {
    loremd::gamma_tail(n, from, {a, b}, order, to);
  });
}

Tensor compact_sharp_kernel(const Tensor &x, double range, const Tensor &series,
                            int64_t derivative) {
  check_screening("compact_sharp", x, derivative);
  const Tensor values = x.contiguous(), terms = series_of("compact_sharp", "series", series);
  std::optional<loremd::CompactSharp> sharp;
  run_core("compact_sharp",
           [&] { sharp.emplace(range, even_series(terms), static_cast<int>(derivative)); });
  if constexpr (device_kernels) {
    if (on_device(x)) {
      return on_all_values("compact_sharp", values, [&](auto n, auto from, auto to, auto stream) {
        loremd::cuda::compact_sharp(n, from, *sharp, to, stream);
      });
    }
  }
  return for_each_value("compact_sharp", values, [&](int64_t n, const double *from, double *to) {
    sharp->evaluate(n, from, to);
  });
}

Tensor gamma_tail_meta(const Tensor &x, double, double, int64_t) {
  return at::empty_like(x);
}

Tensor compact_sharp_meta(const Tensor &x, double, const Tensor &, int64_t) {
  return at::empty_like(x);
}

struct GammaTail : torch::autograd::Function<GammaTail> {
  static Tensor forward(AutogradContext *ctx, const Tensor &x, double a, double b,
                        int64_t derivative) {
    ctx->save_for_backward({x});
    ctx->saved_data["a"] = a;
    ctx->saved_data["b"] = b;
    ctx->saved_data["derivative"] = derivative;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return gamma_tail(x, a, b, derivative);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const Tensor x = ctx->get_saved_variables()[0];
    const Tensor slope =
        gamma_tail(x, ctx->saved_data["a"].toDouble(), ctx->saved_data["b"].toDouble(),
                   ctx->saved_data["derivative"].toInt() + 1);
    return {grads[0].mul(slope), Tensor(), Tensor(), Tensor()};
  }
};

struct CompactSharp : torch::autograd::Function<CompactSharp> {
  static Tensor forward(AutogradContext *ctx, const Tensor &x, double range, const Tensor &series,
                        int64_t derivative) {
    ctx->save_for_backward({x, series});
    ctx->saved_data["range"] = range;
    ctx->saved_data["derivative"] = derivative;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return compact_sharp(x, range, series, derivative);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor slope = compact_sharp(saved[0], ctx->saved_data["range"].toDouble(), saved[1],
                                       ctx->saved_data["derivative"].toInt() + 1);
    return {grads[0].mul(slope), Tensor(), Tensor(), Tensor()};
  }
};

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

LOREMD_KERNELS(m) {
  m.impl("pair_sum", pair_sum_kernel);
  m.impl("pair_dot", pair_dot_kernel);
  m.impl("gamma_tail", gamma_tail_kernel);
  m.impl("compact_sharp", compact_sharp_kernel);
}

TORCH_LIBRARY_IMPL(loremd, Meta, m) {
  m.impl("pair_sum", pair_sum_meta);
  m.impl("pair_dot", pair_dot_meta);
  m.impl("gamma_tail", gamma_tail_meta);
  m.impl("compact_sharp", compact_sharp_meta);
}

TORCH_LIBRARY_IMPL(loremd, Autograd, m) {
  m.impl("pair_sum", [](const Tensor &weights, const Tensor &charges, const Tensor &pairs,
                        SymInt n_out) { return PairSum::apply(weights, charges, pairs, n_out); });
  m.impl("pair_dot", [](const Tensor &a, const Tensor &b, const Tensor &pairs) {
    return PairDot::apply(a, b, pairs);
  });
  m.impl("gamma_tail", [](const Tensor &x, double a, double b, int64_t derivative) {
    return GammaTail::apply(x, a, b, derivative);
  });
  m.impl("compact_sharp",
         [](const Tensor &x, double range, const Tensor &series, int64_t derivative) {
           return CompactSharp::apply(x, range, series, derivative);
         });
}

}  // namespace loremd_torch
