// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "../host_device.hpp"

namespace loremd {

// The degree l of a component l^2 .. (l+1)^2 - 1.
LOREMD_HOST_DEVICE int degree_of_component(int component) {
  int degree = 0;
  while ((degree + 1) * (degree + 1) <= component) ++degree;
  return degree;
}

// Degree and order of pair number l (l + 1) / 2 + m, 0 <= m <= l.
LOREMD_HOST_DEVICE void degree_and_order(int pair, int *degree, int *order) {
  *degree = 0;
  while ((*degree + 1) * (*degree + 2) / 2 <= pair) ++*degree;
  *order = pair - *degree * (*degree + 1) / 2;
}

}  // namespace loremd
