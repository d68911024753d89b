// SPDX-License-Identifier: BSD-3-Clause
//
// Dual numbers: what is computed with them comes with its exact derivative along one direction.
// The same code thereby gives a function with numbers V and, with Dual<V>, its tangent.
#pragma once

#include "../host_device.hpp"

namespace loremd {

// value + tangent e with e^2 = 0. V is a number or a vector of numbers.
template <class V>
struct Dual {
  V value{}, tangent{};
};

template <class V>
LOREMD_HOST_DEVICE Dual<V> operator+(const Dual<V> &a, const Dual<V> &b) {
  return {a.value + b.value, a.tangent + b.tangent};
}

template <class V>
LOREMD_HOST_DEVICE Dual<V> operator-(const Dual<V> &a, const Dual<V> &b) {
  return {a.value - b.value, a.tangent - b.tangent};
}

// V and W may differ: a vector times a number.
template <class V, class W>
LOREMD_HOST_DEVICE Dual<V> operator*(const Dual<V> &a, const Dual<W> &b) {
  return {a.value * b.value, a.tangent * b.value + a.value * b.tangent};
}

// With constants of any type that V can be combined with.
template <class V, class Constant>
LOREMD_HOST_DEVICE Dual<V> operator+(const Dual<V> &a, const Constant &b) {
  return {a.value + b, a.tangent};
}

template <class V, class Constant>
LOREMD_HOST_DEVICE Dual<V> operator*(const Dual<V> &a, const Constant &b) {
  return {a.value * b, a.tangent * b};
}

template <class V, class Other>
LOREMD_HOST_DEVICE Dual<V> &operator+=(Dual<V> &a, const Other &b) {
  return a = a + b;
}

template <class V, class Other>
LOREMD_HOST_DEVICE Dual<V> &operator*=(Dual<V> &a, const Other &b) {
  return a = a * b;
}

}  // namespace loremd
