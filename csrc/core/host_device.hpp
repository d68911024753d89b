// SPDX-License-Identifier: BSD-3-Clause
//
// The only macros of the core: functions that the CPU and the CUDA side share, and forced
// unrolling.
#pragma once

#if defined(__CUDACC__)
#define LOREMD_HOST_DEVICE __host__ __device__ __forceinline__
#define LOREMD_UNROLL _Pragma("unroll")
#else
#define LOREMD_HOST_DEVICE inline
#define LOREMD_UNROLL _Pragma("GCC unroll 16")
#endif
