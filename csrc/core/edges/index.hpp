// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "error.hpp"

namespace loremd {

// Throws Error unless 0 <= index < n; `name` says what it counts.
inline void check_index(int64_t index, int64_t n, const char *name) {
  if (index >= 0 && index < n) return;
  check(false, name, " index ", int64_t{index}, " is out of range; there are ", int64_t{n},
        " atoms, so 0 to ", n - 1, " are allowed");
}

}  // namespace loremd
