// SPDX-License-Identifier: BSD-3-Clause
//
// The core for numpy, without torch: window weights, influence function, choice of the mesh.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "dispatch.hpp"
#include "math/pswf.hpp"
#include "mesh/influence.hpp"
#include "mesh/window.hpp"
#include "tuning/mesh_plan.hpp"

namespace py = pybind11;

namespace {

using Array = py::array_t<double, py::array::c_style | py::array::forcecast>;

loremd::Matrix3 matrix_of(const Array &cell) {
  loremd::check(cell.ndim() == 2 && cell.shape(0) == 3 && cell.shape(1) == 3,
                "expected a cell of shape (3, 3)");
  loremd::Matrix3 rows;
  for (int a = 0; a < 3; ++a) {
    for (int b = 0; b < 3; ++b) rows[a][b] = cell.at(a, b);
  }
  return rows;
}

loremd::EvenSeries series_of(const Array &terms) {
  loremd::check(terms.ndim() == 1, "expected Legendre terms of one dimension");
  return {terms.data(), static_cast<int>(terms.size())};
}

Array window_weights(double fraction, int order, int derivative, const Array &window) {
  loremd::check(fraction >= 0 && fraction < 1, "fraction is ", fraction, "; allowed: [0, 1)");
  loremd::check(derivative >= 0 && derivative <= 2, "derivative is ", derivative,
                "; allowed: 0, 1, 2");
  loremd::check_order(order);
  const auto series = series_of(window);
  const loremd::WindowTable<double> table({order, series.coefficients, series.terms});
  Array weights(order);
  for (int k = 0; k < order; ++k) {
    double sum = 0;
    for (int d = table.degree; d >= derivative; --d) {
      double factor = 1;
      for (int j = 0; j < derivative; ++j) factor *= d - j;
      sum = sum * (fraction - 0.5) + factor * table.coefficients[d][k];
    }
    weights.mutable_at(k) = sum;
  }
  return weights;
}

Array influence_sum(const Array &metric, std::array<int64_t, 3> mesh, int order, double smearing,
                    const Array &window, double exponent, const Array &splitting) {
  const auto rows = matrix_of(metric);
  loremd::check_mesh(mesh, order);
  Array influence({mesh[0], mesh[1], mesh[2] / 2 + 1});
  loremd::SmoothPart smooth;
  smooth.exponent = exponent;
  smooth.range = smearing;
  smooth.shape = series_of(splitting);
  loremd::influence_sum({&rows[0][0], nullptr, mesh, order, series_of(window), smooth},
                        influence.mutable_data());
  return influence;
}

Array prolate_shape(double bandlimit) {
  const auto terms = loremd::prolate_shape(bandlimit);
  return Array(static_cast<py::ssize_t>(terms.size()), terms.data());
}

py::dict plan_mesh(const Array &cell, int64_t atoms, double cutoff, double accuracy,
                   int64_t channels, double smearing, std::array<int64_t, 3> mesh, int order,
                   double exponent, const std::string &splitting, const std::string &window) {
  const auto plan = loremd::plan_mesh({matrix_of(cell), atoms, channels, cutoff, accuracy, smearing,
                                       mesh, order, exponent, loremd::splitting_named(splitting),
                                       loremd::window_named(window)});
  const bool gaussian = plan.settings.splitting_bandlimit == 0;
  py::dict result;
  result["splitting"] = gaussian ? "gaussian" : "prolate";
  result["smearing"] = gaussian ? plan.settings.range : 0.0;
  result["splitting_bandlimit"] = plan.settings.splitting_bandlimit;
  result["mesh"] = plan.settings.points;
  result["order"] = plan.settings.order;
  result["window_bandlimit"] = plan.settings.window_bandlimit;
  result["real_space_error"] = plan.real_space_error;
  result["mesh_error"] = plan.mesh_error;
  return result;
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  using namespace py::literals;
  m.doc() = "The core of loremd for numpy, without torch.";
  py::register_exception<loremd::Error>(m, "Error", PyExc_ValueError);
  m.attr("smallest_order") = loremd::smallest_order;
  m.attr("largest_order") = loremd::largest_order;
  const Array none(py::ssize_t(0));
  m.def("window_weights", &window_weights, "fraction"_a, "order"_a, "derivative"_a = 0,
        "window"_a = none,
        "Weights (order,) of the mesh points around a coordinate, or their derivative by it in "
        "units of the mesh spacing: of B-splines, or of the shape whose Legendre terms are given; "
        "see csrc/core/mesh/window.hpp.");
  m.def("prolate_shape", &prolate_shape, "bandlimit"_a,
        "Legendre terms of the prolate shape of windows and splittings; see "
        "csrc/core/math/pswf.hpp.");
  m.def("influence_sum", &influence_sum, "metric"_a, "mesh"_a, "order"_a, "smearing"_a,
        "window"_a = none, "exponent"_a = 1.0, "splitting"_a = none,
        "Optimal influence function (nx, ny, nz//2+1) without the factor points/volume; metric is "
        "the inverse of cell @ cell.T. window and splitting are Legendre terms (prolate_shape), "
        "none for B-spline and Gaussian; with a splitting, smearing is where it ends.");
  m.def("plan_mesh", &plan_mesh, "cell"_a, "atoms"_a, "cutoff"_a, "accuracy"_a, "channels"_a = 1,
        "smearing"_a = 0.0, "mesh"_a = std::array<int64_t, 3>{0, 0, 0}, "order"_a = 0,
        "exponent"_a = 1.0, "splitting"_a = "auto", "window"_a = "auto",
        "Splitting, mesh and window for a relative accuracy of the potentials, with the estimated "
        "errors; zeros mean automatic, bandlimits are 0 for Gaussian and B-spline.");
}
