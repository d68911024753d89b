// SPDX-License-Identifier: BSD-3-Clause
//
// Tensor products. <grad, tensor_product(a, b, w)> = <w, tensor_product_weights(a, b, grad)> is
// linear in each of its four arguments and symmetric under the exchange of a or b with grad, if the
// weights are exchanged likewise. So the derivatives of the two ops are the two again, to any
// order.
#include <ATen/Dispatch.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>

#include "features/tensor_product.hpp"
#include "support.hpp"

namespace loremd_torch {

Tensor tensor_product(const Tensor &a, const Tensor &b, const Tensor &weight) {
  LOREMD_CALL(tensor_product, a, b, weight);
}

Tensor tensor_product_weights(const Tensor &a, const Tensor &b, const Tensor &grad) {
  LOREMD_CALL(tensor_product_weights, a, b, grad);
}

namespace {

constexpr int64_t atoms_per_task = 64;  // some 100 us of work for the usual degrees

int degree_of(const char *op, const char *name, const Tensor &t) {
  TORCH_CHECK_VALUE(t.dim() == 3, "loremd::", op, ": expected ", name,
                    " of shape (n, (degree + 1)^2, features), got ", t.sizes());
  int degree = 0;
  while ((degree + 1) * (degree + 1) < t.size(1)) ++degree;
  TORCH_CHECK_VALUE((degree + 1) * (degree + 1) == t.size(1), "loremd::", op, ": expected ", name,
                    " with (degree + 1)^2 components, got ", t.size(1));
  return degree;
}

// A spherical argument: checked, and copied only where its features are not contiguous.
class Argument {
 public:
  Argument(const char *op, const char *name, const Tensor &t, const Tensor &like)
      : degree(degree_of(op, name, t)), values_(t.stride(2) == 1 ? t : t.contiguous()) {
    check_dtype(op, name, t, like.scalar_type());
    TORCH_CHECK_VALUE(t.size(0) == like.size(0) && t.size(2) == like.size(2), "loremd::", op,
                      ": expected ", name, " of ", like.size(0), " atoms and ", like.size(2),
                      " features, got shape ", t.sizes());
  }

  template <class T>
  loremd::SphericalFeatures<const T> from(int64_t atom) const {
    const int64_t stride = values_.stride(0);
    return {values_.const_data_ptr<T>() + atom * stride, stride, values_.stride(1)};
  }

  const int degree;

 private:
  Tensor values_;
};

Tensor tensor_product_cpu(const Tensor &a, const Tensor &b, const Tensor &weight) {
  const char *op = "tensor_product";
  check_floating(op, "a", a);
  const Argument first(op, "a", a, a), second(op, "b", b, a);
  TORCH_CHECK_VALUE(weight.dim() == 4 && weight.size(0) == first.degree + 1 &&
                        weight.size(1) == second.degree + 1 && weight.size(2) > 0 &&
                        weight.size(3) == a.size(2),
                    "loremd::", op, ": expected weight of shape (", first.degree + 1, ", ",
                    second.degree + 1, ", degree + 1, ", a.size(2), "), got ", weight.sizes());
  check_dtype(op, "weight", weight, a.scalar_type());
  const int degree = static_cast<int>(weight.size(2)) - 1;
  const loremd::ProductShape shape{first.degree, second.degree, degree,
                                   static_cast<int>(a.size(2))};
  const Tensor w = weight.contiguous();
  Tensor out = at::empty({a.size(0), (degree + 1) * (degree + 1), a.size(2)}, a.options());
  AT_DISPATCH_FLOATING_TYPES(a.scalar_type(), "tensor_product", [&] {
    scalar_t *to = out.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, a.size(0), atoms_per_task, [&](int64_t begin, int64_t end) {
      run_core(op, [&] {
        loremd::tensor_product<scalar_t>(
            shape, end - begin, first.from<scalar_t>(begin), second.from<scalar_t>(begin),
            w.const_data_ptr<scalar_t>(),
            {to + begin * out.stride(0), out.stride(0), out.stride(1)});
      });
    });
  });
  return out;
}

Tensor tensor_product_weights_cpu(const Tensor &a, const Tensor &b, const Tensor &grad) {
  const char *op = "tensor_product_weights";
  check_floating(op, "a", a);
  const Argument first(op, "a", a, a), second(op, "b", b, a), third(op, "grad", grad, a);
  const loremd::ProductShape shape{first.degree, second.degree, third.degree,
                                   static_cast<int>(a.size(2))};
  // sums of parts of the atoms, added in one order however many threads there are
  const int64_t atoms = a.size(0), parts = std::min<int64_t>(16, atoms / atoms_per_task + 1);
  Tensor sums =
      at::zeros({parts, shape.degree_a + 1, shape.degree_b + 1, shape.degree_out + 1, a.size(2)},
                a.options().dtype(at::kDouble));
  AT_DISPATCH_FLOATING_TYPES(a.scalar_type(), "tensor_product_weights", [&] {
    double *to = sums.mutable_data_ptr<double>();
    at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
      run_core(op, [&] {
        for (int64_t part = begin; part < end; ++part) {
          const int64_t from = atoms * part / parts;
          loremd::tensor_product_weights<scalar_t>(
              shape, atoms * (part + 1) / parts - from, first.from<scalar_t>(from),
              second.from<scalar_t>(from), third.from<scalar_t>(from), to + part * sums.stride(0));
        }
      });
    });
  });
  return sums.sum(0).to(a.scalar_type());
}

Tensor tensor_product_meta(const Tensor &a, const Tensor &, const Tensor &weight) {
  const SymInt degrees = weight.sym_size(2);
  return a.new_empty_symint({a.sym_size(0), degrees * degrees, a.sym_size(2)});
}

Tensor tensor_product_weights_meta(const Tensor &a, const Tensor &b, const Tensor &grad) {
  const char *op = "tensor_product_weights";
  const auto degrees = [&](const Tensor &t) { return SymInt(degree_of(op, "argument", t) + 1); };
  return a.new_empty_symint({degrees(a), degrees(b), degrees(grad), a.sym_size(2)});
}

// The weights for grad in the place of argument 0 or 1.
Tensor exchanged(const Tensor &weight, int argument) {
  const auto norms = [&](int axis) {
    std::array<int64_t, 4> shape{1, 1, 1, 1};
    shape[axis] = weight.size(axis);
    const auto options = weight.options().dtype(at::kDouble);
    return at::arange(shape[axis], options).mul(2).add(1).sqrt().reshape(shape);
  };
  const Tensor factors = norms(2).div(norms(argument)).to(weight.scalar_type());
  return weight.mul(factors).transpose(argument, 2);
}

struct TensorProduct : torch::autograd::Function<TensorProduct> {
  static Tensor forward(AutogradContext *ctx, const Tensor &a, const Tensor &b,
                        const Tensor &weight) {
    ctx->save_for_backward({a, b, weight});
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return tensor_product(a, b, weight);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &a = saved[0], &b = saved[1], &weight = saved[2], &grad = grads[0];
    return {ctx->needs_input_grad(0) ? tensor_product(grad, b, exchanged(weight, 0)) : Tensor(),
            ctx->needs_input_grad(1) ? tensor_product(a, grad, exchanged(weight, 1)) : Tensor(),
            ctx->needs_input_grad(2) ? tensor_product_weights(a, b, grad) : Tensor()};
  }
};

struct TensorProductWeights : torch::autograd::Function<TensorProductWeights> {
  static Tensor forward(AutogradContext *ctx, const Tensor &a, const Tensor &b,
                        const Tensor &grad) {
    ctx->save_for_backward({a, b, grad});
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return tensor_product_weights(a, b, grad);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &a = saved[0], &b = saved[1], &grad = saved[2], &weight = grads[0];
    return {ctx->needs_input_grad(0) ? tensor_product(grad, b, exchanged(weight, 0)) : Tensor(),
            ctx->needs_input_grad(1) ? tensor_product(a, grad, exchanged(weight, 1)) : Tensor(),
            ctx->needs_input_grad(2) ? tensor_product(a, b, weight) : Tensor()};
  }
};

}  // namespace

TORCH_LIBRARY_IMPL(loremd, CPU, m) {
  m.impl("tensor_product", tensor_product_cpu);
  m.impl("tensor_product_weights", tensor_product_weights_cpu);
}

TORCH_LIBRARY_IMPL(loremd, Meta, m) {
  m.impl("tensor_product", tensor_product_meta);
  m.impl("tensor_product_weights", tensor_product_weights_meta);
}

TORCH_LIBRARY_IMPL(loremd, Autograd, m) {
  m.impl("tensor_product", [](const Tensor &a, const Tensor &b, const Tensor &weight) {
    return TensorProduct::apply(a, b, weight);
  });
  m.impl("tensor_product_weights", [](const Tensor &a, const Tensor &b, const Tensor &grad) {
    return TensorProductWeights::apply(a, b, grad);
  });
}

}  // namespace loremd_torch
