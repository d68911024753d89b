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
#include <torch/library.h>

#include "features/tensor_product.hpp"
#include "spherical_argument.hpp"

namespace loremd_torch {

Tensor tensor_product(const Tensor &a, const Tensor &b, const Tensor &weight) {
  LOREMD_CALL(tensor_product, a, b, weight);
}

Tensor tensor_product_weights(const Tensor &a, const Tensor &b, const Tensor &grad) {
  LOREMD_CALL(tensor_product_weights, a, b, grad);
}

namespace {

Tensor tensor_product_cpu(const Tensor &a, const Tensor &b, const Tensor &weight) {
  const char *op = "tensor_product";
  const SphericalArgument first(op, "a", a), second(op, "b", b, a);
  TORCH_CHECK_VALUE(weight.dim() == 4 && weight.size(0) == first.degree + 1 &&
                        weight.size(1) == second.degree + 1 && weight.size(2) > 0 &&
                        weight.size(3) == a.size(2),
                    "loremd::", op, ": expected weight of shape (", first.degree + 1, ", ",
                    second.degree + 1, ", degree + 1, ", a.size(2), "), got ", weight.sizes());
  check_dtype(op, "weight", weight, a.scalar_type());
  const int degree = static_cast<int>(weight.size(2)) - 1;
  const loremd::ProductShape shape{first.degree, second.degree, degree, first.features()};
  const Tensor w = weight.contiguous();
  Tensor out = at::empty({a.size(0), (degree + 1) * (degree + 1), a.size(2)}, a.options());
  AT_DISPATCH_FLOATING_TYPES(a.scalar_type(), "tensor_product", [&] {
    at::parallel_for(0, a.size(0), atoms_per_task, [&](int64_t begin, int64_t end) {
      run_core(op, [&] {
        loremd::tensor_product<scalar_t>(shape, end - begin, first.from<scalar_t>(begin),
                                         second.from<scalar_t>(begin), w.const_data_ptr<scalar_t>(),
                                         result_from<scalar_t>(out, begin));
      });
    });
  });
  return out;
}

Tensor tensor_product_weights_cpu(const Tensor &a, const Tensor &b, const Tensor &grad) {
  const char *op = "tensor_product_weights";
  const SphericalArgument first(op, "a", a), second(op, "b", b, a), third(op, "grad", grad, a);
  const loremd::ProductShape shape{first.degree, second.degree, third.degree, first.features()};
  return AT_DISPATCH_FLOATING_TYPES(a.scalar_type(), "tensor_product_weights", [&] {
    return sum_over_atoms(
        op, a.size(0),
        {shape.degree_a + 1, shape.degree_b + 1, shape.degree_out + 1, shape.features}, a.options(),
        [&](int64_t atom, int64_t atoms, double *sums) {
          loremd::tensor_product_weights<scalar_t>(shape, atoms, first.from<scalar_t>(atom),
                                                   second.from<scalar_t>(atom),
                                                   third.from<scalar_t>(atom), sums);
        });
  });
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

std::tuple<Tensor, Tensor> tensor_product_gradient(const Tensor &a, const Tensor &b,
                                                   const Tensor &weight, const Tensor &grad) {
  return {tensor_product(grad, b, exchanged(weight, 0)),
          tensor_product(a, grad, exchanged(weight, 1))};
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

TORCH_LIBRARY_IMPL(loremd, CompositeImplicitAutograd, m) {
  m.impl("tensor_product_gradient", tensor_product_gradient);
}

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
