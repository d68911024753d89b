// SPDX-License-Identifier: BSD-3-Clause
//
// A residual step's end: sum and layer normalisation of rows of `width` features.
#pragma once

#include <cstdint>

namespace loremd {

constexpr double norm_variance = 1e-6;  // added to the variance

// What the parameters of a step are; each (width).
template <class T>
struct ResidualNorm {
  int width;
  const T *bias, *scale, *shift;
};

// With z = x + values + bias, and mean and population variance of z over the row,
//
//   normalised = (z - mean) inverse,   inverse = 1 / sqrt(variance + norm_variance)
//   values     = normalised scale + shift, in place
//
//   x, values, normalised (rows, width) row-major, inverse (rows); the last two are written, or
//   both null. The variance is that of z - mean, so that a common offset does no harm.
template <class T>
void residual_norm(int64_t rows, const ResidualNorm<T> &parameters, const T *x, T *values,
                   T *normalised, T *inverse);

// by_z: the derivative of sum(grad values) by z, hence by x as well, overwritten.
template <class T>
void residual_norm_gradient(int64_t rows, int width, const T *scale, const T *normalised,
                            const T *inverse, const T *grad, T *by_z);

}  // namespace loremd
