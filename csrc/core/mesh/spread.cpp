// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/spread.hpp"

#include <vector>

#include "dispatch.hpp"

namespace loremd {
namespace {

// row[k * channels + c] = weights[k] * charges[c]
template <int P, class T>
void outer_product(const T *weights, const T *charges, int64_t channels, T *row) {
  for (int k = 0; k < P; ++k) {
    for (int64_t c = 0; c < channels; ++c) row[k * channels + c] = weights[k] * charges[c];
  }
}

template <class T>
void add_scaled(T scale, const T *values, int64_t count, T *target) {
  for (int64_t i = 0; i < count; ++i) target[i] += scale * values[i];
}

// Adds scale * row to the P points of one mesh row, in one run or two.
template <int P, class W, class T>
void add_row(const W &window, const MeshShape &shape, T scale, const T *row, T *mesh_row) {
  const int64_t before = window.points_before_wrap(shape) * shape.channels;
  add_scaled(scale, row, before, mesh_row + window.z.first * shape.channels);
  add_scaled(scale, row + before, P * shape.channels - before, mesh_row);
}

template <int P, class T>
void spread_plain(const MeshCall &call, const T *charges, T *mesh) {
  const MeshShape &shape = call.shape;
  std::vector<T> row(P * shape.channels);
  for (int64_t i = 0; i < call.atoms; ++i) {
    const Window<P, T, 0> window(call.fractions + 3 * i, shape);
    outer_product<P>(window.z.weights, charges + i * shape.channels, shape.channels, row.data());
    window.for_each_row(shape, [&](int kx, int ky, int64_t offset) {
      add_row<P>(window, shape, window.x.weights[kx] * window.y.weights[ky], row.data(),
                 mesh + offset);
    });
  }
}

template <int P, class T>
void spread_directional(const MeshCall &call, const T *charges, T *mesh) {
  const MeshShape &shape = call.shape;
  std::vector<T> row(P * shape.channels), slope_row(P * shape.channels);
  for (int64_t i = 0; i < call.atoms; ++i) {
    const Window<P, T, 1> window(call.fractions + 3 * i, shape);
    const double *direction = call.directions + 3 * i;
    const T dx = static_cast<T>(direction[0]), dy = static_cast<T>(direction[1]);
    const T dz = static_cast<T>(direction[2]);
    const T *q = charges + i * shape.channels;
    outer_product<P>(window.z.weights, q, shape.channels, row.data());
    outer_product<P>(window.z.slopes, q, shape.channels, slope_row.data());
    window.for_each_row(shape, [&](int kx, int ky, int64_t offset) {
      const T in_plane = dx * window.x.slopes[kx] * window.y.weights[ky] +
                         dy * window.x.weights[kx] * window.y.slopes[ky];
      const T along_z = dz * window.x.weights[kx] * window.y.weights[ky];
      add_row<P>(window, shape, in_plane, row.data(), mesh + offset);
      add_row<P>(window, shape, along_z, slope_row.data(), mesh + offset);
    });
  }
}

}  // namespace

template <class T>
void spread(const MeshCall &call, const T *charges, T *mesh) {
  dispatch_order(call.order, [&](auto order) {
    check_mesh(call.shape.points, call.order);
    if (call.directions) {
      spread_directional<order()>(call, charges, mesh);
    } else {
      spread_plain<order()>(call, charges, mesh);
    }
  });
}

template void spread(const MeshCall &, const float *, float *);
template void spread(const MeshCall &, const double *, double *);

}  // namespace loremd
