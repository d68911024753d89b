// SPDX-License-Identifier: BSD-3-Clause
//
// From an op to the kernels of csrc/core/*/cuda.hpp. Checks, allocation and derivatives are the
// same for all devices; where an op calls its kernel it asks on_device first.
//
// LOREMD_CUDA_OPS: those kernels were built; with LOREMD_CUDA_ON_HOST by the host compiler, in
// which case they serve the tensors of the CPU.
#pragma once

#include <c10/core/DeviceGuard.h>
#include <torch/library.h>

#include <initializer_list>

#include "host_device.hpp"
#include "support.hpp"

namespace loremd_torch {

#if defined(LOREMD_CUDA_ON_HOST)
constexpr bool device_kernels = true;
constexpr at::DeviceType kernel_device = at::kCPU;
#elif defined(LOREMD_CUDA_OPS)
constexpr bool device_kernels = true;
constexpr at::DeviceType kernel_device = at::kCUDA;
#else
constexpr bool device_kernels = false;
constexpr at::DeviceType kernel_device = at::kCUDA;
#endif

// LOREMD_KERNELS(library) { library.impl(...); } registers for the CPU, and for CUDA where there
// are kernels for it. Once per file.
#if defined(LOREMD_CUDA_OPS) && !defined(LOREMD_CUDA_ON_HOST)
#define LOREMD_REGISTER_CUDA                  \
  TORCH_LIBRARY_IMPL(loremd, CUDA, library) { \
    register_kernels(library);                \
  }
#else
#define LOREMD_REGISTER_CUDA
#endif
#define LOREMD_KERNELS(library)                          \
  static void register_kernels(torch::Library &library); \
  TORCH_LIBRARY_IMPL(loremd, CPU, library) {             \
    register_kernels(library);                           \
  }                                                      \
  LOREMD_REGISTER_CUDA                                   \
  static void register_kernels(torch::Library &library)

inline bool on_device(const Tensor &t) {
  return device_kernels && t.device().type() == kernel_device;
}

// torch's current stream of the tensor's device; null for the CPU.
loremd::cuda::Stream current_stream(const Tensor &t);

// Tensors that are used together must be on one device.
inline void check_devices(const char *op, std::initializer_list<const Tensor *> tensors) {
  const Tensor *first = nullptr;
  for (const Tensor *t : tensors) {
    if (!t->defined()) continue;
    if (!first) first = t;
    TORCH_CHECK_VALUE(t->device() == first->device(), "loremd::", op,
                      ": all tensors must be on one device, got ", first->device(), " and ",
                      t->device());
  }
}

// body(stream) on the device of `like`, turning the core's Error into torch's.
template <class Body>
void run_on_device(const char *op, const Tensor &like, Body &&body) {
  const c10::DeviceGuard guard(like.device());
  run_core(op, [&] { body(current_stream(like)); });
}

// Memory for doubles that a kernel works with, freed in the order of the stream.
inline Tensor workspace(int64_t values, const Tensor &like) {
  return at::empty({values}, like.options().dtype(at::kDouble));
}

}  // namespace loremd_torch
