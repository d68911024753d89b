// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/layout.hpp"

#include <algorithm>

#include "dispatch.hpp"

namespace loremd {
namespace {

// Rows a multiple of this many bytes apart fall into the same lines of the first-level cache.
constexpr int64_t cache_period = 4096;
constexpr int64_t least_offset = 320;

bool rows_collide(int64_t row_bytes) {
  const int64_t offset = row_bytes % cache_period;
  return row_bytes > cache_period / 2 && std::min(offset, cache_period - offset) < least_offset;
}

// Calls body(start of the row in the mesh, start of the row in a compact mesh).
template <class Body>
void for_each_row(const MeshShape &shape, Body &&body) {
  const int64_t rows = shape.points[0] * shape.points[1];
  for (int64_t row = 0; row < rows; ++row) {
    body(row * shape.row_size(), row * shape.points[2] * shape.channels);
  }
}

// Calls body(point, what it stands for) for the points of the halo, as places in a row; a mesh
// shorter than its halo comes round several times.
template <class Body>
void for_each_halo_point(const MeshShape &shape, Body &&body) {
  const int64_t nz = shape.points[2];
  for (int64_t z = nz; z < nz + shape.halo; ++z) body(z * shape.stride, z % nz * shape.stride);
}

template <class T>
void fold_row(const MeshShape &shape, T *row) {
  for_each_halo_point(shape, [&](int64_t halo, int64_t point) {
    for (int64_t c = 0; c < shape.channels; ++c) row[point + c] += row[halo + c];
  });
}

template <class T>
void fill_row(const MeshShape &shape, T *row) {
  for_each_halo_point(shape, [&](int64_t halo, int64_t point) {
    std::copy_n(row + point, shape.stride, row + halo);
  });
}

}  // namespace

MeshShape mesh_layout(const std::array<int64_t, 3> &points, int64_t channels, int order,
                      int bytes) {
  check(order >= smallest_order && order <= largest_order, "order is ", order,
        "; allowed: ", smallest_order, " to ", largest_order);
  check_mesh(points, order);
  MeshShape shape{points, channels};
  shape.stride = channel_stride(static_cast<int>(channels), bytes);
  shape.halo = window_lanes(order) - 1;
  if (channels == 0) return shape;
  while (rows_collide(shape.row_size() * bytes)) ++shape.halo;
  return shape;
}

template <class T>
void fold_halo(const MeshShape &shape, T *mesh) {
  for_each_row(shape, [&](int64_t row, int64_t) { fold_row(shape, mesh + row); });
}

template <class T>
void fill_halo(const MeshShape &shape, T *mesh) {
  for_each_row(shape, [&](int64_t row, int64_t) { fill_row(shape, mesh + row); });
}

template <class T>
void pack_mesh(const MeshShape &shape, const T *compact, T *mesh) {
  const int64_t channels = shape.channels;
  for_each_row(shape, [&](int64_t row, int64_t compact_row) {
    for (int64_t z = 0; z < shape.points[2]; ++z) {
      T *point = mesh + row + z * shape.stride;
      std::copy_n(compact + compact_row + z * channels, channels, point);
      std::fill(point + channels, point + shape.stride, T(0));
    }
    fill_row(shape, mesh + row);
  });
}

template <class T>
void unpack_mesh(const MeshShape &shape, const T *mesh, T *compact) {
  const int64_t nz = shape.points[2], channels = shape.channels;
  for_each_row(shape, [&](int64_t row, int64_t compact_row) {
    const T *from = mesh + row;
    T *to = compact + compact_row;
    for (int64_t z = 0; z < nz; ++z) {
      std::copy_n(from + z * shape.stride, channels, to + z * channels);
    }
    for (int64_t z = nz; z < nz + shape.halo; ++z) {
      for (int64_t c = 0; c < channels; ++c) {
        to[z % nz * channels + c] += from[z * shape.stride + c];
      }
    }
  });
}

#define LOREMD_INSTANTIATE(T)                                 \
  template void fold_halo(const MeshShape &, T *);            \
  template void fill_halo(const MeshShape &, T *);            \
  template void pack_mesh(const MeshShape &, const T *, T *); \
  template void unpack_mesh(const MeshShape &, const T *, T *);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd
