// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/layout.hpp"

#include <algorithm>

#include "dispatch.hpp"
#include "simd.hpp"

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

// Calls body(begin, count) for the runs of the halo that stand for the first `count` values of the
// row: one, but for a mesh shorter than its halo, which comes round several times.
template <class Body>
LOREMD_INLINE void for_each_halo_run(const MeshShape &shape, Body &&body) {
  const int64_t nz = shape.points[2];
  for (int64_t z = 0; z < shape.halo; z += nz) {
    body((nz + z) * shape.stride, std::min(nz, shape.halo - z) * shape.stride);
  }
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
void fill_row(const MeshShape &shape, T *row) {
  for_each_halo_run(shape,
                    [&](int64_t begin, int64_t count) { std::copy_n(row, count, row + begin); });
}

template <class T>
LOREMD_CLONES void fold_rows(const MeshShape &shape, int64_t rows, T *mesh) {
  for (int64_t r = 0; r < rows; ++r) {
    T *const __restrict row = mesh + r * shape.row_size();
    for_each_halo_run(shape, [&](int64_t begin, int64_t count) LOREMD_INLINE_LAMBDA {
      for (int64_t i = 0; i < count; ++i) row[i] += row[begin + i];
    });
  }
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
  fold_rows(shape, shape.points[0] * shape.points[1], mesh);
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

#define LOREMD_INSTANTIATE(T)                                 \
  template void fold_halo(const MeshShape &, T *);            \
  template void fill_halo(const MeshShape &, T *);            \
  template void pack_mesh(const MeshShape &, const T *, T *); \
  template void copy_points(const MeshShape &, const T *, T *);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd
