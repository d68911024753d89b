// SPDX-License-Identifier: BSD-3-Clause
//
// The steps of mesh/convolve.hpp over torch's threads, for the ops that convolve meshes.
#pragma once

#include <ATen/core/Tensor.h>

#include "mesh/convolve.hpp"
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
};

// Convolves `mesh`, shape.size() values, in place; its halo is left alone. Returns the spectrum, or
// an undefined tensor.
template <class T>
Tensor convolve_in_place(const Convolution &convolution, T *mesh);

}  // namespace loremd_torch
