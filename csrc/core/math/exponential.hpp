// SPDX-License-Identifier: BSD-3-Clause
//
// Exponential decay and what is made of it, for numbers and, on the CPU, for vectors of them
// (simd.hpp): V is T or a vector of T, and T is float or double.
#pragma once

#include <stdint.h>
#include <string.h>

#include <type_traits>

#include "../host_device.hpp"

namespace loremd {

template <class T>
struct DecayConstants;
template <>
struct DecayConstants<float> {
  // the first has 9 trailing zeros, so that its product with an exponent is exact
  static constexpr float ln2_high = 6.93145751953125e-01f, ln2_low = 1.42860682030941723212e-06f;
  static constexpr float shifter = 12582912;  // 1.5 * 2^23: adding it rounds to integers
  static constexpr int mantissa = 23, largest_exponent = 127;
  static constexpr int terms = 7;  // of the Taylor series: the next is below 6e-9
};
template <>
struct DecayConstants<double> {
  static constexpr double ln2_high = 6.93147180369123816490e-01,
                          ln2_low = 1.90821492927058770002e-10;
  static constexpr double shifter = 6755399441055744;  // 1.5 * 2^52
  static constexpr int mantissa = 52, largest_exponent = 1023;
  static constexpr int terms = 13;  // the next is below 5e-18
};

template <class T>
LOREMD_HOST_DEVICE constexpr T inverse_factorial(int k) {
  T value = 1;
  for (; k > 1; --k) value /= k;
  return value;
}

// exp(-y) for y >= 0 to 2 units in the last place; 0 where it is less than the smallest normal
// number, and NaN for NaN. exp(-y) = 2^k exp(r) with |r| <= ln 2 / 2.
template <class T, class V>
LOREMD_HOST_DEVICE V decay(V y) {
  using Constants = DecayConstants<T>;
  using Integer = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
  using Bits = typename std::conditional_t<std::is_arithmetic<V>::value, std::common_type<Integer>,
                                           std::common_type<decltype(V{} < V{})>>::type;
  constexpr T ln2_high = Constants::ln2_high, ln2_low = Constants::ln2_low;
  constexpr T shifter = Constants::shifter, per_ln2 = 1.44269504088896340736;
  constexpr T last = Constants::largest_exponent * T(0.693147180559945309417);  // from here on 0
  const V bounded = -(y > last ? V{} + last : y);
  const V shifted = bounded * per_ln2 + shifter;
  const V exponent = shifted - shifter;
  const V rest = (bounded - exponent * ln2_high) - exponent * ln2_low;
  V sum = V{} + inverse_factorial<T>(Constants::terms);
  LOREMD_UNROLL
  for (int k = Constants::terms - 1; k >= 0; --k) sum = inverse_factorial<T>(k) + rest * sum;
  // the exponent's low bits, moved to where the power of two is kept; all bits 0 are the number 0
  Bits bits;
  memcpy(&bits, &shifted, sizeof(V));
  bits = (bits + Integer{Constants::largest_exponent}) << Constants::mantissa;
  V power;
  memcpy(&power, &bits, sizeof(V));
  return sum * power;
}

// silu(x) = x s with the logistic function s = 1 / (1 + exp(-x)), and its derivative
// s (1 + x (1 - s)); s and 1 - s are both formed without cancellation.
template <class V>
struct Silu {
  V value, slope;
};
template <class T, class V>
LOREMD_HOST_DEVICE Silu<V> silu(V x) {
  const V tail = decay<T>(x < T(0) ? -x : x);
  const V large = T(1) / (T(1) + tail), small = tail * large;
  const V own = x < T(0) ? small : large, other = x < T(0) ? large : small;
  const V value = x * own;
  return {value, own + value * other};
}

}  // namespace loremd
