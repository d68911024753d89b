// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace loremd {

// A list of ordered pairs; `centres[p]` receives from `neighbours[p]`.
struct PairList {
  const int64_t *centres;     // (pairs)
  const int64_t *neighbours;  // (pairs)
  int64_t pairs;
  int64_t n_centres;     // allowed values of centres: 0 .. n_centres - 1
  int64_t n_neighbours;  // allowed values of neighbours
};

// Real-space pair sum, all channels at once:
//   sums(i, c) += sum over pairs p with centre i of weights(p) charges(neighbour of p, c).
//
//   weights (pairs), charges (n_neighbours, channels), sums (n_centres, channels), added to.
// Its transpose by charges is itself with centres and neighbours exchanged. Throws Error on an
// index out of range.
template <class T>
void pair_sum(const PairList &list, const T *weights, const T *charges, int64_t channels, T *sums);

// products(p) = sum_c a(centre of p, c) b(neighbour of p, c): the transpose of pair_sum by weights.
template <class T>
void pair_dot(const PairList &list, const T *a, const T *b, int64_t channels, T *products);

}  // namespace loremd
