// SPDX-License-Identifier: BSD-3-Clause
//
// The density of the neighbours in one op, without tensors of the size of the pair list. Its
// backward and the derivative of that along a direction, all that second derivatives need, are ops
// as well; each evaluates the pairs anew.
#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include "device_call.hpp"
#include "edges/cuda.hpp"
#include "edges/neighbor_density.hpp"
#include "pair_rows.hpp"
#include "support.hpp"

namespace loremd_torch {

#define LOREMD_DENSITY_ARGUMENTS                                                          \
  const Tensor &positions, const Tensor &cell, const Tensor &pairs, const Tensor &shifts, \
      const Tensor &species, const Tensor &coefficients, SymInt n_out, double cutoff, bool smooth
#define LOREMD_DENSITY_PASS \
  positions, cell, pairs, shifts, species, coefficients, n_out, cutoff, smooth
#define LOREMD_TABULATED_ARGUMENTS                                                               \
  const Tensor &positions, const Tensor &cell, const Tensor &pairs, const Tensor &shifts,        \
      const Tensor &species, const Tensor &table, SymInt n_out, double cutoff, int64_t n_radial, \
      int64_t degrees, int64_t features
#define LOREMD_TABULATED_PASS \
  positions, cell, pairs, shifts, species, table, n_out, cutoff, n_radial, degrees, features
#define LOREMD_DIRECTION_ARGUMENTS                                                        \
  const Tensor &grad_radial, const Tensor &grad_spherical, const Tensor &along_positions, \
      const Tensor &along_cell, const Tensor &along_coefficients,                         \
      const OptionalTensor &along_shifts

using Density = std::tuple<Tensor, Tensor>;  // radial sums, spherical
using Gradient =
    std::tuple<Tensor, Tensor, Tensor, Tensor>;        // positions, cell, coefficients, shifts
using Geometric = std::tuple<Tensor, Tensor, Tensor>;  // positions, cell, shifts
using Along = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;  // Gradient, Density

Density neighbor_density(LOREMD_DENSITY_ARGUMENTS) {
  LOREMD_CALL(neighbor_density, LOREMD_DENSITY_PASS);
}

Gradient neighbor_density_backward(LOREMD_DENSITY_ARGUMENTS, const Tensor &grad_radial,
                                   const Tensor &grad_spherical, bool want_coefficients,
                                   bool want_shifts) {
  LOREMD_CALL(neighbor_density_backward, LOREMD_DENSITY_PASS, grad_radial, grad_spherical,
              want_coefficients, want_shifts);
}

Along neighbor_density_backward_directional(LOREMD_DENSITY_ARGUMENTS, LOREMD_DIRECTION_ARGUMENTS,
                                            bool want_coefficients, bool want_shifts) {
  LOREMD_CALL(neighbor_density_backward_directional, LOREMD_DENSITY_PASS, grad_radial,
              grad_spherical, along_positions, along_cell, along_coefficients, along_shifts,
              want_coefficients, want_shifts);
}

Density neighbor_density_tabulated(LOREMD_TABULATED_ARGUMENTS) {
  LOREMD_CALL(neighbor_density_tabulated, LOREMD_TABULATED_PASS);
}

Geometric neighbor_density_tabulated_backward(LOREMD_TABULATED_ARGUMENTS, const Tensor &grad_radial,
                                              const Tensor &grad_spherical, bool want_shifts) {
  LOREMD_CALL(neighbor_density_tabulated_backward, LOREMD_TABULATED_PASS, grad_radial,
              grad_spherical, want_shifts);
}

namespace {

// ---- CPU ----

constexpr int64_t centres_per_task = 16;
constexpr int64_t centres_per_sum = 256;  // float32 sums over more of them are float64

// What the core takes, from checked tensors that live as long as this. `functions` holds what the
// radial functions are made of: the coefficients, or a table.
struct DensityCall {
  Tensor positions, cell, pairs, shifts, species, functions;
  loremd::DensityShape shape;
  loremd::PairRows rows;  // for the CPU, or
  std::optional<PairRowsOnDevice> device_rows;
  loremd::DensityGeometry geometry;
  int64_t n_out;

  DensityCall(const char *op, const Tensor &any_positions, const Tensor &any_cell,
              const Tensor &any_pairs, const Tensor &any_shifts, const Tensor &any_species,
              const Tensor &any_functions, int64_t n_out, const loremd::DensityShape &shape)
      : positions(any_positions.contiguous()),
        cell(any_cell.contiguous()),
        pairs(any_pairs.contiguous()),
        shifts(any_shifts),
        species(any_species.contiguous()),
        functions(any_functions.contiguous()),
        shape(shape),
        n_out(n_out) {
    check(op);
    const int64_t *list = pairs.const_data_ptr<int64_t>(), n = positions.size(0);
    geometry = {positions.const_data_ptr<double>(),
                cell.const_data_ptr<double>(),
                species.const_data_ptr<int64_t>(),
                list + pairs.size(1),
                {shifts.scalar_type() == at::kDouble ? shifts.const_data_ptr<double>() : nullptr,
                 shifts.scalar_type() == at::kLong ? shifts.const_data_ptr<int64_t>() : nullptr,
                 shifts.stride(0), shifts.stride(1)},
                &rows,
                n};
    if constexpr (device_kernels) {
      if (on_device(positions)) {
        run_core(op, [&] { loremd::check_density_shape(shape); });
        device_rows.emplace(op, pairs, n_out);
        return;
      }
    }
    run_core(op, [&] {
      loremd::check_density(shape, geometry);
      rows = loremd::rows_of_centres(list, pairs.size(1), n_out, n);
    });
  }
  DensityCall(const DensityCall &) = delete;  // geometry points to rows

  template <class T>
  const T *coefficients() const {
    return functions.const_data_ptr<T>();
  }
  loremd::RadialTable table() const {
    return {functions.const_data_ptr<float>(), static_cast<int>(functions.size(2)),
            static_cast<int>(functions.size(4))};
  }
  Density zeros() const {
    const auto options = functions.options();
    return {at::zeros({n_out, shape.n_species, shape.n_radial}, options),
            at::zeros({n_out, shape.n_harmonics(), shape.features}, options)};
  }

 private:
  void check(const char *op) {
    check_devices(op, {&positions, &cell, &pairs, &shifts, &species, &functions});
    check_shape(op, "positions", positions, -1, 3);
    check_dtype(op, "positions", positions, at::kDouble);
    check_shape(op, "cell", cell, 3, 3);
    check_dtype(op, "cell", cell, at::kDouble);
    check_shape(op, "pairs", pairs, 2, -1);
    check_dtype(op, "pairs", pairs, at::kLong);
    check_shape(op, "shifts", shifts, pairs.size(1), 3);
    if (!shifts.is_floating_point()) shifts = shifts.to(at::kLong);
    if (shifts.is_floating_point()) check_dtype(op, "shifts", shifts, at::kDouble);
    TORCH_CHECK_VALUE(species.dim() == 1 && species.size(0) == positions.size(0), "loremd::", op,
                      ": expected species of shape (", positions.size(0), "), got ",
                      species.sizes());
    check_dtype(op, "species", species, at::kLong);
    TORCH_CHECK_VALUE(n_out >= 0 && n_out <= positions.size(0), "loremd::", op, ": n_out is ",
                      n_out, "; allowed: 0 to the number of atoms, ", positions.size(0));
  }
};

loremd::DensityShape shape_of(const char *op, const Tensor &coefficients, double cutoff,
                              bool smooth) {
  check_floating(op, "coefficients", coefficients);
  TORCH_CHECK_VALUE(coefficients.dim() == 5 && coefficients.size(0) == coefficients.size(1),
                    "loremd::", op,
                    ": expected coefficients of shape (species, species, radial, "
                    "degrees, features), got ",
                    coefficients.sizes());
  const auto size = [&](int a) { return static_cast<int>(coefficients.size(a)); };
  return {size(0), size(2), size(3) - 1, size(4), cutoff, smooth};
}

loremd::DensityShape shape_of(const char *op, const Tensor &table, double cutoff, int64_t n_radial,
                              int64_t degrees, int64_t features) {
  check_dtype(op, "table", table, at::kFloat);
  const auto padded = [](int64_t n) { return loremd::RadialTable::padded(static_cast<int>(n)); };
  const int64_t functions = padded(n_radial) + padded(degrees * features);
  TORCH_CHECK_VALUE(table.dim() == 5 && table.size(0) == table.size(1) && table.size(2) > 0 &&
                        table.size(3) == 4 && table.size(4) == functions,
                    "loremd::", op, ": expected table of shape (species, species, intervals, 4, ",
                    functions, "), got ", table.sizes());
  return {static_cast<int>(table.size(0)),
          static_cast<int>(n_radial),
          static_cast<int>(degrees) - 1,
          static_cast<int>(features),
          cutoff,
          false};
}

Tensor checked_grad(const char *op, const char *name, const Tensor &grad, const Tensor &of) {
  TORCH_CHECK_VALUE(grad.sizes() == of.sizes(), "loremd::", op, ": expected ", name, " of shape ",
                    of.sizes(), ", got ", grad.sizes());
  check_dtype(op, name, grad, of.scalar_type());
  check_devices(op, {&grad, &of});
  return grad.contiguous();
}

Density neighbor_density_kernel(const Tensor &positions, const Tensor &cell, const Tensor &pairs,
                                const Tensor &shifts, const Tensor &species,
                                const Tensor &coefficients, int64_t n_out, double cutoff,
                                bool smooth) {
  const char *op = "neighbor_density";
  const DensityCall call(op, positions, cell, pairs, shifts, species, coefficients, n_out,
                         shape_of(op, coefficients, cutoff, smooth));
  auto [radial, spherical] = call.zeros();
  AT_DISPATCH_FLOATING_TYPES(coefficients.scalar_type(), "neighbor_density", [&] {
    scalar_t *to_radial = radial.mutable_data_ptr<scalar_t>();
    scalar_t *to_spherical = spherical.mutable_data_ptr<scalar_t>();
    if constexpr (device_kernels) {
      if (call.device_rows) {
        return run_on_device(op, positions, [&](loremd::cuda::Stream stream) {
          loremd::cuda::neighbor_density(call.shape, call.geometry, call.device_rows->view(), n_out,
                                         call.coefficients<scalar_t>(), to_radial, to_spherical,
                                         stream);
        });
      }
    }
    at::parallel_for(0, n_out, centres_per_task, [&](int64_t begin, int64_t end) {
      run_core(op, [&] {
        loremd::neighbor_density(call.shape, call.geometry, call.coefficients<scalar_t>(), begin,
                                 end, to_radial, to_spherical);
      });
    });
  });
  return {radial, spherical};
}

// Gradients of all inputs. Every thread sums into its own, as neighbours belong to several.
struct GradientSums {
  Tensor positions, cell, shifts, coefficients;  // all float64; by_shifts has one writer per pair

  GradientSums(const DensityCall &call, bool want_coefficients, const Tensor &all_shifts)
      : positions(at::zeros_like(call.positions)),
        cell(at::zeros_like(call.cell)),
        shifts(all_shifts) {
    if (want_coefficients) coefficients = at::zeros_like(call.functions, at::kDouble);
  }
  void add(const GradientSums &other) {
    positions += other.positions;
    cell += other.cell;
    if (coefficients.defined()) coefficients += other.coefficients;
  }
};

// Calls body(begin, end, gradient) for parts of the centres and returns the sum of the gradients.
template <class T, class Body>
GradientSums sum_over_centres(const char *op, const DensityCall &call, bool want_coefficients,
                              const Tensor &shifts, Body &&body) {
  const int64_t parts = at::in_parallel_region() ? 1 : at::get_num_threads();
  const int64_t part = std::max(centres_per_task, (call.n_out + parts - 1) / parts);
  std::vector<GradientSums> sums;
  for (int64_t begin = 0; begin == 0 || begin < call.n_out; begin += part) {
    sums.emplace_back(call, want_coefficients, shifts);
  }
  at::parallel_for(0, static_cast<int64_t>(sums.size()), 1, [&](int64_t first, int64_t last) {
    for (int64_t k = first; k < last; ++k) {
      const int64_t end = std::min(call.n_out, (k + 1) * part);
      for (int64_t begin = k * part; begin < end; begin += centres_per_sum) {
        Tensor coefficients;
        if (want_coefficients) coefficients = at::zeros_like(call.functions);
        const loremd::DensityGradient<T> gradient{
            sums[k].positions.template mutable_data_ptr<double>(),
            sums[k].cell.template mutable_data_ptr<double>(),
            shifts.numel() > 0 ? shifts.mutable_data_ptr<double>() : nullptr,
            want_coefficients ? coefficients.template mutable_data_ptr<T>() : nullptr};
        run_core(op, [&] { body(begin, std::min(end, begin + centres_per_sum), gradient); });
        if (want_coefficients) sums[k].coefficients += coefficients;
      }
    }
  });
  for (size_t k = 1; k < sums.size(); ++k) sums[0].add(sums[k]);
  return sums[0];
}

// body(rows, workspace, gradient, stream) adds the gradients of all centres.
template <class Body>
GradientSums sum_on_device(const char *op, const DensityCall &call, bool want_coefficients,
                           const Tensor &shifts, Body &&body) {
  const GradientSums sums(call, want_coefficients, shifts);
  const Tensor space = workspace(
      loremd::cuda::density_workspace(call.shape, call.n_out, want_coefficients), call.positions);
  const KeptVectors vectors(op, call.pairs, call.positions.size(0));
  const loremd::cuda::DensityGradient gradient{
      sums.positions.mutable_data_ptr<double>(), sums.cell.mutable_data_ptr<double>(),
      shifts.numel() > 0 ? shifts.mutable_data_ptr<double>() : nullptr,
      want_coefficients ? sums.coefficients.mutable_data_ptr<double>() : nullptr, vectors.data()};
  run_on_device(op, call.positions, [&](loremd::cuda::Stream stream) {
    body(call.device_rows->view(), space.mutable_data_ptr<double>(), gradient, stream);
  });
  vectors.collect(sums.positions);
  return sums;
}

Tensor shifts_gradient(const DensityCall &call, bool wanted) {
  return at::zeros({wanted ? call.pairs.size(1) : 0, 3}, call.positions.options());
}

Gradient gradient_of(const DensityCall &call, const GradientSums &sums) {
  return {sums.positions, sums.cell,
          sums.coefficients.defined() ? sums.coefficients.to(call.functions.scalar_type())
                                      : at::empty({0}, call.functions.options()),
          sums.shifts};
}

Gradient neighbor_density_backward_kernel(const Tensor &positions, const Tensor &cell,
                                          const Tensor &pairs, const Tensor &shifts,
                                          const Tensor &species, const Tensor &coefficients,
                                          int64_t n_out, double cutoff, bool smooth,
                                          const Tensor &grad_radial, const Tensor &grad_spherical,
                                          bool want_coefficients, bool want_shifts) {
  const char *op = "neighbor_density_backward";
  const DensityCall call(op, positions, cell, pairs, shifts, species, coefficients, n_out,
                         shape_of(op, coefficients, cutoff, smooth));
  const auto [radial, spherical] = call.zeros();
  const Tensor by_radial = checked_grad(op, "grad_radial", grad_radial, radial);
  const Tensor by_spherical = checked_grad(op, "grad_spherical", grad_spherical, spherical);
  const Tensor by_shifts = shifts_gradient(call, want_shifts);
  return AT_DISPATCH_FLOATING_TYPES(coefficients.scalar_type(), "neighbor_density", [&] {
    if constexpr (device_kernels) {
      if (call.device_rows) {
        return gradient_of(
            call, sum_on_device(op, call, want_coefficients, by_shifts,
                                [&](const auto &rows, double *space, const auto &to, auto stream) {
                                  loremd::cuda::neighbor_density_gradient(
                                      call.shape, call.geometry, rows, n_out,
                                      call.coefficients<scalar_t>(),
                                      by_radial.const_data_ptr<scalar_t>(),
                                      by_spherical.const_data_ptr<scalar_t>(), space, to, stream);
                                }));
      }
    }
    return gradient_of(
        call, sum_over_centres<scalar_t>(
                  op, call, want_coefficients, by_shifts,
                  [&](int64_t begin, int64_t end, const loremd::DensityGradient<scalar_t> &to) {
                    loremd::neighbor_density_gradient(
                        call.shape, call.geometry, call.coefficients<scalar_t>(),
                        by_radial.const_data_ptr<scalar_t>(),
                        by_spherical.const_data_ptr<scalar_t>(), begin, end, to);
                  }));
  });
}

Along neighbor_density_backward_directional_kernel(
    const Tensor &positions, const Tensor &cell, const Tensor &pairs, const Tensor &shifts,
    const Tensor &species, const Tensor &coefficients, int64_t n_out, double cutoff, bool smooth,
    LOREMD_DIRECTION_ARGUMENTS, bool want_coefficients, bool want_shifts) {
  const char *op = "neighbor_density_backward_directional";
  const DensityCall call(op, positions, cell, pairs, shifts, species, coefficients, n_out,
                         shape_of(op, coefficients, cutoff, smooth));
  const auto [radial, spherical] = call.zeros();
  const Tensor by_radial = checked_grad(op, "grad_radial", grad_radial, radial);
  const Tensor by_spherical = checked_grad(op, "grad_spherical", grad_spherical, spherical);
  const Tensor v_positions = checked_grad(op, "along_positions", along_positions, call.positions);
  const Tensor v_cell = checked_grad(op, "along_cell", along_cell, call.cell);
  const Tensor v_coefficients =
      checked_grad(op, "along_coefficients", along_coefficients, call.functions);
  const Tensor v_shifts =
      along_shifts ? checked_grad(op, "along_shifts", *along_shifts, call.shifts) : Tensor();
  const Tensor by_shifts = shifts_gradient(call, want_shifts);
  const Gradient gradient =
      AT_DISPATCH_FLOATING_TYPES(coefficients.scalar_type(), "neighbor_density", [&] {
        const loremd::DensityDirection<scalar_t> direction{
            v_positions.const_data_ptr<double>(), v_cell.const_data_ptr<double>(),
            v_shifts.defined() ? v_shifts.const_data_ptr<double>() : nullptr,
            v_coefficients.const_data_ptr<scalar_t>()};
        scalar_t *to_radial = radial.mutable_data_ptr<scalar_t>();
        scalar_t *to_spherical = spherical.mutable_data_ptr<scalar_t>();
        if constexpr (device_kernels) {
          if (call.device_rows) {
            return gradient_of(
                call,
                sum_on_device(op, call, want_coefficients, by_shifts,
                              [&](const auto &rows, double *space, const auto &to, auto stream) {
                                loremd::cuda::neighbor_density_along(
                                    call.shape, call.geometry, rows, n_out,
                                    call.coefficients<scalar_t>(), direction,
                                    by_radial.const_data_ptr<scalar_t>(),
                                    by_spherical.const_data_ptr<scalar_t>(), to_radial,
                                    to_spherical, space, to, stream);
                              }));
          }
        }
        return gradient_of(
            call, sum_over_centres<scalar_t>(
                      op, call, want_coefficients, by_shifts,
                      [&](int64_t begin, int64_t end, const loremd::DensityGradient<scalar_t> &to) {
                        loremd::neighbor_density_along(call.shape, call.geometry,
                                                       call.coefficients<scalar_t>(), direction,
                                                       by_radial.const_data_ptr<scalar_t>(),
                                                       by_spherical.const_data_ptr<scalar_t>(),
                                                       begin, end, to_radial, to_spherical, to);
                      }));
      });
  return std::tuple_cat(gradient, Density{radial, spherical});
}

Density neighbor_density_tabulated_kernel(const Tensor &positions, const Tensor &cell,
                                          const Tensor &pairs, const Tensor &shifts,
                                          const Tensor &species, const Tensor &table, int64_t n_out,
                                          double cutoff, int64_t n_radial, int64_t degrees,
                                          int64_t features) {
  const char *op = "neighbor_density_tabulated";
  const DensityCall call(op, positions, cell, pairs, shifts, species, table, n_out,
                         shape_of(op, table, cutoff, n_radial, degrees, features));
  auto [radial, spherical] = call.zeros();
  float *to_radial = radial.mutable_data_ptr<float>();
  float *to_spherical = spherical.mutable_data_ptr<float>();
  if constexpr (device_kernels) {
    if (call.device_rows) {
      run_on_device(op, positions, [&](loremd::cuda::Stream stream) {
        loremd::cuda::neighbor_density_tabulated(call.shape, call.geometry,
                                                 call.device_rows->view(), n_out, call.table(),
                                                 to_radial, to_spherical, stream);
      });
      return {radial, spherical};
    }
  }
  at::parallel_for(0, n_out, centres_per_task, [&](int64_t begin, int64_t end) {
    run_core(op, [&] {
      loremd::neighbor_density_tabulated(call.shape, call.geometry, call.table(), begin, end,
                                         to_radial, to_spherical);
    });
  });
  return {radial, spherical};
}

Geometric neighbor_density_tabulated_backward_kernel(
    const Tensor &positions, const Tensor &cell, const Tensor &pairs, const Tensor &shifts,
    const Tensor &species, const Tensor &table, int64_t n_out, double cutoff, int64_t n_radial,
    int64_t degrees, int64_t features, const Tensor &grad_radial, const Tensor &grad_spherical,
    bool want_shifts) {
  const char *op = "neighbor_density_tabulated_backward";
  const DensityCall call(op, positions, cell, pairs, shifts, species, table, n_out,
                         shape_of(op, table, cutoff, n_radial, degrees, features));
  const auto [radial, spherical] = call.zeros();
  const Tensor by_radial = checked_grad(op, "grad_radial", grad_radial, radial);
  const Tensor by_spherical = checked_grad(op, "grad_spherical", grad_spherical, spherical);
  const Tensor by_shifts = shifts_gradient(call, want_shifts);
  if constexpr (device_kernels) {
    if (call.device_rows) {
      const GradientSums sums =
          sum_on_device(op, call, false, by_shifts,
                        [&](const auto &rows, double *space, const auto &to, auto stream) {
                          loremd::cuda::neighbor_density_tabulated_gradient(
                              call.shape, call.geometry, rows, n_out, call.table(),
                              by_radial.const_data_ptr<float>(),
                              by_spherical.const_data_ptr<float>(), space, to, stream);
                        });
      return {sums.positions, sums.cell, sums.shifts};
    }
  }
  const GradientSums sums = sum_over_centres<float>(
      op, call, false, by_shifts,
      [&](int64_t begin, int64_t end, const loremd::DensityGradient<float> &to) {
        loremd::neighbor_density_tabulated_gradient(
            call.shape, call.geometry, call.table(), by_radial.const_data_ptr<float>(),
            by_spherical.const_data_ptr<float>(), begin, end, to);
      });
  return {sums.positions, sums.cell, sums.shifts};
}

// ---- shapes without data ----

Density neighbor_density_meta(LOREMD_DENSITY_ARGUMENTS) {
  const SymInt degrees = coefficients.sym_size(3);
  return {
      coefficients.new_empty_symint({n_out, coefficients.sym_size(0), coefficients.sym_size(2)}),
      coefficients.new_empty_symint({n_out, degrees * degrees, coefficients.sym_size(4)})};
}

Gradient neighbor_density_backward_meta(LOREMD_DENSITY_ARGUMENTS, const Tensor &, const Tensor &,
                                        bool want_coefficients, bool want_shifts) {
  const auto contiguous = at::MemoryFormat::Contiguous;
  return {at::empty_like(positions, contiguous), at::empty_like(cell, contiguous),
          want_coefficients ? at::empty_like(coefficients, contiguous)
                            : coefficients.new_empty_symint({0}),
          positions.new_empty_symint({want_shifts ? pairs.sym_size(1) : SymInt(0), 3})};
}

Along neighbor_density_backward_directional_meta(LOREMD_DENSITY_ARGUMENTS,
                                                 LOREMD_DIRECTION_ARGUMENTS, bool want_coefficients,
                                                 bool want_shifts) {
  return std::tuple_cat(
      neighbor_density_backward_meta(LOREMD_DENSITY_PASS, grad_radial, grad_spherical,
                                     want_coefficients, want_shifts),
      neighbor_density_meta(LOREMD_DENSITY_PASS));
}

Density neighbor_density_tabulated_meta(LOREMD_TABULATED_ARGUMENTS) {
  return {table.new_empty_symint({n_out, table.sym_size(0), n_radial}),
          table.new_empty_symint({n_out, degrees * degrees, features})};
}

Geometric neighbor_density_tabulated_backward_meta(LOREMD_TABULATED_ARGUMENTS, const Tensor &,
                                                   const Tensor &, bool want_shifts) {
  const auto contiguous = at::MemoryFormat::Contiguous;
  return {at::empty_like(positions, contiguous), at::empty_like(cell, contiguous),
          positions.new_empty_symint({want_shifts ? pairs.sym_size(1) : SymInt(0), 3})};
}

// ---- derivatives ----

// The arguments as they travel to the backward: six tensors, then numbers.
void save_arguments(AutogradContext *ctx, LOREMD_DENSITY_ARGUMENTS, variable_list more) {
  variable_list tensors{positions, cell, pairs, shifts, species, coefficients};
  tensors.insert(tensors.end(), more.begin(), more.end());
  ctx->save_for_backward(tensors);
  ctx->saved_data["n_out"] = n_out;
  ctx->saved_data["cutoff"] = cutoff;
  ctx->saved_data["smooth"] = smooth;
}

template <class Function, class... More>
auto call_with(AutogradContext *ctx, const variable_list &saved, Function &&function,
               const More &...more) {
  return function(saved[0], saved[1], saved[2], saved[3], saved[4], saved[5],
                  ctx->saved_data["n_out"].toSymInt(), ctx->saved_data["cutoff"].toDouble(),
                  ctx->saved_data["smooth"].toBool(), more...);
}

// `input` counts the tensors among the arguments.
Tensor wanted(AutogradContext *ctx, int input, const Tensor &gradient) {
  return ctx->needs_input_grad(input) ? gradient : Tensor();
}

// Derivatives by the nine arguments.
variable_list by_arguments(AutogradContext *ctx, const Gradient &gradient) {
  const auto &[positions, cell, coefficients, shifts] = gradient;
  return {wanted(ctx, 0, positions),
          wanted(ctx, 1, cell),
          Tensor(),
          wanted(ctx, 3, shifts),
          Tensor(),
          wanted(ctx, 5, coefficients),
          Tensor(),
          Tensor(),
          Tensor()};
}

struct NeighborDensityAlong : torch::autograd::Function<NeighborDensityAlong> {
  static variable_list forward(AutogradContext *, LOREMD_DENSITY_ARGUMENTS,
                               LOREMD_DIRECTION_ARGUMENTS, bool want_coefficients,
                               bool want_shifts) {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    auto [a, b, c, d, e, f] = neighbor_density_backward_directional(
        LOREMD_DENSITY_PASS, grad_radial, grad_spherical, along_positions, along_cell,
        along_coefficients, along_shifts, want_coefficients, want_shifts);
    return {a, b, c, d, e, f};
  }
  static variable_list backward(AutogradContext *, const variable_list &) {
    no_further_derivative("neighbor_density_backward_directional");
  }
};

Along neighbor_density_backward_directional_autograd(LOREMD_DENSITY_ARGUMENTS,
                                                     LOREMD_DIRECTION_ARGUMENTS,
                                                     bool want_coefficients, bool want_shifts) {
  const auto r = NeighborDensityAlong::apply(LOREMD_DENSITY_PASS, grad_radial, grad_spherical,
                                             along_positions, along_cell, along_coefficients,
                                             along_shifts, want_coefficients, want_shifts);
  return {r[0], r[1], r[2], r[3], r[4], r[5]};
}

struct NeighborDensityBackward : torch::autograd::Function<NeighborDensityBackward> {
  static variable_list forward(AutogradContext *ctx, LOREMD_DENSITY_ARGUMENTS,
                               const Tensor &grad_radial, const Tensor &grad_spherical,
                               bool want_coefficients, bool want_shifts) {
    save_arguments(ctx, LOREMD_DENSITY_PASS, {grad_radial, grad_spherical});
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    auto [a, b, c, d] = neighbor_density_backward(LOREMD_DENSITY_PASS, grad_radial, grad_spherical,
                                                  want_coefficients, want_shifts);
    return {a, b, c, d};
  }

  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &along_coefficients = grads[2], &along_shifts = grads[3];
    const bool with_coefficients = along_coefficients.dim() == 5;
    const bool with_shifts = ctx->needs_input_grad(3);
    const auto [positions, cell, coefficients, shifts, radial, spherical] =
        call_with(ctx, saved, neighbor_density_backward_directional, saved[6], saved[7], grads[0],
                  grads[1], with_coefficients ? along_coefficients : at::zeros_like(saved[5]),
                  with_shifts ? OptionalTensor(along_shifts) : OptionalTensor(),
                  ctx->needs_input_grad(5), with_shifts);
    variable_list result = by_arguments(ctx, {positions, cell, coefficients, shifts});
    result.insert(result.end(),
                  {wanted(ctx, 6, radial), wanted(ctx, 7, spherical), Tensor(), Tensor()});
    return result;
  }
};

Gradient neighbor_density_backward_autograd(LOREMD_DENSITY_ARGUMENTS, const Tensor &grad_radial,
                                            const Tensor &grad_spherical, bool want_coefficients,
                                            bool want_shifts) {
  const auto r = NeighborDensityBackward::apply(LOREMD_DENSITY_PASS, grad_radial, grad_spherical,
                                                want_coefficients, want_shifts);
  return {r[0], r[1], r[2], r[3]};
}

struct NeighborDensity : torch::autograd::Function<NeighborDensity> {
  static variable_list forward(AutogradContext *ctx, LOREMD_DENSITY_ARGUMENTS) {
    save_arguments(ctx, LOREMD_DENSITY_PASS, {});
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    auto [radial, spherical] = neighbor_density(LOREMD_DENSITY_PASS);
    return {radial, spherical};
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    return by_arguments(ctx, call_with(ctx, saved, neighbor_density_backward, grads[0], grads[1],
                                       ctx->needs_input_grad(5), ctx->needs_input_grad(3)));
  }
};

Density neighbor_density_autograd(LOREMD_DENSITY_ARGUMENTS) {
  const auto r = NeighborDensity::apply(LOREMD_DENSITY_PASS);
  return {r[0], r[1]};
}

struct NeighborDensityTabulatedBackward
    : torch::autograd::Function<NeighborDensityTabulatedBackward> {
  static variable_list forward(AutogradContext *, LOREMD_TABULATED_ARGUMENTS,
                               const Tensor &grad_radial, const Tensor &grad_spherical,
                               bool want_shifts) {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    auto [a, b, c] = neighbor_density_tabulated_backward(LOREMD_TABULATED_PASS, grad_radial,
                                                         grad_spherical, want_shifts);
    return {a, b, c};
  }
  static variable_list backward(AutogradContext *, const variable_list &) {
    TORCH_CHECK_NOT_IMPLEMENTED(false,
                                "loremd::neighbor_density_tabulated has first derivatives only; "
                                "neighbor_density has second ones");
    return {};
  }
};

Geometric neighbor_density_tabulated_backward_autograd(LOREMD_TABULATED_ARGUMENTS,
                                                       const Tensor &grad_radial,
                                                       const Tensor &grad_spherical,
                                                       bool want_shifts) {
  const auto r = NeighborDensityTabulatedBackward::apply(LOREMD_TABULATED_PASS, grad_radial,
                                                         grad_spherical, want_shifts);
  return {r[0], r[1], r[2]};
}

struct NeighborDensityTabulated : torch::autograd::Function<NeighborDensityTabulated> {
  static variable_list forward(AutogradContext *ctx, LOREMD_TABULATED_ARGUMENTS) {
    ctx->save_for_backward({positions, cell, pairs, shifts, species, table});
    ctx->saved_data["n_out"] = n_out;
    ctx->saved_data["cutoff"] = cutoff;
    ctx->saved_data["n_radial"] = n_radial;
    ctx->saved_data["degrees"] = degrees;
    ctx->saved_data["features"] = features;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    auto [radial, spherical] = neighbor_density_tabulated(LOREMD_TABULATED_PASS);
    return {radial, spherical};
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    TORCH_CHECK_NOT_IMPLEMENTED(!ctx->needs_input_grad(5),
                                "loremd::neighbor_density_tabulated has no derivative by its "
                                "table; neighbor_density has one by the coefficients");
    const auto saved = ctx->get_saved_variables();
    const auto [positions, cell, shifts] = neighbor_density_tabulated_backward(
        saved[0], saved[1], saved[2], saved[3], saved[4], saved[5],
        ctx->saved_data["n_out"].toSymInt(), ctx->saved_data["cutoff"].toDouble(),
        ctx->saved_data["n_radial"].toInt(), ctx->saved_data["degrees"].toInt(),
        ctx->saved_data["features"].toInt(), grads[0], grads[1], ctx->needs_input_grad(3));
    variable_list result(11);
    result[0] = wanted(ctx, 0, positions);
    result[1] = wanted(ctx, 1, cell);
    result[3] = wanted(ctx, 3, shifts);
    return result;
  }
};

Density neighbor_density_tabulated_autograd(LOREMD_TABULATED_ARGUMENTS) {
  const auto r = NeighborDensityTabulated::apply(LOREMD_TABULATED_PASS);
  return {r[0], r[1]};
}

}  // namespace

LOREMD_KERNELS(m) {
  m.impl("neighbor_density", neighbor_density_kernel);
  m.impl("neighbor_density_backward", neighbor_density_backward_kernel);
  m.impl("neighbor_density_backward_directional", neighbor_density_backward_directional_kernel);
  m.impl("neighbor_density_tabulated", neighbor_density_tabulated_kernel);
  m.impl("neighbor_density_tabulated_backward", neighbor_density_tabulated_backward_kernel);
}

TORCH_LIBRARY_IMPL(loremd, Meta, m) {
  m.impl("neighbor_density", neighbor_density_meta);
  m.impl("neighbor_density_backward", neighbor_density_backward_meta);
  m.impl("neighbor_density_backward_directional", neighbor_density_backward_directional_meta);
  m.impl("neighbor_density_tabulated", neighbor_density_tabulated_meta);
  m.impl("neighbor_density_tabulated_backward", neighbor_density_tabulated_backward_meta);
}

TORCH_LIBRARY_IMPL(loremd, Autograd, m) {
  m.impl("neighbor_density", neighbor_density_autograd);
  m.impl("neighbor_density_backward", neighbor_density_backward_autograd);
  m.impl("neighbor_density_backward_directional", neighbor_density_backward_directional_autograd);
  m.impl("neighbor_density_tabulated", neighbor_density_tabulated_autograd);
  m.impl("neighbor_density_tabulated_backward", neighbor_density_tabulated_backward_autograd);
}

#undef LOREMD_DENSITY_ARGUMENTS
#undef LOREMD_DENSITY_PASS
#undef LOREMD_DIRECTION_ARGUMENTS
#undef LOREMD_TABULATED_ARGUMENTS
#undef LOREMD_TABULATED_PASS

}  // namespace loremd_torch
