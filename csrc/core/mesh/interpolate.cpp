// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/interpolate.hpp"

#include <vector>

namespace loremd {
namespace {

// The P points of one mesh row as a contiguous run; of a row that wraps, a copy in `joined`.
template <int P, class W, class Channels, class T>
LOREMD_INLINE const T *contiguous_row(const W &window, const MeshShape &shape, Channels channels,
                                      const T *mesh_row, T *joined) {
  const T *first = mesh_row + window.z.first * channels;
  if (!window.wraps(shape)) return first;
  const int before = window.before_wrap(shape) * channels;
  std::memcpy(joined, first, sizeof(T) * before);
  std::memcpy(joined + before, mesh_row, sizeof(T) * (P * channels - before));
  return joined;
}

// values(c) += sum_k weights(k) sums(k, c)
template <int P, class Channels, class T>
LOREMD_INLINE void contract(Channels channels, const T *weights, const T *sums, T *values) {
  for (int k = 0; k < P; ++k) {
    for (int c = 0; c < channels; ++c) values[c] += weights[k] * sums[k * channels + c];
  }
}

template <int P, class T, class Channels>
LOREMD_CLONES void interpolate_atoms(const MeshCall &call, Channels channels, const T *mesh,
                                     T *values, T *workspace) {
  const MeshShape shape = call.shape;
  const auto length = row_length<P>(channels);
  RowBuffer<P, T, Channels> sums(workspace, channels), joined(workspace, channels);
  for (int64_t visited = 0; visited < call.atoms; ++visited) {
    const int64_t i = call.visit[visited];
    const Window<P, T, 0> window(call.fractions + 3 * i, shape);
    set_zero(length, sums.values);
    for (int kx = 0; kx < P; ++kx) {
      for (int ky = 0; ky < P; ++ky) {
        const T *row = contiguous_row<P>(window, shape, channels, mesh + window.row(shape, kx, ky),
                                         joined.values);
        add_scaled(length, window.x.weights[kx] * window.y.weights[ky], row, sums.values);
      }
    }
    set_zero(channels, values + i * channels);
    contract<P>(channels, window.z.weights, sums.values, values + i * channels);
  }
}

template <int P, class T>
LOREMD_CLONES void interpolate_along_directions(const MeshCall &call, int channels, const T *mesh,
                                                T *values, T *workspace) {
  const MeshShape shape = call.shape;
  const int length = P * channels;
  RowBuffer<P, T, int> sums(workspace, channels), in_plane_sums(workspace, channels),
      joined(workspace, channels);
  for (int64_t visited = 0; visited < call.atoms; ++visited) {
    const int64_t i = call.visit[visited];
    const Window<P, T, 1> window(call.fractions + 3 * i, shape);
    const double *direction = call.directions + 3 * i;
    const T dx = static_cast<T>(direction[0]), dy = static_cast<T>(direction[1]);
    const T dz = static_cast<T>(direction[2]);
    set_zero(length, sums.values);
    set_zero(length, in_plane_sums.values);
    for (int kx = 0; kx < P; ++kx) {
      for (int ky = 0; ky < P; ++ky) {
        const T *row = contiguous_row<P>(window, shape, channels, mesh + window.row(shape, kx, ky),
                                         joined.values);
        const T in_plane = dx * window.x.slopes[kx] * window.y.weights[ky] +
                           dy * window.x.weights[kx] * window.y.slopes[ky];
        add_scaled(length, in_plane, row, in_plane_sums.values);
        add_scaled(length, dz * window.x.weights[kx] * window.y.weights[ky], row, sums.values);
      }
    }
    T *out = values + i * channels;
    set_zero(channels, out);
    contract<P>(channels, window.z.weights, in_plane_sums.values, out);
    contract<P>(channels, window.z.slopes, sums.values, out);
  }
}

// Gradients, and the values too where `WithValues`: both need the same sums over the rows,
//   plain = sum w_x w_y row,  by_x = sum w_x' w_y row,  by_y = sum w_x w_y' row,
// which are then contracted along z with weights or slopes, and with the charges.
template <int P, bool WithValues, class T, class Channels>
LOREMD_CLONES void gradient_atoms(const MeshCall &call, Channels channels, const T *mesh,
                                  const T *charges, T *values, double *gradient, T *workspace) {
  const MeshShape shape = call.shape;
  const auto length = row_length<P>(channels);
  using Row = RowBuffer<P, T, Channels>;
  Row plain(workspace, channels), by_x(workspace, channels), by_y(workspace, channels);
  Row column(workspace, channels), column_by_x(workspace, channels), joined(workspace, channels);
  for (int64_t visited = 0; visited < call.atoms; ++visited) {
    const int64_t i = call.visit[visited];
    const Window<P, T, 1> window(call.fractions + 3 * i, shape);
    set_zero(length, plain.values);
    set_zero(length, by_x.values);
    set_zero(length, by_y.values);
    for (int ky = 0; ky < P; ++ky) {
      set_zero(length, column.values);
      set_zero(length, column_by_x.values);
      for (int kx = 0; kx < P; ++kx) {
        const T *row = contiguous_row<P>(window, shape, channels, mesh + window.row(shape, kx, ky),
                                         joined.values);
        add_scaled(length, window.x.weights[kx], row, column.values);
        add_scaled(length, window.x.slopes[kx], row, column_by_x.values);
      }
      add_scaled(length, window.y.weights[ky], column.values, plain.values);
      add_scaled(length, window.y.weights[ky], column_by_x.values, by_x.values);
      add_scaled(length, window.y.slopes[ky], column.values, by_y.values);
    }
    if constexpr (WithValues) {
      set_zero(channels, values + i * channels);
      contract<P>(channels, window.z.weights, plain.values, values + i * channels);
    }
    const T *q = charges + i * channels;
    outer_product<P>(channels, window.z.weights, q, column.values);
    gradient[3 * i] = dot(length, column.values, by_x.values);
    gradient[3 * i + 1] = dot(length, column.values, by_y.values);
    outer_product<P>(channels, window.z.slopes, q, column.values);
    gradient[3 * i + 2] = dot(length, column.values, plain.values);
  }
}

// Hessian of sum_c charges(c) values(c), times the direction of each atom.
template <int P, class T>
LOREMD_CLONES void gradient_along_directions(const MeshCall &call, int channels, const T *mesh,
                                             const T *charges, double *gradient, T *workspace) {
  const MeshShape shape = call.shape;
  RowBuffer<P, T, int> joined(workspace, channels);
  for (int64_t visited = 0; visited < call.atoms; ++visited) {
    const int64_t i = call.visit[visited];
    const Window<P, T, 2> window(call.fractions + 3 * i, shape);
    const auto &x = window.x, &y = window.y, &z = window.z;
    T xx = 0, xy = 0, xz = 0, yy = 0, yz = 0, zz = 0;
    for (int kx = 0; kx < P; ++kx) {
      for (int ky = 0; ky < P; ++ky) {
        const T *row = contiguous_row<P>(window, shape, channels, mesh + window.row(shape, kx, ky),
                                         joined.values);
        T value = 0, slope = 0, curvature = 0;
        for (int k = 0; k < P; ++k) {
          const T charge = dot(channels, charges + i * channels, row + k * channels);
          value += z.weights[k] * charge;
          slope += z.slopes[k] * charge;
          curvature += z.curvatures[k] * charge;
        }
        xx += x.curvatures[kx] * y.weights[ky] * value;
        yy += x.weights[kx] * y.curvatures[ky] * value;
        zz += x.weights[kx] * y.weights[ky] * curvature;
        xy += x.slopes[kx] * y.slopes[ky] * value;
        xz += x.slopes[kx] * y.weights[ky] * slope;
        yz += x.weights[kx] * y.slopes[ky] * slope;
      }
    }
    const double *d = call.directions + 3 * i;
    gradient[3 * i] = xx * d[0] + xy * d[1] + xz * d[2];
    gradient[3 * i + 1] = xy * d[0] + yy * d[1] + yz * d[2];
    gradient[3 * i + 2] = xz * d[0] + yz * d[1] + zz * d[2];
  }
}

}  // namespace

template <class T>
void interpolate(const MeshCall &call, const T *mesh, T *values) {
  dispatch_window(call, [&](auto order, auto channels) {
    constexpr int P = decltype(order)::value;
    std::vector<T> workspace(3 * P * channels);
    if (call.directions) {
      interpolate_along_directions<P>(call, static_cast<int>(channels), mesh, values,
                                      workspace.data());
    } else {
      interpolate_atoms<P>(call, channels, mesh, values, workspace.data());
    }
  });
}

template <class T>
void interpolate_gradient(const MeshCall &call, const T *mesh, const T *charges, T *values,
                          double *gradient) {
  dispatch_window(call, [&](auto order, auto channels) {
    constexpr int P = decltype(order)::value;
    std::vector<T> workspace(6 * P * channels);
    if (call.directions) {
      check(!values, "values along directions come from interpolate");
      gradient_along_directions<P>(call, static_cast<int>(channels), mesh, charges, gradient,
                                   workspace.data());
    } else if (values) {
      gradient_atoms<P, true>(call, channels, mesh, charges, values, gradient, workspace.data());
    } else {
      gradient_atoms<P, false>(call, channels, mesh, charges, values, gradient, workspace.data());
    }
  });
}

template void interpolate(const MeshCall &, const float *, float *);
template void interpolate(const MeshCall &, const double *, double *);
template void interpolate_gradient(const MeshCall &, const float *, const float *, float *,
                                   double *);
template void interpolate_gradient(const MeshCall &, const double *, const double *, double *,
                                   double *);

}  // namespace loremd
