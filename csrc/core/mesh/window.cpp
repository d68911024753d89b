// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/window.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "math/bspline.hpp"
#include "math/chebyshev.hpp"
#include "math/even_series.hpp"

namespace loremd {
namespace {

// By degree and mesh point, in double precision.
struct Polynomials {
  int degree = 0;
  double coefficients[WindowTable<double>::largest_degree + 1][largest_order] = {};
};

// Taylor series about the middle of the interval.
template <int P, int... D>
Polynomials bspline_polynomials(std::integer_sequence<int, D...>) {
  Polynomials result;
  result.degree = P - 1;
  (bspline_weights<P, D>(0.5, result.coefficients[D]), ...);
  double factorial = 1;
  for (int d = 1; d < P; ++d) {
    factorial *= d;
    for (int k = 0; k < P; ++k) result.coefficients[d][k] /= factorial;
  }
  return result;
}

// Weight of mesh point k at s = 2 (fraction - 1/2).
double series_weight(const WindowSpec &spec, size_t k, double s) {
  const EvenSeries shape{spec.series, spec.terms};
  return shape.value((spec.order - 1 - 2.0 * k + s) / spec.order) / spec.order;
}

// One Chebyshev series in s per mesh point; those of the other half of the window are their mirror
// images.
std::vector<std::vector<double>> chebyshev_series(const WindowSpec &spec, int terms) {
  std::vector<std::vector<double>> series((spec.order + 1) / 2);
  for (size_t k = 0; k < series.size(); ++k) {
    const auto weight = [&](double s) { return series_weight(spec, k, s); };
    series[k] = ChebyshevSeries::fit(weight, -1, 1, terms).coefficients();
  }
  return series;
}

double largest_weight(const std::vector<std::vector<double>> &series) {
  double largest = 0;
  for (const auto &one : series) largest = std::max(largest, std::abs(one[0]));
  return largest;
}

// Lowest degree beyond which the coefficients of any series add up to at most `tolerance`; the
// highest there is where none does.
int sufficient_degree(const std::vector<std::vector<double>> &series, double tolerance) {
  const int terms = static_cast<int>(series[0].size());
  int sufficient = 0;
  for (const auto &one : series) {
    int degree = terms - 1;
    for (double rest = 0; degree > 0; --degree) {
      rest += std::abs(one[degree]);
      if (!(rest <= tolerance)) break;
    }
    sufficient = std::max(sufficient, degree);
  }
  return sufficient;
}

// Leaves out the terms above `degree`, at least 1, and gives the series the values `low` and `high`
// at its ends by the first two, so that polynomials side by side still meet.
void truncate(std::vector<double> &series, int degree, double low, double high) {
  series.resize(degree + 1);
  series[0] = (high + low) / 2, series[1] = (high - low) / 2;
  for (int n = 2; n <= degree; ++n) series[n % 2] -= series[n];
}

// T_n(2 t) = 4 t T_n-1(2 t) - T_n-2(2 t), written out in powers of t = fraction - 1/2.
Polynomials monomials(const std::vector<std::vector<double>> &series, int order, int degree) {
  Polynomials result;
  result.degree = degree;
  std::vector<double> before(degree + 1), current(degree + 1);
  for (int n = 0; n <= degree; ++n) {
    std::vector<double> next(degree + 1);
    for (int d = 0; d <= n; ++d) {
      next[d] = n == 0 ? 1 : (d == 0 ? 0 : (n == 1 ? 2 : 4) * current[d - 1]) - before[d];
      for (size_t k = 0; k < series.size(); ++k) {
        const double term = series[k][n] * next[d];
        result.coefficients[d][k] += term;
        const int mirrored = order - 1 - static_cast<int>(k);
        if (mirrored != static_cast<int>(k)) {
          result.coefficients[d][mirrored] += d % 2 == 0 ? term : -term;
        }
      }
    }
    before = std::exchange(current, std::move(next));
  }
  return result;
}

// How far the window and its slope by mesh spacings step down to zero where it ends.
double step_at_the_end(const WindowSpec &spec) {
  const EvenSeries shape{spec.series, spec.terms};
  return (std::abs(shape.value(1)) + std::abs(shape.slope(1)) * 2 / spec.order) / spec.order;
}

Polynomials series_polynomials(const WindowSpec &spec, double rounding) {
  for (int terms = 12; terms <= WindowTable<double>::largest_degree + 1; terms += 6) {
    auto series = chebyshev_series(spec, terms);
    const double largest = largest_weight(series);
    const double tolerance = std::clamp(window_tolerance * step_at_the_end(spec),
                                        rounding * largest, largest_window_error * largest);
    const int degree = std::max(sufficient_degree(series, tolerance), 1);
    // a spare coefficient: what was left out shows up in the last ones
    if (degree >= terms - 2) continue;
    for (size_t k = 0; k < series.size(); ++k) {
      truncate(series[k], degree, series_weight(spec, k, -1), series_weight(spec, k, 1));
    }
    return monomials(series, spec.order, degree);
  }
  check(false, "the window varies too fast for order ", spec.order,
        "; it needs a higher order or a lower bandlimit");
  return {};
}

template <class T>
constexpr double window_rounding = std::is_same_v<T, float> ? 3e-8 : 1e-13;

}  // namespace

template <class T>
WindowTable<T>::WindowTable(const WindowSpec &spec) : order(spec.order), coefficients{} {
  dispatch_order(order, [&](auto p) {
    constexpr int P = decltype(p)::value;
    const Polynomials polynomials =
        spec.terms > 0 ? series_polynomials(spec, window_rounding<T>)
                       : bspline_polynomials<P>(std::make_integer_sequence<int, P>{});
    degree = polynomials.degree;
    for (int d = 0; d <= degree; ++d) {
      for (int k = 0; k < P; ++k) {
        coefficients[d][k] = static_cast<T>(polynomials.coefficients[d][k]);
      }
    }
  });
}

template struct WindowTable<float>;
template struct WindowTable<double>;

}  // namespace loremd
