// SPDX-License-Identifier: BSD-3-Clause
//
// The core by itself: what it promises, without torch and without Python.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "dispatch.hpp"
#include "edges/pair_sum.hpp"
#include "expect.hpp"
#include "features/matrix_product.hpp"
#include "math/bspline.hpp"
#include "math/chebyshev.hpp"
#include "math/dual.hpp"
#include "math/even_series.hpp"
#include "math/exponential.hpp"
#include "math/gamma.hpp"
#include "math/pswf.hpp"
#include "math/quadrature.hpp"
#include "math/radial.hpp"
#include "math/spherical.hpp"
#include "math/window_transform.hpp"
#include "mesh/fft.hpp"
#include "mesh/interpolate.hpp"
#include "mesh/spread.hpp"
#include "mesh/visiting_order.hpp"
#include "simd.hpp"
#include "tuning/mesh_plan.hpp"
#include "visits.hpp"

namespace {

// Charges on a mesh in its layout, with the halo folded, as a compact mesh.
std::vector<double> spread(const loremd::MeshCall<double> &call, const double *charges) {
  const auto &points = call.shape.points;
  std::vector<double> mesh(call.shape.size()),
      compact(points[0] * points[1] * points[2] * call.shape.channels);
  loremd::spread(call, charges, mesh.data());
  loremd::fold_halo(call.shape, mesh.data());
  loremd::copy_points(call.shape, mesh.data(), compact.data());
  return compact;
}

// Tiles that are full and not, rows further apart than they are long, a matrix by its transpose.
template <class T>
void matrix_product_is_the_sum(int rows, int inner, int columns, double tolerance) {
  const int a_stride = inner + 3, out_stride = columns + 2;
  std::vector<T> a(rows * a_stride), b(inner * columns), out(rows * out_stride, T(7));
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<T>(std::sin(1.0 + i));
  for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<T>(std::cos(2.0 + i));
  const loremd::PackedMatrix<T> matrix(b.data(), inner, columns, 1, inner);  // column by column
  loremd::matrix_product<T>(rows, a.data(), a_stride, matrix, out.data(), out_stride);
  double worst = 0;
  bool untouched = true;
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) {
      double sum = 0;
      for (int k = 0; k < inner; ++k) {
        sum += double{a[i * a_stride + k]} * double{b[j * inner + k]};
      }
      worst = std::max(worst, std::abs(sum - out[i * out_stride + j]));
    }
    for (int j = columns; j < out_stride; ++j) untouched &= out[i * out_stride + j] == T(7);
  }
  expect(worst < tolerance * inner, "matrix_product is the sum of products");
  expect(untouched, "matrix_product leaves the space between rows alone");
}

// With `channels` as for 1 and 10, which have kernels of their own, and for any number.
void spread_conserves_charge_and_is_adjoint(const loremd::WindowSpec &window, int channels) {
  const std::vector<double> fractions{0.1, 0.2, 0.3, -3.7, 0.999, 12.5};
  std::vector<double> charges(2 * channels);
  for (int i = 0; i < 2 * channels; ++i) charges[i] = std::cos(3.0 * i);
  const loremd::WindowTable<double> table(window);
  const auto shape = loremd::mesh_layout({10, 11, 13}, channels, window.order, sizeof(double));
  const auto visits = visits_of<double>(fractions, shape, window.order);
  const loremd::MeshCall<double> call{visits.data(), nullptr, 2, shape, &table};
  const auto mesh = spread(call, charges.data());
  double total = 0, expected_total = 0, product = 0, expected = 0;
  std::vector<double> other(mesh.size()), packed(shape.size()), values(2 * channels);
  for (size_t i = 0; i < mesh.size(); ++i) {
    other[i] = std::sin(double(i));
    total += mesh[i];
    product += mesh[i] * other[i];
  }
  loremd::pack_mesh(shape, other.data(), packed.data());
  loremd::interpolate(call, packed.data(), values.data());
  for (int i = 0; i < 2 * channels; ++i) {
    expected += values[i] * charges[i];
    expected_total += charges[i];
  }
  expect(window.terms > 0 || std::abs(total - expected_total) < 1e-12, "charge is conserved");
  expect(std::abs(product - expected) < 1e-12 * mesh.size(), "interpolate transposes spread");
}

void spread_and_interpolate_with_any_window() {
  const auto series = loremd::prolate_series(9);
  for (int order = loremd::smallest_order; order <= loremd::largest_order; ++order) {
    for (int channels : {1, 2, 10}) {
      spread_conserves_charge_and_is_adjoint({order}, channels);
      spread_conserves_charge_and_is_adjoint(
          {order, series.data(), static_cast<int>(series.size())}, channels);
    }
  }
}

// Value of the polynomial of mesh point k, and its slope, at a fraction.
template <class T>
std::array<double, 2> table_value(const loremd::WindowTable<T> &table, int k, double fraction) {
  double value = 0, slope = 0;
  for (int d = table.degree; d >= 0; --d) {
    slope = slope * (fraction - 0.5) + value;
    value = value * (fraction - 0.5) + table.coefficients[d][k];
  }
  return {value, slope};
}

// The largest errors of the weights and their slopes, and the largest step where polynomials meet,
// all as parts of the largest weight.
struct TableErrors {
  double value = 0, slope = 0, step = 0;
};

template <class T>
TableErrors table_errors(int order, const std::vector<double> &series) {
  const loremd::EvenSeries shape{series.data(), static_cast<int>(series.size())};
  const loremd::WindowTable<T> table({order, series.data(), shape.terms});
  const double largest = shape.value(0) / order;
  TableErrors errors;
  for (int k = 0; k < order; ++k) {
    for (double fraction = 0; fraction <= 1; fraction += 1.0 / 64) {
      const double t = (order - 2 - 2 * k + 2 * fraction) / order;
      const auto [value, slope] = table_value(table, k, fraction);
      const double slope_error = slope - 2 * shape.slope(t) / (order * order);
      errors.value = std::max(errors.value, std::abs(value - shape.value(t) / order) / largest);
      errors.slope = std::max(errors.slope, std::abs(slope_error) / largest);
    }
    const double end = table_value(table, k, 1)[0];
    const double next = k == 0 ? shape.value(1) / order : table_value(table, k - 1, 0)[0];
    errors.step = std::max(errors.step, std::abs(end - next) / largest);
  }
  return errors;
}

void window_tables_are_their_series() {
  for (int order = loremd::smallest_order; order <= loremd::largest_order; ++order) {
    // a common bandlimit lies below; and one at which the window ends as smoothly as it can
    for (double bandlimit : {2.5 * order, 4.5 * order}) {
      const auto prolate = loremd::prolate_shape(bandlimit);
      const loremd::EvenSeries shape{prolate.data(), static_cast<int>(prolate.size())};
      // it ends at zero, but not with the slope zero
      const double step = std::abs(shape.slope(1)) * 2 / order / shape.value(0);
      const auto errors = table_errors<double>(order, prolate);
      const auto single = table_errors<float>(order, prolate);
      expect(errors.value < 3e-13 + 3e-4 * step, "a table is its series");
      expect(errors.slope < 1e-10 + 5e-2 * step, "with its slopes");
      expect(errors.step < 1e-14 && single.step < 1e-6, "its polynomials meet");
      expect(single.value < 2e-7 + 3e-4 * step, "as float, too");
      expect(single.slope < 3e-5 + 5e-2 * step, "with its slopes");
    }
  }
  const auto sharp = loremd::prolate_series(100);
  expect(throws([&] {
           loremd::WindowTable<double>({3, sharp.data(), static_cast<int>(sharp.size())});
         }),
         "a series too sharp for the order throws");
}

template <int P>
void window_table_is_the_bspline() {
  const loremd::WindowTable<double> table({P});
  for (double fraction : {0.0, 0.3, 0.5, 0.99}) {
    double weights[P], slopes[P];
    loremd::bspline_weights<P, 0>(fraction, weights);
    loremd::bspline_weights<P, 1>(fraction, slopes);
    for (int k = 0; k < P; ++k) {
      const auto [value, slope] = table_value(table, k, fraction);
      expect(std::abs(value - weights[k]) < 1e-15 && std::abs(slope - slopes[k]) < 1e-14,
             "the table of a B-spline is exact");
    }
  }
}

// Rows shorter and longer than the halo, one channel and many, with and without padding.
template <class T>
void packing_and_folding_are_transposes(std::array<int64_t, 3> points, int channels, int order) {
  const auto shape = loremd::mesh_layout(points, channels, order, sizeof(T));
  std::vector<T> compact(points[0] * points[1] * points[2] * channels), back(compact.size());
  std::vector<T> packed(shape.size()), any(shape.size());
  for (size_t i = 0; i < compact.size(); ++i) compact[i] = static_cast<T>(i % 97);
  for (size_t i = 0; i < any.size(); ++i) any[i] = static_cast<T>(i % 89);
  loremd::pack_mesh(shape, compact.data(), packed.data());
  double left = 0, right = 0;
  for (size_t i = 0; i < any.size(); ++i) right += double(packed[i]) * any[i];
  loremd::fold_halo(shape, any.data());
  loremd::copy_points(shape, any.data(), back.data());
  for (size_t i = 0; i < compact.size(); ++i) left += double(compact[i]) * back[i];
  expect(left == right, "fold_halo and copy_points are the transpose of pack_mesh");
  std::vector<T> filled(packed);
  for (int64_t i = points[2] * shape.stride; i < shape.row_size(); ++i) filled[i] = -1;
  loremd::fill_halo(shape, filled.data());
  expect(filled == packed, "fill_halo restores the halo");
}

void field_is_the_derivative_of_the_values() {
  const std::vector<double> fractions{0.31, 0.62, 0.93};
  const double h = 1e-5;
  for (int channels : {1, 3, 10}) {
    const auto shape = loremd::mesh_layout({9, 10, 11}, channels, 5, sizeof(double));
    const loremd::WindowTable<double> table({5});
    std::vector<double> compact(9 * 10 * 11 * channels), mesh(shape.size());
    for (size_t i = 0; i < compact.size(); ++i) compact[i] = std::sin(double(i));
    loremd::pack_mesh(shape, compact.data(), mesh.data());
    const auto values_at = [&](std::vector<double> at, std::vector<double> *field) {
      const auto visits = visits_of<double>(at, shape, 5);
      const loremd::MeshCall<double> call{visits.data(), nullptr, 1, shape, &table};
      std::vector<double> values(channels), same(channels), gradient(3);
      loremd::interpolate(call, mesh.data(), values.data());
      field->resize(3 * channels);
      loremd::interpolate_field(call, mesh.data(), same.data(), field->data());
      for (int c = 0; c < channels; ++c) {
        expect(std::abs(values[c] - same[c]) < 1e-14, "values beside the field");
      }
      loremd::interpolate_gradient(call, mesh.data(), values.data(), same.data(), gradient.data());
      for (int a = 0; a < 3; ++a) {
        double sum = 0;
        for (int c = 0; c < channels; ++c) sum += values[c] * (*field)[a * channels + c];
        expect(std::abs(sum - gradient[a]) < 1e-12, "gradient is charges times field");
      }
      return values;
    };
    std::vector<double> field, unused;
    values_at(fractions, &field);
    for (int a = 0; a < 3; ++a) {
      auto upper = fractions, lower = fractions;
      upper[a] += h;
      lower[a] -= h;
      const auto high = values_at(upper, &unused), low = values_at(lower, &unused);
      for (int c = 0; c < channels; ++c) {
        expect(std::abs((high[c] - low[c]) / (2 * h) - field[a * channels + c]) < 1e-6,
               "the field is the derivative of the values");
      }
    }
  }
}

void every_atom_is_visited_once_in_its_slab() {
  std::vector<double> fractions;
  for (int i = 0; i < 3000; ++i) fractions.push_back(7 * std::sin(double(i)));
  for (int64_t nx : {7, 17, 31, 70, 71}) {
    const int order = nx == 17 ? 10 : 6;
    const loremd::MeshShape shape{{nx, 71, 272}, 10};
    const auto visits = visits_of<float>(fractions, shape, order);
    std::vector<int> times(1000);
    for (const auto &visit : visits) {
      ++times[visit.atom];
      const int64_t first[3] = {visit.x, visit.y, visit.z};
      for (int a = 0; a < 3; ++a) {
        const auto start =
            loremd::window_start(fractions[3 * visit.atom + a], shape.points[a], order);
        expect(first[a] == start.first && std::abs(visit.offset[a] - start.offset) < 1e-6,
               "visits know where windows start");
      }
    }
    expect(times == std::vector<int>(1000, 1), "every atom is visited once");
    const auto starts = loremd::slab_starts(visits.data(), 1000, nx, order);
    const int64_t slabs = static_cast<int64_t>(starts.size()) - 1;
    expect(slabs == 1 || slabs % 2 == 0, "the number of slabs is even or one");
    expect(starts.front() == 0 && starts.back() == 1000, "slabs hold all");
    int64_t end_of_last = -1;
    expect(slabs <= std::max<int64_t>(1, nx / order), "slabs are as wide as a window");
    for (int64_t s = 0; s < slabs; ++s) {
      int64_t lowest = nx, highest = end_of_last;
      for (int64_t k = starts[s]; k < starts[s + 1]; ++k) {
        lowest = std::min<int64_t>(lowest, visits[k].x);
        highest = std::max<int64_t>(highest, visits[k].x);
      }
      expect(lowest > end_of_last, "slabs follow each other");
      end_of_last = highest;
    }
  }
}

void bad_input_throws() {
  const std::vector<double> fractions{0.1, 0.2, 0.3}, charges{1};
  std::vector<double> mesh(8 * 8 * 8);
  const loremd::WindowTable<double> table({5});
  const loremd::MeshShape without_halo{{8, 8, 8}, 1};
  const auto visits = visits_of<double>(fractions, without_halo, 5);
  const loremd::MeshCall<double> call{visits.data(), nullptr, 1, without_halo, &table};
  const std::vector<double> nan{0.1, std::nan(""), 0.3};
  int32_t atom = 0;
  expect(throws([&] { loremd::visiting_order(nan.data(), 1, call.shape, 5, &atom); }),
         "NaN throws");
  expect(throws([&] { loremd::spread(call, charges.data(), mesh.data()); }), "no halo throws");
  expect(throws([&] { loremd::WindowTable<float>({11}); }), "order 11 throws");
  expect(throws([&] { loremd::mesh_layout({8, 8, 4}, 1, 5, 4); }), "a coarse mesh throws");
  const int64_t centre = 3, neighbour = 0;
  double sum = 0;
  expect(throws([&] {
           loremd::pair_sum({&centre, &neighbour, 1, 1, 1}, charges.data(), charges.data(), 1,
                            &sum);
         }),
         "an index out of range throws");
  expect(throws([&] { loremd::plan_mesh({{}, 10, 1, 5.0, 1e-4, 0, {0, 0, 0}, 0}); }),
         "a cell without volume throws");
}

void plan_reaches_its_target() {
  const loremd::Matrix3 cell{{{20, 0, 0}, {5, 18, 0}, {-3, 2, 22}}};
  for (double accuracy : {1e-3, 1e-5, 1e-7}) {
    const auto plan = loremd::plan_mesh({cell, 800, 10, 5.0, accuracy, 0, {0, 0, 0}, 0});
    expect(plan.mesh_error <= accuracy && plan.real_space_error <= accuracy,
           "estimates are within the accuracy");
    expect(plan.settings.points[0] >= plan.settings.order, "the mesh is fine enough for the order");
  }
}

// ---- maths ----

bool near(double value, double expected, double tolerance) {
  return std::abs(value - expected) <= tolerance * std::max(1.0, std::abs(expected));
}

// Integral over [low, high], exact to round-off for what is smooth there.
template <class F>
double integrate(double low, double high, F &&f) {
  static const loremd::Quadrature rule = loremd::gauss_legendre(60);
  double sum = 0;
  for (size_t i = 0; i < rule.nodes.size(); ++i) {
    sum += rule.weights[i] * f(0.5 * (low + high) + 0.5 * (high - low) * rule.nodes[i]);
  }
  return 0.5 * (high - low) * sum;
}

// Units in the last place between a value and a more exact one.
template <class T>
double units_apart(T value, long double exact) {
  const T rounded = static_cast<T>(exact);
  const T next = std::nextafter(rounded, std::numeric_limits<T>::max());
  return static_cast<double>(std::abs(value - exact) / (next - rounded));
}

template <class T>
void decay_is_the_exponential_function() {
  const T last = -std::log(std::numeric_limits<T>::min());
  double worst = 0;
  for (int k = 0; k < 100000; ++k) {
    const T y = last * T(k) / 100000;
    worst = std::max(worst, units_apart(loremd::decay<T>(y), std::exp(-(long double){y})));
  }
  expect(worst < 2, "decay is exp(-y) to two units in the last place");
  expect(loremd::decay<T>(T(0)) == 1, "decay begins at one");
  for (T y : {last + 2, T(1e4), std::numeric_limits<T>::infinity()}) {
    expect(loremd::decay<T>(y) == 0, "decay ends at zero");
  }
  expect(std::isnan(loremd::decay<T>(std::numeric_limits<T>::quiet_NaN())), "NaN is not hidden");
}

// In lanes as one by one, and the slope is that of the value.
template <class T>
void silu_has_its_slope() {
  using Lanes = typename loremd::Vector<T, 32>::type;
  for (T x = -30; x < 30; x += T(0.37)) {
    const auto one = loremd::silu<T>(x);
    const auto many = loremd::silu<T>(Lanes{} + x);
    const long double wide = x, s = 1 / (1 + std::exp(-wide));
    const long double other = 1 / (1 + std::exp(wide));
    const T unit = std::numeric_limits<T>::epsilon();
    expect(units_apart(one.value, wide * s) < 4, "silu(x) = x / (1 + exp(-x))");
    expect(std::abs(one.slope - (s + wide * s * other)) < 3 * unit, "the slope of silu");
    // products may be contracted in one and not in the other
    expect(std::abs(many.value[3] - one.value) <= 2 * unit * std::abs(one.value), "in lanes");
    expect(std::abs(many.slope[3] - one.slope) <= 3 * unit, "slopes in lanes");
  }
}

void gamma_tails() {
  using loremd::upper_gamma;
  for (double x : {1e-6, 0.3, 1.19, 1.21, 5.0, 40.0}) {
    expect(near(upper_gamma(1, x) * std::exp(x), 1, 1e-14), "Gamma(1, x) = exp(-x)");
    expect(near(upper_gamma(0.5, x), loremd::root_pi * std::erfc(std::sqrt(x)), 1e-14),
           "Gamma(1/2, x) = sqrt(pi) erfc(sqrt(x))");
    for (double a : {-3.0, -1.5, -0.2, 0.0, 1e-9, 0.7, 1.0, 3.0}) {
      const double left = upper_gamma(a + 1, x) - a * upper_gamma(a, x);
      const double right = std::pow(x, a) * std::exp(-x);
      const double largest = std::abs(a) * upper_gamma(a, x) + right;
      expect(std::abs(left - right) <= 3e-14 * largest, "Gamma(a + 1, x) = a Gamma(a, x) + ..");
    }
  }
  expect(near(upper_gamma(0, 1), 0.21938393439552028, 1e-14), "Gamma(0, 1) is E1(1)");
  expect(near(upper_gamma(-1, 1), 0.14849550677592205, 1e-14), "Gamma(-1, 1)");
  const loremd::GammaTail tail(-0.5, 1.3);
  const double h = 1e-4;
  for (int order = 0; order < 3; ++order) {
    const double slope =
        (tail.derivative(0.8 + h, order) - tail.derivative(0.8 - h, order)) / (2 * h);
    expect(near(slope, tail.derivative(0.8, order + 1), 1e-6), "derivatives of a tail");
  }
}

void even_series_is_what_it_says() {
  const std::vector<double> terms{1, -0.7, 0.4, 0.1};
  const loremd::EvenSeries series{terms.data(), 4};
  const double h = 1e-5;
  for (double t : {-1.0, -0.4, 0.0, 0.3, 0.99, 1.0}) {
    const double p2 = (3 * t * t - 1) / 2, p4 = (35 * std::pow(t, 4) - 30 * t * t + 3) / 8;
    const double p6 = (231 * std::pow(t, 6) - 315 * std::pow(t, 4) + 105 * t * t - 5) / 16;
    expect(near(series.value(t), 1 - 0.7 * p2 + 0.4 * p4 + 0.1 * p6, 1e-14), "value of a series");
    const double slope = (series.value(t + h) - series.value(t - h)) / (2 * h);
    expect(near(series.slope(t), slope, 1e-8), "slope of a series");
    const double area = integrate(0, t, [&](double s) { return series.value(s); });
    expect(near(series.integral(t), area, 1e-14), "integral of a series");
  }
  expect(near(series.integral(1), 1, 1e-15), "the integral over [0, 1] is one");
  for (double u : {0.0, 1e-9, 1e-3, 1.0, 3.141592653589793, 7.7, 20.0, 45.0}) {
    const double expected =
        integrate(0, 1, [&](double t) { return series.value(t) * std::cos(u * t); });
    expect(near(series.cosine_transform(u), expected, 1e-14), "cosine transform of a series");
    expect(series.cosine_transform(-u) == series.cosine_transform(u), "it is even");
  }
}

// psi is an eigenfunction of the finite cosine transform: F(c t) = psi(t) F(0) / psi(0), so that
// its spectrum within the bandlimit is the function itself.
void prolate_functions_are_their_own_spectrum() {
  for (double bandlimit : {0.5, 5.0, 12.0, 40.0}) {
    const auto terms = loremd::prolate_series(bandlimit);
    const loremd::EvenSeries prolate{terms.data(), static_cast<int>(terms.size())};
    expect(near(prolate.integral(1), 1, 1e-14), "the integral of a prolate is one");
    for (double t : {0.2, 0.6, 1.0}) {
      expect(
          near(prolate.cosine_transform(bandlimit * t), prolate.value(t) / prolate.value(0), 1e-13),
          "a prolate is its own spectrum");
    }
    const auto shape_terms = loremd::prolate_shape(bandlimit);
    const loremd::EvenSeries shape{shape_terms.data(), static_cast<int>(shape_terms.size())};
    expect(std::abs(shape.value(1)) < 1e-12 * shape.value(0), "a prolate shape ends at zero");
    expect(near(shape.integral(1), 1, 1e-14), "its integral is one");
  }
  for (double bandlimit : {0.0, -1.0, 101.0, std::nan("")}) {
    expect(throws([&] { loremd::prolate_series(bandlimit); }), "a bandlimit out of range throws");
  }
}

void chebyshev_series_is_its_function() {
  const auto f = [](double x) { return std::exp(-x) * std::sin(2 * x); };
  const auto series = loremd::ChebyshevSeries::fit(f, 0.5, 4, 30);
  const auto slope = series.derivative();
  for (double x : {0.5, 0.77, 2.0, 4.0}) {
    expect(near(series.value(x), f(x), 1e-14), "a Chebyshev series is its function");
    const double expected = std::exp(-x) * (2 * std::cos(2 * x) - std::sin(2 * x));
    expect(near(slope.value(x), expected, 1e-12), "so is its derivative");
  }
  const auto one = loremd::ChebyshevSeries::fit(f, 1, 1.5, 1);
  expect(one.value(1.2) == f(1.25) && one.derivative().value(1.2) == 0,
         "a single term is constant");
}

void power_sum_is_the_sum_over_aliases() {
  const auto terms = loremd::prolate_shape(11);
  for (int order : {3, 4, 7, 10}) {
    for (const auto &shape : {loremd::EvenSeries{nullptr, 0},
                              loremd::EvenSeries{terms.data(), static_cast<int>(terms.size())}}) {
      const loremd::WindowTransform window(order, shape);
      expect(near(window.power(0), 1, 1e-14), "a window has the integral one");
      for (double cycles : {0.0, 0.13, 0.5, 0.9}) {
        double sum = 0;
        for (int m = -300; m <= 300; ++m) sum += window.power(cycles + m);
        // what is left out is below 1e-9 of the window at order 3
        expect(near(window.power_sum(cycles), sum, 1e-9), "power_sum is the sum over aliases");
      }
    }
  }
}

// Sequences of complex numbers side by side against the sum that defines the transform.
template <class T, int Bytes>
void transform_is_the_fourier_sum(int n, bool in_place, double tolerance) {
  using Lanes = loremd::ComplexLanes<T, Bytes>;
  using V = typename Lanes::V;
  constexpr int side_by_side = 3;
  const loremd::FftPlan<T> plan(n);
  for (bool inverse : {false, true}) {
    std::vector<V> x(n * side_by_side), y(x.size()), workspace(2 * x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      for (int k = 0; k < Lanes::lanes; ++k) x[i][k] = T(std::sin(1.0 + i * Lanes::lanes + k));
    }
    const std::vector<V> given(x);
    constexpr int element = side_by_side * Lanes::lanes;
    const loremd::Sequences<T> from{reinterpret_cast<T *>(x.data()), element};
    const loremd::Sequences<T> to{in_place ? from.data : reinterpret_cast<T *>(y.data()), element};
    loremd::fft<Lanes>(plan, inverse, side_by_side, from, to,
                       reinterpret_cast<T *>(workspace.data()));
    const V *result = in_place ? x.data() : y.data();
    double error = 0;
    for (int k = 0; k < n; ++k) {
      for (int lane = 0; lane < Lanes::lanes; lane += 2) {
        long double re = 0, im = 0;  // sums of many terms must not be what limits the comparison
        for (int j = 0; j < n; ++j) {
          const long double pi = std::acos(-1.0L);
          const long double angle = (inverse ? 2 : -2) * pi * (int64_t(j) * k % n) / n;
          const V &value = given[j * side_by_side + 1];
          re += value[lane] * std::cos(angle) - value[lane + 1] * std::sin(angle);
          im += value[lane] * std::sin(angle) + value[lane + 1] * std::cos(angle);
        }
        const V &found = result[k * side_by_side + 1];
        error = std::max(
            {error, double(std::abs(found[lane] - re)), double(std::abs(found[lane + 1] - im))});
      }
    }
    expect(error < tolerance * n, "fft is the Fourier sum");
  }
}

void transforms_are_fourier_sums() {
  for (int n : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 26, 30, 49, 60, 112, 121, 216}) {
    for (bool in_place : {false, true}) {
      transform_is_the_fourier_sum<double, 16>(n, in_place, 1e-15);
      transform_is_the_fourier_sum<double, 64>(n, in_place, 1e-15);
      transform_is_the_fourier_sum<float, 16>(n, in_place, 1e-6);
      transform_is_the_fourier_sum<float, 32>(n, in_place, 1e-6);
    }
  }
}

// Slopes against dual numbers, which differentiate the values; the b_k sum to one.
void radial_functions_sum_to_the_cutoff_function() {
  using Number = loremd::Dual<double>;
  const double x = 0.37;
  for (int n : {1, 2, 3, 32}) {
    for (bool smooth : {false, true}) {
      const loremd::CutoffValue fc = smooth ? loremd::smooth_cutoff(x) : loremd::cosine_cutoff(x);
      std::vector<double> binomials(n);
      std::vector<Number> powers(n);
      loremd::pascal_row(n - 2, binomials.data());
      Number sum{}, slopes{};
      loremd::radial_basis(n, binomials.data(), Number{x, 1}, 1.0, Number{fc.value, fc.slope},
                           Number{fc.slope, fc.curvature}, powers.data(),
                           [&](int, const Number &value, const Number &slope) {
                             expect(std::abs(slope.value - value.tangent) < 1e-12, "slope of rho");
                             sum += value, slopes += slope;
                           });
      expect(std::abs(sum.value - fc.value) < 1e-14, "sum of rho");
      expect(std::abs(slopes.tangent - fc.curvature) < 1e-11, "second derivative of rho");
    }
  }
}

// Squares of one degree sum to one; the gradient against dual numbers.
void harmonics_are_normalised_and_have_their_gradient() {
  constexpr int degree = loremd::largest_degree, n = loremd::n_components(degree);
  const loremd::SphericalRecursion<double> recursion;
  const double u[3] = {0.48, -0.6, 0.64};
  double weights[n], values[n], by_u[3] = {};
  for (int lm = 0; lm < n; ++lm) weights[lm] = std::cos(3.0 * lm);
  loremd::spherical_harmonics(recursion, degree, u[0], u[1], u[2],
                              [&](int lm, double y) { values[lm] = y; });
  for (int l = 0; l <= degree; ++l) {
    double squares = 0;
    for (int lm = l * l; lm < loremd::n_components(l); ++lm) squares += values[lm] * values[lm];
    expect(std::abs(squares - 1) < 1e-14, "norm of the harmonics");
  }
  loremd::spherical_harmonics_gradient(
      recursion, degree, u[0], u[1], u[2], [&](int lm) { return weights[lm]; }, by_u[0], by_u[1],
      by_u[2]);
  for (int a = 0; a < 3; ++a) {
    loremd::Dual<double> along[3], sum;
    for (int b = 0; b < 3; ++b) along[b] = {u[b], a == b ? 1.0 : 0.0};
    loremd::spherical_harmonics(
        recursion, degree, along[0], along[1], along[2],
        [&](int lm, const loremd::Dual<double> &y) { sum += y * weights[lm]; });
    expect(std::abs(sum.tangent - by_u[a]) < 1e-12, "gradient of the harmonics");
  }
}

void transpose_and_sum_lanes() {
  using Eight = loremd::Vector<float, 32>;
  Eight::type rows[8], copy[8];
  for (int k = 0; k < 8; ++k) {
    for (int lane = 0; lane < 8; ++lane) rows[k][lane] = copy[k][lane] = 10 * k + lane;
  }
  loremd::transpose<float, 32>(rows);
  const Eight::type sums = loremd::sum_lanes<float, 32>(copy);
  for (int k = 0; k < 8; ++k) {
    for (int lane = 0; lane < 8; ++lane) expect(rows[k][lane] == 10 * lane + k, "transpose");
    expect(sums[k] == 80 * k + 28, "sum of the lanes");
  }
}

}  // namespace

int main() {
  for (int rows : {0, 1, 5, 12, 31}) {
    for (int columns : {1, 8, 17, 32, 56, 129}) {
      matrix_product_is_the_sum<float>(rows, 57, columns, 1e-6);
      matrix_product_is_the_sum<double>(rows, 57, columns, 1e-15);
    }
  }
  radial_functions_sum_to_the_cutoff_function();
  harmonics_are_normalised_and_have_their_gradient();
  transpose_and_sum_lanes();
  decay_is_the_exponential_function<float>();
  decay_is_the_exponential_function<double>();
  silu_has_its_slope<float>();
  silu_has_its_slope<double>();
  gamma_tails();
  even_series_is_what_it_says();
  prolate_functions_are_their_own_spectrum();
  chebyshev_series_is_its_function();
  power_sum_is_the_sum_over_aliases();
  transforms_are_fourier_sums();
  spread_and_interpolate_with_any_window();
  window_tables_are_their_series();
  window_table_is_the_bspline<3>();
  window_table_is_the_bspline<10>();
  packing_and_folding_are_transposes<float>({6, 7, 70}, 10, 6);
  packing_and_folding_are_transposes<float>({3, 3, 3}, 1, 3);
  packing_and_folding_are_transposes<double>({9, 10, 9}, 10, 9);
  packing_and_folding_are_transposes<double>({4, 4, 4}, 3, 4);
  field_is_the_derivative_of_the_values();
  every_atom_is_visited_once_in_its_slab();
  bad_input_throws();
  plan_reaches_its_target();
  test_boxes();
  std::printf("%s\n", failures ? "core tests failed" : "core tests passed");
  return failures;
}
