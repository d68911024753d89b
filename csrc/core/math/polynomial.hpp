// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "../host_device.hpp"

namespace loremd {

// A step of Horner's rule at x, for a polynomial and as many derivatives as `Derivatives` says:
// from the highest coefficient on, value = (.. c_n x + c_n-1) x + .. . V: numbers or vectors.
template <int Derivatives, class V, class T>
LOREMD_HOST_DEVICE void horner_step(const V &coefficient, const T &x, V &value, V &slope,
                                    V &half_curvature) {
  if (Derivatives > 1) half_curvature = half_curvature * x + slope;
  if (Derivatives > 0) slope = slope * x + value;
  value = value * x + coefficient;
}

// c0 + c1 t + c2 t^2 + c3 t^3, and its derivative.
template <class V, class T>
LOREMD_HOST_DEVICE V cubic(const V &c0, const V &c1, const V &c2, const V &c3, const T &t) {
  return c0 + t * (c1 + t * (c2 + t * c3));
}
template <class V, class T>
LOREMD_HOST_DEVICE V cubic_slope(const V &c1, const V &c2, const V &c3, const T &t) {
  return c1 + t * (2 * c2 + 3 * t * c3);
}

}  // namespace loremd
