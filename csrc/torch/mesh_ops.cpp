// SPDX-License-Identifier: BSD-3-Clause
//
// spread, interpolate and their derivatives. With w the window weights, S = spread, I =
// interpolate: S and I are transposes, and the derivative of <m, S q> = <q, I m> by the fractions
// is interpolate_gradient(m, q). The directional ops have w replaced by (direction . d/dfraction) w
// and stand in the same relations to each other, which gives second derivatives; there it ends.
#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include "mesh/interpolate.hpp"
#include "mesh/spread.hpp"
#include "support.hpp"

namespace loremd_torch {

Tensor spread(const Tensor &fractions, const Tensor &charges, SymIntArrayRef mesh_shape,
              int64_t order) {
  LOREMD_CALL(spread, fractions, charges, mesh_shape, order);
}

Tensor spread_directional(const Tensor &fractions, const Tensor &directions, const Tensor &charges,
                          SymIntArrayRef mesh_shape, int64_t order) {
  LOREMD_CALL(spread_directional, fractions, directions, charges, mesh_shape, order);
}

Tensor interpolate(const Tensor &fractions, const Tensor &mesh, int64_t order) {
  LOREMD_CALL(interpolate, fractions, mesh, order);
}

Tensor interpolate_directional(const Tensor &fractions, const Tensor &directions,
                               const Tensor &mesh, int64_t order) {
  LOREMD_CALL(interpolate_directional, fractions, directions, mesh, order);
}

Tensor interpolate_gradient(const Tensor &fractions, const Tensor &mesh, const Tensor &charges,
                            int64_t order) {
  LOREMD_CALL(interpolate_gradient, fractions, mesh, charges, order);
}

std::tuple<Tensor, Tensor> interpolate_with_gradient(const Tensor &fractions, const Tensor &mesh,
                                                     const Tensor &charges, int64_t order) {
  LOREMD_CALL(interpolate_with_gradient, fractions, mesh, charges, order);
}

Tensor interpolate_gradient_directional(const Tensor &fractions, const Tensor &directions,
                                        const Tensor &mesh, const Tensor &charges, int64_t order) {
  LOREMD_CALL(interpolate_gradient_directional, fractions, directions, mesh, charges, order);
}

namespace {

// ---- checks and CPU implementations ----

constexpr int64_t atoms_per_task = 512;

void check_points(const char *op, const Tensor &fractions, const Tensor &directions) {
  check_shape(op, "fractions", fractions, -1, 3);
  check_dtype(op, "fractions", fractions, at::kDouble);
  if (!directions.defined()) return;
  check_shape(op, "directions", directions, fractions.size(0), 3);
  check_dtype(op, "directions", directions, at::kDouble);
}

void check_charges(const char *op, const Tensor &charges, int64_t atoms) {
  check_shape(op, "charges", charges, atoms, -1);
  check_floating(op, "charges", charges);
}

loremd::MeshShape shape_of(const char *op, const Tensor &mesh) {
  TORCH_CHECK_VALUE(mesh.dim() == 4, "loremd::", op,
                    ": expected mesh of shape (nx, ny, nz, channels), got ", mesh.sizes());
  check_floating(op, "mesh", mesh);
  return {{mesh.size(0), mesh.size(1), mesh.size(2)}, mesh.size(3)};
}

// What a kernel gets, whole or in parts for several threads.
struct Call {
  Tensor fractions, directions;  // contiguous; directions may be undefined
  loremd::VisitingOrder visit;
  loremd::MeshShape shape;
  int order;

  Call(const Tensor &any_fractions, const Tensor &any_directions, const loremd::MeshShape &shape,
       int64_t order)
      : fractions(any_fractions.contiguous()),
        directions(any_directions.defined() ? any_directions.contiguous() : Tensor()),
        visit(loremd::visiting_order(fractions.const_data_ptr<double>(), fractions.size(0), shape)),
        shape(shape),
        order(static_cast<int>(order)) {}

  int64_t atoms() const { return static_cast<int64_t>(visit.atoms.size()); }

  loremd::MeshCall part(int64_t begin, int64_t end) const {
    return {fractions.const_data_ptr<double>(),
            directions.defined() ? directions.const_data_ptr<double>() : nullptr,
            visit.atoms.data() + begin,
            end - begin,
            shape,
            order};
  }

  // Calls body(part) for the slabs of atoms, in torch's threads, so that no two windows that are
  // worked on at the same time touch.
  template <class Body>
  void for_each_slab(Body &&body) const {
    for (int64_t colour = 0; colour < 2; ++colour) {
      at::parallel_for(0, (visit.slabs() + 1 - colour) / 2, 1, [&](int64_t begin, int64_t end) {
        for (int64_t s = 2 * begin + colour; s < 2 * end + colour; s += 2) {
          body(part(visit.slab_starts[s], visit.slab_starts[s + 1]));
        }
      });
    }
  }

  // Calls body(part) for parts of the atoms, in torch's threads.
  template <class Body>
  void for_each_part(Body &&body) const {
    at::parallel_for(0, atoms(), atoms_per_task,
                     [&](int64_t begin, int64_t end) { body(part(begin, end)); });
  }
};

Tensor spread_any(const char *op, const Tensor &fractions, const Tensor &directions,
                  const Tensor &charges, at::IntArrayRef mesh_shape, int64_t order) {
  check_points(op, fractions, directions);
  check_charges(op, charges, fractions.size(0));
  TORCH_CHECK_VALUE(mesh_shape.size() == 3, "loremd::", op,
                    ": expected a mesh shape of three numbers, got ", mesh_shape);
  for (int64_t n : mesh_shape) {
    TORCH_CHECK_VALUE(n > 0, "loremd::", op, ": mesh shape ", mesh_shape,
                      " must be three positive numbers");
  }
  const loremd::MeshShape shape{{mesh_shape[0], mesh_shape[1], mesh_shape[2]}, charges.size(1)};
  const Tensor q = charges.contiguous();
  Tensor mesh =
      at::zeros({mesh_shape[0], mesh_shape[1], mesh_shape[2], charges.size(1)}, charges.options());
  AT_DISPATCH_FLOATING_TYPES(charges.scalar_type(), "spread", [&] {
    run_core(op, [&] {
      scalar_t *to = mesh.mutable_data_ptr<scalar_t>();
      Call(fractions, directions, shape, order).for_each_slab([&](const loremd::MeshCall &part) {
        loremd::spread(part, q.const_data_ptr<scalar_t>(), to);
      });
    });
  });
  return mesh;
}

Tensor interpolate_any(const char *op, const Tensor &fractions, const Tensor &directions,
                       const Tensor &mesh, int64_t order) {
  check_points(op, fractions, directions);
  const auto shape = shape_of(op, mesh);
  const Tensor m = mesh.contiguous();
  Tensor values = at::empty({fractions.size(0), shape.channels}, mesh.options());
  AT_DISPATCH_FLOATING_TYPES(mesh.scalar_type(), "interpolate", [&] {
    const scalar_t *from = m.const_data_ptr<scalar_t>();
    scalar_t *to = values.mutable_data_ptr<scalar_t>();
    run_core(op, [&] {
      Call(fractions, directions, shape, order).for_each_part([&](const loremd::MeshCall &part) {
        loremd::interpolate(part, from, to);
      });
    });
  });
  return values;
}

// Returns values (undefined unless `with_values`) and gradient.
std::tuple<Tensor, Tensor> gradient_any(const char *op, const Tensor &fractions,
                                        const Tensor &directions, const Tensor &mesh,
                                        const Tensor &charges, int64_t order, bool with_values) {
  check_points(op, fractions, directions);
  const auto shape = shape_of(op, mesh);
  check_shape(op, "charges", charges, fractions.size(0), shape.channels);
  check_dtype(op, "charges", charges, mesh.scalar_type());
  const Tensor m = mesh.contiguous(), q = charges.contiguous();
  Tensor gradient = at::empty(fractions.sizes(), fractions.options());
  Tensor values = with_values ? at::empty(q.sizes(), q.options()) : Tensor();
  AT_DISPATCH_FLOATING_TYPES(mesh.scalar_type(), "interpolate_gradient", [&] {
    const scalar_t *from = m.const_data_ptr<scalar_t>();
    const scalar_t *with = q.const_data_ptr<scalar_t>();
    scalar_t *values_to = with_values ? values.mutable_data_ptr<scalar_t>() : nullptr;
    double *to = gradient.mutable_data_ptr<double>();
    run_core(op, [&] {
      Call(fractions, directions, shape, order).for_each_part([&](const loremd::MeshCall &part) {
        loremd::interpolate_gradient(part, from, with, values_to, to);
      });
    });
  });
  return {values, gradient};
}

Tensor spread_cpu(const Tensor &fractions, const Tensor &charges, at::IntArrayRef mesh_shape,
                  int64_t order) {
  return spread_any("spread", fractions, {}, charges, mesh_shape, order);
}

Tensor spread_directional_cpu(const Tensor &fractions, const Tensor &directions,
                              const Tensor &charges, at::IntArrayRef mesh_shape, int64_t order) {
  return spread_any("spread_directional", fractions, directions, charges, mesh_shape, order);
}

Tensor interpolate_cpu(const Tensor &fractions, const Tensor &mesh, int64_t order) {
  return interpolate_any("interpolate", fractions, {}, mesh, order);
}

Tensor interpolate_directional_cpu(const Tensor &fractions, const Tensor &directions,
                                   const Tensor &mesh, int64_t order) {
  return interpolate_any("interpolate_directional", fractions, directions, mesh, order);
}

Tensor interpolate_gradient_cpu(const Tensor &fractions, const Tensor &mesh, const Tensor &charges,
                                int64_t order) {
  return std::get<1>(
      gradient_any("interpolate_gradient", fractions, {}, mesh, charges, order, false));
}

std::tuple<Tensor, Tensor> interpolate_with_gradient_cpu(const Tensor &fractions,
                                                         const Tensor &mesh, const Tensor &charges,
                                                         int64_t order) {
  return gradient_any("interpolate_with_gradient", fractions, {}, mesh, charges, order, true);
}

Tensor interpolate_gradient_directional_cpu(const Tensor &fractions, const Tensor &directions,
                                            const Tensor &mesh, const Tensor &charges,
                                            int64_t order) {
  return std::get<1>(gradient_any("interpolate_gradient_directional", fractions, directions, mesh,
                                  charges, order, false));
}

// ---- shapes without data ----

Tensor spread_meta(const Tensor &fractions, const Tensor &charges, SymIntArrayRef mesh_shape,
                   int64_t order) {
  std::vector<SymInt> sizes(mesh_shape.begin(), mesh_shape.end());
  sizes.push_back(charges.sym_size(1));
  return charges.new_empty_symint(sizes);
}

Tensor spread_directional_meta(const Tensor &fractions, const Tensor &directions,
                               const Tensor &charges, SymIntArrayRef mesh_shape, int64_t order) {
  return spread_meta(fractions, charges, mesh_shape, order);
}

Tensor interpolate_meta(const Tensor &fractions, const Tensor &mesh, int64_t order) {
  return mesh.new_empty_symint({fractions.sym_size(0), mesh.sym_size(3)});
}

Tensor interpolate_directional_meta(const Tensor &fractions, const Tensor &directions,
                                    const Tensor &mesh, int64_t order) {
  return interpolate_meta(fractions, mesh, order);
}

Tensor interpolate_gradient_meta(const Tensor &fractions, const Tensor &mesh, const Tensor &charges,
                                 int64_t order) {
  return at::empty_like(fractions);
}

std::tuple<Tensor, Tensor> interpolate_with_gradient_meta(const Tensor &fractions,
                                                          const Tensor &mesh, const Tensor &charges,
                                                          int64_t order) {
  return {at::empty_like(charges), at::empty_like(fractions)};
}

Tensor interpolate_gradient_directional_meta(const Tensor &fractions, const Tensor &directions,
                                             const Tensor &mesh, const Tensor &charges,
                                             int64_t order) {
  return at::empty_like(fractions);
}

// ---- derivatives ----

SymIntArrayRef points_of(const Tensor &mesh) {
  return mesh.sym_sizes().slice(0, 3);
}

struct Spread : torch::autograd::Function<Spread> {
  static Tensor forward(AutogradContext *ctx, const Tensor &fractions, const Tensor &charges,
                        SymIntArrayRef mesh_shape, int64_t order) {
    ctx->save_for_backward({fractions, charges});
    ctx->saved_data["order"] = order;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return spread(fractions, charges, mesh_shape, order);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const int64_t order = ctx->saved_data["order"].toInt();
    const Tensor &fractions = saved[0], &charges = saved[1], &grad = grads[0];
    return {
        ctx->needs_input_grad(0) ? interpolate_gradient(fractions, grad, charges, order) : Tensor(),
        ctx->needs_input_grad(1) ? interpolate(fractions, grad, order) : Tensor(), Tensor(),
        Tensor()};
  }
};

struct SpreadDirectional : torch::autograd::Function<SpreadDirectional> {
  static Tensor forward(AutogradContext *ctx, const Tensor &fractions, const Tensor &directions,
                        const Tensor &charges, SymIntArrayRef mesh_shape, int64_t order) {
    ctx->save_for_backward({fractions, directions, charges});
    ctx->saved_data["order"] = order;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return spread_directional(fractions, directions, charges, mesh_shape, order);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const int64_t order = ctx->saved_data["order"].toInt();
    const Tensor &fractions = saved[0], &directions = saved[1], &charges = saved[2];
    const Tensor &grad = grads[0];
    return {
        ctx->needs_input_grad(0)
            ? interpolate_gradient_directional(fractions, directions, grad, charges, order)
            : Tensor(),
        ctx->needs_input_grad(1) ? interpolate_gradient(fractions, grad, charges, order) : Tensor(),
        ctx->needs_input_grad(2) ? interpolate_directional(fractions, directions, grad, order)
                                 : Tensor(),
        Tensor(), Tensor()};
  }
};

struct Interpolate : torch::autograd::Function<Interpolate> {
  static Tensor forward(AutogradContext *ctx, const Tensor &fractions, const Tensor &mesh,
                        int64_t order) {
    ctx->save_for_backward({fractions, mesh});
    ctx->saved_data["order"] = order;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return interpolate(fractions, mesh, order);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const int64_t order = ctx->saved_data["order"].toInt();
    const Tensor &fractions = saved[0], &mesh = saved[1], &grad = grads[0];
    return {
        ctx->needs_input_grad(0) ? interpolate_gradient(fractions, mesh, grad, order) : Tensor(),
        ctx->needs_input_grad(1) ? spread(fractions, grad, points_of(mesh), order) : Tensor(),
        Tensor()};
  }
};

struct InterpolateDirectional : torch::autograd::Function<InterpolateDirectional> {
  static Tensor forward(AutogradContext *ctx, const Tensor &fractions, const Tensor &directions,
                        const Tensor &mesh, int64_t order) {
    ctx->save_for_backward({fractions, directions, mesh});
    ctx->saved_data["order"] = order;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return interpolate_directional(fractions, directions, mesh, order);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const int64_t order = ctx->saved_data["order"].toInt();
    const Tensor &fractions = saved[0], &directions = saved[1], &mesh = saved[2];
    const Tensor &grad = grads[0];
    return {
        ctx->needs_input_grad(0)
            ? interpolate_gradient_directional(fractions, directions, mesh, grad, order)
            : Tensor(),
        ctx->needs_input_grad(1) ? interpolate_gradient(fractions, mesh, grad, order) : Tensor(),
        ctx->needs_input_grad(2)
            ? spread_directional(fractions, directions, grad, points_of(mesh), order)
            : Tensor(),
        Tensor()};
  }
};

// Trilinear in mesh, charges and the incoming gradient, which is the direction of what follows.
struct InterpolateGradient : torch::autograd::Function<InterpolateGradient> {
  static Tensor forward(AutogradContext *ctx, const Tensor &fractions, const Tensor &mesh,
                        const Tensor &charges, int64_t order) {
    ctx->save_for_backward({fractions, mesh, charges});
    ctx->saved_data["order"] = order;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return interpolate_gradient(fractions, mesh, charges, order);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const int64_t order = ctx->saved_data["order"].toInt();
    const Tensor &fractions = saved[0], &mesh = saved[1], &charges = saved[2];
    const Tensor &direction = grads[0];
    return {ctx->needs_input_grad(0)
                ? interpolate_gradient_directional(fractions, direction, mesh, charges, order)
                : Tensor(),
            ctx->needs_input_grad(1)
                ? spread_directional(fractions, direction, charges, points_of(mesh), order)
                : Tensor(),
            ctx->needs_input_grad(2) ? interpolate_directional(fractions, direction, mesh, order)
                                     : Tensor(),
            Tensor()};
  }
};

// One pass over the mesh where no graph is wanted; with one, the two ops that can be
// differentiated.
std::tuple<Tensor, Tensor> interpolate_with_gradient_autograd(const Tensor &fractions,
                                                              const Tensor &mesh,
                                                              const Tensor &charges,
                                                              int64_t order) {
  const bool graph = at::GradMode::is_enabled() &&
                     (fractions.requires_grad() || mesh.requires_grad() || charges.requires_grad());
  if (graph) {
    return {interpolate(fractions, mesh, order),
            interpolate_gradient(fractions, mesh, charges, order)};
  }
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  return interpolate_with_gradient(fractions, mesh, charges, order);
}

struct InterpolateGradientDirectional : torch::autograd::Function<InterpolateGradientDirectional> {
  static Tensor forward(AutogradContext *ctx, const Tensor &fractions, const Tensor &directions,
                        const Tensor &mesh, const Tensor &charges, int64_t order) {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return interpolate_gradient_directional(fractions, directions, mesh, charges, order);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    no_further_derivative("interpolate_gradient_directional");
  }
};

}  // namespace

TORCH_LIBRARY_IMPL(loremd, CPU, m) {
  m.impl("spread", spread_cpu);
  m.impl("spread_directional", spread_directional_cpu);
  m.impl("interpolate", interpolate_cpu);
  m.impl("interpolate_directional", interpolate_directional_cpu);
  m.impl("interpolate_gradient", interpolate_gradient_cpu);
  m.impl("interpolate_with_gradient", interpolate_with_gradient_cpu);
  m.impl("interpolate_gradient_directional", interpolate_gradient_directional_cpu);
}

TORCH_LIBRARY_IMPL(loremd, Meta, m) {
  m.impl("spread", spread_meta);
  m.impl("spread_directional", spread_directional_meta);
  m.impl("interpolate", interpolate_meta);
  m.impl("interpolate_directional", interpolate_directional_meta);
  m.impl("interpolate_gradient", interpolate_gradient_meta);
  m.impl("interpolate_with_gradient", interpolate_with_gradient_meta);
  m.impl("interpolate_gradient_directional", interpolate_gradient_directional_meta);
}

TORCH_LIBRARY_IMPL(loremd, Autograd, m) {
  m.impl("spread",
         [](const Tensor &fractions, const Tensor &charges, SymIntArrayRef mesh_shape,
            int64_t order) { return Spread::apply(fractions, charges, mesh_shape, order); });
  m.impl("spread_directional", [](const Tensor &fractions, const Tensor &directions,
                                  const Tensor &charges, SymIntArrayRef mesh_shape, int64_t order) {
    return SpreadDirectional::apply(fractions, directions, charges, mesh_shape, order);
  });
  m.impl("interpolate", [](const Tensor &fractions, const Tensor &mesh, int64_t order) {
    return Interpolate::apply(fractions, mesh, order);
  });
  m.impl("interpolate_directional",
         [](const Tensor &fractions, const Tensor &directions, const Tensor &mesh, int64_t order) {
           return InterpolateDirectional::apply(fractions, directions, mesh, order);
         });
  m.impl("interpolate_gradient",
         [](const Tensor &fractions, const Tensor &mesh, const Tensor &charges, int64_t order) {
           return InterpolateGradient::apply(fractions, mesh, charges, order);
         });
  m.impl("interpolate_with_gradient", interpolate_with_gradient_autograd);
  m.impl("interpolate_gradient_directional", [](const Tensor &fractions, const Tensor &directions,
                                                const Tensor &mesh, const Tensor &charges,
                                                int64_t order) {
    return InterpolateGradientDirectional::apply(fractions, directions, mesh, charges, order);
  });
}

}  // namespace loremd_torch
