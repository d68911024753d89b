// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace loremd {

// What the core throws; each boundary (torch, Python, LAMMPS) translates it once.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws Error with all of `parts` streamed together unless `condition` holds.
template <class... Parts>
void check(bool condition, const Parts &...parts) {
  if (condition) return;
  std::ostringstream message;
  message.precision(10);
  (message << ... << parts);
  throw Error(message.str());
}

}  // namespace loremd
