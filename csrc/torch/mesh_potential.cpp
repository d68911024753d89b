// SPDX-License-Identifier: BSD-3-Clause
//
// The smooth part of the potentials in one op, charges to potentials, with everything between them
// on meshes that nobody else sees: in the layout of the kernels, and convolved in place. Equal to
//
//   interpolate(convolve(spread(charges))) + own charges + uniform (sum of the charges)
//
// which its second derivatives go through.
//
// On several ranks, `convolve` is where they exchange meshes (distributed_mesh.hpp).
//
//   forward    sort the atoms | spread charges | convolve | interpolate values and field (n, 3, C),
//              on the CPU in the order of the visit
//   backward   spread the gradient g | convolve | interpolate
//     by charges     the values interpolated: the map is symmetric
//     by fractions   g . field  +  gradient of the second mesh with the charges
//     by influence   correlation of both spectra
//     by uniform     product of both sums
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <ATen/TensorOperators.h>
#include <torch/library.h>

#include "device_call.hpp"
#include "mesh/charge_terms.hpp"
#include "mesh_memory.hpp"
#include "meshes.hpp"
#include "support.hpp"

namespace loremd_torch {

#define LOREMD_MESH_ARGUMENTS                                                               \
  const Tensor &fractions, const Tensor &charges, const Tensor &influence,                  \
      SymIntArrayRef mesh_shape, int64_t order, const OptionalTensor &window, int64_t comm, \
      double own, const OptionalTensor &uniform

Tensor mesh_potential(LOREMD_MESH_ARGUMENTS) {
  LOREMD_CALL(mesh_potential, fractions, charges, influence, mesh_shape, order, window, comm, own,
              uniform);
}

std::tuple<Tensor, Tensor, Tensor, Tensor> mesh_potential_forward(LOREMD_MESH_ARGUMENTS,
                                                                  bool with_field,
                                                                  bool with_spectrum) {
  LOREMD_CALL(mesh_potential_forward, fractions, charges, influence, mesh_shape, order, window,
              comm, own, uniform, with_field, with_spectrum);
}

std::tuple<Tensor, Tensor, Tensor, Tensor> mesh_potential_backward(
    LOREMD_MESH_ARGUMENTS, const Tensor &field, const Tensor &spectrum, const Tensor &visits,
    const Tensor &grad, bool with_uniform) {
  LOREMD_CALL(mesh_potential_backward, fractions, charges, influence, mesh_shape, order, window,
              comm, own, uniform, field, spectrum, visits, grad, with_uniform);
}

Tensor mesh_energy(LOREMD_MESH_ARGUMENTS) {
  LOREMD_CALL(mesh_energy, fractions, charges, influence, mesh_shape, order, window, comm, own,
              uniform);
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> mesh_energy_forward(LOREMD_MESH_ARGUMENTS,
                                                                       bool with_correlation) {
  LOREMD_CALL(mesh_energy_forward, fractions, charges, influence, mesh_shape, order, window, comm,
              own, uniform, with_correlation);
}

namespace {

OptionalTensor on_host(const OptionalTensor &tensor) {
  return tensor ? OptionalTensor(tensor->cpu()) : tensor;
}

int64_t mesh_bytes_any() {
  return most_mesh_bytes();
}

int64_t visit_integers_of(at::ScalarType dtype) {
  return dtype == at::kDouble ? visit_integers<double> : visit_integers<float>;
}

// Parts that nobody wants are empty.
Tensor none(const Tensor &like) {
  return at::empty({0}, like.options());
}

// For a derivative by fractions that kernels overwrite; where there are no channels, nothing does.
Tensor empty_gradient(const Tensor &fractions, const Tensor &charges) {
  Tensor gradient = empty_large(fractions.sizes(), fractions.options());
  return charges.size(1) == 0 ? gradient.zero_() : gradient;
}

// (channels,) float64: the charges of all atoms of all ranks.
Tensor total_charges(const Tensor &charges, int64_t comm) {
  if (!charges.device().is_cpu()) return sum_over_ranks(charges.sum(0, false, at::kDouble), comm);
  const int64_t channels = charges.size(1);
  Tensor totals = at::zeros({channels}, charges.options().dtype(at::kDouble));
  const Tensor q = charges.contiguous();
  AT_DISPATCH_FLOATING_TYPES(charges.scalar_type(), "total_charges", [&] {
    loremd::add_totals(q.size(0), static_cast<int>(channels), q.const_data_ptr<scalar_t>(),
                       totals.mutable_data_ptr<double>());
  });
  return sum_over_ranks(totals, comm);
}

// Scalar, float64.
Tensor sum_of_products(const Tensor &charges, const Tensor &values) {
  if (!charges.device().is_cpu()) return (charges * values).sum(at::kDouble);
  const Tensor q = charges.contiguous();
  Tensor sum = at::empty({}, q.options().dtype(at::kDouble));
  AT_DISPATCH_FLOATING_TYPES(q.scalar_type(), "sum_of_products", [&] {
    *sum.mutable_data_ptr<double>() = loremd::sum_of_products(
        q.numel(), q.const_data_ptr<scalar_t>(), values.const_data_ptr<scalar_t>());
  });
  return sum;
}

void check_uniform(const char *op, const OptionalTensor &uniform) {
  if (!uniform || !uniform->defined()) return;
  TORCH_CHECK_VALUE(uniform->dim() == 0 && uniform->scalar_type() == at::kDouble, "loremd::", op,
                    ": expected uniform to be one number of dtype float64, got shape ",
                    uniform->sizes(), " and dtype ", uniform->scalar_type());
}

// own charges + uniform (sum of the charges), as far as they are wanted, and that sum, undefined
// where there is no `uniform`. All ranks call it together.
std::tuple<Terms, Tensor> charge_terms(const Tensor &charges, double own,
                                       const OptionalTensor &uniform, int64_t comm) {
  const bool has_uniform = uniform && uniform->defined();
  if (!has_uniform && own == 0.0) return {};
  const Tensor total = has_uniform ? total_charges(charges, comm) : Tensor();
  const Tensor background = has_uniform ? (*uniform * total).to(charges.scalar_type())
                                        : at::zeros({charges.size(1)}, charges.options());
  return {Terms{charges.contiguous(), own, background}, total};
}

// Several ranks exchange meshes through the memory of the host, and work on them there.
bool goes_through_host(const char *op, const Tensor &charges, int64_t comm) {
  return !charges.device().is_cpu() && on_several_ranks(op, comm);
}

std::tuple<Tensor, Tensor, Tensor, Tensor> mesh_potential_forward_kernel(
    const Tensor &fractions, const Tensor &charges, const Tensor &influence,
    at::IntArrayRef mesh_shape, int64_t order, const OptionalTensor &window, int64_t comm,
    double own, const OptionalTensor &uniform, bool with_field, bool with_spectrum) {
  if (goes_through_host("mesh_potential", charges, comm)) {
    const auto [values, field, spectrum, visits] = mesh_potential_forward_kernel(
        fractions.cpu(), charges.cpu(), influence.cpu(), mesh_shape, order, window, comm, own,
        on_host(uniform), with_field, with_spectrum);
    return {values.to(charges.device()), field.to(charges.device()), spectrum.to(charges.device()),
            visits.to(charges.device())};
  }
  check_uniform("mesh_potential", uniform);
  const int64_t n = charges.size(0), channels = charges.size(1);
  Tensor values = empty_large({n, channels}, charges.options());
  Tensor field = with_field ? empty_large({n, 3, channels}, charges.options()) : none(charges);
  Tensor spectrum;
  // any where there are no channels, and so no mesh
  Tensor visits = at::zeros({channels == 0 ? n : 0, visit_integers_of(charges.scalar_type())},
                            charges.options().dtype(at::kInt));
  most_mesh_bytes() = 0;
  const auto [terms, total] = charge_terms(charges, own, uniform, comm);
  with_meshes("mesh_potential", fractions, charges, influence, mesh_shape, order, window, comm, {},
              [&](auto &meshes) {
                visits = meshes.visits();
                meshes.convolution().keep_spectrum = with_spectrum;
                meshes.for_each_turn([&] {
                  const Tensor mesh = meshes.spread(charges);
                  meshes.convolve(mesh);
                  if (with_field) {
                    meshes.interpolate_field(mesh, terms, values, field);
                  } else {
                    meshes.interpolate(mesh, terms, values);
                  }
                });
                spectrum = meshes.spectrum();
              });
  return {values, field, spectrum.defined() ? spectrum : none(charges), visits};
}

Tensor mesh_potential_kernel(const Tensor &fractions, const Tensor &charges,
                             const Tensor &influence, at::IntArrayRef mesh_shape, int64_t order,
                             const OptionalTensor &window, int64_t comm, double own,
                             const OptionalTensor &uniform) {
  return std::get<0>(mesh_potential_forward_kernel(fractions, charges, influence, mesh_shape, order,
                                                   window, comm, own, uniform, false, false));
}

std::tuple<Tensor, Tensor, Tensor, Tensor> mesh_potential_backward_kernel(
    const Tensor &fractions, const Tensor &charges, const Tensor &influence,
    at::IntArrayRef mesh_shape, int64_t order, const OptionalTensor &window, int64_t comm,
    double own, const OptionalTensor &uniform, const Tensor &field, const Tensor &spectrum,
    const Tensor &visits, const Tensor &grad, bool with_uniform) {
  const char *op = "mesh_potential_backward";
  if (goes_through_host(op, charges, comm)) {
    const auto [by_fractions, by_charges, by_influence, by_uniform] =
        mesh_potential_backward_kernel(fractions.cpu(), charges.cpu(), influence.cpu(), mesh_shape,
                                       order, window, comm, own, on_host(uniform), field.cpu(),
                                       spectrum.cpu(), visits.cpu(), grad.cpu(), with_uniform);
    return {by_fractions.to(charges.device()), by_charges.to(charges.device()),
            by_influence.to(charges.device()), by_uniform.to(charges.device())};
  }
  check_uniform(op, uniform);
  check_shape(op, "grad", grad, charges.size(0), charges.size(1));
  check_dtype(op, "grad", grad, charges.scalar_type());
  const int64_t integers = visit_integers_of(charges.scalar_type());
  TORCH_CHECK_VALUE(visits.sizes() == at::IntArrayRef({charges.size(0), integers}) &&
                        visits.scalar_type() == at::kInt && visits.is_contiguous(),
                    "loremd::", op, ": expected visits of shape (", charges.size(0), ", ", integers,
                    ") and dtype int32, contiguous, from the forward, got ", visits.sizes(),
                    " and ", visits.scalar_type());
  Tensor by_charges = empty_large(charges.sizes(), charges.options());
  Tensor by_fractions = field.dim() == 3 ? empty_gradient(fractions, charges) : none(fractions);
  Tensor by_influence = none(influence), by_uniform = none(fractions);
  const auto [terms, total] = charge_terms(grad, own, uniform, comm);
  with_meshes(op, fractions, charges, influence, mesh_shape, order, window, comm, visits,
              [&](auto &meshes) {
                if (spectrum.numel() > 0) {
                  auto &convolution = meshes.convolution();
                  convolution.other = spectrum;
                  convolution.correlation = at::zeros_like(convolution.influence);
                }
                meshes.for_each_turn([&] {
                  const Tensor mesh = meshes.spread(grad);
                  meshes.convolve(mesh);
                  if (field.dim() == 3) {
                    meshes.interpolate_gradient(mesh, charges, terms, by_charges, by_fractions,
                                                field, grad);
                  } else {
                    meshes.interpolate(mesh, terms, by_charges);
                  }
                });
                if (spectrum.numel() > 0) by_influence = meshes.by_influence(influence);
                if (field.dim() == 3) meshes.by_fractions(by_fractions);
              });
  // of all ranks together
  if (total.defined() && with_uniform) by_uniform = (total * total_charges(charges, 0)).sum();
  return {by_fractions, by_charges, by_influence, by_uniform};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> mesh_energy_forward_kernel(
    const Tensor &fractions, const Tensor &charges, const Tensor &influence,
    at::IntArrayRef mesh_shape, int64_t order, const OptionalTensor &window, int64_t comm,
    double own, const OptionalTensor &uniform, bool with_correlation) {
  TORCH_CHECK_VALUE(comm == 0, "loremd::mesh_energy runs in one process: comm must be 0, got ",
                    comm, "; use mesh_potential");
  check_uniform("mesh_energy", uniform);
  Tensor values = empty_large(charges.sizes(), charges.options());
  Tensor gradient = empty_gradient(fractions, charges);
  Tensor correlation =
      with_correlation ? at::zeros(influence.sizes(), influence.options()) : none(influence);
  const auto [terms, total] = charge_terms(charges, own, uniform, comm);
  with_meshes("mesh_energy", fractions, charges, influence, mesh_shape, order, window, comm, {},
              [&](auto &meshes) {
                if (with_correlation) meshes.convolution().correlation = correlation;
                const Tensor mesh = meshes.spread(charges);
                meshes.convolve(mesh);
                meshes.interpolate_gradient(mesh, charges, terms, values, gradient);
              });
  return {sum_of_products(charges, values), values, gradient, correlation,
          total.defined() ? total.square().sum() : none(fractions)};
}

Tensor mesh_energy_kernel(const Tensor &fractions, const Tensor &charges, const Tensor &influence,
                          at::IntArrayRef mesh_shape, int64_t order, const OptionalTensor &window,
                          int64_t comm, double own, const OptionalTensor &uniform) {
  return std::get<0>(mesh_energy_forward_kernel(fractions, charges, influence, mesh_shape, order,
                                                window, comm, own, uniform, false));
}

// ---- shapes without data ----

Tensor mesh_potential_meta(LOREMD_MESH_ARGUMENTS) {
  return at::empty_like(charges, at::MemoryFormat::Contiguous);
}

Tensor spectrum_meta(const Tensor &charges, SymIntArrayRef mesh_shape, int64_t order) {
  const auto points = mesh_points("mesh_potential", C10_AS_INTARRAYREF_SLOW(mesh_shape));
  const int64_t channels = charges.size(1);
  if (channels == 1) {
    return at::empty({points[0], points[1], points[2] / 2 + 1},
                     charges.options().dtype(c10::toComplexType(charges.scalar_type())));
  }
  const auto bytes = static_cast<int>(charges.element_size());
  const auto shape = loremd::mesh_layout(points, channels, static_cast<int>(order), bytes);
  return at::empty({shape.size()}, charges.options());
}

std::tuple<Tensor, Tensor, Tensor, Tensor> mesh_potential_forward_meta(LOREMD_MESH_ARGUMENTS,
                                                                       bool with_field,
                                                                       bool with_spectrum) {
  return {at::empty_like(charges, at::MemoryFormat::Contiguous),
          with_field ? charges.new_empty_symint({charges.sym_size(0), 3, charges.sym_size(1)})
                     : none(charges),
          with_spectrum ? spectrum_meta(charges, mesh_shape, order) : none(charges),
          charges.new_empty_symint({charges.sym_size(0), visit_integers_of(charges.scalar_type())},
                                   at::kInt)};
}

Tensor by_uniform_meta(const Tensor &fractions, const OptionalTensor &uniform) {
  return uniform && uniform->defined() ? at::empty({}, fractions.options()) : none(fractions);
}

std::tuple<Tensor, Tensor, Tensor, Tensor> mesh_potential_backward_meta(
    LOREMD_MESH_ARGUMENTS, const Tensor &field, const Tensor &spectrum, const Tensor &,
    const Tensor &, bool with_uniform) {
  return {field.dim() == 3 ? at::empty_like(fractions) : none(fractions),
          at::empty_like(charges, at::MemoryFormat::Contiguous),
          spectrum.dim() == 1 && spectrum.sym_size(0) == 0 ? none(influence)
                                                           : at::empty_like(influence),
          with_uniform ? by_uniform_meta(fractions, uniform) : none(fractions)};
}

Tensor mesh_energy_meta(LOREMD_MESH_ARGUMENTS) {
  return at::empty({}, charges.options().dtype(at::kDouble));
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> mesh_energy_forward_meta(LOREMD_MESH_ARGUMENTS,
                                                                            bool with_correlation) {
  return {at::empty({}, charges.options().dtype(at::kDouble)),
          at::empty_like(charges, at::MemoryFormat::Contiguous), at::empty_like(fractions),
          with_correlation ? at::empty_like(influence) : none(influence),
          by_uniform_meta(fractions, uniform)};
}

// ---- derivatives ----

// The arguments without derivatives, as they travel to the backward.
struct MeshArguments {
  std::vector<SymInt> mesh_shape;
  int64_t order, comm;
  double own;
  OptionalTensor window;

  MeshArguments(SymIntArrayRef mesh_shape, int64_t order, const OptionalTensor &window,
                int64_t comm, double own)
      : mesh_shape(mesh_shape.begin(), mesh_shape.end()),
        order(order),
        comm(comm),
        own(own),
        window(window) {}
  explicit MeshArguments(AutogradContext *ctx)
      : order(ctx->saved_data["order"].toInt()),
        comm(ctx->saved_data["comm"].toInt()),
        own(ctx->saved_data["own"].toDouble()),
        window(ctx->saved_data["window"].toOptional<Tensor>()) {
    for (int a = 0; a < 3; ++a) {
      mesh_shape.push_back(ctx->saved_data["n" + std::to_string(a)].toSymInt());
    }
  }
  void save(AutogradContext *ctx) const {
    for (int a = 0; a < 3; ++a) ctx->saved_data["n" + std::to_string(a)] = mesh_shape.at(a);
    ctx->saved_data["order"] = order;
    ctx->saved_data["comm"] = comm;
    ctx->saved_data["own"] = own;
    ctx->saved_data["window"] = window;
  }
};

#define LOREMD_PASS(a) (a).mesh_shape, (a).order, (a).window, (a).comm, (a).own

Tensor wanted(AutogradContext *ctx, int input, const Tensor &gradient) {
  return ctx->needs_input_grad(input) ? gradient : Tensor();
}

OptionalTensor optional(const Tensor &tensor) {
  return tensor.defined() ? OptionalTensor(tensor) : OptionalTensor();
}
Tensor or_none(const OptionalTensor &tensor) {
  return tensor ? *tensor : Tensor();
}

// `uniform` is input 3 where there is one.
bool wants_uniform(AutogradContext *ctx, const Tensor &uniform) {
  return uniform.defined() && ctx->needs_input_grad(3);
}

// What charge_terms add in one process, and its derivative by `uniform`, with derivatives.
Tensor with_charge_terms(const Tensor &values, const Tensor &charges, double own,
                         const Tensor &uniform) {
  const Tensor sum = values + own * charges;
  return uniform.defined() ? sum + uniform.to(values.scalar_type()) * charges.sum(0) : sum;
}
Tensor product_of_sums(const Tensor &charges, const Tensor &grad) {
  return (charges.sum(0, false, at::kDouble) * grad.sum(0, false, at::kDouble)).sum();
}

struct MeshPotential : torch::autograd::Function<MeshPotential> {
  static Tensor forward(AutogradContext *ctx, const Tensor &fractions, const Tensor &charges,
                        const Tensor &influence, const OptionalTensor &uniform,
                        const MeshArguments &a) {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    auto [values, field, spectrum, visits] =
        mesh_potential_forward(fractions, charges, influence, LOREMD_PASS(a), uniform,
                               fractions.requires_grad(), influence.requires_grad());
    ctx->save_for_backward(
        {fractions, charges, influence, or_none(uniform), field, spectrum, visits});
    a.save(ctx);
    return values;
  }

  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const MeshArguments a(ctx);
    const auto saved = ctx->get_saved_variables();
    if (at::GradMode::is_enabled()) return differentiable_backward(ctx, a, saved, grads[0]);
    auto [by_fractions, by_charges, by_influence, by_uniform] = mesh_potential_backward(
        saved[0], saved[1], saved[2], LOREMD_PASS(a), optional(saved[3]), saved[4], saved[5],
        saved[6], grads[0], wants_uniform(ctx, saved[3]));
    // a rank without frequencies has no spectrum, either
    if (ctx->needs_input_grad(2) && by_influence.dim() != saved[2].dim()) {
      by_influence = at::zeros_like(saved[2]);
    }
    return {wanted(ctx, 0, by_fractions), wanted(ctx, 1, by_charges), wanted(ctx, 2, by_influence),
            wants_uniform(ctx, saved[3]) ? by_uniform : Tensor(), Tensor()};
  }

  // The same from ops that have derivatives of their own.
  static variable_list differentiable_backward(AutogradContext *ctx, const MeshArguments &a,
                                               const variable_list &saved, const Tensor &grad) {
    const char *op = "mesh_potential";
    TORCH_CHECK_NOT_IMPLEMENTED(!on_several_ranks(op, a.comm), "loremd::", op,
                                ": second derivatives run in one process, comm must be 0");
    const Tensor &fractions = saved[0], &charges = saved[1], &influence = saved[2];
    const Tensor spread_grad = spread(fractions, grad, a.mesh_shape, a.order, a.window);
    const Tensor mesh = spread(fractions, charges, a.mesh_shape, a.order, a.window);
    const Tensor grad_potential = convolve(spread_grad, influence);
    Tensor by_fractions, by_charges, by_influence, by_uniform;
    if (ctx->needs_input_grad(0)) {
      by_fractions =
          interpolate_gradient(fractions, convolve(mesh, influence), grad, a.order, a.window) +
          interpolate_gradient(fractions, grad_potential, charges, a.order, a.window);
    }
    if (ctx->needs_input_grad(1)) {
      by_charges = with_charge_terms(interpolate(fractions, grad_potential, a.order, a.window),
                                     grad, a.own, saved[3]);
    }
    if (ctx->needs_input_grad(2)) by_influence = correlate(spread_grad, mesh);
    if (wants_uniform(ctx, saved[3])) by_uniform = product_of_sums(charges, grad);
    return {by_fractions, by_charges, by_influence, by_uniform, Tensor()};
  }
};

struct MeshEnergy : torch::autograd::Function<MeshEnergy> {
  static Tensor forward(AutogradContext *ctx, const Tensor &fractions, const Tensor &charges,
                        const Tensor &influence, const OptionalTensor &uniform,
                        const MeshArguments &a) {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    auto [energy, values, gradient, correlation, by_uniform] = mesh_energy_forward(
        fractions, charges, influence, LOREMD_PASS(a), uniform, influence.requires_grad());
    ctx->save_for_backward({fractions, charges, influence, or_none(uniform), values, gradient,
                            correlation, by_uniform});
    a.save(ctx);
    return energy;
  }

  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const MeshArguments a(ctx);
    const auto saved = ctx->get_saved_variables();
    if (at::GradMode::is_enabled()) return differentiable_backward(ctx, a, saved, grads[0]);
    const Tensor twice = 2 * grads[0];
    const auto times = [&](int input, const Tensor &factor, const Tensor &derivative) {
      if (!ctx->needs_input_grad(input)) return Tensor();
      Tensor product = empty_large(derivative.sizes(), derivative.options());
      return at::mul_out(product, derivative, factor.to(derivative.scalar_type()));
    };
    return {times(0, twice, saved[5]), times(1, twice, saved[4]), times(2, grads[0], saved[6]),
            wants_uniform(ctx, saved[3]) ? grads[0] * saved[7] : Tensor(), Tensor()};
  }

  static variable_list differentiable_backward(AutogradContext *ctx, const MeshArguments &a,
                                               const variable_list &saved, const Tensor &grad) {
    const Tensor &fractions = saved[0], &charges = saved[1], &influence = saved[2];
    const Tensor mesh = spread(fractions, charges, a.mesh_shape, a.order, a.window);
    const Tensor potential = convolve(mesh, influence), twice = 2 * grad;
    Tensor by_fractions, by_charges, by_influence, by_uniform;
    if (ctx->needs_input_grad(0)) {
      by_fractions = twice * interpolate_gradient(fractions, potential, charges, a.order, a.window);
    }
    if (ctx->needs_input_grad(1)) {
      by_charges = twice.to(charges.scalar_type()) *
                   with_charge_terms(interpolate(fractions, potential, a.order, a.window), charges,
                                     a.own, saved[3]);
    }
    if (ctx->needs_input_grad(2)) {
      by_influence = grad.to(influence.scalar_type()) * correlate(mesh, mesh);
    }
    if (wants_uniform(ctx, saved[3])) by_uniform = grad * product_of_sums(charges, charges);
    return {by_fractions, by_charges, by_influence, by_uniform, Tensor()};
  }
};

// Without a graph nothing is kept for a backward.
Tensor mesh_potential_autograd(LOREMD_MESH_ARGUMENTS) {
  if (need_gradients({fractions, charges, influence, or_none(uniform)})) {
    return MeshPotential::apply(fractions, charges, influence, uniform,
                                MeshArguments(mesh_shape, order, window, comm, own));
  }
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  return mesh_potential(fractions, charges, influence, mesh_shape, order, window, comm, own,
                        uniform);
}

Tensor mesh_energy_autograd(LOREMD_MESH_ARGUMENTS) {
  if (need_gradients({fractions, charges, influence, or_none(uniform)})) {
    return MeshEnergy::apply(fractions, charges, influence, uniform,
                             MeshArguments(mesh_shape, order, window, comm, own));
  }
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  return mesh_energy(fractions, charges, influence, mesh_shape, order, window, comm, own, uniform);
}

}  // namespace

LOREMD_KERNELS(m) {
  m.impl("mesh_potential", mesh_potential_kernel);
  m.impl("mesh_potential_forward", mesh_potential_forward_kernel);
  m.impl("mesh_potential_backward", mesh_potential_backward_kernel);
  m.impl("mesh_energy", mesh_energy_kernel);
  m.impl("mesh_energy_forward", mesh_energy_forward_kernel);
}

TORCH_LIBRARY_IMPL(loremd, CompositeExplicitAutograd, m) {
  m.impl("mesh_bytes", mesh_bytes_any);
}

TORCH_LIBRARY_IMPL(loremd, Meta, m) {
  m.impl("mesh_potential", mesh_potential_meta);
  m.impl("mesh_potential_forward", mesh_potential_forward_meta);
  m.impl("mesh_potential_backward", mesh_potential_backward_meta);
  m.impl("mesh_energy", mesh_energy_meta);
  m.impl("mesh_energy_forward", mesh_energy_forward_meta);
}

TORCH_LIBRARY_IMPL(loremd, Autograd, m) {
  m.impl("mesh_potential", mesh_potential_autograd);
  m.impl("mesh_energy", mesh_energy_autograd);
}

#undef LOREMD_PASS
#undef LOREMD_MESH_ARGUMENTS

}  // namespace loremd_torch
