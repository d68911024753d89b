// SPDX-License-Identifier: BSD-3-Clause
//
// The half spectrum of a real mesh, kz = 0 .. nz/2.
#pragma once

#include <cstdint>

#include "../host_device.hpp"

namespace loremd {

// The index of -k.
LOREMD_HOST_DEVICE int64_t mirror(int64_t index, int64_t n) {
  return index == 0 ? 0 : n - index;
}

// Planes of the half spectrum that hold both k and -k.
LOREMD_HOST_DEVICE bool own_mirror(int64_t kz, int64_t nz) {
  return kz == 0 || 2 * kz == nz;
}

// The influence function at k for the real part of a mesh: where the half spectrum has both k and
// -k, their mean.
template <class T>
LOREMD_HOST_DEVICE T even_part(int64_t kz, int64_t nz, T own, T mirrored) {
  return own_mirror(kz, nz) ? (own + mirrored) / 2 : own;
}

// How often a k of the half spectrum is in the full one.
LOREMD_HOST_DEVICE double multiplicity(int64_t kz, int64_t nz) {
  return own_mirror(kz, nz) ? 1 : 2;
}

// Re(conj(a) b)
template <class T>
LOREMD_HOST_DEVICE double real_product(T a_real, T a_imaginary, T b_real, T b_imaginary) {
  return static_cast<double>(a_real) * b_real + static_cast<double>(a_imaginary) * b_imaginary;
}

}  // namespace loremd
