// SPDX-License-Identifier: BSD-3-Clause
//
// Atoms and meshes of one call on a device (mesh/cuda.hpp).
#pragma once

#include "convolution.hpp"
#include "device_call.hpp"
#include "mesh/cuda.hpp"
#include "mesh/window.hpp"

namespace loremd_torch {

// Sorted atoms with their windows, and the layout of the mesh with values of type T. Meshes of the
// layout are flat tensors.
template <class T>
class DeviceMesh {
 public:
  // `series`, the Legendre terms of the window on the host (none: B-spline), may be undefined, and
  // so may `visit`, the visiting_order() of an earlier call for the same positions. Throws
  // loremd::Error on an order, a mesh and a window that do not fit each other.
  DeviceMesh(const char *op, const Tensor &fractions, const std::array<int64_t, 3> &points,
             int64_t channels, int64_t order, const Tensor &series, int derivatives,
             const Tensor &visit = {});

  const loremd::MeshShape &shape() const { return shape_; }
  // (atoms,) int32: the atoms as they are sorted.
  Tensor visiting_order() const;

  // `directions` may be undefined. Where torch is asked for deterministic algorithms the sums are
  // always in the same order.
  Tensor spread(const Tensor &charges, const Tensor &directions) const;
  void interpolate(const Tensor &mesh, const Tensor &directions, Tensor &values) const;
  void interpolate_field(const Tensor &mesh, Tensor &values, Tensor &field) const;
  void gradient_along_directions(const Tensor &mesh, const Tensor &directions,
                                 const Tensor &charges, Tensor &gradient) const;
  // gradient += ..
  static void add_field_gradient(const char *op, const Tensor &field, const Tensor &charges,
                                 Tensor &gradient);

  // A mesh <- its points (nx, ny, nz, channels).
  Tensor pack(const Tensor &compact) const;
  // The points of a mesh without padding, (nx, ny, nz, channels), as a view.
  Tensor points_of(const Tensor &mesh) const;

 private:
  loremd::cuda::Windows<T> windows() const;
  Tensor empty() const;

  const char *op_;
  Tensor fractions_;
  loremd::MeshShape shape_;
  int order_, derivatives_;
  at::TensorOptions options_;
  Tensor sorted_bins_, atoms_sorted_, first_, values_;
};

// Fields (channels, nx, ny, nz) convolved with `influence`, half spectrum. Of `convolution` are
// used shape.points, shape.channels, influence, correlation, other and keep_spectrum; the spectrum,
// kept as (channels, nx, ny, nz/2 + 1) complex, is undefined unless asked for.
template <class T>
std::tuple<Tensor, Tensor> convolve_on_device(const char *op, const Convolution &convolution,
                                              const Tensor &fields);

}  // namespace loremd_torch
