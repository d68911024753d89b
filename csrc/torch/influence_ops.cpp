// SPDX-License-Identifier: BSD-3-Clause
//
// The influence function and its derivatives by the metric of the cell.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <algorithm>
#include <vector>

#include "device_call.hpp"
#include "dispatch.hpp"
#include "distributed_mesh.hpp"
#include "mesh/cuda.hpp"
#include "mesh/influence.hpp"
#include "mesh_memory.hpp"
#include "support.hpp"

namespace loremd_torch {

#define LOREMD_TABLE_ARGUMENTS                                                          \
  SymIntArrayRef mesh_shape, int64_t order, double range, const OptionalTensor &window, \
      const OptionalTensor &interaction, int64_t comm

Tensor influence_sum(const Tensor &metric, LOREMD_TABLE_ARGUMENTS) {
  LOREMD_CALL(influence_sum, metric, mesh_shape, order, range, window, interaction, comm);
}

Tensor influence_sum_directional(const Tensor &metric, const Tensor &direction,
                                 LOREMD_TABLE_ARGUMENTS) {
  LOREMD_CALL(influence_sum_directional, metric, direction, mesh_shape, order, range, window,
              interaction, comm);
}

Tensor influence_sum_gradient(const Tensor &metric, const Tensor &weights, LOREMD_TABLE_ARGUMENTS) {
  LOREMD_CALL(influence_sum_gradient, metric, weights, mesh_shape, order, range, window,
              interaction, comm);
}

Tensor influence_sum_gradient_directional(const Tensor &metric, const Tensor &direction,
                                          const Tensor &weights, LOREMD_TABLE_ARGUMENTS) {
  LOREMD_CALL(influence_sum_gradient_directional, metric, direction, weights, mesh_shape, order,
              range, window, interaction, comm);
}

namespace {

// What all four ops take beside tensors with derivatives.
struct Table {
  std::vector<SymInt> mesh_shape;
  int64_t order;
  double range;
  OptionalTensor window, interaction;
  int64_t comm;

  Table(LOREMD_TABLE_ARGUMENTS)
      : mesh_shape(mesh_shape.begin(), mesh_shape.end()),
        order(order),
        range(range),
        window(window),
        interaction(interaction),
        comm(comm) {}

  // Travels to the backward in the autograd context.
  explicit Table(AutogradContext *ctx)
      : order(ctx->saved_data["order"].toInt()),
        range(ctx->saved_data["range"].toDouble()),
        window(ctx->saved_data["window"].toOptional<Tensor>()),
        interaction(ctx->saved_data["interaction"].toOptional<Tensor>()),
        comm(ctx->saved_data["comm"].toInt()) {
    for (int a = 0; a < 3; ++a) {
      mesh_shape.push_back(ctx->saved_data["n" + std::to_string(a)].toSymInt());
    }
  }
  void save(AutogradContext *ctx) const {
    for (int a = 0; a < 3; ++a) ctx->saved_data["n" + std::to_string(a)] = mesh_shape.at(a);
    ctx->saved_data["order"] = order;
    ctx->saved_data["range"] = range;
    ctx->saved_data["window"] = window;
    ctx->saved_data["interaction"] = interaction;
    ctx->saved_data["comm"] = comm;
  }

  std::array<int64_t, 3> points(const char *op) const {
    return mesh_points(op, C10_AS_INTARRAYREF_SLOW(mesh_shape));
  }

  // On several ranks each has its share of the full spectrum; else it is the half of it.
  std::optional<loremd::Box> share(const char *op) const {
    if (!on_several_ranks(op, comm)) return {};
    return share_of_spectrum(communicator_of(op, comm), points(op));
  }
};

#define LOREMD_PASS(table)                                                               \
  (table).mesh_shape, (table).order, (table).range, (table).window, (table).interaction, \
      (table).comm

// What `interaction` holds: see ops.hpp.
loremd::SmoothPart smooth_part(const char *op, const Table &table, const Tensor &interaction) {
  loremd::SmoothPart smooth;
  smooth.range = table.range;
  if (!interaction.defined()) return smooth;
  constexpr int64_t leading = 5;
  TORCH_CHECK_VALUE(interaction.numel() >= leading, "loremd::", op,
                    ": expected an interaction of at least ", leading, " numbers, got ",
                    interaction.numel());
  const double *values = interaction.const_data_ptr<double>();
  smooth.exponent = values[0];
  smooth.periodic = static_cast<int>(values[1]);
  smooth.open_axis = static_cast<int>(values[2]);
  smooth.reach = values[3];
  smooth.ends_at_zero = values[4] != 0;
  smooth.shape = {values + leading, static_cast<int>(interaction.numel() - leading)};
  return smooth;
}

void check_matrix(const char *op, const char *name, const Tensor &t) {
  check_shape(op, name, t, 3, 3);
  check_dtype(op, name, t, at::kDouble);
}

// Calls body(call) with the core's view of the arguments. `direction` may be undefined.
template <class Body>
void with_call(const char *op, const Tensor &metric, const Tensor &direction, const Table &table,
               Body &&body) {
  check_matrix(op, "metric", metric);
  if (direction.defined()) check_matrix(op, "direction", direction);
  check_devices(op, {&metric, &direction});
  const Tensor g = metric.contiguous(), h = direction.defined() ? direction.contiguous() : Tensor(),
               window = series_of(op, "window", table.window),
               interaction = series_of(op, "interaction", table.interaction);
  run_core(op, [&] {
    body(loremd::InfluenceCall{g.const_data_ptr<double>(),
                               h.defined() ? h.const_data_ptr<double>() : nullptr, table.points(op),
                               static_cast<int>(table.order), even_series(window),
                               smooth_part(op, table, interaction), table.share(op)});
  });
}

// All numbers that an influence function without direction depends on.
std::vector<double> arguments_of(const loremd::InfluenceCall &call) {
  std::vector<double> all(call.metric, call.metric + 9);
  const loremd::SmoothPart &smooth = call.smooth;
  const loremd::Box box = call.frequencies();
  const auto add = [&](auto... numbers) { (all.push_back(static_cast<double>(numbers)), ...); };
  for (int a = 0; a < 3; ++a) add(call.points[a], box.begin[a], box.end[a]);
  add(call.order, call.share.has_value(), smooth.exponent, smooth.range, smooth.ends_at_zero,
      smooth.periodic, smooth.open_axis, smooth.reach, call.window.terms, smooth.shape.terms);
  all.insert(all.end(), call.window.coefficients, call.window.coefficients + call.window.terms);
  all.insert(all.end(), smooth.shape.coefficients, smooth.shape.coefficients + smooth.shape.terms);
  return all;
}

// On the CPU: calculated, or a copy of the last one of this thread, as a cell often stays what it
// is from step to step.
void influence_on_cpu(const loremd::InfluenceCall &call, Tensor &influence) {
  thread_local std::vector<double> last_arguments;
  thread_local Tensor last;
  double *const values = influence.mutable_data_ptr<double>();
  std::vector<double> arguments = arguments_of(call);
  if (arguments == last_arguments) {
    std::copy_n(last.const_data_ptr<double>(), influence.numel(), values);
    return;
  }
  loremd::influence_sum(call, values);
  last_arguments.clear();
  last = at::empty(influence.sizes(), influence.options());
  std::copy_n(values, influence.numel(), last.mutable_data_ptr<double>());
  last_arguments = std::move(arguments);
}

Tensor influence_any(const char *op, const Tensor &metric, const Tensor &direction,
                     const Table &table) {
  Tensor influence;
  with_call(op, metric, direction, table, [&](const loremd::InfluenceCall &call) {
    loremd::check_order(call.order);
    loremd::check_mesh(call.points, call.order);  // before anything of that size is allocated
    influence = empty_large(call.frequencies().lengths(), metric.options());
    if constexpr (device_kernels) {
      if (on_device(metric)) {
        const Tensor space = workspace(loremd::cuda::influence_workspace(call), metric);
        return run_on_device(op, metric, [&](loremd::cuda::Stream stream) {
          loremd::cuda::influence_sum(call, space.mutable_data_ptr<double>(),
                                      influence.mutable_data_ptr<double>(), stream);
        });
      }
    }
    if (direction.defined()) {
      loremd::influence_sum(call, influence.mutable_data_ptr<double>());
    } else {
      influence_on_cpu(call, influence);
    }
  });
  return influence;
}

Tensor gradient_any(const char *op, const Tensor &metric, const Tensor &direction,
                    const Tensor &weights, const Table &table) {
  check_dtype(op, "weights", weights, at::kDouble);
  check_devices(op, {&metric, &weights});
  const Tensor w = weights.contiguous();
  Tensor gradient = at::empty({3, 3}, metric.options());
  with_call(op, metric, direction, table, [&](const loremd::InfluenceCall &call) {
    const auto [nx, ny, nz] = call.points;
    TORCH_CHECK_VALUE(w.sizes() == at::IntArrayRef(call.frequencies().lengths()), "loremd::", op,
                      ": weights of shape ", w.sizes(), " do not belong to a mesh of ", nx, " x ",
                      ny, " x ", nz);
    if constexpr (device_kernels) {
      if (on_device(metric)) {
        const Tensor space = workspace(loremd::cuda::influence_workspace(call), metric);
        return run_on_device(op, metric, [&](loremd::cuda::Stream stream) {
          loremd::cuda::influence_sum_gradient(call, w.const_data_ptr<double>(),
                                               space.mutable_data_ptr<double>(),
                                               gradient.mutable_data_ptr<double>(), stream);
        });
      }
    }
    loremd::influence_sum_gradient(call, w.const_data_ptr<double>(),
                                   gradient.mutable_data_ptr<double>());
  });
  return gradient;
}

Tensor influence_sum_kernel(const Tensor &metric, LOREMD_TABLE_ARGUMENTS) {
  return influence_any("influence_sum", metric, {},
                       {mesh_shape, order, range, window, interaction, comm});
}

Tensor influence_sum_directional_kernel(const Tensor &metric, const Tensor &direction,
                                        LOREMD_TABLE_ARGUMENTS) {
  return influence_any("influence_sum_directional", metric, direction,
                       {mesh_shape, order, range, window, interaction, comm});
}

Tensor influence_sum_gradient_kernel(const Tensor &metric, const Tensor &weights,
                                     LOREMD_TABLE_ARGUMENTS) {
  return gradient_any("influence_sum_gradient", metric, {}, weights,
                      {mesh_shape, order, range, window, interaction, comm});
}

Tensor influence_sum_gradient_directional_kernel(const Tensor &metric, const Tensor &direction,
                                                 const Tensor &weights, LOREMD_TABLE_ARGUMENTS) {
  return gradient_any("influence_sum_gradient_directional", metric, direction, weights,
                      {mesh_shape, order, range, window, interaction, comm});
}

Tensor influence_sum_meta(const Tensor &metric, LOREMD_TABLE_ARGUMENTS) {
  const char *op = "influence_sum";
  if (on_several_ranks(op, comm)) {
    const Table table(mesh_shape, order, range, window, interaction, comm);
    return metric.new_empty(table.share(op)->lengths());
  }
  return metric.new_empty_symint({mesh_shape[0], mesh_shape[1], mesh_shape[2] / 2 + 1});
}

Tensor influence_sum_directional_meta(const Tensor &metric, const Tensor &direction,
                                      LOREMD_TABLE_ARGUMENTS) {
  return influence_sum_meta(metric, mesh_shape, order, range, window, interaction, comm);
}

Tensor influence_sum_gradient_meta(const Tensor &metric, const Tensor &weights,
                                   LOREMD_TABLE_ARGUMENTS) {
  return at::empty_like(metric);
}

Tensor influence_sum_gradient_directional_meta(const Tensor &metric, const Tensor &direction,
                                               const Tensor &weights, LOREMD_TABLE_ARGUMENTS) {
  return at::empty_like(metric);
}

struct InfluenceSum : torch::autograd::Function<InfluenceSum> {
  static Tensor forward(AutogradContext *ctx, const Tensor &metric, const Table &table) {
    ctx->save_for_backward({metric});
    table.save(ctx);
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return influence_sum(metric, LOREMD_PASS(table));
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const Table table(ctx);
    const Tensor metric = ctx->get_saved_variables()[0];
    return {influence_sum_gradient(metric, grads[0], LOREMD_PASS(table)), Tensor()};
  }
};

struct InfluenceSumGradient : torch::autograd::Function<InfluenceSumGradient> {
  static Tensor forward(AutogradContext *ctx, const Tensor &metric, const Tensor &weights,
                        const Table &table) {
    ctx->save_for_backward({metric, weights});
    table.save(ctx);
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return influence_sum_gradient(metric, weights, LOREMD_PASS(table));
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const Table table(ctx);
    const auto saved = ctx->get_saved_variables();
    const Tensor &metric = saved[0], &weights = saved[1], &direction = grads[0];
    return {ctx->needs_input_grad(0)
                ? influence_sum_gradient_directional(metric, direction, weights, LOREMD_PASS(table))
                : Tensor(),
            ctx->needs_input_grad(1)
                ? influence_sum_directional(metric, direction, LOREMD_PASS(table))
                : Tensor(),
            Tensor()};
  }
};

struct InfluenceSumDirectional : torch::autograd::Function<InfluenceSumDirectional> {
  static Tensor forward(AutogradContext *ctx, const Tensor &metric, const Tensor &direction,
                        const Table &table) {
    ctx->save_for_backward({metric, direction});
    table.save(ctx);
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return influence_sum_directional(metric, direction, LOREMD_PASS(table));
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const Table table(ctx);
    const auto saved = ctx->get_saved_variables();
    const Tensor &metric = saved[0], &direction = saved[1], &weights = grads[0];
    return {ctx->needs_input_grad(0)
                ? influence_sum_gradient_directional(metric, direction, weights, LOREMD_PASS(table))
                : Tensor(),
            ctx->needs_input_grad(1) ? influence_sum_gradient(metric, weights, LOREMD_PASS(table))
                                     : Tensor(),
            Tensor()};
  }
};

struct InfluenceSumGradientDirectional
    : torch::autograd::Function<InfluenceSumGradientDirectional> {
  static Tensor forward(AutogradContext *, const Tensor &metric, const Tensor &direction,
                        const Tensor &weights, const Table &table) {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return influence_sum_gradient_directional(metric, direction, weights, LOREMD_PASS(table));
  }
  static variable_list backward(AutogradContext *, const variable_list &) {
    no_further_derivative("influence_sum_gradient_directional");
  }
};

}  // namespace

LOREMD_KERNELS(m) {
  m.impl("influence_sum", influence_sum_kernel);
  m.impl("influence_sum_directional", influence_sum_directional_kernel);
  m.impl("influence_sum_gradient", influence_sum_gradient_kernel);
  m.impl("influence_sum_gradient_directional", influence_sum_gradient_directional_kernel);
}

TORCH_LIBRARY_IMPL(loremd, Meta, m) {
  m.impl("influence_sum", influence_sum_meta);
  m.impl("influence_sum_directional", influence_sum_directional_meta);
  m.impl("influence_sum_gradient", influence_sum_gradient_meta);
  m.impl("influence_sum_gradient_directional", influence_sum_gradient_directional_meta);
}

TORCH_LIBRARY_IMPL(loremd, Autograd, m) {
  m.impl("influence_sum", [](const Tensor &metric, LOREMD_TABLE_ARGUMENTS) {
    return InfluenceSum::apply(metric, Table(mesh_shape, order, range, window, interaction, comm));
  });
  m.impl("influence_sum_directional",
         [](const Tensor &metric, const Tensor &direction, LOREMD_TABLE_ARGUMENTS) {
           return InfluenceSumDirectional::apply(
               metric, direction, Table(mesh_shape, order, range, window, interaction, comm));
         });
  m.impl("influence_sum_gradient",
         [](const Tensor &metric, const Tensor &weights, LOREMD_TABLE_ARGUMENTS) {
           return InfluenceSumGradient::apply(
               metric, weights, Table(mesh_shape, order, range, window, interaction, comm));
         });
  m.impl("influence_sum_gradient_directional", [](const Tensor &metric, const Tensor &direction,
                                                  const Tensor &weights, LOREMD_TABLE_ARGUMENTS) {
    return InfluenceSumGradientDirectional::apply(
        metric, direction, weights, Table(mesh_shape, order, range, window, interaction, comm));
  });
}

#undef LOREMD_TABLE_ARGUMENTS
#undef LOREMD_PASS

}  // namespace loremd_torch
