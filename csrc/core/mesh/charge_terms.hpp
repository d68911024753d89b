// SPDX-License-Identifier: BSD-3-Clause
//
// What a potential has besides the waves of the mesh: a multiple of the own charge, and of all
// charges together.
#pragma once

#include <cstdint>

namespace loremd {

// totals(c) += sum_i charges(i, c),  charges (atoms, channels)
template <class T>
void add_totals(int64_t atoms, int channels, const T *charges, double *totals);

// own charges(i, c) + background(c), which interpolation adds to its values.
template <class T>
struct ChargeTerms {
  const T *charges = nullptr;  // (atoms, channels), or null for none
  T own = 0;
  const T *background = nullptr;  // (channels)
};

// sum_k a(k) b(k) in double precision.
template <class T>
double sum_of_products(int64_t n, const T *a, const T *b);

}  // namespace loremd
