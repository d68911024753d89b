// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/spread.hpp"

#include <vector>

namespace loremd {
namespace {

// Adds scale * row to the P points of one mesh row.
template <int P, class W, class Channels, class T>
LOREMD_INLINE void add_row(const W &window, const MeshShape &shape, Channels channels, T scale,
                           const T *row, T *mesh_row) {
  T *first = mesh_row + window.z.first * channels;
  if (!window.wraps(shape)) {
    add_scaled(row_length<P>(channels), scale, row, first);
  } else {
    const int before = window.before_wrap(shape) * channels;
    add_scaled(before, scale, row, first);
    add_scaled(P * channels - before, scale, row + before, mesh_row);
  }
}

template <int P, class T, class Channels>
LOREMD_CLONES void spread_atoms(const MeshCall &call, Channels channels, const T *charges, T *mesh,
                                T *workspace) {
  const MeshShape shape = call.shape;
  RowBuffer<P, T, Channels> row(workspace, channels);
  for (int64_t visited = 0; visited < call.atoms; ++visited) {
    const int64_t i = call.visit[visited];
    const Window<P, T, 0> window(call.fractions + 3 * i, shape);
    outer_product<P>(channels, window.z.weights, charges + i * channels, row.values);
    for (int kx = 0; kx < P; ++kx) {
      for (int ky = 0; ky < P; ++ky) {
        add_row<P>(window, shape, channels, window.x.weights[kx] * window.y.weights[ky], row.values,
                   mesh + window.row(shape, kx, ky));
      }
    }
  }
}

// Weights replaced by their derivative along the direction of each atom.
template <int P, class T>
LOREMD_CLONES void spread_along_directions(const MeshCall &call, int channels, const T *charges,
                                           T *mesh, T *workspace) {
  const MeshShape shape = call.shape;
  RowBuffer<P, T, int> row(workspace, channels), slope_row(workspace, channels);
  for (int64_t visited = 0; visited < call.atoms; ++visited) {
    const int64_t i = call.visit[visited];
    const Window<P, T, 1> window(call.fractions + 3 * i, shape);
    const double *direction = call.directions + 3 * i;
    const T dx = static_cast<T>(direction[0]), dy = static_cast<T>(direction[1]);
    const T dz = static_cast<T>(direction[2]);
    const T *q = charges + i * channels;
    outer_product<P>(channels, window.z.weights, q, row.values);
    outer_product<P>(channels, window.z.slopes, q, slope_row.values);
    for (int kx = 0; kx < P; ++kx) {
      for (int ky = 0; ky < P; ++ky) {
        T *mesh_row = mesh + window.row(shape, kx, ky);
        const T in_plane = dx * window.x.slopes[kx] * window.y.weights[ky] +
                           dy * window.x.weights[kx] * window.y.slopes[ky];
        const T along_z = dz * window.x.weights[kx] * window.y.weights[ky];
        add_row<P>(window, shape, channels, in_plane, row.values, mesh_row);
        add_row<P>(window, shape, channels, along_z, slope_row.values, mesh_row);
      }
    }
  }
}

}  // namespace

template <class T>
void spread(const MeshCall &call, const T *charges, T *mesh) {
  dispatch_window(call, [&](auto order, auto channels) {
    constexpr int P = decltype(order)::value;
    std::vector<T> workspace(2 * P * channels);
    if (call.directions) {
      spread_along_directions<P>(call, static_cast<int>(channels), charges, mesh, workspace.data());
    } else {
      spread_atoms<P>(call, channels, charges, mesh, workspace.data());
    }
  });
}

template void spread(const MeshCall &, const float *, float *);
template void spread(const MeshCall &, const double *, double *);

}  // namespace loremd
