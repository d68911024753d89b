// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "edges/pair_sum.hpp"
#include "edges/screening.hpp"
#include "edges/shifts.hpp"

namespace loremd {

// The real-space part of a split sum of 1/r^p: sharp(r) by its splitting.
struct SharpPart {
  double exponent = 1;
  double length;       // smearing of the Gaussian, or where a compact splitting ends
  EvenSeries shape{};  // of a compact splitting (exponent 1); no terms: Gaussian
};

struct PairGeometry {
  const double *positions;  // (list.n_neighbours, 3); centres are the first list.n_centres of them
  const double *cell;       // (3, 3) rows
  Shifts shifts;            // (list.pairs, 3)
  PairList list;            // pairs whose centre is none of the first list.n_centres do not count
  double cutoff;            // pairs from here on do not count
};

// sums(i, c) += sum over pairs (i, j) of sharp(r) charges(j, c), r = |R_j - R_i + shift cell|,
// without anything of the size of the pair list: pairs go through in blocks that stay in the cache.
//
//   charges (n_neighbours, channels), sums (n_centres, channels)
// Throws Error on an index out of range, and as CompactSharp and gamma_tail do.
template <class T>
void pair_potential(const PairGeometry &geometry, const SharpPart &part, int channels,
                    const T *charges, T *sums);

// Derivatives of sum over i, c of weights(i, c) sums(i, c), all added to:
//   by_positions (n_neighbours, 3), by_cell (3, 3): double;  by_charges (n_neighbours, channels)
template <class T>
void pair_potential_gradient(const PairGeometry &geometry, const SharpPart &part, int channels,
                             const T *charges, const T *weights, double *by_positions,
                             T *by_charges, double *by_cell);

}  // namespace loremd
