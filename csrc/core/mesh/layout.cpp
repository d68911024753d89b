// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/layout.hpp"

#include <algorithm>

#include "dispatch.hpp"

namespace loremd {
namespace {

// Rows a multiple of this many bytes apart fall into the same lines of the first-level cache.
constexpr int64_t cache_period = 4096;
constexpr int64_t least_offset = 256;

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

// Calls body(point, the one it stands for) for the points of the halo; a mesh
// shorter than its halo comes round several times.
template <class Body>
void for_each_halo_point(const MeshShape &shape, Body &&body) {
  const int64_t nz = shape.points[2];
  for (int64_t z = nz; z < nz + shape.halo; ++z) body(z, z % nz);
}

// Copies points between rows that differ in their padding; that of `to` becomes zero.
template <class T>
void copy_row(int64_t points, int64_t channels, const T *from, int64_t from_stride, T *to,
              int64_t to_stride) {
  if (from_stride == to_stride) {
    std::copy_n(from, points * channels, to);
    return;
  }
  for (int64_t z = 0; z < points; ++z, from += from_stride, to += to_stride) {
    std::fill(std::copy_n(from, channels, to), to + to_stride, T(0));
  }
}

template <class T>
void fold_row(const MeshShape &shape, T *row) {
  for_each_halo_point(shape, [&](int64_t halo, int64_t point) {
    for (int64_t c = 0; c < shape.stride; ++c) {
      row[point * shape.stride + c] += row[halo * shape.stride + c];
    }
  });
}

template <class T>
void fill_row(const MeshShape &shape, T *row) {
  for_each_halo_point(shape, [&](int64_t halo, int64_t point) {
    std::copy_n(row + point * shape.stride, shape.stride, row + halo * shape.stride);
  });
}

MeshShape with_halo(MeshShape shape, int64_t least, int bytes) {
  shape.stride = channel_stride(static_cast<int>(shape.channels));
  shape.halo = least;
  const auto fits = [&](int64_t row_bytes) {
    return row_bytes % line_bytes == 0 && !rows_collide(row_bytes);
  };
  while (!fits(shape.row_size() * bytes)) ++shape.halo;
  return shape;
}

}  // namespace

MeshShape mesh_layout(const std::array<int64_t, 3> &points, int64_t channels, int order,
                      int bytes) {
  check_order(order);
  check_mesh(points, order);
  return with_halo({points, channels}, window_lanes(order), bytes);
}

MeshShape mesh_layout(const std::array<int64_t, 3> &points, int64_t channels, int bytes) {
  return with_halo({points, channels}, window_lanes(smallest_order), bytes);
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
  for_each_row(shape, [&](int64_t row, int64_t compact_row) {
    copy_row(shape.points[2], shape.channels, compact + compact_row, shape.channels, mesh + row,
             shape.stride);
    fill_row(shape, mesh + row);
  });
}

template <class T>
void copy_points(const MeshShape &shape, const T *mesh, T *compact) {
  for_each_row(shape, [&](int64_t row, int64_t compact_row) {
    copy_row(shape.points[2], shape.channels, mesh + row, shape.stride, compact + compact_row,
             shape.channels);
  });
}

template <class T>
void unpack_mesh(const MeshShape &shape, const T *mesh, T *compact) {
  const int64_t channels = shape.channels;
  for_each_row(shape, [&](int64_t row, int64_t compact_row) {
    const T *from = mesh + row;
    T *to = compact + compact_row;
    copy_row(shape.points[2], channels, from, shape.stride, to, channels);
    for_each_halo_point(shape, [&](int64_t halo, int64_t point) {
      for (int64_t c = 0; c < channels; ++c)
        to[point * channels + c] += from[halo * shape.stride + c];
    });
  });
}

#define LOREMD_INSTANTIATE(T)                                   \
  template void fold_halo(const MeshShape &, T *);              \
  template void fill_halo(const MeshShape &, T *);              \
  template void pack_mesh(const MeshShape &, const T *, T *);   \
  template void copy_points(const MeshShape &, const T *, T *); \
  template void unpack_mesh(const MeshShape &, const T *, T *);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd
