// SPDX-License-Identifier: BSD-3-Clause
#include "device.hpp"
#include "edges/cuda.hpp"

namespace loremd::cuda {
namespace {

struct CountPair {
  const int64_t *centres;
  int64_t n_centres;
  int64_t *counts;
  int32_t *unsorted;

  LOREMD_HOST_DEVICE void operator()(int64_t p) const {
    const int64_t centre = centres[p];
    if (p > 0 && centre < centres[p - 1]) *unsorted = 1;  // all who write write the same
    if (centre >= 0 && centre < n_centres) atomic_next(counts + centre);
  }
};

// The pairs of a centre in any order.
struct PlacePair {
  const int64_t *centres;
  int64_t n_centres;
  const int32_t *unsorted;
  int64_t *next, *order;

  LOREMD_HOST_DEVICE void operator()(int64_t p) const {
    const int64_t centre = centres[p];
    if (*unsorted && centre >= 0 && centre < n_centres) order[atomic_next(next + centre)] = p;
  }
};

// Then each centre sorts its own, some tens or hundreds.
struct SortRow {
  const int64_t *first;
  const int32_t *unsorted;
  int64_t *order;

  LOREMD_HOST_DEVICE void operator()(int64_t centre) const {
    if (!*unsorted) return;
    for (int64_t k = first[centre] + 1; k < first[centre + 1]; ++k) {
      const int64_t pair = order[k];
      int64_t to = k;
      for (; to > first[centre] && order[to - 1] > pair; --to) order[to] = order[to - 1];
      order[to] = pair;
    }
  }
};

// An item is one component of one atom.
struct CollectVector {
  PairRows by_neighbour;
  const double *vectors;
  double *by_positions;

  LOREMD_HOST_DEVICE void operator()(int64_t item) const {
    const int64_t atom = item / 3, a = item % 3;
    double sum = 0;
    for (int64_t k = by_neighbour.first[atom]; k < by_neighbour.first[atom + 1]; ++k) {
      sum += vectors[3 * by_neighbour.pair(k) + a];
    }
    by_positions[item] += sum;
  }
};

}  // namespace

void count_pairs(const int64_t *centres, int64_t pairs, int64_t n_centres, int64_t *counts,
                 int32_t *unsorted, Stream stream) {
  for_each_item(stream, pairs, CountPair{centres, n_centres, counts, unsorted});
}

void order_pairs(const int64_t *centres, int64_t pairs, int64_t n_centres, const PairRows &rows,
                 int64_t *next, int64_t *order, Stream stream) {
  for_each_item(stream, pairs, PlacePair{centres, n_centres, rows.unsorted, next, order});
  for_each_item(stream, n_centres, SortRow{rows.first, rows.unsorted, order});
}

void collect_vectors(const PairRows &by_neighbour, int64_t n_atoms, const double *vectors,
                     double *by_positions, Stream stream) {
  for_each_item(stream, 3 * n_atoms, CollectVector{by_neighbour, vectors, by_positions});
}

}  // namespace loremd::cuda
