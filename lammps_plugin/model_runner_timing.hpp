// SPDX-License-Identifier: GPL-2.0-or-later
//
// Where the time of one evaluation goes: torch tells an observer when each op begins and ends. Time
// is booked under the kernel of the innermost op of the loremd namespace that has one.
#pragma once

#include "model_runner.hpp"

namespace loremd {

// Observes the ops of this thread from construction to destruction; what is not spent in kernels
// counts as network.
class KernelTimer {
 public:
  explicit KernelTimer(loremd_times &times);
  ~KernelTimer();
  KernelTimer(const KernelTimer &) = delete;
  KernelTimer &operator=(const KernelTimer &) = delete;

 private:
  loremd_times &times_;
  uint64_t observer_;
  double start_;
  double kernels_;
};

}  // namespace loremd
