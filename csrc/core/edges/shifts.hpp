// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "host_device.hpp"

namespace loremd {

// Cell vectors between the images of two atoms, (pairs, 3) with any strides, integers or not.
struct Shifts {
  const double *real = nullptr;  // one of both
  const int64_t *whole = nullptr;
  int64_t row_stride = 3, stride = 1;

  LOREMD_HOST_DEVICE double operator()(int64_t pair, int a) const {
    const int64_t at = pair * row_stride + a * stride;
    return real ? real[at] : static_cast<double>(whole[at]);
  }
};

// to = R_j - R_i + shift cell, the vector of a pair; returns its square.
LOREMD_HOST_DEVICE double pair_vector(const double *positions, const double *cell,
                                      const double *shift, int64_t i, int64_t j, double *to) {
  double squared = 0;
  for (int a = 0; a < 3; ++a) {
    double component = positions[3 * j + a] - positions[3 * i + a];
    for (int b = 0; b < 3; ++b) component += shift[b] * cell[3 * b + a];
    to[a] = component;
    squared += component * component;
  }
  return squared;
}

}  // namespace loremd
