// SPDX-License-Identifier: BSD-3-Clause
//
// The row of a window in whole vectors of the mesh: they start at multiples of their length, so
// that none crosses a cache line, and what lies around the window gets the weight zero.
#pragma once

#include "mesh/window.hpp"

namespace loremd {

// Where they are. The window starts `offset` values behind the first one.
template <int Longest, int P, class T>
struct WindowVectors {
  using V = typename Vector<T, Longest>::type;
  static constexpr int lanes = Vector<T, Longest>::lanes;

  int64_t begin, end;  // in vectors from the start of the mesh's first row
  int offset;

  // `z`: where the row of the window starts, in values.
  LOREMD_INLINE WindowVectors(int64_t z, int stride)
      : begin(z / lanes), end((z + P * stride + lanes - 1) / lanes), offset(z % lanes) {}
  LOREMD_INLINE int count() const { return static_cast<int>(end - begin); }

  // The most there can be, and one more, which a vector that starts at the last point reaches.
  static constexpr int most(int stride) { return (P * stride + 2 * lanes - 2) / lanes + 1; }
  static constexpr int room(int stride) { return most(stride) * lanes; }
};

// The first `Count` of the lanes of a vector, the others zero, without a detour through memory.
template <int Longest, int Count, class T>
LOREMD_INLINE auto load_first(const T *from) {
  using Whole = Vector<T, Longest>;
  using V = typename Whole::type;
  constexpr int lanes = Whole::lanes;
  if constexpr (Count >= lanes) {
    return load<V>(from);
  } else if constexpr (Count > lanes / 2) {
    // two halves that overlap, the second shifted so that they follow each other
    constexpr int half = lanes / 2;
    using H = typename Vector<T, Longest / 2>::type;
    const H first = load<H>(from), last = load<H>(from + Count - half);
    typename Vector<LaneNumber<T>, Longest / 2>::type shifted;
    for (int k = 0; k < half; ++k) shifted[k] = k < Count - half ? k + 2 * half - Count : half;
    const H second = __builtin_shuffle(last, H{}, shifted);
    return join<V>(first, second);
  } else {
    V filled{};
    std::memcpy(&filled, from, Count * sizeof(T));
    return filled;
  }
}

// row(offset + k * stride + c) <- weights(k) charges(c), zero around it in the vectors that hold
// it. Each point overwrites what the one before left behind its own channels.
template <int Longest, int P, class Channels, class T>
LOREMD_INLINE void fill_row(Channels channels, int offset, const T *weights, const T *charges,
                            T *row) {
  using Row = WindowVectors<Longest, P, T>;
  const auto stride = stride_of(channels);
  const int last = (offset + P * stride - 1) / Row::lanes * Row::lanes;
  if constexpr (std::is_same_v<Channels, int>) {  // there may be gaps between points
    for (int i = 0; i <= last; i += Row::lanes) store(row + i, typename Row::V{});
  } else {
    store(row, typename Row::V{});
    store(row + last, typename Row::V{});
  }
  if constexpr (is_single<Channels>) {
    constexpr std::integral_constant<int, window_lanes(P)> lanes{};
    for_each_vector<T, Longest>(lanes, [&](int k, auto zero) LOREMD_INLINE_LAMBDA {
      store(row + offset + k, charges[0] * load<decltype(zero)>(weights + k));
    });
  } else if constexpr (std::is_same_v<Channels, int>) {
    for (int k = 0; k < P; ++k) {
      for (int c = 0; c < channels; ++c) row[offset + k * stride + c] = weights[k] * charges[c];
    }
  } else {
    // whole vectors, then what is left in one
    constexpr int whole = Channels::value / Row::lanes, rest = Channels::value % Row::lanes;
    typename Row::V values[whole + 1];
    for (int v = 0; v < whole; ++v) values[v] = load<typename Row::V>(charges + v * Row::lanes);
    if constexpr (rest > 0) values[whole] = load_first<Longest, rest>(charges + whole * Row::lanes);
    for (int k = 0; k < P; ++k) {
      T *const point = row + offset + k * stride;
      for (int v = 0; v < whole + (rest > 0); ++v)
        store(point + v * Row::lanes, weights[k] * values[v]);
    }
  }
}

}  // namespace loremd
