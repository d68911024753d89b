// SPDX-License-Identifier: BSD-3-Clause
//
// Cardinal B-splines M_P, the assignment functions of P3M and SPME
// (Essmann et al. 1995, DOI 10.1063/1.470117, eqs. 4.1 and 4.2).
#pragma once

#include "../host_device.hpp"

namespace loremd {

// Values M_P(fraction + j), j = 0 .. P-1, for 0 <= fraction < 1, by the recursion
// (n-1) M_n(x) = x M_{n-1}(x) + (n-x) M_{n-1}(x-1).
template <int P, class T>
LOREMD_HOST_DEVICE void bspline_values(T fraction, T *values) {
  values[0] = T(1);
  LOREMD_UNROLL
  for (int n = 2; n <= P; ++n) {
    const T scale = T(1) / T(n - 1);
    values[n - 1] = scale * (T(1) - fraction) * values[n - 2];
    LOREMD_UNROLL
    for (int j = P - 2; j >= 1; --j) {
      if (j > n - 2) continue;
      values[j] = scale * ((fraction + T(j)) * values[j] + (T(n - j) - fraction) * values[j - 1]);
    }
    values[0] *= scale * fraction;
  }
}

// Backward difference, M_n'(x) = M_{n-1}(x) - M_{n-1}(x-1): n-1 values in, n out, may be in place.
template <int N, class T>
LOREMD_HOST_DEVICE void bspline_difference(const T *lower, T *derivative) {
  derivative[N - 1] = -lower[N - 2];
  LOREMD_UNROLL
  for (int j = N - 2; j >= 1; --j) derivative[j] = lower[j] - lower[j - 1];
  derivative[0] = lower[0];
}

// Derivative D of M_P by its argument at the same places as bspline_values, D < P.
template <int P, int D, class T>
LOREMD_HOST_DEVICE void bspline_derivative(T fraction, T *values) {
  if constexpr (D == 0) {
    bspline_values<P>(fraction, values);
  } else {
    bspline_derivative<P - 1, D - 1>(fraction, values);
    bspline_difference<P>(values, values);
  }
}

// Weights of the P mesh points around a coordinate, or their derivative D by it.
//
// With u the coordinate in units of the mesh spacing, point first + k, k = 0 .. P-1, has the weight
// M_P(P/2 + u - (first + k)), first = floor(u - P/2) + 1; `fraction` is u - P/2 - floor(u - P/2).
template <int P, int D, class T>
LOREMD_HOST_DEVICE void bspline_weights(T fraction, T *weights) {
  // the mesh index rises where the argument of M_P falls
  T ascending[P];
  bspline_derivative<P, D>(fraction, ascending);
  LOREMD_UNROLL
  for (int k = 0; k < P; ++k) weights[k] = ascending[P - 1 - k];
}

}  // namespace loremd
