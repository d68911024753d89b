// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cmath>
#include <vector>

namespace loremd {

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

  // By Clenshaw's recurrence.
  double value(double x) const {
    const double s = scale_ * (x - low_) - 1;
    double current = 0, previous = 0;
    for (int n = static_cast<int>(coefficients_.size()) - 1; n >= 1; --n) {
      const double next = coefficients_[n] + 2 * s * current - previous;
      previous = current;
      current = next;
    }
    return coefficients_[0] + s * current - previous;
  }

 private:
  ChebyshevSeries(double low, double high, std::vector<double> coefficients)
      : low_(low), high_(high), scale_(2 / (high - low)), coefficients_(std::move(coefficients)) {}

  double low_, high_, scale_;
  std::vector<double> coefficients_;
};

}  // namespace loremd
