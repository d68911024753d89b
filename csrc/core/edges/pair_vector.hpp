// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "edges/shifts.hpp"
#include "simd.hpp"

namespace loremd {

// vector = `to` - `from` + shift cell, from positions and a (3, 3) cell; returns its square. Most
// pairs have no shift, under LAMMPS none, so it is worth asking.
LOREMD_INLINE double pair_vector(const double *from, const double *to, const Shifts &shifts,
                                 int64_t pair, const double *cell, double *vector) {
  for (int a = 0; a < 3; ++a) vector[a] = to[a] - from[a];
  const double s[3] = {shifts(pair, 0), shifts(pair, 1), shifts(pair, 2)};
  if (s[0] != 0 || s[1] != 0 || s[2] != 0) {
    for (int a = 0; a < 3; ++a)
      vector[a] += s[0] * cell[a] + s[1] * cell[3 + a] + s[2] * cell[6 + a];
  }
  return vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2];
}

// by_cell += the derivative by the cell of a vector whose own derivative is `by_vector`.
LOREMD_INLINE void add_cell_gradient(const Shifts &shifts, int64_t pair, const double *by_vector,
                                     double *by_cell) {
  for (int b = 0; b < 3; ++b) {
    const double shift = shifts(pair, b);
    for (int a = 0; shift != 0 && a < 3; ++a) by_cell[3 * b + a] += shift * by_vector[a];
  }
}

}  // namespace loremd
