// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "error.hpp"

// Counts and prints what does not hold.
void expect(bool condition, const char *what);

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
