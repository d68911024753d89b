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

// to = R_j - R_i + shift cell, the vector of a pair; returns its square. Most pairs have no shift,
// under LAMMPS none, so it is worth asking.
LOREMD_HOST_DEVICE double pair_vector(const double *positions, const double *cell,
                                      const double *shift, int64_t i, int64_t j, double *to) {
  for (int a = 0; a < 3; ++a) to[a] = positions[3 * j + a] - positions[3 * i + a];
  if (shift[0] != 0 || shift[1] != 0 || shift[2] != 0) {
    for (int a = 0; a < 3; ++a) {
      to[a] += shift[0] * cell[a] + shift[1] * cell[3 + a] + shift[2] * cell[6 + a];
    }
  }
  return to[0] * to[0] + to[1] * to[1] + to[2] * to[2];
}

// by_cell += the derivative by the cell of a vector whose own derivative is `by_vector`.
LOREMD_HOST_DEVICE void add_cell_gradient(const double *shift, const double *by_vector,
                                          double *by_cell) {
  for (int b = 0; b < 3; ++b) {
    for (int a = 0; shift[b] != 0 && a < 3; ++a) by_cell[3 * b + a] += shift[b] * by_vector[a];
  }
}

}  // namespace loremd
