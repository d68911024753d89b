// SPDX-License-Identifier: BSD-3-Clause
//
// Work in pieces for torch's threads: each takes the next piece when it is done with one, so that
// none waits for another that the machine gives less time to.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace loremd_torch {

// Calls body(task) for the tasks 0 .. count - 1, which begin in this order.
template <class Body>
void for_each_task(int64_t count, Body &&body) {
  const int64_t threads =
      at::in_parallel_region() ? 1 : std::min<int64_t>(at::get_num_threads(), count);
  std::atomic<int64_t> next{0};
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    for (int64_t task = next++; task < count; task = next++) body(task);
  });
}

// Calls body(begin, end) for the pieces of 0 .. count - 1, `size` long but for the last one.
template <class Body>
void for_each_piece(int64_t count, int64_t size, Body &&body) {
  for_each_task((count + size - 1) / size,
                [&](int64_t task) { body(task * size, std::min(count, (task + 1) * size)); });
}

}  // namespace loremd_torch
