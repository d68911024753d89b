// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <array>
#include <initializer_list>

namespace loremd_torch {

// A tensor, uninitialised, whose memory is kept for the next one where it is large.
at::Tensor empty_large(at::IntArrayRef sizes, const at::TensorOptions &options);

// The same for a mesh of so many values.
inline at::Tensor empty_mesh(int64_t values, const at::TensorOptions &options) {
  return empty_large({values}, options);
}

// Where meshes stay between the calls of this thread.
inline std::array<at::Tensor, 2> &kept_meshes() {
  thread_local std::array<at::Tensor, 2> kept;
  return kept;
}

// Bytes that the meshes of this thread took at most since this was set to zero: those kept between
// calls and all else that grows with the mesh.
inline int64_t &most_mesh_bytes() {
  thread_local int64_t most = 0;
  return most;
}

// Called where most is alive; `others`, which may be undefined: what stands beside the kept meshes.
inline void count_mesh_bytes(std::initializer_list<at::Tensor> others) {
  int64_t bytes = 0;
  const auto add = [&](const at::Tensor &t) {
    if (t.defined()) bytes += static_cast<int64_t>(t.nbytes());
  };
  for (const at::Tensor &kept : kept_meshes()) add(kept);
  for (const at::Tensor &other : others) add(other);
  most_mesh_bytes() = std::max(most_mesh_bytes(), bytes);
}

// The same for meshes that do not outlive the call of an op, in one of two places: the one of the
// last call of this thread where it is large enough, as it is from step to step, and not much too
// large.
inline at::Tensor workspace_mesh(int64_t values, const at::TensorOptions &options, int place = 0) {
  at::Tensor &kept = kept_meshes().at(place);
  const bool fits = kept.defined() && kept.storage().use_count() == 1 && kept.numel() >= values &&
                    kept.numel() <= values + values / 4 && kept.dtype() == options.dtype();
  if (!fits) {
    kept.reset();
    kept = empty_mesh(values, options);
  }
  return kept.narrow(0, 0, values);
}

}  // namespace loremd_torch
