// SPDX-License-Identifier: BSD-3-Clause
//
// Fourier side of the long-range sums: the smooth part of the splittings, how it is cut off where a
// system is not periodic, and the optimal influence function of Hockney and Eastwood for
// potentials,
//     G(k) = sum_m U(k_m)^2 R(k_m) / (sum_m U(k_m)^2)^2,       k_m = k + m times the mesh's own k,
// (Ballenegger, Cerda, Holm 2012, DOI 10.1021/ct2001792, their eq. for analytic differentiation).
//
// A splitting gives R and its derivatives by x = k^2, the x beyond which R is nothing, and whether
// R takes vectors of x on the CPU (simd.hpp).
#pragma once

#include <math.h>

#include <type_traits>

#include "../host_device.hpp"
#include "chebyshev.hpp"
#include "even_series.hpp"
#include "exponential.hpp"
#include "gamma.hpp"
#include "matrix.hpp"
#include "window_transform.hpp"

namespace loremd {

// exp(-x) below which a term is nothing beside the others in double precision
constexpr double negligible_exponent = 50;

// 1/r: R(k) = 4 pi / k^2 exp(-smearing^2 k^2 / 2).
struct GaussianSplitting {
  static constexpr bool in_vectors = true;
  double smearing;

  LOREMD_HOST_DEVICE double largest() const {
    return 2 * negligible_exponent / (smearing * smearing);
  }
  template <class V>
  LOREMD_HOST_DEVICE V value(const V &x) const {
    return 4 * pi / x * decay<double>(0.5 * smearing * smearing * x);
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
  static constexpr bool in_vectors = false;
  GammaTail tail;
  double scale;

  PowerSplitting(double exponent, double smearing)
      : tail(0.5 * (3 - exponent), 0.5 * smearing * smearing),
        scale(pow(pi, 1.5) * pow(2, 3 - exponent) / tgamma(0.5 * exponent)) {}

  LOREMD_HOST_DEVICE double largest() const { return negligible_exponent / tail.b; }
  LOREMD_HOST_DEVICE double value(double x) const { return scale * tail.value(x); }
  LOREMD_HOST_DEVICE double first(double x) const { return scale * tail.derivative(x, 1); }
  LOREMD_HOST_DEVICE double second(double x) const { return scale * tail.derivative(x, 2); }
};

// 1/r, the smooth part being (integral of shape from 0 to r / range) / r: R(k) = 4 pi / k^2 F(k
// range) with the cosine transform F of the shape, a Chebyshev series of k^2 with its derivatives.
template <class Series>
struct CompactSpectrum {
  static constexpr bool in_vectors = true;
  double end;  // `largest`
  Series transform, slope, curvature;

  LOREMD_HOST_DEVICE double largest() const { return end; }
  template <class V>
  LOREMD_HOST_DEVICE V value(const V &x) const {
    return 4 * pi / x * transform.value(x);
  }
  LOREMD_HOST_DEVICE double first(double x) const {
    return 4 * pi / x * (slope.value(x) - transform.value(x) / x);
  }
  LOREMD_HOST_DEVICE double second(double x) const {
    return 4 * pi / x * (curvature.value(x) - 2 / x * (slope.value(x) - transform.value(x) / x));
  }
};

// The spectrum of a shape. That of a prolate one is negligible from its first zero on (ESP, arXiv
// 2505.09727); others are followed as far as they matter.
class CompactSplitting : public CompactSpectrum<ChebyshevSeries> {
 public:
  CompactSplitting(EvenSeries shape, double range, bool ends_at_zero = true) {
    const double last = (ends_at_zero ? first_zero(shape) : last_value(shape)) / range;
    end = last * last;
    // F is an entire function of k^2
    const int terms = 24 + static_cast<int>(0.6 * last * range);
    transform =
        ChebyshevSeries::fit([&](double x) { return shape.cosine_transform(sqrt(x) * range); }, 0,
                             end, terms)
            .without_negligible();
    slope = transform.derivative();
    curvature = slope.derivative();
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

constexpr double four_pi_squared = 4 * pi * pi;

// One alias of one mesh frequency.
struct Alias {
  double f[3];       // integer frequencies
  double k_squared;  // 4 pi^2 f . metric . f
  double weight;     // U^2 / (sum of U^2)^2
};

// The product of a splitting and the cut of the interaction, with its derivatives by x = k^2.
template <class Splitting, class Cut>
struct Interaction {
  Splitting splitting;
  Cut cut;

  // The value is that of the splitting, which takes vectors, too.
  static constexpr bool in_vectors = Splitting::in_vectors && std::is_same<Cut, Periodic>::value;

  LOREMD_HOST_DEVICE double value(double x, double kz) const {
    return splitting.value(x) * cut.value(x, kz);
  }
  LOREMD_HOST_DEVICE double first(double x, double kz) const {
    return splitting.first(x) * cut.value(x, kz) + splitting.value(x) * cut.first(x, kz);
  }
  LOREMD_HOST_DEVICE double second(double x, double kz) const {
    return splitting.second(x) * cut.value(x, kz) + 2 * splitting.first(x) * cut.first(x, kz) +
           splitting.value(x) * cut.second(x, kz);
  }

  // What an alias adds to the influence function, or, unless null, to its derivative by the metric
  // along `direction`; kz is that along the open axis.
  LOREMD_HOST_DEVICE double term(const Alias &alias, double kz, const double *direction) const {
    return alias.weight * (direction ? first(alias.k_squared, kz) * four_pi_squared *
                                           metric_product(direction, alias.f)
                                     : value(alias.k_squared, kz));
  }

  // The factor of f f^T in the derivative of the term by the metric.
  LOREMD_HOST_DEVICE double slope(const Alias &alias, double kz, const double *direction) const {
    const double by_x = direction ? second(alias.k_squared, kz) * four_pi_squared *
                                        metric_product(direction, alias.f)
                                  : first(alias.k_squared, kz);
    return alias.weight * by_x * four_pi_squared;
  }
};

// The integer frequency of an index, and k along an axis per unit of it.
LOREMD_HOST_DEVICE int64_t mesh_frequency(int64_t index, int64_t n) {
  return index <= n / 2 ? index : index - n;
}
LOREMD_HOST_DEVICE double open_scale(const double *metric, int axis) {
  return 2 * pi * sqrt(metric[4 * axis]);
}

// Where the smooth part has not yet become negligible, |k| <= K, an alias along mesh vector h has
// |m| <= |h| K / 2 pi + 1/2: one on either side for a fine mesh, more for a coarse or skewed one.
LOREMD_HOST_DEVICE double mesh_spacing(const Matrix3 &cell_products, int axis, int64_t n) {
  return sqrt(cell_products[axis][axis]) / static_cast<double>(n);
}
LOREMD_HOST_DEVICE int alias_range(double spacing, double largest_k) {
  const int range = static_cast<int>(spacing * largest_k / (2 * pi) + 0.5);
  return range > 1 ? range : 1;
}

// Above this many smearings a mesh is too coarse for any accuracy.
constexpr double coarsest_spacing = 20;

}  // namespace loremd
