// SPDX-License-Identifier: BSD-3-Clause
//
// The convolution, the influence function and the choice of the mesh.
#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/fft_fftn.h>
#include <ATen/ops/fft_ifftn.h>
#include <ATen/ops/fft_irfftn.h>
#include <ATen/ops/fft_rfftn.h>
#include <ATen/ops/view_as_complex.h>
#include <ATen/ops/view_as_real.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include "mesh/convolve.hpp"
#include "mesh/influence.hpp"
#include "support.hpp"
#include "tuning/mesh_plan.hpp"

namespace loremd_torch {

Tensor convolve(const Tensor &mesh, const Tensor &influence) {
  LOREMD_CALL(convolve, mesh, influence);
}

Tensor correlate(const Tensor &a, const Tensor &b) {
  LOREMD_CALL(correlate, a, b);
}

Tensor influence_sum(const Tensor &metric, SymIntArrayRef mesh_shape, int64_t order,
                     double smearing) {
  LOREMD_CALL(influence_sum, metric, mesh_shape, order, smearing);
}

Tensor influence_sum_directional(const Tensor &metric, const Tensor &direction,
                                 SymIntArrayRef mesh_shape, int64_t order, double smearing) {
  LOREMD_CALL(influence_sum_directional, metric, direction, mesh_shape, order, smearing);
}

Tensor influence_sum_gradient(const Tensor &metric, const Tensor &weights,
                              SymIntArrayRef mesh_shape, int64_t order, double smearing) {
  LOREMD_CALL(influence_sum_gradient, metric, weights, mesh_shape, order, smearing);
}

Tensor influence_sum_gradient_directional(const Tensor &metric, const Tensor &direction,
                                          const Tensor &weights, SymIntArrayRef mesh_shape,
                                          int64_t order, double smearing) {
  LOREMD_CALL(influence_sum_gradient_directional, metric, direction, weights, mesh_shape, order,
              smearing);
}

namespace {

// ---- convolution ----

loremd::MeshShape mesh_shape_of(const char *op, const char *name, const Tensor &mesh) {
  TORCH_CHECK_VALUE(mesh.dim() == 4 && mesh.size(0) > 0 && mesh.size(1) > 0 && mesh.size(2) > 0,
                    "loremd::", op, ": expected ", name, " of shape (nx, ny, nz, channels), got ",
                    mesh.sizes());
  check_floating(op, name, mesh);
  return {{mesh.size(0), mesh.size(1), mesh.size(2)}, mesh.size(3)};
}

template <class T>
std::complex<T> *complex_data(const Tensor &t) {
  return reinterpret_cast<std::complex<T> *>(t.mutable_data_ptr<c10::complex<T>>());
}

// Channels 2 f and 2 f + 1 of a mesh as one complex field (nx, ny, nz), and its spectrum.
Tensor field_spectrum(const Tensor &mesh, int64_t f) {
  return at::fft_fftn(at::view_as_complex(mesh.slice(3, 2 * f, 2 * f + 2).contiguous()))
      .contiguous();
}

// Half spectrum (nx, ny, nz/2 + 1) of the last channel.
Tensor last_spectrum(const Tensor &mesh) {
  return at::fft_rfftn(mesh.select(3, mesh.size(3) - 1)).contiguous();
}

Tensor convolve_cpu(const Tensor &mesh, const Tensor &influence) {
  const auto shape = mesh_shape_of("convolve", "mesh", mesh);
  const auto [nx, ny, nz] = shape.points;
  TORCH_CHECK_VALUE(influence.sizes() == at::IntArrayRef({nx, ny, nz / 2 + 1}),
                    "loremd::convolve: expected influence of shape (", nx, ", ", ny, ", ",
                    nz / 2 + 1, ") for this mesh, got ", influence.sizes());
  check_dtype("convolve", "influence", influence, mesh.scalar_type());
  const Tensor half = influence.contiguous();
  Tensor result = at::empty_like(mesh, at::MemoryFormat::Contiguous);
  AT_DISPATCH_FLOATING_TYPES(mesh.scalar_type(), "convolve", [&] {
    Tensor full;
    for (int64_t f = 0; f < shape.channels / 2; ++f) {
      if (!full.defined()) {
        full = at::empty({nx, ny, nz}, half.options());
        loremd::expand_influence(shape.points, half.const_data_ptr<scalar_t>(),
                                 full.mutable_data_ptr<scalar_t>());
      }
      const Tensor spectrum = field_spectrum(mesh, f);
      loremd::multiply_spectrum(full.numel(), full.const_data_ptr<scalar_t>(),
                                complex_data<scalar_t>(spectrum));
      result.slice(3, 2 * f, 2 * f + 2).copy_(at::view_as_real(at::fft_ifftn(spectrum)));
    }
    if (shape.channels % 2 == 1) {
      const Tensor spectrum = last_spectrum(mesh);
      loremd::multiply_spectrum(half.numel(), half.const_data_ptr<scalar_t>(),
                                complex_data<scalar_t>(spectrum));
      result.select(3, shape.channels - 1)
          .copy_(at::fft_irfftn(spectrum, at::IntArrayRef(shape.points)));
    }
  });
  return result;
}

Tensor correlate_cpu(const Tensor &a, const Tensor &b) {
  const auto shape = mesh_shape_of("correlate", "a", a);
  TORCH_CHECK_VALUE(a.sizes() == b.sizes(), "loremd::correlate: the shapes ", a.sizes(), " and ",
                    b.sizes(), " must be equal");
  check_dtype("correlate", "b", b, a.scalar_type());
  const auto [nx, ny, nz] = shape.points;
  Tensor correlation = at::zeros({nx, ny, nz / 2 + 1}, a.options());
  AT_DISPATCH_FLOATING_TYPES(a.scalar_type(), "correlate", [&] {
    scalar_t *out = correlation.mutable_data_ptr<scalar_t>();
    for (int64_t f = 0; f < shape.channels / 2; ++f) {
      const Tensor left = field_spectrum(a, f), right = field_spectrum(b, f);
      loremd::correlate_fields(shape.points, complex_data<scalar_t>(left),
                               complex_data<scalar_t>(right), out);
    }
    if (shape.channels % 2 == 1) {
      const Tensor left = last_spectrum(a), right = last_spectrum(b);
      loremd::correlate_single(shape.points, complex_data<scalar_t>(left),
                               complex_data<scalar_t>(right), out);
    }
  });
  return correlation;
}

Tensor convolve_meta(const Tensor &mesh, const Tensor &influence) {
  return at::empty_like(mesh);
}

Tensor correlate_meta(const Tensor &a, const Tensor &b) {
  return a.new_empty_symint({a.sym_size(0), a.sym_size(1), a.sym_size(2) / 2 + 1});
}

// <grad, convolve(mesh, influence)> is trilinear and symmetric in grad and mesh, so the derivatives
// of convolve and correlate are these two again, to any order.
struct Convolve : torch::autograd::Function<Convolve> {
  static Tensor forward(AutogradContext *ctx, const Tensor &mesh, const Tensor &influence) {
    ctx->save_for_backward({mesh, influence});
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return convolve(mesh, influence);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    return {ctx->needs_input_grad(0) ? convolve(grads[0], saved[1]) : Tensor(),
            ctx->needs_input_grad(1) ? correlate(grads[0], saved[0]) : Tensor()};
  }
};

struct Correlate : torch::autograd::Function<Correlate> {
  static Tensor forward(AutogradContext *ctx, const Tensor &a, const Tensor &b) {
    ctx->save_for_backward({a, b});
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return correlate(a, b);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    return {ctx->needs_input_grad(0) ? convolve(saved[1], grads[0]) : Tensor(),
            ctx->needs_input_grad(1) ? convolve(saved[0], grads[0]) : Tensor()};
  }
};

// ---- influence function ----

void check_matrix(const char *op, const char *name, const Tensor &t) {
  check_shape(op, name, t, 3, 3);
  check_dtype(op, name, t, at::kDouble);
}

std::array<int64_t, 3> checked_points(const char *op, at::IntArrayRef mesh_shape) {
  TORCH_CHECK_VALUE(mesh_shape.size() == 3, "loremd::", op,
                    ": expected a mesh shape of three numbers, got ", mesh_shape);
  return {mesh_shape[0], mesh_shape[1], mesh_shape[2]};
}

Tensor influence_any(const char *op, const Tensor &metric, const Tensor &direction,
                     at::IntArrayRef mesh_shape, int64_t order, double smearing) {
  check_matrix(op, "metric", metric);
  const auto points = checked_points(op, mesh_shape);
  const Tensor g = metric.contiguous(), h = direction.defined() ? direction.contiguous() : Tensor();
  const loremd::InfluenceCall call{g.const_data_ptr<double>(),
                                   h.defined() ? h.const_data_ptr<double>() : nullptr, points,
                                   static_cast<int>(order), smearing};
  Tensor influence;
  run_core(op, [&] {
    loremd::check_mesh(points, static_cast<int>(order));
    influence = at::empty({points[0], points[1], points[2] / 2 + 1}, metric.options());
    loremd::influence_sum(call, influence.mutable_data_ptr<double>());
  });
  return influence;
}

Tensor influence_gradient_any(const char *op, const Tensor &metric, const Tensor &direction,
                              const Tensor &weights, at::IntArrayRef mesh_shape, int64_t order,
                              double smearing) {
  check_matrix(op, "metric", metric);
  check_dtype(op, "weights", weights, at::kDouble);
  const auto points = checked_points(op, mesh_shape);
  TORCH_CHECK_VALUE(weights.sizes() == at::IntArrayRef({points[0], points[1], points[2] / 2 + 1}),
                    "loremd::", op, ": weights of shape ", weights.sizes(),
                    " do not belong to a mesh of ", mesh_shape);
  const Tensor g = metric.contiguous(), w = weights.contiguous(),
               h = direction.defined() ? direction.contiguous() : Tensor();
  const loremd::InfluenceCall call{g.const_data_ptr<double>(),
                                   h.defined() ? h.const_data_ptr<double>() : nullptr, points,
                                   static_cast<int>(order), smearing};
  Tensor gradient = at::empty({3, 3}, metric.options());
  run_core(op, [&] {
    loremd::influence_sum_gradient(call, w.const_data_ptr<double>(),
                                   gradient.mutable_data_ptr<double>());
  });
  return gradient;
}

Tensor influence_sum_cpu(const Tensor &metric, at::IntArrayRef mesh_shape, int64_t order,
                         double smearing) {
  return influence_any("influence_sum", metric, {}, mesh_shape, order, smearing);
}

Tensor influence_sum_directional_cpu(const Tensor &metric, const Tensor &direction,
                                     at::IntArrayRef mesh_shape, int64_t order, double smearing) {
  check_matrix("influence_sum_directional", "direction", direction);
  return influence_any("influence_sum_directional", metric, direction, mesh_shape, order, smearing);
}

Tensor influence_sum_gradient_cpu(const Tensor &metric, const Tensor &weights,
                                  at::IntArrayRef mesh_shape, int64_t order, double smearing) {
  return influence_gradient_any("influence_sum_gradient", metric, {}, weights, mesh_shape, order,
                                smearing);
}

Tensor influence_sum_gradient_directional_cpu(const Tensor &metric, const Tensor &direction,
                                              const Tensor &weights, at::IntArrayRef mesh_shape,
                                              int64_t order, double smearing) {
  check_matrix("influence_sum_gradient_directional", "direction", direction);
  return influence_gradient_any("influence_sum_gradient_directional", metric, direction, weights,
                                mesh_shape, order, smearing);
}

Tensor influence_sum_meta(const Tensor &metric, SymIntArrayRef mesh_shape, int64_t order,
                          double smearing) {
  return metric.new_empty_symint({mesh_shape[0], mesh_shape[1], mesh_shape[2] / 2 + 1});
}

Tensor influence_sum_directional_meta(const Tensor &metric, const Tensor &direction,
                                      SymIntArrayRef mesh_shape, int64_t order, double smearing) {
  return influence_sum_meta(metric, mesh_shape, order, smearing);
}

Tensor influence_sum_gradient_meta(const Tensor &metric, const Tensor &weights,
                                   SymIntArrayRef mesh_shape, int64_t order, double smearing) {
  return at::empty_like(metric);
}

Tensor influence_sum_gradient_directional_meta(const Tensor &metric, const Tensor &direction,
                                               const Tensor &weights, SymIntArrayRef mesh_shape,
                                               int64_t order, double smearing) {
  return at::empty_like(metric);
}

// Mesh shape, order and smearing, as they travel to the backward.
void save_call(AutogradContext *ctx, SymIntArrayRef mesh_shape, int64_t order, double smearing) {
  for (int a = 0; a < 3; ++a) ctx->saved_data["n" + std::to_string(a)] = mesh_shape[a];
  ctx->saved_data["order"] = order;
  ctx->saved_data["smearing"] = smearing;
}

struct SavedCall {
  std::vector<SymInt> mesh_shape;
  int64_t order;
  double smearing;

  explicit SavedCall(AutogradContext *ctx)
      : order(ctx->saved_data["order"].toInt()), smearing(ctx->saved_data["smearing"].toDouble()) {
    for (int a = 0; a < 3; ++a) {
      mesh_shape.push_back(ctx->saved_data["n" + std::to_string(a)].toSymInt());
    }
  }
};

struct InfluenceSum : torch::autograd::Function<InfluenceSum> {
  static Tensor forward(AutogradContext *ctx, const Tensor &metric, SymIntArrayRef mesh_shape,
                        int64_t order, double smearing) {
    ctx->save_for_backward({metric});
    save_call(ctx, mesh_shape, order, smearing);
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return influence_sum(metric, mesh_shape, order, smearing);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const SavedCall call(ctx);
    const Tensor metric = ctx->get_saved_variables()[0];
    return {influence_sum_gradient(metric, grads[0], call.mesh_shape, call.order, call.smearing),
            Tensor(), Tensor(), Tensor()};
  }
};

struct InfluenceSumGradient : torch::autograd::Function<InfluenceSumGradient> {
  static Tensor forward(AutogradContext *ctx, const Tensor &metric, const Tensor &weights,
                        SymIntArrayRef mesh_shape, int64_t order, double smearing) {
    ctx->save_for_backward({metric, weights});
    save_call(ctx, mesh_shape, order, smearing);
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return influence_sum_gradient(metric, weights, mesh_shape, order, smearing);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const SavedCall call(ctx);
    const auto saved = ctx->get_saved_variables();
    const Tensor &metric = saved[0], &weights = saved[1], &direction = grads[0];
    return {ctx->needs_input_grad(0)
                ? influence_sum_gradient_directional(metric, direction, weights, call.mesh_shape,
                                                     call.order, call.smearing)
                : Tensor(),
            ctx->needs_input_grad(1) ? influence_sum_directional(metric, direction, call.mesh_shape,
                                                                 call.order, call.smearing)
                                     : Tensor(),
            Tensor(), Tensor(), Tensor()};
  }
};

struct InfluenceSumDirectional : torch::autograd::Function<InfluenceSumDirectional> {
  static Tensor forward(AutogradContext *ctx, const Tensor &metric, const Tensor &direction,
                        SymIntArrayRef mesh_shape, int64_t order, double smearing) {
    ctx->save_for_backward({metric, direction});
    save_call(ctx, mesh_shape, order, smearing);
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return influence_sum_directional(metric, direction, mesh_shape, order, smearing);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const SavedCall call(ctx);
    const auto saved = ctx->get_saved_variables();
    const Tensor &metric = saved[0], &direction = saved[1];
    return {ctx->needs_input_grad(0)
                ? influence_sum_gradient_directional(metric, direction, grads[0], call.mesh_shape,
                                                     call.order, call.smearing)
                : Tensor(),
            ctx->needs_input_grad(1) ? influence_sum_gradient(metric, grads[0], call.mesh_shape,
                                                              call.order, call.smearing)
                                     : Tensor(),
            Tensor(), Tensor(), Tensor()};
  }
};

struct InfluenceSumGradientDirectional
    : torch::autograd::Function<InfluenceSumGradientDirectional> {
  static Tensor forward(AutogradContext *ctx, const Tensor &metric, const Tensor &direction,
                        const Tensor &weights, SymIntArrayRef mesh_shape, int64_t order,
                        double smearing) {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return influence_sum_gradient_directional(metric, direction, weights, mesh_shape, order,
                                              smearing);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    no_further_derivative("influence_sum_gradient_directional");
  }
};

// ---- tuning ----

loremd::Matrix3 matrix_of(const char *op, const Tensor &cell) {
  check_matrix(op, "cell", cell);
  const Tensor c = cell.contiguous();
  loremd::Matrix3 rows;
  for (int a = 0; a < 3; ++a) {
    for (int b = 0; b < 3; ++b) rows[a][b] = c.const_data_ptr<double>()[3 * a + b];
  }
  return rows;
}

// An empty mesh shape means "choose".
std::array<int64_t, 3> points_or_zeros(const char *op, at::IntArrayRef mesh_shape) {
  return mesh_shape.empty() ? std::array<int64_t, 3>{0, 0, 0} : checked_points(op, mesh_shape);
}

std::tuple<double, std::vector<int64_t>, int64_t, double, double> plan_mesh_cpu(
    const Tensor &cell, int64_t atoms, int64_t channels, double cutoff, double accuracy,
    double smearing, at::IntArrayRef mesh_shape, int64_t order) {
  loremd::MeshPlan plan;
  run_core("plan_mesh", [&] {
    plan = loremd::plan_mesh({matrix_of("plan_mesh", cell), atoms, channels, cutoff, accuracy,
                              smearing, points_or_zeros("plan_mesh", mesh_shape),
                              static_cast<int>(order)});
  });
  return {plan.smearing,
          {plan.points.begin(), plan.points.end()},
          plan.order,
          plan.real_space_error,
          plan.mesh_error};
}

std::tuple<double, double> mesh_errors_cpu(const Tensor &cell, int64_t atoms, double cutoff,
                                           double smearing, at::IntArrayRef mesh_shape,
                                           int64_t order) {
  loremd::MeshPlan plan;
  run_core("mesh_errors", [&] {
    const auto points = checked_points("mesh_errors", mesh_shape);
    plan = loremd::plan_mesh({matrix_of("mesh_errors", cell), atoms, 1, cutoff, 0.1, smearing,
                              points, static_cast<int>(order)});
  });
  return {plan.real_space_error, plan.mesh_error};
}

}  // namespace

TORCH_LIBRARY_IMPL(loremd, CPU, m) {
  m.impl("convolve", convolve_cpu);
  m.impl("correlate", correlate_cpu);
  m.impl("influence_sum", influence_sum_cpu);
  m.impl("influence_sum_directional", influence_sum_directional_cpu);
  m.impl("influence_sum_gradient", influence_sum_gradient_cpu);
  m.impl("influence_sum_gradient_directional", influence_sum_gradient_directional_cpu);
  m.impl("plan_mesh", plan_mesh_cpu);
  m.impl("mesh_errors", mesh_errors_cpu);
}

TORCH_LIBRARY_IMPL(loremd, Meta, m) {
  m.impl("convolve", convolve_meta);
  m.impl("correlate", correlate_meta);
  m.impl("influence_sum", influence_sum_meta);
  m.impl("influence_sum_directional", influence_sum_directional_meta);
  m.impl("influence_sum_gradient", influence_sum_gradient_meta);
  m.impl("influence_sum_gradient_directional", influence_sum_gradient_directional_meta);
}

TORCH_LIBRARY_IMPL(loremd, Autograd, m) {
  m.impl("convolve", [](const Tensor &mesh, const Tensor &influence) {
    return Convolve::apply(mesh, influence);
  });
  m.impl("correlate", [](const Tensor &a, const Tensor &b) { return Correlate::apply(a, b); });
  m.impl("influence_sum",
         [](const Tensor &metric, SymIntArrayRef mesh_shape, int64_t order, double smearing) {
           return InfluenceSum::apply(metric, mesh_shape, order, smearing);
         });
  m.impl("influence_sum_directional",
         [](const Tensor &metric, const Tensor &direction, SymIntArrayRef mesh_shape, int64_t order,
            double smearing) {
           return InfluenceSumDirectional::apply(metric, direction, mesh_shape, order, smearing);
         });
  m.impl("influence_sum_gradient", [](const Tensor &metric, const Tensor &weights,
                                      SymIntArrayRef mesh_shape, int64_t order, double smearing) {
    return InfluenceSumGradient::apply(metric, weights, mesh_shape, order, smearing);
  });
  m.impl("influence_sum_gradient_directional",
         [](const Tensor &metric, const Tensor &direction, const Tensor &weights,
            SymIntArrayRef mesh_shape, int64_t order, double smearing) {
           return InfluenceSumGradientDirectional::apply(metric, direction, weights, mesh_shape,
                                                         order, smearing);
         });
}

}  // namespace loremd_torch
