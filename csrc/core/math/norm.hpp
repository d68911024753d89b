// SPDX-License-Identifier: BSD-3-Clause
//
// Norms of the components of one degree, r = sqrt(epsilon^2 + squares), in double.
#pragma once

#include <math.h>

#include <cfloat>

#include "../host_device.hpp"

namespace loremd {

// (2 l + 1)^(1/4)
LOREMD_HOST_DEVICE double norm_factor(int degree) {
  return sqrt(sqrt(2.0 * degree + 1));
}

// 1 / r, and 0 where r = 0: without a branch, so that lanes stay together.
LOREMD_HOST_DEVICE double inverse_norm(double radius, double square) {
  return radius / (square + DBL_MIN);
}

// The derivative of t / r along `direction`, times `slope` / r: with u = t / r and `along` = u .
// direction it is slope (direction - u along).
LOREMD_HOST_DEVICE double norm_curvature(double slope, double direction, double along,
                                         double inverse, double t) {
  return slope * (direction - along * (inverse * t));
}

}  // namespace loremd
