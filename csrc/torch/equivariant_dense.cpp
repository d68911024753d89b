// SPDX-License-Identifier: BSD-3-Clause
//
// One matrix per degree. <grad, equivariant_dense(t, w)> = <w, equivariant_dense_weights(t, grad)>
// is linear in each of its three arguments, so the derivatives of the two ops are the two again, to
// any order.
#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include "device_call.hpp"
#include "features/cuda.hpp"
#include "features/equivariant_dense.hpp"
#include "spherical_argument.hpp"

namespace loremd_torch {

Tensor equivariant_dense(const Tensor &t, const Tensor &weight) {
  LOREMD_CALL(equivariant_dense, t, weight);
}

Tensor equivariant_dense_weights(const Tensor &t, const Tensor &grad) {
  LOREMD_CALL(equivariant_dense_weights, t, grad);
}

namespace {

Tensor equivariant_dense_kernel(const Tensor &t, const Tensor &weight) {
  const char *op = "equivariant_dense";
  const SphericalArgument argument(op, "t", t);
  check_devices(op, {&t, &weight});
  TORCH_CHECK_VALUE(
      weight.dim() == 3 && weight.size(0) == argument.degree + 1 && weight.size(1) == t.size(2),
      "loremd::", op, ": expected weight of shape (", argument.degree + 1, ", ", t.size(2),
      ", features), got ", weight.sizes());
  check_dtype(op, "weight", weight, t.scalar_type());
  const Tensor w = weight.contiguous();
  const loremd::DenseShape shape{argument.degree, argument.features(),
                                 static_cast<int>(weight.size(2))};
  Tensor out = at::empty({t.size(0), t.size(1), weight.size(2)}, t.options());
  AT_DISPATCH_FLOATING_TYPES(t.scalar_type(), "equivariant_dense", [&] {
    if constexpr (device_kernels) {
      if (on_device(t)) {
        return run_on_device(op, t, [&](loremd::cuda::Stream stream) {
          loremd::cuda::equivariant_dense<scalar_t>(shape, t.size(0), argument.from<scalar_t>(0),
                                                    w.const_data_ptr<scalar_t>(),
                                                    result_from<scalar_t>(out, 0), stream);
        });
      }
    }
    at::parallel_for(0, t.size(0), atoms_per_task, [&](int64_t begin, int64_t end) {
      loremd::equivariant_dense<scalar_t>(shape, end - begin, argument.from<scalar_t>(begin),
                                          w.const_data_ptr<scalar_t>(),
                                          result_from<scalar_t>(out, begin));
    });
  });
  return out;
}

template <class T>
Tensor weights_on_device(const char *op, const loremd::DenseShape &shape, const Tensor &t,
                         const SphericalArgument &argument, const SphericalArgument &grad) {
  Tensor sums =
      at::zeros({shape.degree + 1, shape.inputs, shape.outputs}, t.options().dtype(at::kDouble));
  const Tensor space = workspace(loremd::cuda::sum_size(t.size(0), sums.numel()), t);
  run_on_device(op, t, [&](loremd::cuda::Stream stream) {
    loremd::cuda::equivariant_dense_weights<T>(shape, t.size(0), argument.from<T>(0),
                                               grad.from<T>(0), space.mutable_data_ptr<double>(),
                                               sums.mutable_data_ptr<double>(), stream);
  });
  return sums.to(t.scalar_type());
}

Tensor equivariant_dense_weights_kernel(const Tensor &t, const Tensor &grad) {
  const char *op = "equivariant_dense_weights";
  const SphericalArgument argument(op, "t", t), with(op, "grad", grad, t, false);
  check_devices(op, {&t, &grad});
  TORCH_CHECK_VALUE(with.degree == argument.degree, "loremd::", op, ": expected grad with ",
                    t.size(1), " components, got shape ", grad.sizes());
  const loremd::DenseShape shape{argument.degree, argument.features(), with.features()};
  return AT_DISPATCH_FLOATING_TYPES(t.scalar_type(), "equivariant_dense_weights", [&] {
    if constexpr (device_kernels) {
      if (on_device(t)) return weights_on_device<scalar_t>(op, shape, t, argument, with);
    }
    return sum_over_atoms(op, t.size(0), {shape.degree + 1, shape.inputs, shape.outputs},
                          t.options(), [&](int64_t atom, int64_t atoms, double *sums) {
                            loremd::equivariant_dense_weights<scalar_t>(
                                shape, atoms, argument.from<scalar_t>(atom),
                                with.from<scalar_t>(atom), sums);
                          });
  });
}

Tensor equivariant_dense_meta(const Tensor &t, const Tensor &weight) {
  return t.new_empty_symint({t.sym_size(0), t.sym_size(1), weight.sym_size(2)});
}

Tensor equivariant_dense_weights_meta(const Tensor &t, const Tensor &grad) {
  const SymInt degrees = degree_of("equivariant_dense_weights", "t", t) + 1;
  return t.new_empty_symint({degrees, t.sym_size(2), grad.sym_size(2)});
}

struct EquivariantDense : torch::autograd::Function<EquivariantDense> {
  static Tensor forward(AutogradContext *ctx, const Tensor &t, const Tensor &weight) {
    ctx->save_for_backward({t, weight});
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return equivariant_dense(t, weight);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &t = saved[0], &weight = saved[1], &grad = grads[0];
    return {ctx->needs_input_grad(0) ? equivariant_dense(grad, weight.transpose(1, 2)) : Tensor(),
            ctx->needs_input_grad(1) ? equivariant_dense_weights(t, grad) : Tensor()};
  }
};

struct EquivariantDenseWeights : torch::autograd::Function<EquivariantDenseWeights> {
  static Tensor forward(AutogradContext *ctx, const Tensor &t, const Tensor &grad) {
    ctx->save_for_backward({t, grad});
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return equivariant_dense_weights(t, grad);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &t = saved[0], &grad = saved[1], &weight = grads[0];
    return {ctx->needs_input_grad(0) ? equivariant_dense(grad, weight.transpose(1, 2)) : Tensor(),
            ctx->needs_input_grad(1) ? equivariant_dense(t, weight) : Tensor()};
  }
};

}  // namespace

LOREMD_KERNELS(m) {
  m.impl("equivariant_dense", equivariant_dense_kernel);
  m.impl("equivariant_dense_weights", equivariant_dense_weights_kernel);
}

TORCH_LIBRARY_IMPL(loremd, Meta, m) {
  m.impl("equivariant_dense", equivariant_dense_meta);
  m.impl("equivariant_dense_weights", equivariant_dense_weights_meta);
}

TORCH_LIBRARY_IMPL(loremd, Autograd, m) {
  m.impl("equivariant_dense",
         [](const Tensor &t, const Tensor &weight) { return EquivariantDense::apply(t, weight); });
  m.impl("equivariant_dense_weights", [](const Tensor &t, const Tensor &grad) {
    return EquivariantDenseWeights::apply(t, grad);
  });
}

}  // namespace loremd_torch
