// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

namespace loremd {

// While one of these lives, large CPU tensors of torch come from memory that stays with the process
// when they are freed. Every step asks for the same sizes again, and fresh pages, which the system
// clears one by one, took 5 to 10 % of a step of 262,144 atoms. What a step did not use is given
// back after it.
class StepMemory {
 public:
  StepMemory();
  ~StepMemory();
  StepMemory(const StepMemory &) = delete;
  StepMemory &operator=(const StepMemory &) = delete;
};

}  // namespace loremd
