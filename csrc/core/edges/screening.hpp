// SPDX-License-Identifier: BSD-3-Clause
//
// The sharp part of the splittings of 1/r^p, value by value: what the real-space sum multiplies
// charges with. Both are functions of x = r^2, so that a square root's derivative never appears.
#pragma once

#include <cstdint>

#include "math/chebyshev.hpp"
#include "math/even_series.hpp"
#include "math/gamma.hpp"

namespace loremd {

constexpr int largest_screening_derivative = 3;

// Derivative 0 to 3 by x of tail(x) = x^-a Gamma(a, b x) (math/gamma.hpp), b > 0; with Gaussian
// splitting tail(r^2) / Gamma(p/2), a = p/2, is the sharp part of 1/r^p.
//
//   x (n) > 0; out (n), written. A few ns per value where 2 a is an integer and a + derivative is
// positive (relative error 1e-15 times the larger of 1 and b x), else some 100 ns.
// Throws Error as check_gamma_tail does: for a derivative out of range, b <= 0, or an a that is not
// finite or beyond +-100.
void check_gamma_tail(const GammaTail &tail, int derivative);
void gamma_tail(int64_t n, const double *x, GammaTail tail, int derivative, double *out);

// Derivative 0 to 3 by x of the sharp part of 1/r with a compact splitting,
//   sharp(r) = (1 - Phi(t)) / r for t = r / range < 1, else 0,   Phi(t) = integral of shape to t.
// Phi(t) / t is a polynomial in t^2; it is kept as a Chebyshev series, differentiated as needed.
class CompactSharp {
 public:
  // Throws Error for a derivative out of range, range <= 0, or a shape without terms.
  CompactSharp(double range, EvenSeries shape, int derivative);

  // x (n) > 0; out (n), written: some 10 ns per value.
  void evaluate(int64_t n, const double *x, double *out) const;

  double square() const { return square_; }
  double bare() const { return bare_; }
  int derivative() const { return derivative_; }
  const ChebyshevSeries &smooth() const { return smooth_; }

 private:
  double square_;  // of the range
  double bare_;    // the derivative of 1/r is bare_ * x^-(derivative + 1/2)
  int derivative_;
  ChebyshevSeries smooth_;
};

}  // namespace loremd
