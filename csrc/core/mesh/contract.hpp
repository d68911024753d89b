// SPDX-License-Identifier: BSD-3-Clause
//
// The last step of interpolation: sums over the rows of a window, along z.
#pragma once

#include "mesh/window.hpp"

namespace loremd {

// values(c) = sum_k weights(k) sums(k, c), with the sums in the layout of the mesh
template <int Longest, int P, class Channels, class T>
LOREMD_INLINE void contract(Channels channels, const T *weights, const T *sums, T *values) {
  const auto column = [&](int c, auto zero) LOREMD_INLINE_LAMBDA {
    const auto stride = stride_of(channels);
    auto sum = zero;
    LOREMD_UNROLL
    for (int k = 0; k < P; ++k) sum += weights[k] * load<decltype(zero)>(sums + k * stride + c);
    return sum;
  };
  if constexpr (is_single<Channels>) {
    values[0] = dot(std::integral_constant<int, window_lanes(P)>{}, weights, sums);
  } else if constexpr (!std::is_same_v<Channels, int>) {
    constexpr std::integral_constant<int, whole_vectors<T>(Channels::value)> lanes{};
    alignas(64) T filled[lanes];
    for_each_vector<T, Longest>(
        lanes, [&](int c, auto zero) LOREMD_INLINE_LAMBDA { store(filled + c, column(c, zero)); });
    std::memcpy(values, filled, channels * sizeof(T));
  } else {
    for_each_vector<T, Longest>(channels, [&](int c, auto zero) LOREMD_INLINE_LAMBDA {
      store(values + c, column(c, zero));
    });
  }
}

}  // namespace loremd
