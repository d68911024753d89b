// SPDX-License-Identifier: BSD-3-Clause
//
// What stands between the matrix products of a network, on rows of `width` features.
#pragma once

#include <cstdint>

namespace loremd {

// values[n, f] = silu(values[n, f] + bias[f]), in place, and slopes[n, f] the derivative there.
//
//   bias (width); values, slopes (rows, width) row-major; slopes may be null
template <class T>
void bias_silu(int64_t rows, int width, const T *bias, T *values, T *slopes);

// values[n, f] += bias[f]
template <class T>
void add_bias(int64_t rows, int width, const T *bias, T *values);

// values[i] *= factors[i]
template <class T>
void multiply(int64_t size, const T *factors, T *values);

}  // namespace loremd
