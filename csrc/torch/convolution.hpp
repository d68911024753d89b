// SPDX-License-Identifier: BSD-3-Clause
//
// The steps of mesh/convolve.hpp over torch's threads, for the ops that convolve meshes.
#pragma once

#include <ATen/core/Tensor.h>

#include "mesh/convolve.hpp"
#include "tasks.hpp"
#include "types.hpp"

namespace loremd_torch {

using at::Tensor;

struct Convolution {
  loremd::MeshShape shape;
  Tensor influence;            // (nx, ny, nz/2 + 1) contiguous, dtype of the mesh
  bool keep_spectrum = false;  // return the spectrum of the mesh
  Tensor correlation{};        // (nx, ny, nz/2 + 1) zeros, added to, or undefined: derivative of
                               // <other mesh, convolved mesh> by the influence function
  Tensor other{};              // the spectrum of the other mesh; undefined: the mesh itself
  loremd::Halo halo = loremd::Halo::ignored;  // meets_windows: comes from spreading, and will be
                                              // interpolated
};

// Planes of a mesh, or columns side by side, that are transformed with the same buffers.
constexpr int64_t planes_per_task = 4;

template <class T>
void transform_planes(const loremd::MeshShape &shape, const loremd::MeshFft<T> &fft, bool inverse,
                      loremd::PlaneAxes axes, T *mesh, loremd::Halo halo = loremd::Halo::ignored) {
  for_each_piece(shape.points[0], planes_per_task, [&](int64_t begin, int64_t end) {
    loremd::transform_planes(shape.planes(begin, end), fft, inverse,
                             mesh + begin * shape.plane_size(), axes, halo);
  });
}

template <class T>
void convolve_columns(const loremd::ColumnCall<T> &call, const loremd::MeshFft<T> &fft, T *mesh) {
  for_each_piece(call.shape.points[1], planes_per_task, [&](int64_t begin, int64_t end) {
    loremd::convolve_columns(call, fft, begin, end, mesh);
  });
}

// Convolves `mesh`, shape.size() values, in place; without meaning is then what is in its halo, if
// that is ignored. Returns the spectrum, or an undefined tensor.
template <class T>
Tensor convolve_in_place(const Convolution &convolution, T *mesh);

}  // namespace loremd_torch
