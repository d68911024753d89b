// SPDX-License-Identifier: BSD-3-Clause
//
// Fourier side of the long-range sums: the smooth part of the splittings, how it is cut off where a
// system is not periodic, and the optimal influence function of Hockney and Eastwood for
// potentials,
//     G(k) = sum_m U(k_m)^2 R(k_m) / (sum_m U(k_m)^2)^2,       k_m = k + m times the mesh's own k,
// (Ballenegger, Cerda, Holm 2012, DOI 10.1021/ct2001792, their eq. for analytic differentiation).
//
// A splitting gives R and its derivatives by x = k^2, and the x beyond which R is nothing.
#pragma once

#include <math.h>

#include "../host_device.hpp"
#include "chebyshev.hpp"
#include "even_series.hpp"
#include "gamma.hpp"
#include "window_transform.hpp"

namespace loremd {

// exp(-x) below which a term is nothing beside the others in double precision
constexpr double negligible_exponent = 50;

// 1/r: R(k) = 4 pi / k^2 exp(-smearing^2 k^2 / 2).
struct GaussianSplitting {
  double smearing;

  LOREMD_HOST_DEVICE double largest() const {
    return 2 * negligible_exponent / (smearing * smearing);
  }
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

// 1/r^p: R(k) = pi^(3/2) 2^(3-p) / Gamma(p/2) x^-a Gamma(a, smearing^2 x / 2), a = (3 - p) / 2
// (Williams 1971, DOI 10.1107/S0567739471000998).
struct PowerSplitting {
  GammaTail tail;
  double scale;

  PowerSplitting(double exponent, double smearing)
      : tail(0.5 * (3 - exponent), 0.5 * smearing * smearing),
        scale(pow(pi, 1.5) * pow(2, 3 - exponent) / tgamma(0.5 * exponent)) {}

  double largest() const { return negligible_exponent / tail.b; }
  double value(double x) const { return scale * tail.value(x); }
  double first(double x) const { return scale * tail.derivative(x, 1); }
  double second(double x) const { return scale * tail.derivative(x, 2); }
};

// 1/r, the smooth part being (integral of shape from 0 to r / range) / r: R(k) = 4 pi / k^2 F(k
// range) with the cosine transform F of the shape. That of a prolate shape is negligible from its
// first zero on (ESP, arXiv 2505.09727); others are followed as far as they matter.
class CompactSplitting {
 public:
  CompactSplitting(EvenSeries shape, double range, bool ends_at_zero = true) {
    const double end = (ends_at_zero ? first_zero(shape) : last_value(shape)) / range;
    largest_ = end * end;
    // F is an entire function of k^2
    const int terms = 24 + static_cast<int>(0.6 * end * range);
    transform_ = ChebyshevSeries::fit(
        [&](double x) { return shape.cosine_transform(sqrt(x) * range); }, 0, largest_, terms);
    slope_ = transform_.derivative();
    curvature_ = slope_.derivative();
  }

  double largest() const { return largest_; }
  double value(double x) const { return 4 * pi / x * transform_.value(x); }
  double first(double x) const { return 4 * pi / x * (slope_.value(x) - transform_.value(x) / x); }
  double second(double x) const {
    return 4 * pi / x * (curvature_.value(x) - 2 / x * (slope_.value(x) - transform_.value(x) / x));
  }

  // First u > 0 where the cosine transform of the shape vanishes.
  static double first_zero(EvenSeries shape) {
    constexpr double step = 0.25, farthest = 200;
    double high = step;
    while (high < farthest && shape.cosine_transform(high) > 0) high += step;
    double low = high - step;
    for (int i = 0; i < 50; ++i) {
      const double middle = 0.5 * (low + high);
      (shape.cosine_transform(middle) > 0 ? low : high) = middle;
    }
    return low;
  }

  // The u beyond which the cosine transform stays below 1e-9, 100 at most.
  static double last_value(EvenSeries shape) {
    double u = 100;
    while (u > 1 && fabs(shape.cosine_transform(u)) < 1e-9) u -= 0.25;
    return u;
  }

 private:
  double largest_;
  ChebyshevSeries transform_, slope_, curvature_;
};

// What makes the sum over a lattice that of a system with open directions: the interaction ends at
// a distance that is longer than the system, and so does not reach the images in a cell of at least
// twice that length. A factor on R(k) of 1/r, with its derivatives by x = k^2 at constant k along
// the open direction.

// Three periodic directions: nothing to cut.
struct Periodic {
  LOREMD_HOST_DEVICE bool at_zero(double *) const { return false; }
  LOREMD_HOST_DEVICE double value(double, double) const { return 1; }
  LOREMD_HOST_DEVICE double first(double, double) const { return 0; }
  LOREMD_HOST_DEVICE double second(double, double) const { return 0; }
};

// None: 1/r ends at r = reach; 1 - cos(k reach), in a cell of its own that no strain changes.
struct CutSphere {
  double reach;

  LOREMD_HOST_DEVICE bool at_zero(double *limit) const {
    *limit = 2 * pi * reach * reach;
    return true;
  }
  LOREMD_HOST_DEVICE double value(double x, double) const { return 1 - cos(sqrt(x) * reach); }
  LOREMD_HOST_DEVICE double first(double x, double) const {
    const double k = sqrt(x);
    return 0.5 * reach * sin(k * reach) / k;
  }
  LOREMD_HOST_DEVICE double second(double x, double) const {
    const double k = sqrt(x);
    return 0.25 * reach * (reach * cos(k * reach) - sin(k * reach) / k) / x;
  }
};

// Two: 1/r ends at |z| = reach, half the height of the cell, which makes k_z reach a multiple of
// pi: 1 - exp(-k_xy reach) cos(k_z reach) (Rozzi et al. 2006, DOI 10.1103/PhysRevB.73.205119). For
// k_xy = 0 this is the potential -2 pi |z| / area of a charged plane.
struct CutSlab {
  double reach;

  LOREMD_HOST_DEVICE bool at_zero(double *limit) const {
    *limit = -2 * pi * reach * reach;
    return true;
  }
  LOREMD_HOST_DEVICE static double in_plane(double x, double kz) {
    const double square = x - kz * kz;
    return square > 1e-12 * x ? sqrt(square) : 0;
  }
  LOREMD_HOST_DEVICE double value(double x, double kz) const {
    return 1 - exp(-in_plane(x, kz) * reach) * cos(kz * reach);
  }
  LOREMD_HOST_DEVICE double first(double x, double kz) const {
    const double k = in_plane(x, kz);
    return k > 0 ? 0.5 * reach / k * exp(-k * reach) * cos(kz * reach) : 0;
  }
  LOREMD_HOST_DEVICE double second(double x, double kz) const {
    const double k = in_plane(x, kz);
    return k > 0 ? -0.5 * first(x, kz) * (reach + 1 / k) / k : 0;
  }
};

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
