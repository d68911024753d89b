// SPDX-License-Identifier: BSD-3-Clause
//
// How a .cu file says what is to be done: items that do not depend on each other, or teams of
// threads that share memory and take steps together. nvcc makes kernels of them. Any other compiler
// makes loops, in which items follow one another, so that the same source runs without a GPU
// (LOREMD_CUDA=ON_HOST): that checks formulas, indices and workspaces, not races.
#pragma once

#include <algorithm>
#include <cstdint>

#include "error.hpp"
#include "host_device.hpp"

#if defined(__CUDACC__)
#include <cuda_runtime_api.h>
#endif

namespace loremd::cuda {

constexpr int block_threads = 128;
constexpr int least_blocks = 3;  // per multiprocessor: 168 registers per thread, so nothing spills
constexpr int most_shared_bytes = 48 * 1024;  // what every device grants without being asked

// Blocks of threads that work on all items together where sums are kept per team.
constexpr int64_t most_teams = 2048;

// One step after another of a team: all threads have finished a step before the next one begins.
// What a step writes must not be read or written by another `t` of the same step.
struct Team {
  int64_t index;  // 0 .. teams - 1
  char *memory;   // shared by the team, as many bytes as it was launched with, aligned for a double

  // body(t) for t = 0 .. n - 1
  template <class Body>
  LOREMD_HOST_DEVICE void step(int n, Body &&body) const {
#if defined(__CUDA_ARCH__)
    for (int t = static_cast<int>(threadIdx.x); t < n; t += static_cast<int>(blockDim.x)) body(t);
    __syncthreads();
#else
    for (int t = 0; t < n; ++t) body(t);
#endif
  }
};

// Arrays one behind the other in the memory of a team; the same code, from null, measures it.
class TeamMemory {
 public:
  LOREMD_HOST_DEVICE explicit TeamMemory(char *begin) : begin_(begin) {}

  template <class V>
  LOREMD_HOST_DEVICE V *array(int64_t n) {
    used_ = (used_ + 7) / 8 * 8;
    V *const at = begin_ ? reinterpret_cast<V *>(begin_ + used_) : nullptr;
    used_ += n * static_cast<int64_t>(sizeof(V));
    return at;
  }
  LOREMD_HOST_DEVICE int64_t bytes() const { return (used_ + 7) / 8 * 8; }

 private:
  char *begin_;
  int64_t used_ = 0;
};

// *to += value, whoever else does so.
template <class T>
LOREMD_HOST_DEVICE void atomic_add(T *to, T value) {
#if defined(__CUDA_ARCH__)
  atomicAdd(to, value);
#else
  *to += value;
#endif
}

// The value before 1 was added.
LOREMD_HOST_DEVICE int64_t atomic_next(int64_t *counter) {
#if defined(__CUDA_ARCH__)
  return static_cast<int64_t>(atomicAdd(reinterpret_cast<unsigned long long *>(counter), 1ULL));
#else
  return (*counter)++;
#endif
}

// W values that are loaded, stored and added together.
template <class T, int W>
struct alignas(W * sizeof(T)) Pack {
  T values[W];
};

template <class T, int W>
LOREMD_HOST_DEVICE Pack<T, W> load_pack(const T *from) {
  return *reinterpret_cast<const Pack<T, W> *>(from);
}

// Each value is added by itself, in any order; devices of capability 9.0 take four floats at once.
template <class T, int W>
LOREMD_HOST_DEVICE void atomic_add(T *to, const Pack<T, W> &pack) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  if constexpr (sizeof(T) == 4 && W == 4) {
    atomicAdd(reinterpret_cast<float4 *>(to),
              make_float4(pack.values[0], pack.values[1], pack.values[2], pack.values[3]));
    return;
  }
#endif
  LOREMD_UNROLL
  for (int w = 0; w < W; ++w) atomic_add(to + w, pack.values[w]);
}

#if defined(__CUDACC__)

inline void check_launch() {
  const cudaError_t status = cudaGetLastError();
  check(status == cudaSuccess, "a CUDA kernel was not launched: ", cudaGetErrorString(status));
}

template <class Item>
__global__ void __launch_bounds__(block_threads, least_blocks)
    run_items(int64_t n, const __grid_constant__ Item item) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) item(i);
}

template <class Work>
__global__ void __launch_bounds__(block_threads, least_blocks)
    run_team(const __grid_constant__ Work work) {
  extern __shared__ double memory[];
  work(Team{blockIdx.x, reinterpret_cast<char *>(memory)});
}

// item(i) for i = 0 .. n - 1.
template <class Item>
void for_each_item(Stream stream, int64_t n, const Item &item) {
  if (n <= 0) return;
  const int64_t blocks = (n + block_threads - 1) / block_threads;
  check(blocks < (int64_t(1) << 31), "a CUDA kernel of ", n, " items is too large");
  run_items<<<static_cast<unsigned>(blocks), block_threads, 0, stream>>>(n, item);
  check_launch();
}

// work(team) for `teams` teams of `threads` threads, at most block_threads, and `bytes` of memory.
template <class Work>
void for_each_team(Stream stream, int64_t teams, int threads, int64_t bytes, const Work &work) {
  check(bytes <= most_shared_bytes, "a CUDA kernel needs ", bytes, " bytes of shared memory; ",
        most_shared_bytes, " are there");
  if (teams <= 0) return;
  run_team<<<static_cast<unsigned>(teams), threads, bytes, stream>>>(work);
  check_launch();
}

#else

template <class Item>
void for_each_item(Stream, int64_t n, const Item &item) {
  for (int64_t i = 0; i < n; ++i) item(i);
}

template <class Work>
void for_each_team(Stream, int64_t teams, int, int64_t bytes, const Work &work) {
  check(bytes <= most_shared_bytes, "a CUDA kernel needs ", bytes, " bytes of shared memory; ",
        most_shared_bytes, " are there");
  double memory[most_shared_bytes / sizeof(double)];
  for (int64_t k = 0; k < teams; ++k) work(Team{k, reinterpret_cast<char *>(memory)});
}

#endif

struct ZeroItem {
  double *values;
  LOREMD_HOST_DEVICE void operator()(int64_t i) const { values[i] = 0; }
};

inline void set_zero(Stream stream, int64_t n, double *values) {
  for_each_item(stream, n, ZeroItem{values});
}

// One column of a table of partial sums.
struct ColumnSum {
  const double *partials;
  int64_t rows, columns;
  double *sums;

  LOREMD_HOST_DEVICE void operator()(const Team &team) const {
    double *const parts = TeamMemory(team.memory).array<double>(block_threads);
    team.step(block_threads, [&](int t) {
      double sum = 0;
      for (int64_t r = t; r < rows; r += block_threads) sum += partials[r * columns + team.index];
      parts[t] = sum;
    });
    team.step(1, [&](int) {
      double sum = 0;
      for (int t = 0; t < block_threads; ++t) sum += parts[t];
      sums[team.index] += sum;
    });
  }
};

// sums (columns) += the sum of the rows of partials (rows, columns), in an order that is always the
// same.
inline void add_partials(Stream stream, const double *partials, int64_t rows, int64_t columns,
                         double *sums) {
  for_each_team(stream, columns, block_threads, block_threads * sizeof(double),
                ColumnSum{partials, rows, columns, sums});
}

}  // namespace loremd::cuda
