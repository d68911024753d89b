// SPDX-License-Identifier: BSD-3-Clause
//
// Fourier side of the 1/r sum: the long-range part under Gaussian splitting, the transform of the
// B-spline window, and the optimal influence function of Hockney and Eastwood for potentials,
//     G(k) = sum_m U(k_m)^2 R(k_m) / (sum_m U(k_m)^2)^2,       k_m = k + m times the mesh's own k,
// (Ballenegger, Cerda, Holm 2012, DOI 10.1021/ct2001792, their eq. for analytic differentiation).
#pragma once

#include <math.h>

#include "../host_device.hpp"
#include "bspline.hpp"

namespace loremd {

constexpr double pi = 3.14159265358979323846;

// R(k) = 4 pi / k^2 exp(-smearing^2 k^2 / 2) and its derivatives by x = k^2.
struct GaussianSplitting {
  double smearing;

  LOREMD_HOST_DEVICE double value(double x) const {
    return 4 * pi / x * exp(-0.5 * smearing * smearing * x);
  }
  LOREMD_HOST_DEVICE double first(double x) const {
    return -value(x) * (1 / x + 0.5 * smearing * smearing);
  }
  LOREMD_HOST_DEVICE double second(double x) const {
    const double slope = 1 / x + 0.5 * smearing * smearing;
    return value(x) * (slope * slope + 1 / (x * x));
  }
};

// Square of the window's transform at frequency index `frequency` (any integer, aliases included)
// of a mesh with n points: sinc(pi frequency / n)^(2 order).
LOREMD_HOST_DEVICE double window_power(int frequency, int n, int order) {
  if (frequency == 0) return 1;
  const double x = pi * frequency / n;
  return pow(sin(x) / x, 2 * order);
}

// Sum of window_power over all aliases of one frequency, in closed form: the transform of the
// autocorrelation of the window, a B-spline of twice the order, at the mesh points.
template <int P>
LOREMD_HOST_DEVICE double window_power_sum(int frequency, int n) {
  double autocorrelation[2 * P];  // M_2P(j), j = 0 .. 2P-1
  bspline_values<2 * P>(0.0, autocorrelation);
  double sum = autocorrelation[P];
  for (int j = 1; j < P; ++j) {
    sum += 2 * autocorrelation[P + j] * cos(2 * pi * j * frequency / n);
  }
  return sum;
}

// k^2 / (2 pi)^2 = f . metric . f for integer frequencies f, metric = (A A^T)^-1 of the cell rows
// A.
LOREMD_HOST_DEVICE double metric_product(const double *metric, const double *f) {
  double sum = 0;
  for (int a = 0; a < 3; ++a) {
    for (int b = 0; b < 3; ++b) sum += metric[3 * a + b] * f[a] * f[b];
  }
  return sum;
}

}  // namespace loremd
