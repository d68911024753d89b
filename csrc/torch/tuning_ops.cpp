// SPDX-License-Identifier: BSD-3-Clause
//
// The choice of the mesh, and the errors to expect. No derivatives.
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "device_call.hpp"
#include "math/pswf.hpp"
#include "support.hpp"
#include "tuning/cost_model.hpp"
#include "tuning/mesh_plan.hpp"

namespace loremd_torch {
namespace {

loremd::Matrix3 matrix_of(const char *op, const Tensor &cell) {
  check_shape(op, "cell", cell, 3, 3);
  check_dtype(op, "cell", cell, at::kDouble);
  const Tensor c = cell.cpu().contiguous();
  loremd::Matrix3 rows;
  for (int a = 0; a < 3; ++a) {
    for (int b = 0; b < 3; ++b) rows[a][b] = c.const_data_ptr<double>()[3 * a + b];
  }
  return rows;
}

// An empty mesh shape means "choose".
std::array<int64_t, 3> points_or_zeros(const char *op, at::IntArrayRef mesh_shape) {
  return mesh_shape.empty() ? std::array<int64_t, 3>{0, 0, 0} : mesh_points(op, mesh_shape);
}

std::tuple<double, std::vector<int64_t>, int64_t, double, double> plan_mesh_kernel(
    const Tensor &cell, int64_t atoms, int64_t channels, double cutoff, double accuracy,
    double smearing, at::IntArrayRef mesh_shape, int64_t order) {
  loremd::MeshPlan plan;
  run_core("plan_mesh", [&] {
    plan = loremd::plan_mesh({matrix_of("plan_mesh", cell), atoms, channels, cutoff, accuracy,
                              smearing, points_or_zeros("plan_mesh", mesh_shape),
                              static_cast<int>(order)});
  });
  const auto &points = plan.settings.points;
  return {plan.settings.range,
          {points.begin(), points.end()},
          plan.settings.order,
          plan.real_space_error,
          plan.mesh_error};
}

std::tuple<double, double> mesh_errors_kernel(const Tensor &cell, int64_t atoms, double cutoff,
                                              double smearing, at::IntArrayRef mesh_shape,
                                              int64_t order) {
  loremd::MeshPlan plan;
  run_core("mesh_errors", [&] {
    const auto points = mesh_points("mesh_errors", mesh_shape);
    plan = loremd::plan_mesh({matrix_of("mesh_errors", cell), atoms, 1, cutoff, 0.1, smearing,
                              points, static_cast<int>(order)});
  });
  return {plan.real_space_error, plan.mesh_error};
}

std::tuple<std::string, double, double, std::vector<int64_t>, int64_t, double, double, double>
plan_kernel(const Tensor &cell, int64_t atoms, int64_t channels, double cutoff, double accuracy,
            double exponent, c10::string_view splitting, double range, c10::string_view window,
            at::IntArrayRef mesh_shape, int64_t order) {
  loremd::MeshPlan plan;
  run_core("plan", [&] {
    plan =
        loremd::plan_mesh({matrix_of("plan", cell), atoms, channels, cutoff, accuracy, range,
                           points_or_zeros("plan", mesh_shape), static_cast<int>(order), exponent,
                           loremd::splitting_named({splitting.data(), splitting.size()}),
                           loremd::window_named({window.data(), window.size()})});
  });
  const loremd::MeshSettings &chosen = plan.settings;
  return {chosen.splitting_bandlimit > 0 ? "prolate" : "gaussian",
          chosen.range,
          chosen.splitting_bandlimit,
          {chosen.points.begin(), chosen.points.end()},
          chosen.order,
          chosen.window_bandlimit,
          plan.real_space_error,
          plan.mesh_error};
}

std::tuple<double, double, double, double> plan_errors_kernel(
    const Tensor &cell, int64_t atoms, double cutoff, double exponent, double range,
    double splitting_bandlimit, at::IntArrayRef mesh_shape, int64_t order,
    double window_bandlimit) {
  loremd::ErrorEstimate splitting{}, mesh{};
  run_core("plan_errors", [&] {
    const loremd::Matrix3 rows = matrix_of("plan_errors", cell);
    const loremd::MeshSettings settings{cutoff,
                                        exponent,
                                        range,
                                        splitting_bandlimit,
                                        mesh_points("plan_errors", mesh_shape),
                                        static_cast<int>(order),
                                        window_bandlimit};
    splitting = loremd::splitting_error(settings, atoms / loremd::cell_volume(rows));
    mesh = loremd::mesh_error(rows, atoms, settings);
  });
  return {splitting.potential, mesh.potential, splitting.force, mesh.force};
}

double plan_cost_kernel(const Tensor &cell, int64_t atoms, int64_t channels, double cutoff,
                        at::IntArrayRef mesh_shape, int64_t order) {
  double nanoseconds = 0;
  run_core("plan_cost", [&] {
    const double pairs = loremd::expected_pairs(matrix_of("plan_cost", cell), atoms, cutoff);
    nanoseconds = loremd::cost_model()(atoms, channels, pairs, mesh_points("plan_cost", mesh_shape),
                                       static_cast<int>(order));
  });
  return 1e-6 * nanoseconds;
}

void set_cost_model_any(at::ArrayRef<double> constants) {
  TORCH_CHECK_VALUE(constants.size() == 5, "loremd::set_cost_model: expected 5 constants, got ",
                    constants.size());
  loremd::cost_model() = {constants[0], constants[1], constants[2], constants[3], constants[4]};
}

Tensor prolate_shape_any(double bandlimit) {
  Tensor shape;
  run_core("prolate_shape", [&] {
    const auto series = loremd::prolate_shape(bandlimit);
    shape = at::empty({static_cast<int64_t>(series.size())}, at::kDouble);
    std::copy(series.begin(), series.end(), shape.mutable_data_ptr<double>());
  });
  return shape;
}

}  // namespace

TORCH_LIBRARY_IMPL(loremd, CompositeExplicitAutograd, m) {
  m.impl("prolate_shape", prolate_shape_any);
  m.impl("set_cost_model", set_cost_model_any);
}

LOREMD_KERNELS(m) {
  m.impl("plan_mesh", plan_mesh_kernel);
  m.impl("mesh_errors", mesh_errors_kernel);
  m.impl("plan", plan_kernel);
  m.impl("plan_errors", plan_errors_kernel);
  m.impl("plan_cost", plan_cost_kernel);
}

}  // namespace loremd_torch
