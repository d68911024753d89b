// SPDX-License-Identifier: BSD-3-Clause
#include "edges/screening.hpp"

#include <algorithm>
#include <cmath>

#include "error.hpp"
#include "math/compact_sharp.hpp"
#include "math/exponential.hpp"
#include "simd.hpp"

namespace loremd {
namespace {

using Line = Vector<double, 64>::type;
constexpr int lanes = Vector<double, 64>::lanes;
constexpr int block = 2 * lanes;  // two vectors at a time hide the latency of the recurrences

void check_derivative(int derivative) {
  check(derivative >= 0 && derivative <= largest_screening_derivative, "derivative is ", derivative,
        "; allowed: 0 to ", largest_screening_derivative);
}

// Calls body(x, out) for whole blocks; the last one is filled up with ones in a buffer.
template <class Body>
LOREMD_INLINE void for_each_block(int64_t n, const double *x, double *out, Body &&body) {
  int64_t i = 0;
  for (; i + block <= n; i += block) body(x + i, out + i);
  if (i == n) return;
  double padded[block], results[block];
  std::fill_n(padded, block, 1.0);
  std::copy_n(x + i, n - i, padded);
  body(padded, results);
  std::copy_n(results, n - i, out + i);
}

LOREMD_INLINE void square_roots(const double *x, double *roots) {
  for (int i = 0; i < block; ++i) roots[i] = std::sqrt(x[i]);
}

// exp(z^2) erfc(z) for z >= 0 as a Chebyshev series in (z - k) / (z + k), times 1 / (1 + 2 z)
// (Shepherd and Laframboise 1981, DOI 10.1090/S0025-5718-1981-0595058-X).
constexpr double erfc_centre = 3.75;

const ChebyshevSeries &scaled_erfc_series() {
  static const ChebyshevSeries series = ChebyshevSeries::fit(
      [](double s) {
        const double z = erfc_centre * (1 + s) / (1 - s), y = z * z;
        const double scaled =
            y < 1.2 ? std::exp(y) * std::erfc(z) : z * gamma_by_fraction(0.5, y) / root_pi;
        return (1 + 2 * z) * scaled;
      },
      -1, 1, 26);
  return series;
}

LOREMD_INLINE Line scaled_erfc(const std::vector<double> &series, Line z) {
  const Line s = (z - erfc_centre) / (z + erfc_centre);
  return clenshaw(series.data(), static_cast<int>(series.size()), s) / (1.0 + 2.0 * z);
}

// Gamma(halves / 2, y), y = z^2, up from Gamma(1/2, y) or Gamma(1, y).
LOREMD_INLINE Line half_integer_gamma(int halves, const std::vector<double> &series, Line y,
                                      Line z) {
  const bool odd = halves % 2 == 1;
  const Line exponential = decay<double>(y);
  Line value = odd ? root_pi * exponential * scaled_erfc(series, z) : exponential;
  Line power = exponential * (odd ? z : y);
  for (int from = odd ? 1 : 2; from < halves; from += 2, power *= y) {
    value = 0.5 * from * value + power;
  }
  return value;
}

// sign * x^-(halves/2) Gamma(halves / 2, b x)
LOREMD_CLONES void half_integer_tail(int64_t n, const double *x, int halves, double b, double sign,
                                     double *out) {
  const std::vector<double> &series = scaled_erfc_series().coefficients();
  const double root_b = std::sqrt(b);
  for_each_block(n, x, out, [&](const double *from, double *to) LOREMD_INLINE_LAMBDA {
    double roots[block];
    square_roots(from, roots);
    for (int i = 0; i < block; i += lanes) {
      const Line r = load<Line>(roots + i);
      Line value = sign * half_integer_gamma(halves, series, b * load<Line>(from + i), root_b * r);
      for (int k = 0; k < halves; ++k) value /= r;
      store(to + i, value);
    }
  });
}

LOREMD_CLONES void compact_tail(int64_t n, const double *x, double square, double bare,
                                int derivative, const double *smooth, int terms, double *out) {
  for_each_block(n, x, out, [&](const double *from, double *to) LOREMD_INLINE_LAMBDA {
    double roots[block];
    square_roots(from, roots);
    for (int i = 0; i < block; i += lanes) {
      store(to + i, compact_sharp(load<Line>(from + i), load<Line>(roots + i), square, bare,
                                  derivative, smooth, terms));
    }
  });
}

}  // namespace

void check_gamma_tail(const GammaTail &tail, int derivative) {
  check_derivative(derivative);
  check(std::abs(tail.a) <= 100, "a is ", tail.a, "; allowed: -100 to 100");
  check(tail.b > 0 && std::isfinite(tail.b), "b is ", tail.b, "; it must be positive and finite");
}

void gamma_tail(int64_t n, const double *x, GammaTail tail, int derivative, double *out) {
  check_gamma_tail(tail, derivative);
  const double halves = 2 * (tail.a + derivative);
  if (halves > 0 && halves == std::floor(halves)) {
    half_integer_tail(n, x, static_cast<int>(halves), tail.b, derivative % 2 == 0 ? 1 : -1, out);
    return;
  }
  for (int64_t i = 0; i < n; ++i) out[i] = tail.derivative(x[i], derivative);
}

CompactSharp::CompactSharp(double range, EvenSeries shape, int derivative)
    : square_(range * range), bare_(1), derivative_(derivative) {
  check_derivative(derivative);
  check(range > 0 && std::isfinite(range), "range is ", range, "; it must be positive and finite");
  check(shape.terms > 0, "the series of the shape has no terms; it needs at least one");
  smooth_ = ChebyshevSeries::fit(
      [&](double x) {
        const double r = std::sqrt(x);
        return shape.integral(r / range) / r;
      },
      0, square_, shape.terms);
  for (int k = 0; k < derivative; ++k) {
    bare_ *= -(k + 0.5);
    smooth_ = smooth_.derivative();
  }
}

void CompactSharp::evaluate(int64_t n, const double *x, double *out) const {
  const std::vector<double> &smooth = smooth_.coefficients();
  compact_tail(n, x, square_, bare_, derivative_, smooth.data(), static_cast<int>(smooth.size()),
               out);
}

}  // namespace loremd
