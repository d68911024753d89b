// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "../error.hpp"
#include "../host_device.hpp"

namespace loremd {

// sum_n coefficients[n] T_n(s) by Clenshaw's recurrence. V: a number or a vector.
template <class V>
LOREMD_HOST_DEVICE V clenshaw(const double *coefficients, int terms, const V &s) {
  V current{}, previous{};
  const V twice = s + s;
  for (int n = terms - 1; n >= 1; --n) {
    const V next = coefficients[n] + (twice * current - previous);
    previous = current;
    current = next;
  }
  return coefficients[0] + (s * current - previous);
}

// f(x) = sum_n coefficients[n] T_n(s), s = -1 .. 1 over low <= x <= high.
class ChebyshevSeries {
 public:
  ChebyshevSeries() : ChebyshevSeries(0, 1, {0.0}) {}

  // Interpolates `f` at the `terms` Chebyshev nodes of the interval: exact for polynomials of that
  // many coefficients, for smooth functions to round-off once there are enough.
  template <class F>
  static ChebyshevSeries fit(F &&f, double low, double high, int terms) {
    const double pi = std::acos(-1.0);
    std::vector<double> coefficients(terms, 0.0);
    for (int i = 0; i < terms; ++i) {
      const double angle = pi * (i + 0.5) / terms;
      const double value = f(0.5 * (low + high) + 0.5 * (high - low) * std::cos(angle));
      for (int n = 0; n < terms; ++n) {
        coefficients[n] += (n == 0 ? 1.0 : 2.0) / terms * value * std::cos(n * angle);
      }
    }
    return {low, high, coefficients};
  }

  const std::vector<double> &coefficients() const { return coefficients_; }

  // Without the last terms that are below the rounding errors of fit().
  ChebyshevSeries without_negligible() const {
    double largest = 0;
    for (double coefficient : coefficients_) largest = std::max(largest, std::abs(coefficient));
    size_t terms = coefficients_.size();
    while (terms > 1 && std::abs(coefficients_[terms - 1]) < 5e-15 * largest) --terms;
    return {low_, high_, {coefficients_.begin(), coefficients_.begin() + terms}};
  }

  // By x.
  ChebyshevSeries derivative() const {
    const int terms = static_cast<int>(coefficients_.size());
    std::vector<double> slopes(terms + 1, 0.0);
    for (int n = terms - 1; n >= 1; --n) {
      slopes[n - 1] = (n + 1 < terms ? slopes[n + 1] : 0.0) + 2 * n * coefficients_[n];
    }
    slopes.resize(terms > 1 ? terms - 1 : 1);
    slopes[0] *= 0.5;
    for (double &slope : slopes) slope *= scale_;
    return {low_, high_, slopes};
  }

  // At one x or a vector of them.
  template <class V>
  LOREMD_HOST_DEVICE V value(const V &x) const {
    return clenshaw(coefficients_.data(), static_cast<int>(coefficients_.size()),
                    V(scale_ * (x - low_) - 1));
  }

  // s = scale (x - low) - 1
  double scale() const { return scale_; }
  double low() const { return low_; }

 private:
  ChebyshevSeries(double low, double high, std::vector<double> coefficients)
      : low_(low), high_(high), scale_(2 / (high - low)), coefficients_(std::move(coefficients)) {}

  double low_, high_, scale_;
  std::vector<double> coefficients_;
};

// A series by value, as kernels take it: no memory of its own has to be filled before.
struct FixedSeries {
  static constexpr int most_terms = 192;
  int terms = 0;
  double scale = 0, low = 0;
  double coefficients[most_terms];

  FixedSeries() = default;
  // Throws Error on a series that is too long.
  explicit FixedSeries(const ChebyshevSeries &series)
      : terms(static_cast<int>(series.coefficients().size())),
        scale(series.scale()),
        low(series.low()) {
    check(terms <= most_terms, "a series has ", terms, " terms; CUDA kernels take up to ",
          most_terms);
    std::copy(series.coefficients().begin(), series.coefficients().end(), coefficients);
  }
  template <class V>
  LOREMD_HOST_DEVICE V value(const V &x) const {
    return clenshaw(coefficients, terms, V(scale * (x - low) - 1));
  }
};

}  // namespace loremd
