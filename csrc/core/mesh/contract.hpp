// SPDX-License-Identifier: BSD-3-Clause
//
// The last steps of interpolation: sums over the rows of a window, along z, and what is added.
#pragma once

#include "mesh/charge_terms.hpp"
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

// values(c) += the terms of atom i, where there are any; `row` is that of the charges.
template <int Longest, class Channels, class T>
LOREMD_INLINE void add_terms(Channels channels, const ChargeTerms<T> &terms, int64_t i, int64_t row,
                             T *values) {
  if (!terms.charges) return;
  const T *charges = terms.charges + i * row;
  for_each_vector<T, Longest>(channels, [&](int c, auto zero) LOREMD_INLINE_LAMBDA {
    using V = decltype(zero);
    const V added = terms.own * load<V>(charges + c) + load<V>(terms.background + c);
    store(values + c, load<V>(values + c) + added);
  });
}

}  // namespace loremd
