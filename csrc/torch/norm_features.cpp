// SPDX-License-Identifier: BSD-3-Clause
//
// Norms of every degree and feature, with first and second derivatives.
#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include "device_call.hpp"
#include "features/cuda.hpp"
#include "features/norm_features.hpp"
#include "spherical_argument.hpp"

namespace loremd_torch {

Tensor norm_features(const Tensor &t, double epsilon) {
  LOREMD_CALL(norm_features, t, epsilon);
}

Tensor norm_features_gradient(const Tensor &t, const Tensor &grad, double epsilon) {
  LOREMD_CALL(norm_features_gradient, t, grad, epsilon);
}

std::tuple<Tensor, Tensor> norm_features_curvature(const Tensor &t, const Tensor &grad,
                                                   const Tensor &direction, double epsilon) {
  LOREMD_CALL(norm_features_curvature, t, grad, direction, epsilon);
}

namespace {

struct NormCall {
  const char *op;
  SphericalArgument argument;
  loremd::NormShape shape;
  int64_t atoms, columns;

  NormCall(const char *name, const Tensor &t, double epsilon)
      : op(name),
        argument(name, "t", t),
        shape{argument.degree, argument.features(), epsilon},
        atoms(t.size(0)),
        columns((shape.degree + 1) * int64_t{shape.features}) {
    TORCH_CHECK_VALUE(epsilon >= 0, "loremd::", op, ": epsilon is ", epsilon,
                      "; it must not be negative");
  }

  // `grad` of the norms, checked.
  Tensor checked(const Tensor &grad, const Tensor &t) const {
    check_devices(op, {&t, &grad});
    check_shape(op, "grad", grad, atoms, columns);
    check_dtype(op, "grad", grad, t.scalar_type());
    return grad.contiguous();
  }

  template <class Body>
  void for_each_task(Body &&body) const {
    at::parallel_for(0, atoms, atoms_per_task,
                     [&](int64_t begin, int64_t end) { body(begin, end - begin); });
  }
};

Tensor norm_features_kernel(const Tensor &t, double epsilon) {
  const NormCall call("norm_features", t, epsilon);
  Tensor norms = at::empty({call.atoms, call.columns}, t.options());
  AT_DISPATCH_FLOATING_TYPES(t.scalar_type(), "norm_features", [&] {
    if constexpr (device_kernels) {
      if (on_device(t)) {
        return run_on_device(call.op, t, [&](loremd::cuda::Stream stream) {
          loremd::cuda::norm_features<scalar_t>(call.shape, call.atoms,
                                                call.argument.from<scalar_t>(0),
                                                norms.mutable_data_ptr<scalar_t>(), stream);
        });
      }
    }
    call.for_each_task([&](int64_t atom, int64_t atoms) {
      loremd::norm_features<scalar_t>(call.shape, atoms, call.argument.from<scalar_t>(atom),
                                      norms.mutable_data_ptr<scalar_t>() + atom * call.columns);
    });
  });
  return norms;
}

Tensor norm_features_gradient_kernel(const Tensor &t, const Tensor &grad, double epsilon) {
  const NormCall call("norm_features_gradient", t, epsilon);
  const Tensor weights = call.checked(grad, t);
  Tensor by_t = at::empty(t.sizes(), t.options());
  AT_DISPATCH_FLOATING_TYPES(t.scalar_type(), "norm_features_gradient", [&] {
    if constexpr (device_kernels) {
      if (on_device(t)) {
        return run_on_device(call.op, t, [&](loremd::cuda::Stream stream) {
          loremd::cuda::norm_features_gradient<scalar_t>(
              call.shape, call.atoms, call.argument.from<scalar_t>(0),
              weights.const_data_ptr<scalar_t>(), result_from<scalar_t>(by_t, 0), stream);
        });
      }
    }
    call.for_each_task([&](int64_t atom, int64_t atoms) {
      loremd::norm_features_gradient<scalar_t>(
          call.shape, atoms, call.argument.from<scalar_t>(atom),
          weights.const_data_ptr<scalar_t>() + atom * call.columns,
          result_from<scalar_t>(by_t, atom));
    });
  });
  return by_t;
}

std::tuple<Tensor, Tensor> norm_features_curvature_kernel(const Tensor &t, const Tensor &grad,
                                                          const Tensor &direction, double epsilon) {
  const NormCall call("norm_features_curvature", t, epsilon);
  const Tensor weights = call.checked(grad, t);
  const SphericalArgument along(call.op, "direction", direction, t);
  check_devices(call.op, {&t, &direction});
  TORCH_CHECK_VALUE(direction.size(1) == t.size(1), "loremd::", call.op,
                    ": expected direction of shape ", t.sizes(), ", got ", direction.sizes());
  Tensor by_t = at::empty(t.sizes(), t.options()), by_grad = at::empty_like(weights);
  AT_DISPATCH_FLOATING_TYPES(t.scalar_type(), "norm_features_curvature", [&] {
    if constexpr (device_kernels) {
      if (on_device(t)) {
        return run_on_device(call.op, t, [&](loremd::cuda::Stream stream) {
          loremd::cuda::norm_features_curvature<scalar_t>(
              call.shape, call.atoms, call.argument.from<scalar_t>(0),
              weights.const_data_ptr<scalar_t>(), along.from<scalar_t>(0),
              result_from<scalar_t>(by_t, 0), by_grad.mutable_data_ptr<scalar_t>(), stream);
        });
      }
    }
    call.for_each_task([&](int64_t atom, int64_t atoms) {
      loremd::norm_features_curvature<scalar_t>(
          call.shape, atoms, call.argument.from<scalar_t>(atom),
          weights.const_data_ptr<scalar_t>() + atom * call.columns, along.from<scalar_t>(atom),
          result_from<scalar_t>(by_t, atom),
          by_grad.mutable_data_ptr<scalar_t>() + atom * call.columns);
    });
  });
  return {by_t, by_grad};
}

Tensor norm_features_meta(const Tensor &t, double) {
  const int degrees = degree_of("norm_features", "t", t) + 1;
  return t.new_empty_symint({t.sym_size(0), t.sym_size(2) * degrees});
}

Tensor norm_features_gradient_meta(const Tensor &t, const Tensor &, double) {
  return t.new_empty_symint(t.sym_sizes());
}

std::tuple<Tensor, Tensor> norm_features_curvature_meta(const Tensor &t, const Tensor &grad,
                                                        const Tensor &, double) {
  return {t.new_empty_symint(t.sym_sizes()), grad.new_empty_symint(grad.sym_sizes())};
}

struct NormFeatures : torch::autograd::Function<NormFeatures> {
  static Tensor forward(AutogradContext *ctx, const Tensor &t, double epsilon) {
    ctx->save_for_backward({t});
    ctx->saved_data["epsilon"] = epsilon;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return norm_features(t, epsilon);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const double epsilon = ctx->saved_data["epsilon"].toDouble();
    return {norm_features_gradient(ctx->get_saved_variables()[0], grads[0], epsilon), Tensor()};
  }
};

struct NormFeaturesGradient : torch::autograd::Function<NormFeaturesGradient> {
  static Tensor forward(AutogradContext *ctx, const Tensor &t, const Tensor &grad, double epsilon) {
    ctx->save_for_backward({t, grad});
    ctx->saved_data["epsilon"] = epsilon;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return norm_features_gradient(t, grad, epsilon);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const auto [by_t, by_grad] = norm_features_curvature(saved[0], saved[1], grads[0],
                                                         ctx->saved_data["epsilon"].toDouble());
    return {by_t, by_grad, Tensor()};
  }
};

struct NormFeaturesCurvature : torch::autograd::Function<NormFeaturesCurvature> {
  static variable_list forward(AutogradContext *, const Tensor &t, const Tensor &grad,
                               const Tensor &direction, double epsilon) {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    const auto [by_t, by_grad] = norm_features_curvature(t, grad, direction, epsilon);
    return {by_t, by_grad};
  }
  static variable_list backward(AutogradContext *, const variable_list &) {
    no_further_derivative("norm_features_curvature");
  }
};

}  // namespace

LOREMD_KERNELS(m) {
  m.impl("norm_features", norm_features_kernel);
  m.impl("norm_features_gradient", norm_features_gradient_kernel);
  m.impl("norm_features_curvature", norm_features_curvature_kernel);
}

TORCH_LIBRARY_IMPL(loremd, Meta, m) {
  m.impl("norm_features", norm_features_meta);
  m.impl("norm_features_gradient", norm_features_gradient_meta);
  m.impl("norm_features_curvature", norm_features_curvature_meta);
}

TORCH_LIBRARY_IMPL(loremd, Autograd, m) {
  m.impl("norm_features",
         [](const Tensor &t, double epsilon) { return NormFeatures::apply(t, epsilon); });
  m.impl("norm_features_gradient", [](const Tensor &t, const Tensor &grad, double epsilon) {
    return NormFeaturesGradient::apply(t, grad, epsilon);
  });
  m.impl("norm_features_curvature",
         [](const Tensor &t, const Tensor &grad, const Tensor &direction, double epsilon) {
           const auto results = NormFeaturesCurvature::apply(t, grad, direction, epsilon);
           return std::make_tuple(results[0], results[1]);
         });
}

}  // namespace loremd_torch
