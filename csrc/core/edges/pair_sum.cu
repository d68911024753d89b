// SPDX-License-Identifier: BSD-3-Clause
#include "device.hpp"
#include "edges/cuda.hpp"

namespace loremd::cuda {
namespace {

// The value of an atom, or NaN where there is no such atom.
template <class T>
LOREMD_HOST_DEVICE T value_of(const T *values, int64_t atom, int64_t atoms, int64_t channels,
                              int64_t c) {
  return atom >= 0 && atom < atoms ? values[atom * channels + c] : static_cast<T>(nan(""));
}

// An item is one channel of one centre.
template <class T>
struct Sum {
  PairList list;
  PairRows rows;
  const T *weights, *charges;
  int64_t channels;
  T *sums;

  LOREMD_HOST_DEVICE void operator()(int64_t item) const {
    const int64_t centre = item / channels, c = item % channels;
    T sum = 0;
    for (int64_t k = rows.first[centre]; k < rows.first[centre + 1]; ++k) {
      const int64_t p = rows.pair(k);
      sum += weights[p] * value_of(charges, list.neighbours[p], list.n_neighbours, channels, c);
    }
    sums[item] += sum;
  }
};

// An item is one pair.
template <class T>
struct Dot {
  PairList list;
  const T *a, *b;
  int64_t channels;
  T *products;

  LOREMD_HOST_DEVICE void operator()(int64_t p) const {
    T dot = 0;
    for (int64_t c = 0; c < channels; ++c) {
      dot += value_of(a, list.centres[p], list.n_centres, channels, c) *
             value_of(b, list.neighbours[p], list.n_neighbours, channels, c);
    }
    products[p] = dot;
  }
};

}  // namespace

template <class T>
void pair_sum(const PairList &list, const PairRows &rows, const T *weights, const T *charges,
              int64_t channels, T *sums, Stream stream) {
  for_each_item(stream, list.n_centres * channels,
                Sum<T>{list, rows, weights, charges, channels, sums});
}

template <class T>
void pair_dot(const PairList &list, const T *a, const T *b, int64_t channels, T *products,
              Stream stream) {
  for_each_item(stream, list.pairs, Dot<T>{list, a, b, channels, products});
}

#define LOREMD_INSTANTIATE(T)                                                                    \
  template void pair_sum(const PairList &, const PairRows &, const T *, const T *, int64_t, T *, \
                         Stream);                                                                \
  template void pair_dot(const PairList &, const T *, const T *, int64_t, T *, Stream);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd::cuda
