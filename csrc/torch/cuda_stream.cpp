// SPDX-License-Identifier: BSD-3-Clause
//
// All that the ops need of torch's CUDA headers.
#include <c10/cuda/CUDAStream.h>

#include "device_call.hpp"

namespace loremd_torch {

loremd::cuda::Stream current_stream(const Tensor &t) {
  return c10::cuda::getCurrentCUDAStream(t.device().index()).stream();
}

}  // namespace loremd_torch
