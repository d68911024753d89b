// SPDX-License-Identifier: BSD-3-Clause
//
// Where one atom touches the mesh, and with which weights: shared by spread and interpolate.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "dispatch.hpp"
#include "math/bspline.hpp"
#include "simd.hpp"
#include "types.hpp"

namespace loremd {

// Atoms and mesh of one call. The order must not exceed the number of points along any axis, so
// that no window meets itself.
struct MeshCall {
  const double *fractions;  // (n, 3) positions in units of the cell vectors, any value
  const double
      *directions;       // (n, 3) or null: with it, weights w become (direction . d/dfraction) w
  const int32_t *visit;  // (atoms) a part of the atoms of `visiting_order`
  int64_t atoms;         // length of `visit`
  MeshShape shape;
  int order;
};

// The atoms 0 .. n-1 so that neighbours in the list are neighbours on the mesh, which then stays in
// the cache: sorted into blocks of 8 x 8 x 8 points, or as they come where all of it fits anyway.
struct VisitingOrder {
  std::vector<int32_t> atoms;

  // Slab s holds atoms[slab_starts[s]] to atoms[slab_starts[s + 1]], all in one range of x that is
  // at least 8 points wide. Their number is even, or one: windows of the slabs 0, 2, 4, ... do not
  // touch each other, nor do those of 1, 3, 5, ..., so threads may spread them at once. It depends
  // on the mesh only, which makes the sums the same for any number of threads.
  std::vector<int64_t> slab_starts;

  int64_t slabs() const { return static_cast<int64_t>(slab_starts.size()) - 1; }
};

// Throws Error on a position that is not finite.
VisitingOrder visiting_order(const double *fractions, int64_t n, const MeshShape &shape);

// Window of one atom along one axis: `P` points from `first` on (already wrapped into [0, n)) with
// their weights and, as far as `Derivatives` says, first and second derivatives by the coordinate
// in fractions of the cell.
template <int P, class T, int Derivatives>
struct AxisWindow {
  int64_t first;
  T weights[P];
  T slopes[P];
  T curvatures[P];

  LOREMD_INLINE AxisWindow(double fraction, int64_t n) {
    // the difference is formed in double, only what is left of a mesh spacing is rounded to T
    const double start = (fraction - std::floor(fraction)) * static_cast<double>(n) - 0.5 * P;
    const double floored = std::floor(start);
    first = static_cast<int64_t>(floored) + 1;
    if (first < 0) first += n;
    if (first >= n) first -= n;
    bspline_weights<P>(static_cast<T>(start - floored), weights, Derivatives > 0 ? slopes : nullptr,
                       Derivatives > 1 ? curvatures : nullptr);
    for (int k = 0; k < P && Derivatives > 0; ++k) slopes[k] *= static_cast<T>(n);
    for (int k = 0; k < P && Derivatives > 1; ++k) {
      curvatures[k] *= static_cast<T>(n) * static_cast<T>(n);
    }
  }
};

// The three axes of one atom, and its rows of mesh points along z: a row is one contiguous run of P
// points, or two where it wraps around the cell.
template <int P, class T, int Derivatives>
struct Window {
  AxisWindow<P, T, Derivatives> x, y, z;

  LOREMD_INLINE Window(const double *fraction, const MeshShape &shape)
      : x(fraction[0], shape.points[0]),
        y(fraction[1], shape.points[1]),
        z(fraction[2], shape.points[2]) {}

  // First value of row (kx, ky), as if z did not wrap.
  LOREMD_INLINE int64_t row(const MeshShape &shape, int kx, int ky) const {
    return shape.row(wrapped(x.first + kx, shape.points[0]),
                     wrapped(y.first + ky, shape.points[1]));
  }
  LOREMD_INLINE bool wraps(const MeshShape &shape) const { return z.first + P > shape.points[2]; }
  // Number of points of the run from z.first to the end of a row that wraps; the others start at 0.
  LOREMD_INLINE int before_wrap(const MeshShape &shape) const {
    return static_cast<int>(shape.points[2] - z.first);
  }

 private:
  static LOREMD_INLINE int64_t wrapped(int64_t index, int64_t n) {
    return index < n ? index : index - n;
  }
};

// Number of values of P points: a constant where the number of channels is one.
template <int P, class Channels>
LOREMD_INLINE auto row_length(Channels channels) {
  if constexpr (std::is_same_v<Channels, int>) {
    return P * channels;
  } else {
    return std::integral_constant<int, P * Channels::value>{};
  }
}

// Room for the values of P points: on the stack, and so in registers, where the number of channels
// is a constant; else a part of the workspace.
template <int P, class T, class Channels>
struct RowBuffer {
  alignas(64) T values[P * Channels::value];
  explicit LOREMD_INLINE RowBuffer(T *&, Channels) {}
};
template <int P, class T>
struct RowBuffer<P, T, int> {
  T *values;
  explicit LOREMD_INLINE RowBuffer(T *&workspace, int channels) : values(workspace) {
    workspace += P * channels;
  }
};

// row(k, c) = weights(k) * charges(c)
template <int P, class T, class Channels>
LOREMD_INLINE void outer_product(Channels channels, const T *weights, const T *charges, T *row) {
  for (int k = 0; k < P; ++k) {
    for (int c = 0; c < channels; ++c) row[k * channels + c] = weights[k] * charges[c];
  }
}

// Calls body(order, channels) with both as constants where there is a kernel for them: channels 1
// and 10, LOREM's and one for fixed charges; others go through the loops of any length.
template <class Body>
void dispatch_window(const MeshCall &call, Body &&body) {
  dispatch_order(call.order, [&](auto order) {
    check_mesh(call.shape.points, call.order);
    switch (call.shape.channels) {
      case 1:
        return body(order, std::integral_constant<int, 1>{});
      case 10:
        return body(order, std::integral_constant<int, 10>{});
      default:
        return body(order, static_cast<int>(call.shape.channels));
    }
  });
}

}  // namespace loremd
