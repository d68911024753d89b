// SPDX-License-Identifier: BSD-3-Clause
//
// Meshes of mesh/layout.hpp as tensors (nx, ny, nz, channels), and tensors as such meshes.
#pragma once

#include <ATen/ops/as_strided.h>

#include "mesh/layout.hpp"
#include "mesh_memory.hpp"
#include "tasks.hpp"

namespace loremd_torch {

constexpr int64_t values_per_task = 32768;

// The points of a mesh, shape.size() values, as a view.
inline at::Tensor points_of_mesh(const loremd::MeshShape &shape, const at::Tensor &values) {
  const auto [nx, ny, nz] = shape.points;
  return values.as_strided({nx, ny, nz, shape.channels},
                           {shape.plane_size(), shape.row_size(), shape.stride, 1});
}

// Calls body(part of the layout, first x) for planes of the mesh.
template <class Body>
void for_each_planes(const loremd::MeshShape &shape, Body &&body) {
  const int64_t planes_per_task = std::max<int64_t>(1, values_per_task / (shape.plane_size() + 1));
  for_each_piece(shape.points[0], planes_per_task,
                 [&](int64_t begin, int64_t end) { body(shape.planes(begin, end), begin); });
}

// After spreading: what windows left in the halo goes where it belongs.
template <class T>
void fold_all_halos(const loremd::MeshShape &shape, T *values) {
  for_each_planes(shape, [&](const loremd::MeshShape &planes, int64_t x) {
    loremd::fold_halo(planes, values + x * shape.plane_size());
  });
}

// Before interpolating.
template <class T>
void fill_all_halos(const loremd::MeshShape &shape, T *values) {
  for_each_planes(shape, [&](const loremd::MeshShape &planes, int64_t x) {
    loremd::fill_halo(planes, values + x * shape.plane_size());
  });
}

// values <- the points of a tensor (nx, ny, nz, channels) of any strides, its halo filled; the
// padding becomes zero.
template <class T>
void pack_mesh(const loremd::MeshShape &shape, const at::Tensor &points, const at::Tensor &values) {
  T *const to = values.mutable_data_ptr<T>();
  if (!points.is_contiguous()) {
    if (shape.stride != shape.channels) values.zero_();
    points_of_mesh(shape, values).copy_(points);
    return fill_all_halos(shape, to);
  }
  const T *const from = points.const_data_ptr<T>();
  const int64_t compact_plane = shape.points[1] * shape.points[2] * shape.channels;
  for_each_planes(shape, [&](const loremd::MeshShape &planes, int64_t x) {
    loremd::pack_mesh(planes, from + x * compact_plane, to + x * shape.plane_size());
  });
}

}  // namespace loremd_torch
