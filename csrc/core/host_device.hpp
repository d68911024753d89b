// SPDX-License-Identifier: BSD-3-Clause
//
// Functions that the CPU and the CUDA side share, and forced unrolling.
#pragma once

#if defined(__CUDACC__)
#define LOREMD_HOST_DEVICE __host__ __device__ __forceinline__
#define LOREMD_UNROLL _Pragma("unroll")
#else
// always inlined, so that it gets the vector width of the function that calls it (simd.hpp)
#define LOREMD_HOST_DEVICE inline __attribute__((always_inline))
#define LOREMD_UNROLL _Pragma("GCC unroll 16")
#endif

struct CUstream_st;

namespace loremd::cuda {

// A cudaStream_t. Everything that takes one is put in it and returns at once: it neither waits for
// the device nor allocates, and all its arrays are in the memory of the device.
using Stream = CUstream_st *;

}  // namespace loremd::cuda
