// SPDX-License-Identifier: BSD-3-Clause
//
// Where one atom touches the mesh, and with which weights: shared by spread and interpolate.
#pragma once

#include <algorithm>
#include <cmath>

#include "math/bspline.hpp"
#include "types.hpp"

namespace loremd {

// Window of one atom along one axis: `P` points from `first` on (already wrapped into [0, n)) with
// their weights and, as far as `Derivatives` says, first and second derivatives by the coordinate
// in fractions of the cell.
template <int P, class T, int Derivatives>
struct AxisWindow {
  int64_t first;
  T weights[P];
  T slopes[P];
  T curvatures[P];

  AxisWindow(double fraction, int64_t n) {
    check(std::isfinite(fraction), "a position is not finite (fractional coordinate ", fraction,
          "); check the structure or the time step");
    // the difference is formed in double, only what is left of a mesh spacing is rounded to T
    const double start = (fraction - std::floor(fraction)) * static_cast<double>(n) - 0.5 * P;
    const double floored = std::floor(start);
    first = wrap(static_cast<int64_t>(floored) + 1, n);
    bspline_weights<P>(static_cast<T>(start - floored), weights, Derivatives > 0 ? slopes : nullptr,
                       Derivatives > 1 ? curvatures : nullptr);
    scale(Derivatives > 0, slopes, static_cast<T>(n));
    scale(Derivatives > 1, curvatures, static_cast<T>(n) * static_cast<T>(n));
  }

 private:
  static void scale(bool wanted, T *values, T factor) {
    if (!wanted) return;
    for (int k = 0; k < P; ++k) values[k] *= factor;
  }
};

// The three axes of one atom, and the walk over the rows of mesh points that it touches.
template <int P, class T, int Derivatives>
struct Window {
  AxisWindow<P, T, Derivatives> x, y, z;

  Window(const double *fraction, const MeshShape &shape)
      : x(fraction[0], shape.points[0]),
        y(fraction[1], shape.points[1]),
        z(fraction[2], shape.points[2]) {}

  // Calls body(kx, ky, row offset) for the P * P rows along z.
  template <class Body>
  void for_each_row(const MeshShape &shape, Body &&body) const {
    for (int kx = 0; kx < P; ++kx) {
      const int64_t px = wrapped(x.first + kx, shape.points[0]);
      for (int ky = 0; ky < P; ++ky) {
        body(kx, ky, shape.row(px, wrapped(y.first + ky, shape.points[1])));
      }
    }
  }

  // A row along z is one contiguous run of P points, or two where it wraps around the cell: the
  // first `points_before_wrap` start at z.first, the others at 0.
  int64_t points_before_wrap(const MeshShape &shape) const {
    return std::min<int64_t>(P, shape.points[2] - z.first);
  }

 private:
  static int64_t wrapped(int64_t index, int64_t n) { return index < n ? index : index - n; }
};

// Atoms and mesh of one call. The order must not exceed the number of points along any axis, so
// that no window meets itself.
struct MeshCall {
  const double *fractions;  // (n, 3) positions in units of the cell vectors, any value
  const double
      *directions;  // (n, 3) or null: with it, weights w become (direction . d/dfraction) w
  int64_t atoms;
  MeshShape shape;
  int order;
};

}  // namespace loremd
