// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>

#include "error.hpp"
#include "host_device.hpp"

namespace loremd {

using Vector3 = std::array<double, 3>;
using Matrix3 = std::array<std::array<double, 3>, 3>;  // rows

// A periodic mesh over a cell, several real channels per point.
//
//   address of point (x, y, z), channel c:   ((x * ny + y) * (nz + halo) + z) * stride + c
//
// Channels are fastest, so that one set of window weights serves them all in full vector lanes, and
// the z neighbours of a point follow directly: a window row of `order` points is one contiguous
// run. With a halo, the `halo` points behind the last one of a row stand for the first ones again,
// so that no run wraps around; see mesh/layout.hpp, which also chooses halo and stride. Without
// either the mesh is compact: points and channels only.
struct MeshShape {
  std::array<int64_t, 3> points;
  int64_t channels;
  int64_t halo = 0;
  int64_t stride = channels;

  LOREMD_HOST_DEVICE int64_t row_size() const { return (points[2] + halo) * stride; }
  LOREMD_HOST_DEVICE int64_t plane_size() const { return points[1] * row_size(); }
  LOREMD_HOST_DEVICE int64_t size() const { return points[0] * plane_size(); }

  // A part of the planes x = begin .. end; they start `begin * plane_size()` values into the mesh.
  MeshShape planes(int64_t begin, int64_t end) const {
    return {{end - begin, points[1], points[2]}, channels, halo, stride};
  }
};

// The half spectrum of a real mesh: kz = 0 .. nz/2 only.
LOREMD_HOST_DEVICE int64_t half_spectrum_points(int64_t nz) {
  return nz / 2 + 1;
}

// A window must not meet itself around the cell.
inline void check_mesh(const std::array<int64_t, 3> &points, int order) {
  for (int64_t n : points) {
    check(n >= order, "mesh ", points[0], " x ", points[1], " x ", points[2],
          " is too coarse for order ", order, "; every direction needs at least ", order,
          " points");
  }
}

}  // namespace loremd
