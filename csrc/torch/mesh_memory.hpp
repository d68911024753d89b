// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <initializer_list>

namespace loremd_torch {

// A tensor, uninitialised, whose memory is kept for the next one where it is large.
at::Tensor empty_large(at::IntArrayRef sizes, const at::TensorOptions &options);

// The same for a mesh of so many values.
inline at::Tensor empty_mesh(int64_t values, const at::TensorOptions &options) {
  return empty_large({values}, options);
}

// The same with zeros behind the end, which the vector of the last value may reach.
at::Tensor empty_for_vectors(int64_t values, const at::TensorOptions &options);

// Bytes that the meshes of this thread took at most since this was set to zero, with all else that
// grows with the mesh.
inline int64_t &most_mesh_bytes() {
  thread_local int64_t most = 0;
  return most;
}

// Called where most is alive: `bytes` of meshes, and tensors, which may be undefined.
inline void count_mesh_bytes(int64_t bytes, std::initializer_list<at::Tensor> others) {
  for (const at::Tensor &other : others) {
    if (other.defined()) bytes += static_cast<int64_t>(other.nbytes());
  }
  most_mesh_bytes() = std::max(most_mesh_bytes(), bytes);
}

}  // namespace loremd_torch
