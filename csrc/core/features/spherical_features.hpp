// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "host_device.hpp"

namespace loremd {

// Spherical features of atoms: data[atom * atom_stride + component * component_stride + feature].
// Degree l has the components l^2 .. (l+1)^2 - 1, inside a degree in the order
// m = +l, -l, +(l-1), -(l-1), ..., +1, -1, 0, as real harmonics (+ cosine, - sine).
template <class T>
struct SphericalFeatures {
  T *data;
  int64_t atom_stride, component_stride;

  LOREMD_HOST_DEVICE T *row(int64_t atom, int component) const {
    return data + atom * atom_stride + component * component_stride;
  }
};

}  // namespace loremd
