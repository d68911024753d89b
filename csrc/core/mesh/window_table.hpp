// SPDX-License-Identifier: BSD-3-Clause
//
// Windows as polynomials, and where they begin: what the CPU and the CUDA side share.
#pragma once

#include <cmath>
#include <cstdint>

#include "dispatch.hpp"
#include "mesh/layout.hpp"

namespace loremd {

// A window over `order` mesh points per axis: the B-spline of that order where terms = 0, else
// phi(x) = f(2 x / order) / order for |x| <= order / 2, x in mesh spacings, with the even Legendre
// series f (math/even_series.hpp). Both have the integral one.
struct WindowSpec {
  int order;
  const double *series = nullptr;
  int terms = 0;
};

// Any window as polynomials, one per mesh point around a coordinate:
//   weight of point first + k = sum_d coefficients[d][k] (fraction - 1/2)^d,  k = 0 .. order-1,
// with first and fraction as in math/bspline.hpp; the other lanes are zero. Exact for B-splines;
// for a series the degree is the lowest with an error below `window_tolerance` of the step that the
// window or its slope takes at its ends: not less than rounding, 1e-13 (double) or 3e-8 (float) of
// the largest weight, and not more than `largest_window_error` of it. The polynomials meet where
// they end, so that the window is as continuous as its series. Derivatives are those of the
// polynomials.
//
// The step is what leaks past the bandlimit of the window, the error of the mesh; 1e-4 of it is
// below anything that a mesh with this window resolves.
constexpr double window_tolerance = 1e-4, largest_window_error = 1e-5;

template <class T>
struct WindowTable {
  static constexpr int largest_degree = 23;

  int order, degree;
  alignas(64) T coefficients[largest_degree + 1][window_lanes(largest_order)];

  // Takes microseconds. Throws Error on an order out of range and on a series that varies too fast
  // for the order.
  explicit WindowTable(const WindowSpec &spec);
};

// Where a window begins along an axis of n points: the first of them, and the rest, from -1/2 to
// 1/2, at which its polynomials are taken.
struct WindowStart {
  int64_t first;
  double offset;
};
LOREMD_HOST_DEVICE WindowStart window_start(double fraction, int64_t n, int order) {
  const double start = (fraction - std::floor(fraction)) * static_cast<double>(n) - 0.5 * order;
  const double floored = std::floor(start);
  const int64_t first = static_cast<int64_t>(floored) + 1 + n;
  return {first < n ? first : first - n, start - floored - 0.5};
}

// (direction . d/dfraction) w_x w_y w_z for the points of one row of a window, which share x and y.
template <class T>
struct DirectionalWeight {
  T in_plane, along_z;

  LOREMD_HOST_DEVICE DirectionalWeight(T dx, T dy, T dz, T wx, T wy, T slope_x, T slope_y)
      : in_plane(dx * slope_x * wy + dy * wx * slope_y), along_z(dz * wx * wy) {}
  LOREMD_HOST_DEVICE T operator()(T wz, T slope_z) const {
    return in_plane * wz + along_z * slope_z;
  }
};

// The second derivatives of a sum of weights times values by the fractional coordinates.
template <class T>
struct HessianSums {
  T xx = 0, xy = 0, xz = 0, yy = 0, yz = 0, zz = 0;

  // One row of a window: weights, slopes and curvatures of x and y, and the values of the row
  // summed with those of z.
  LOREMD_HOST_DEVICE void add(T wx, T wy, T slope_x, T slope_y, T curvature_x, T curvature_y,
                              T value, T slope, T curvature) {
    xx += curvature_x * wy * value;
    yy += wx * curvature_y * value;
    zz += wx * wy * curvature;
    xy += slope_x * slope_y * value;
    xz += slope_x * wy * slope;
    yz += wx * slope_y * slope;
  }

  // to = the matrix times `direction`
  LOREMD_HOST_DEVICE void times(const double *direction, double *to) const {
    to[0] = xx * direction[0] + xy * direction[1] + xz * direction[2];
    to[1] = xy * direction[0] + yy * direction[1] + yz * direction[2];
    to[2] = xz * direction[0] + yz * direction[1] + zz * direction[2];
  }
};

}  // namespace loremd
