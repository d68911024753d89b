// SPDX-License-Identifier: BSD-3-Clause
//
// Even functions on [-1, 1] as Legendre series: the shapes of windows and of compact splittings.
#pragma once

#include <math.h>

#include "../host_device.hpp"

namespace loremd {

// f(t) = sum_j coefficients[j] P_2j(t). With coefficients[0] = 1 its integral over [0, 1] is one.
// Everything below costs some 10 operations per term.
struct EvenSeries {
  const double *coefficients;
  int terms;

  // Calls body(j, P_2j-1(t), P_2j(t), P_2j+1(t)) for every term; P_-1 = 0.
  template <class Body>
  LOREMD_HOST_DEVICE void for_each_polynomial(double t, Body &&body) const {
    double before = 0, even = 1;
    for (int j = 0; j < terms; ++j) {
      const int n = 2 * j;
      const double odd = ((2 * n + 1) * t * even - n * before) / (n + 1);
      body(j, before, even, odd);
      even = ((2 * n + 3) * t * odd - (n + 1) * even) / (n + 2);
      before = odd;
    }
  }

  LOREMD_HOST_DEVICE double value(double t) const {
    double sum = 0;
    for_each_polynomial(t,
                        [&](int j, double, double even, double) { sum += coefficients[j] * even; });
    return sum;
  }

  // Derivative by t, from P_n+1' = P_n-1' + (2n + 1) P_n.
  LOREMD_HOST_DEVICE double slope(double t) const {
    double sum = 0, even_slope = 0;
    for_each_polynomial(t, [&](int j, double, double, double odd) {
      sum += coefficients[j] * even_slope;
      even_slope += (4 * j + 3) * odd;
    });
    return sum;
  }

  // Integral from 0 to t, from (2n + 1) P_n = P_n+1' - P_n-1'.
  LOREMD_HOST_DEVICE double integral(double t) const {
    double sum = 0;
    for_each_polynomial(t, [&](int j, double before, double, double odd) {
      sum += coefficients[j] * (odd - before) / (4 * j + 1);
    });
    return sum;
  }

  // Integral of f(t) cos(u t) over [0, 1] for any u: sum_j coefficients[j] (-1)^j j_2j(u) with the
  // spherical Bessel functions, by their downward recursion (Miller's algorithm).
  LOREMD_HOST_DEVICE double cosine_transform(double u) const {
    u = fabs(u);
    if (u < 1e-7) return coefficients[0];
    const int start = 2 * terms + static_cast<int>(u) + 30;
    double above = 0, bessel = 1e-280, sum = 0;
    for (int n = start; n >= 0; --n) {
      // `bessel` is j_n up to a common factor, `above` j_n+1
      if (n % 2 == 0 && n / 2 < terms) sum += (n % 4 == 0 ? 1 : -1) * coefficients[n / 2] * bessel;
      if (n == 0) break;
      const double below = (2 * n + 1) / u * bessel - above;
      above = bessel;
      bessel = below;
      if (fabs(bessel) > 1e250) {
        above *= 1e-250;
        bessel *= 1e-250;
        sum *= 1e-250;
      }
    }
    // the larger one of j_0 and j_1 fixes the factor
    const double j0 = sin(u) / u, j1 = (j0 - cos(u)) / u;
    return sum * (fabs(j0) > fabs(j1) ? j0 / bessel : j1 / above);
  }
};

}  // namespace loremd
