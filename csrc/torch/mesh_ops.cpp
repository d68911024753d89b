// SPDX-License-Identifier: BSD-3-Clause
//
// spread, interpolate and their derivatives. With w the window weights, S = spread, I =
// interpolate: S and I are transposes, and the derivative of <m, S q> = <q, I m> by the fractions
// is interpolate_gradient(m, q). The directional ops have w replaced by (direction . d/dfraction) w
// and stand in the same relations to each other, which gives second derivatives; there it ends.
// All of them take the window as its Legendre terms; without, it is the B-spline of the order.
#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include "device_call.hpp"
#include "device_mesh.hpp"
#include "mesh/interpolate.hpp"
#include "mesh/spread.hpp"
#include "mesh_call.hpp"
#include "mesh_memory.hpp"
#include "mesh_points.hpp"
#include "support.hpp"

namespace loremd_torch {

Tensor spread(const Tensor &fractions, const Tensor &charges, SymIntArrayRef mesh_shape,
              int64_t order, const OptionalTensor &window) {
  LOREMD_CALL(spread, fractions, charges, mesh_shape, order, window);
}

Tensor spread_directional(const Tensor &fractions, const Tensor &directions, const Tensor &charges,
                          SymIntArrayRef mesh_shape, int64_t order, const OptionalTensor &window) {
  LOREMD_CALL(spread_directional, fractions, directions, charges, mesh_shape, order, window);
}

Tensor interpolate(const Tensor &fractions, const Tensor &mesh, int64_t order,
                   const OptionalTensor &window) {
  LOREMD_CALL(interpolate, fractions, mesh, order, window);
}

Tensor interpolate_directional(const Tensor &fractions, const Tensor &directions,
                               const Tensor &mesh, int64_t order, const OptionalTensor &window) {
  LOREMD_CALL(interpolate_directional, fractions, directions, mesh, order, window);
}

Tensor interpolate_gradient(const Tensor &fractions, const Tensor &mesh, const Tensor &charges,
                            int64_t order, const OptionalTensor &window) {
  LOREMD_CALL(interpolate_gradient, fractions, mesh, charges, order, window);
}

std::tuple<Tensor, Tensor> interpolate_with_gradient(const Tensor &fractions, const Tensor &mesh,
                                                     const Tensor &charges, int64_t order,
                                                     const OptionalTensor &window) {
  LOREMD_CALL(interpolate_with_gradient, fractions, mesh, charges, order, window);
}

Tensor interpolate_gradient_directional(const Tensor &fractions, const Tensor &directions,
                                        const Tensor &mesh, const Tensor &charges, int64_t order,
                                        const OptionalTensor &window) {
  LOREMD_CALL(interpolate_gradient_directional, fractions, directions, mesh, charges, order,
              window);
}

namespace {

// ---- checks ----

void check_points(const char *op, const Tensor &fractions, const Tensor &directions) {
  check_shape(op, "fractions", fractions, -1, 3);
  check_dtype(op, "fractions", fractions, at::kDouble);
  check_devices(op, {&fractions, &directions});
  if (!directions.defined()) return;
  check_shape(op, "directions", directions, fractions.size(0), 3);
  check_dtype(op, "directions", directions, at::kDouble);
}

void check_charges(const char *op, const Tensor &charges, int64_t atoms) {
  check_shape(op, "charges", charges, atoms, -1);
  check_floating(op, "charges", charges);
}

void check_mesh(const char *op, const Tensor &mesh) {
  TORCH_CHECK_VALUE(mesh.dim() == 4, "loremd::", op,
                    ": expected mesh of shape (nx, ny, nz, channels), got ", mesh.sizes());
  check_floating(op, "mesh", mesh);
}

// What the ops have in common; `directions` and `window` may be undefined.
struct Arguments {
  const char *op;
  Tensor fractions, directions;
  int64_t order;
  Tensor window;

  Arguments(const char *op, const Tensor &fractions, const Tensor &directions, int64_t order,
            const OptionalTensor &window)
      : op(op),
        fractions(fractions),
        directions(directions),
        order(order),
        window(series_of(op, "window", window)) {
    check_points(op, fractions, directions);
  }

  template <class T>
  Call<T> call(at::IntArrayRef points, int64_t channels) const {
    return {fractions, directions, {points[0], points[1], points[2]}, channels, order, window};
  }

  // The same on a device, with the derivatives that the op needs.
  template <class T>
  DeviceMesh<T> device_mesh(at::IntArrayRef points, int64_t channels, int derivatives) const {
    return {op,    fractions, {points[0], points[1], points[2]},           channels,
            order, window,    derivatives + (directions.defined() ? 1 : 0)};
  }
  Tensor contiguous_directions() const {
    return directions.defined() ? directions.contiguous() : Tensor();
  }

  // Calls body(call, mesh in its layout, ready to interpolate from).
  template <class T, class Body>
  void with_packed(const Tensor &mesh, Body &&body) const {
    run_core(op, [&] {
      const auto call = this->call<T>(mesh.sizes(), mesh.size(3));
      const Tensor packed = empty_mesh(call.shape().size(), mesh.options());
      pack_mesh<T>(call.shape(), mesh, packed);
      body(call, packed.const_data_ptr<T>());
    });
  }
};

// How a mesh that charges were spread on lies in memory, on any device: in the rows of the CPU's
// kernels, as a view, since a compact copy takes as long as half of the spreading.
loremd::MeshShape spread_layout(at::IntArrayRef mesh_shape, int64_t channels, int64_t order,
                                at::ScalarType dtype) {
  return loremd::mesh_layout({mesh_shape[0], mesh_shape[1], mesh_shape[2]}, channels,
                             static_cast<int>(order), static_cast<int>(c10::elementSize(dtype)));
}

// ---- on a device ----

Tensor spread_on_device(const Arguments &arguments, const Tensor &charges,
                        at::IntArrayRef mesh_shape) {
  Tensor result;
  AT_DISPATCH_FLOATING_TYPES(charges.scalar_type(), "spread", [&] {
    run_core(arguments.op, [&] {
      const auto mesh = arguments.device_mesh<scalar_t>(mesh_shape, charges.size(1), 0);
      const auto layout =
          spread_layout(mesh_shape, charges.size(1), arguments.order, charges.scalar_type());
      result = points_of_mesh(layout, empty_mesh(layout.size(), charges.options()));
      result.copy_(mesh.points_of(mesh.spread(charges, arguments.contiguous_directions())));
    });
  });
  return result;
}

void interpolate_on_device(const Arguments &arguments, const Tensor &from, Tensor &values) {
  AT_DISPATCH_FLOATING_TYPES(from.scalar_type(), "interpolate", [&] {
    run_core(arguments.op, [&] {
      const auto mesh = arguments.device_mesh<scalar_t>(from.sizes(), from.size(3), 0);
      mesh.interpolate(mesh.pack(from), arguments.contiguous_directions(), values);
    });
  });
}

// `values` may be undefined.
void gradient_on_device(const Arguments &arguments, const Tensor &from, const Tensor &charges,
                        Tensor values, Tensor &gradient) {
  AT_DISPATCH_FLOATING_TYPES(from.scalar_type(), "interpolate_gradient", [&] {
    run_core(arguments.op, [&] {
      const auto mesh = arguments.device_mesh<scalar_t>(from.sizes(), from.size(3), 1);
      const Tensor packed = mesh.pack(from);
      if (arguments.directions.defined()) {
        return mesh.gradient_along_directions(packed, arguments.contiguous_directions(), charges,
                                              gradient);
      }
      if (!values.defined()) values = at::empty(charges.sizes(), charges.options());
      Tensor field = at::empty({charges.size(0), 3, charges.size(1)}, charges.options());
      mesh.interpolate_field(packed, values, field);
      gradient.zero_();
      mesh.add_field_gradient(arguments.op, field, charges, gradient);
    });
  });
}

// ---- on any ----

Tensor spread_any(const Arguments &arguments, const Tensor &charges, at::IntArrayRef mesh_shape) {
  const char *op = arguments.op;
  check_charges(op, charges, arguments.fractions.size(0));
  const auto [nx, ny, nz] = mesh_points(arguments.op, mesh_shape);
  for (int64_t n : mesh_shape) {
    TORCH_CHECK_VALUE(n > 0, "loremd::", op, ": mesh shape ", mesh_shape,
                      " must be three positive numbers");
  }
  check_devices(op, {&arguments.fractions, &charges});
  const Tensor q = charges.contiguous();
  if constexpr (device_kernels) {
    if (on_device(charges)) return spread_on_device(arguments, q, mesh_shape);
  }
  if (charges.size(1) == 0) return at::empty({nx, ny, nz, 0}, charges.options());
  Tensor mesh;
  AT_DISPATCH_FLOATING_TYPES(charges.scalar_type(), "spread", [&] {
    run_core(op, [&] {
      const auto call = arguments.call<scalar_t>(mesh_shape, charges.size(1));
      const Tensor values = empty_mesh(call.shape().size(), charges.options());
      scalar_t *to = values.mutable_data_ptr<scalar_t>();
      call.for_each_slab(to, [&](const loremd::MeshCall<scalar_t> &part) {
        loremd::spread(part, q.const_data_ptr<scalar_t>(), to);
      });
      fold_all_halos(call.shape(), to);
      mesh = points_of_mesh(call.shape(), values);
    });
  });
  return mesh;
}

Tensor interpolate_any(const Arguments &arguments, const Tensor &mesh) {
  check_mesh(arguments.op, mesh);
  check_devices(arguments.op, {&arguments.fractions, &mesh});
  Tensor values = at::empty({arguments.fractions.size(0), mesh.size(3)}, mesh.options());
  if constexpr (device_kernels) {
    if (on_device(mesh)) {
      interpolate_on_device(arguments, mesh, values);
      return values;
    }
  }
  AT_DISPATCH_FLOATING_TYPES(mesh.scalar_type(), "interpolate", [&] {
    scalar_t *to = values.mutable_data_ptr<scalar_t>();
    arguments.with_packed<scalar_t>(mesh, [&](const auto &call, const scalar_t *from) {
      call.for_each_part([&](const auto &part) { loremd::interpolate(part, from, to); });
    });
  });
  return values;
}

// Returns values (undefined unless `with_values`) and gradient.
std::tuple<Tensor, Tensor> gradient_any(const Arguments &arguments, const Tensor &mesh,
                                        const Tensor &charges, bool with_values) {
  check_mesh(arguments.op, mesh);
  check_shape(arguments.op, "charges", charges, arguments.fractions.size(0), mesh.size(3));
  check_dtype(arguments.op, "charges", charges, mesh.scalar_type());
  check_devices(arguments.op, {&arguments.fractions, &mesh, &charges});
  const Tensor q = charges.contiguous();
  Tensor gradient = at::empty(arguments.fractions.sizes(), arguments.fractions.options());
  Tensor values = with_values ? at::empty(q.sizes(), q.options()) : Tensor();
  if constexpr (device_kernels) {
    if (on_device(mesh)) {
      gradient_on_device(arguments, mesh, q, values, gradient);
      return {values, gradient};
    }
  }
  AT_DISPATCH_FLOATING_TYPES(mesh.scalar_type(), "interpolate_gradient", [&] {
    const scalar_t *with = q.const_data_ptr<scalar_t>();
    scalar_t *values_to = with_values ? values.mutable_data_ptr<scalar_t>() : nullptr;
    double *to = gradient.mutable_data_ptr<double>();
    arguments.with_packed<scalar_t>(mesh, [&](const auto &call, const scalar_t *from) {
      call.for_each_part(
          [&](const auto &part) { loremd::interpolate_gradient(part, from, with, values_to, to); });
    });
  });
  return {values, gradient};
}

Tensor spread_kernel(const Tensor &fractions, const Tensor &charges, at::IntArrayRef mesh_shape,
                     int64_t order, const OptionalTensor &window) {
  return spread_any({"spread", fractions, {}, order, window}, charges, mesh_shape);
}

Tensor spread_directional_kernel(const Tensor &fractions, const Tensor &directions,
                                 const Tensor &charges, at::IntArrayRef mesh_shape, int64_t order,
                                 const OptionalTensor &window) {
  return spread_any({"spread_directional", fractions, directions, order, window}, charges,
                    mesh_shape);
}

Tensor interpolate_kernel(const Tensor &fractions, const Tensor &mesh, int64_t order,
                          const OptionalTensor &window) {
  return interpolate_any({"interpolate", fractions, {}, order, window}, mesh);
}

Tensor interpolate_directional_kernel(const Tensor &fractions, const Tensor &directions,
                                      const Tensor &mesh, int64_t order,
                                      const OptionalTensor &window) {
  return interpolate_any({"interpolate_directional", fractions, directions, order, window}, mesh);
}

Tensor interpolate_gradient_kernel(const Tensor &fractions, const Tensor &mesh,
                                   const Tensor &charges, int64_t order,
                                   const OptionalTensor &window) {
  return std::get<1>(
      gradient_any({"interpolate_gradient", fractions, {}, order, window}, mesh, charges, false));
}

std::tuple<Tensor, Tensor> interpolate_with_gradient_kernel(const Tensor &fractions,
                                                            const Tensor &mesh,
                                                            const Tensor &charges, int64_t order,
                                                            const OptionalTensor &window) {
  return gradient_any({"interpolate_with_gradient", fractions, {}, order, window}, mesh, charges,
                      true);
}

Tensor interpolate_gradient_directional_kernel(const Tensor &fractions, const Tensor &directions,
                                               const Tensor &mesh, const Tensor &charges,
                                               int64_t order, const OptionalTensor &window) {
  return std::get<1>(
      gradient_any({"interpolate_gradient_directional", fractions, directions, order, window}, mesh,
                   charges, false));
}

// ---- shapes without data ----

Tensor spread_meta(const Tensor &fractions, const Tensor &charges, SymIntArrayRef mesh_shape,
                   int64_t order, const OptionalTensor &window) {
  const auto [nx, ny, nz] = mesh_points("spread", C10_AS_INTARRAYREF_SLOW(mesh_shape));
  const int64_t channels = charges.sym_size(1).guard_int(__FILE__, __LINE__);
  if (channels == 0) return charges.new_empty({nx, ny, nz, 0});
  Tensor mesh;
  run_core("spread", [&] {
    const auto layout = spread_layout({nx, ny, nz}, channels, order, charges.scalar_type());
    mesh = points_of_mesh(layout, charges.new_empty({layout.size()}));
  });
  return mesh;
}

Tensor spread_directional_meta(const Tensor &fractions, const Tensor &directions,
                               const Tensor &charges, SymIntArrayRef mesh_shape, int64_t order,
                               const OptionalTensor &window) {
  return spread_meta(fractions, charges, mesh_shape, order, window);
}

Tensor interpolate_meta(const Tensor &fractions, const Tensor &mesh, int64_t order,
                        const OptionalTensor &window) {
  return mesh.new_empty_symint({fractions.sym_size(0), mesh.sym_size(3)});
}

Tensor interpolate_directional_meta(const Tensor &fractions, const Tensor &directions,
                                    const Tensor &mesh, int64_t order,
                                    const OptionalTensor &window) {
  return interpolate_meta(fractions, mesh, order, window);
}

Tensor interpolate_gradient_meta(const Tensor &fractions, const Tensor &mesh, const Tensor &charges,
                                 int64_t order, const OptionalTensor &window) {
  return at::empty_like(fractions);
}

std::tuple<Tensor, Tensor> interpolate_with_gradient_meta(const Tensor &fractions,
                                                          const Tensor &mesh, const Tensor &charges,
                                                          int64_t order,
                                                          const OptionalTensor &window) {
  return {at::empty_like(charges), at::empty_like(fractions)};
}

Tensor interpolate_gradient_directional_meta(const Tensor &fractions, const Tensor &directions,
                                             const Tensor &mesh, const Tensor &charges,
                                             int64_t order, const OptionalTensor &window) {
  return at::empty_like(fractions);
}

// ---- derivatives ----

SymIntArrayRef points_of(const Tensor &mesh) {
  return mesh.sym_sizes().slice(0, 3);
}

struct Spread : torch::autograd::Function<Spread> {
  static Tensor forward(AutogradContext *ctx, const Tensor &fractions, const Tensor &charges,
                        SymIntArrayRef mesh_shape, int64_t order, const OptionalTensor &window) {
    ctx->save_for_backward({fractions, charges});
    ctx->saved_data["order"] = order;
    ctx->saved_data["window"] = window;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return spread(fractions, charges, mesh_shape, order, window);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const int64_t order = ctx->saved_data["order"].toInt();
    const auto window = ctx->saved_data["window"].toOptional<Tensor>();
    const Tensor &fractions = saved[0], &charges = saved[1], &grad = grads[0];
    return {ctx->needs_input_grad(0) ? interpolate_gradient(fractions, grad, charges, order, window)
                                     : Tensor(),
            ctx->needs_input_grad(1) ? interpolate(fractions, grad, order, window) : Tensor(),
            Tensor(), Tensor(), Tensor()};
  }
};

struct SpreadDirectional : torch::autograd::Function<SpreadDirectional> {
  static Tensor forward(AutogradContext *ctx, const Tensor &fractions, const Tensor &directions,
                        const Tensor &charges, SymIntArrayRef mesh_shape, int64_t order,
                        const OptionalTensor &window) {
    ctx->save_for_backward({fractions, directions, charges});
    ctx->saved_data["order"] = order;
    ctx->saved_data["window"] = window;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return spread_directional(fractions, directions, charges, mesh_shape, order, window);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const int64_t order = ctx->saved_data["order"].toInt();
    const auto window = ctx->saved_data["window"].toOptional<Tensor>();
    const Tensor &fractions = saved[0], &directions = saved[1], &charges = saved[2];
    const Tensor &grad = grads[0];
    return {ctx->needs_input_grad(0) ? interpolate_gradient_directional(fractions, directions, grad,
                                                                        charges, order, window)
                                     : Tensor(),
            ctx->needs_input_grad(1) ? interpolate_gradient(fractions, grad, charges, order, window)
                                     : Tensor(),
            ctx->needs_input_grad(2)
                ? interpolate_directional(fractions, directions, grad, order, window)
                : Tensor(),
            Tensor(),
            Tensor(),
            Tensor()};
  }
};

struct Interpolate : torch::autograd::Function<Interpolate> {
  static Tensor forward(AutogradContext *ctx, const Tensor &fractions, const Tensor &mesh,
                        int64_t order, const OptionalTensor &window) {
    ctx->save_for_backward({fractions, mesh});
    ctx->saved_data["order"] = order;
    ctx->saved_data["window"] = window;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return interpolate(fractions, mesh, order, window);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const int64_t order = ctx->saved_data["order"].toInt();
    const auto window = ctx->saved_data["window"].toOptional<Tensor>();
    const Tensor &fractions = saved[0], &mesh = saved[1], &grad = grads[0];
    return {ctx->needs_input_grad(0) ? interpolate_gradient(fractions, mesh, grad, order, window)
                                     : Tensor(),
            ctx->needs_input_grad(1) ? spread(fractions, grad, points_of(mesh), order, window)
                                     : Tensor(),
            Tensor(), Tensor()};
  }
};

struct InterpolateDirectional : torch::autograd::Function<InterpolateDirectional> {
  static Tensor forward(AutogradContext *ctx, const Tensor &fractions, const Tensor &directions,
                        const Tensor &mesh, int64_t order, const OptionalTensor &window) {
    ctx->save_for_backward({fractions, directions, mesh});
    ctx->saved_data["order"] = order;
    ctx->saved_data["window"] = window;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return interpolate_directional(fractions, directions, mesh, order, window);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const int64_t order = ctx->saved_data["order"].toInt();
    const auto window = ctx->saved_data["window"].toOptional<Tensor>();
    const Tensor &fractions = saved[0], &directions = saved[1], &mesh = saved[2];
    const Tensor &grad = grads[0];
    return {ctx->needs_input_grad(0)
                ? interpolate_gradient_directional(fractions, directions, mesh, grad, order, window)
                : Tensor(),
            ctx->needs_input_grad(1) ? interpolate_gradient(fractions, mesh, grad, order, window)
                                     : Tensor(),
            ctx->needs_input_grad(2)
                ? spread_directional(fractions, directions, grad, points_of(mesh), order, window)
                : Tensor(),
            Tensor(), Tensor()};
  }
};

// Trilinear in mesh, charges and the incoming gradient, which is the direction of what follows.
struct InterpolateGradient : torch::autograd::Function<InterpolateGradient> {
  static Tensor forward(AutogradContext *ctx, const Tensor &fractions, const Tensor &mesh,
                        const Tensor &charges, int64_t order, const OptionalTensor &window) {
    ctx->save_for_backward({fractions, mesh, charges});
    ctx->saved_data["order"] = order;
    ctx->saved_data["window"] = window;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return interpolate_gradient(fractions, mesh, charges, order, window);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const int64_t order = ctx->saved_data["order"].toInt();
    const auto window = ctx->saved_data["window"].toOptional<Tensor>();
    const Tensor &fractions = saved[0], &mesh = saved[1], &charges = saved[2];
    const Tensor &direction = grads[0];
    return {ctx->needs_input_grad(0) ? interpolate_gradient_directional(fractions, direction, mesh,
                                                                        charges, order, window)
                                     : Tensor(),
            ctx->needs_input_grad(1)
                ? spread_directional(fractions, direction, charges, points_of(mesh), order, window)
                : Tensor(),
            ctx->needs_input_grad(2)
                ? interpolate_directional(fractions, direction, mesh, order, window)
                : Tensor(),
            Tensor(), Tensor()};
  }
};

// One pass over the mesh where no graph is wanted; with one, the two ops that can be
// differentiated.
std::tuple<Tensor, Tensor> interpolate_with_gradient_autograd(const Tensor &fractions,
                                                              const Tensor &mesh,
                                                              const Tensor &charges, int64_t order,
                                                              const OptionalTensor &window) {
  if (need_gradients({fractions, mesh, charges})) {
    return {interpolate(fractions, mesh, order, window),
            interpolate_gradient(fractions, mesh, charges, order, window)};
  }
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  return interpolate_with_gradient(fractions, mesh, charges, order, window);
}

struct InterpolateGradientDirectional : torch::autograd::Function<InterpolateGradientDirectional> {
  static Tensor forward(AutogradContext *ctx, const Tensor &fractions, const Tensor &directions,
                        const Tensor &mesh, const Tensor &charges, int64_t order,
                        const OptionalTensor &window) {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return interpolate_gradient_directional(fractions, directions, mesh, charges, order, window);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    no_further_derivative("interpolate_gradient_directional");
  }
};

}  // namespace

LOREMD_KERNELS(m) {
  m.impl("spread", spread_kernel);
  m.impl("spread_directional", spread_directional_kernel);
  m.impl("interpolate", interpolate_kernel);
  m.impl("interpolate_directional", interpolate_directional_kernel);
  m.impl("interpolate_gradient", interpolate_gradient_kernel);
  m.impl("interpolate_with_gradient", interpolate_with_gradient_kernel);
  m.impl("interpolate_gradient_directional", interpolate_gradient_directional_kernel);
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
  m.impl("spread", [](const Tensor &fractions, const Tensor &charges, SymIntArrayRef mesh_shape,
                      int64_t order, const OptionalTensor &window) {
    return Spread::apply(fractions, charges, mesh_shape, order, window);
  });
  m.impl("spread_directional", [](const Tensor &fractions, const Tensor &directions,
                                  const Tensor &charges, SymIntArrayRef mesh_shape, int64_t order,
                                  const OptionalTensor &window) {
    return SpreadDirectional::apply(fractions, directions, charges, mesh_shape, order, window);
  });
  m.impl("interpolate", [](const Tensor &fractions, const Tensor &mesh, int64_t order,
                           const OptionalTensor &window) {
    return Interpolate::apply(fractions, mesh, order, window);
  });
  m.impl("interpolate_directional",
         [](const Tensor &fractions, const Tensor &directions, const Tensor &mesh, int64_t order,
            const OptionalTensor &window) {
           return InterpolateDirectional::apply(fractions, directions, mesh, order, window);
         });
  m.impl("interpolate_gradient",
         [](const Tensor &fractions, const Tensor &mesh, const Tensor &charges, int64_t order,
            const OptionalTensor &window) {
           return InterpolateGradient::apply(fractions, mesh, charges, order, window);
         });
  m.impl("interpolate_with_gradient", interpolate_with_gradient_autograd);
  m.impl("interpolate_gradient_directional",
         [](const Tensor &fractions, const Tensor &directions, const Tensor &mesh,
            const Tensor &charges, int64_t order, const OptionalTensor &window) {
           return InterpolateGradientDirectional::apply(fractions, directions, mesh, charges, order,
                                                        window);
         });
}

}  // namespace loremd_torch
