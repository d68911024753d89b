// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "types.hpp"

namespace loremd {

LOREMD_HOST_DEVICE double determinant(const Matrix3 &a) {
  return a[0][0] * (a[1][1] * a[2][2] - a[1][2] * a[2][1]) -
         a[0][1] * (a[1][0] * a[2][2] - a[1][2] * a[2][0]) +
         a[0][2] * (a[1][0] * a[2][1] - a[1][1] * a[2][0]);
}

LOREMD_HOST_DEVICE Matrix3 inverse(const Matrix3 &a) {
  const double d = determinant(a);
  Matrix3 result;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) {
      const int i1 = (i + 1) % 3, i2 = (i + 2) % 3, j1 = (j + 1) % 3, j2 = (j + 2) % 3;
      result[j][i] = (a[i1][j1] * a[i2][j2] - a[i1][j2] * a[i2][j1]) / d;
    }
  }
  return result;
}

// Scalar products of the rows.
inline Matrix3 gram(const Matrix3 &a) {
  Matrix3 result;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) {
      result[i][j] = a[i][0] * a[j][0] + a[i][1] * a[j][1] + a[i][2] * a[j][2];
    }
  }
  return result;
}

}  // namespace loremd
