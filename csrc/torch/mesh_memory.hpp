// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <initializer_list>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace loremd_torch {

// Memory of a mesh, uninitialised. Large ones ask for huge pages before they are touched: the
// system clears them 6 times faster than small ones (90 MB: 7 instead of 40 ms), and transforms
// along x, which jump from plane to plane, miss fewer page addresses.
inline at::Tensor empty_mesh(int64_t values, const at::TensorOptions &options) {
  at::Tensor mesh = at::empty({values}, options);
  if (!mesh.device().is_cpu()) return mesh;
#ifdef __linux__
  constexpr uintptr_t page = 4096, huge_page = 1 << 21;
  const auto begin = reinterpret_cast<uintptr_t>(mesh.mutable_data_ptr());
  const uintptr_t first = (begin + page - 1) / page * page, end = begin + mesh.nbytes();
  if (end > first + 2 * huge_page) {
    // only a hint: whether it is followed does not matter
    madvise(reinterpret_cast<void *>(first), (end - first) / page * page, MADV_HUGEPAGE);
  }
#endif
  return mesh;
}

// The same for results as large as that, of any shape.
inline at::Tensor empty_large(at::IntArrayRef sizes, const at::TensorOptions &options) {
  return empty_mesh(c10::multiply_integers(sizes), options).view(sizes);
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
// large. Touching fresh memory takes 10 % of the time of an evaluation.
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
