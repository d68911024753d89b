// SPDX-License-Identifier: BSD-3-Clause
//
// The radial functions of the model: rho_k(r) = b_k(x) fc(x), x = r / cutoff, with the Bernstein
// polynomials b_k(x) = binomial(K-1, k) x^k (1-x)^(K-1-k), k = 0 .. K-1, which sum to one.
#pragma once

#include <math.h>

#include "../host_device.hpp"

namespace loremd {

// The cutoff function fc with its derivatives by x.
struct CutoffValue {
  double value, slope, curvature;
};

// 0.5 (1 + cos pi x) = sin^2(pi y / 2) with y = 1 - x, for 0 <= x <= 1. Series, for their relative
// accuracy where fc is small, and because loops of them become vector code.
LOREMD_HOST_DEVICE CutoffValue cosine_cutoff(double x) {
  constexpr double half_pi = 1.57079632679489661923;
  const double t = half_pi * (1 - x), t2 = t * t;
  double sine = 1, cosine = 1;  // sine is sin(t) / t
  LOREMD_UNROLL
  for (int n = 22; n > 0; n -= 2) {
    sine = 1 - t2 / (n * (n + 1)) * sine;
    cosine = 1 - t2 / (n * (n - 1)) * cosine;
  }
  sine *= t;
  return {sine * sine, -2 * half_pi * sine * cosine,
          2 * half_pi * half_pi * (cosine * cosine - sine * sine)};
}

// exp(1 - 1 / (1 - x^2)) for 0 <= x < 1.
LOREMD_HOST_DEVICE CutoffValue smooth_cutoff(double x) {
  const double q = 1 / ((1 - x) * (1 + x));
  const double value = exp(1 - q), ratio = -2 * x * q * q;
  return {value, ratio * value, (ratio * ratio - 2 * q * q * (1 + 4 * x * x * q)) * value};
}

// Calls body(k, rho_k, its derivative by r) for k = 0 .. n_radial - 1. N is a number, a vector or
// a dual number of float64.
//
//   binomials (n_radial - 1)   binomial(K-2, k), by pascal_row
//   x, inverse_cutoff          x = r inverse_cutoff
//   value, slope               fc(x) and its derivative by x
//   powers (n_radial)          space that the caller lends
template <class N, class Body>
LOREMD_HOST_DEVICE void radial_basis(int n_radial, const double *binomials, const N &x,
                                     double inverse_cutoff, const N &value, const N &slope,
                                     N *powers, Body &&body) {
  const int degree = n_radial - 1;
  const N y = x * -1.0 + 1.0;
  N power = N{} + 1.0;
  for (int k = 0; k < degree; ++k) {
    powers[k] = power;
    power = power * y;
  }
  // from the polynomials c_k of the degree below: b_k = y c_k + x c_k-1, b_k' = degree (c_k-1 -
  // c_k)
  N before{};
  power = N{} + 1.0;
  for (int k = 0; k <= degree; ++k) {
    const N c = k < degree ? power * powers[degree - 1 - k] * binomials[k] : N{};
    const N b = degree > 0 ? y * c + x * before : power;
    const N db = (before - c) * static_cast<double>(degree);
    body(k, b * value, (db * value + b * slope) * inverse_cutoff);
    before = c;
    power = power * x;
  }
}

// row(k) = binomial(n, k), k = 0 .. n; nothing for n < 0.
LOREMD_HOST_DEVICE void pascal_row(int n, double *row) {
  double binomial = 1;
  for (int k = 0; k <= n; ++k) {
    row[k] = binomial;
    binomial = binomial * (n - k) / (k + 1);
  }
}

}  // namespace loremd
