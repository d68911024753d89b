// SPDX-License-Identifier: BSD-3-Clause
#include "edges/pair_sum.hpp"
#include "edges/index.hpp"

namespace loremd {
namespace {

template <class Body>
void for_each_pair(const PairList &list, Body &&body) {
  for (int64_t p = 0; p < list.pairs; ++p) {
    const int64_t i = list.centres[p], j = list.neighbours[p];
    check_index(i, list.n_centres, "centre");
    check_index(j, list.n_neighbours, "neighbour");
    body(p, i, j);
  }
}

}  // namespace

template <class T>
void pair_sum(const PairList &list, const T *weights, const T *charges, int64_t channels, T *sums) {
  for_each_pair(list, [&](int64_t p, int64_t i, int64_t j) {
    const T *q = charges + j * channels;
    T *sum = sums + i * channels;
    for (int64_t c = 0; c < channels; ++c) sum[c] += weights[p] * q[c];
  });
}

template <class T>
void pair_dot(const PairList &list, const T *a, const T *b, int64_t channels, T *products) {
  for_each_pair(list, [&](int64_t p, int64_t i, int64_t j) {
    T dot = 0;
    for (int64_t c = 0; c < channels; ++c) dot += a[i * channels + c] * b[j * channels + c];
    products[p] = dot;
  });
}

template void pair_sum(const PairList &, const float *, const float *, int64_t, float *);
template void pair_sum(const PairList &, const double *, const double *, int64_t, double *);
template void pair_dot(const PairList &, const float *, const float *, int64_t, float *);
template void pair_dot(const PairList &, const double *, const double *, int64_t, double *);

}  // namespace loremd
