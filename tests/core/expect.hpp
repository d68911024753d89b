// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdio>

#include "error.hpp"

// Counts and prints what does not hold.
inline int failures = 0;
inline void expect(bool condition, const char *what) {
  if (condition) return;
  std::printf("FAILED: %s\n", what);
  ++failures;
}

template <class Body>
bool throws(Body &&body) {
  try {
    body();
  } catch (const loremd::Error &) {
    return true;
  }
  return false;
}

// The tests of the other files.
void test_boxes();
