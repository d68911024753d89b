// SPDX-License-Identifier: BSD-3-Clause
//
// The window of one sorted atom as the kernels of spread.cu and interpolate.cu see it.
#pragma once

#include "device.hpp"
#include "mesh/cuda.hpp"

namespace loremd::cuda {

// Axis a, derivative d: at(d, a)[k], k = 0 .. P - 1. P is a constant, so that weights which threads
// use again stay in their registers.
template <int P, class T>
struct WindowRows {
  const int32_t *first;
  const T *values;

  LOREMD_HOST_DEVICE WindowRows(const Windows<T> &windows, int64_t v)
      : first(windows.first + 3 * v),
        values(windows.values + v * (1 + windows.derivatives) * 3 * P) {}

  LOREMD_HOST_DEVICE const T *at(int derivative, int axis) const {
    return values + (3 * derivative + axis) * P;
  }

  // The point k steps behind the first one, around the cell.
  LOREMD_HOST_DEVICE int32_t point(int axis, int k, int64_t n) const {
    const int32_t index = first[axis] + k, all = static_cast<int32_t>(n);
    return index < all ? index : index - all;
  }

  // Where that point is, along x and y in the mesh, along z in its row.
  LOREMD_HOST_DEVICE int64_t plane(int k, const MeshShape &shape) const {
    return point(0, k, shape.points[0]) * shape.plane_size();
  }
  LOREMD_HOST_DEVICE int64_t row(int k, const MeshShape &shape) const {
    return point(1, k, shape.points[1]) * shape.row_size();
  }
  LOREMD_HOST_DEVICE int32_t in_row(int k, const MeshShape &shape) const {
    return point(2, k, shape.points[2]) * static_cast<int32_t>(shape.stride);
  }
};

// The derivative along the direction of an atom for one row (kx, ky) of its window.
template <int P, class T>
LOREMD_HOST_DEVICE DirectionalWeight<T> directional_weight(const WindowRows<P, T> &rows, int kx,
                                                           int ky, const double *direction) {
  return {static_cast<T>(direction[0]),
          static_cast<T>(direction[1]),
          static_cast<T>(direction[2]),
          rows.at(0, 0)[kx],
          rows.at(0, 1)[ky],
          rows.at(1, 0)[kx],
          rows.at(1, 1)[ky]};
}

// Calls body(order, width of a pack) as constants: one channel, or whole packs.
template <class T, class Body>
void dispatch_packs(const MeshShape &shape, int order, Body &&body) {
  check_mesh(shape.points, order);
  check(shape.halo == 0 && (shape.channels == 1 ? shape.stride == 1
                                                : shape.stride >= shape.channels &&
                                                      shape.stride % pack_width<T> == 0),
        "the mesh has a halo of ", shape.halo, " and a stride of ", shape.stride,
        "; it needs the layout of cuda::mesh_shape");
  dispatch_order(order, [&](auto p) {
    if (shape.channels == 1) return body(p, std::integral_constant<int, 1>{});
    body(p, std::integral_constant<int, pack_width<T>>{});
  });
}

}  // namespace loremd::cuda
