// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/charge_terms.hpp"

#include <algorithm>
#include <vector>

#include "simd.hpp"

namespace loremd {
namespace {

// So many rows are one run that is as long as several vectors, whatever the number of channels.
constexpr int64_t rows_together = 16;

}  // namespace

template <class T>
LOREMD_CLONES void add_totals(int64_t atoms, int channels, const T *charges, double *totals) {
  if (channels == 0) return;
  const int64_t length = rows_together * channels, all = atoms * channels;
  std::vector<double> sums(length);
  for (int64_t begin = 0; begin < all; begin += length) {
    const int64_t count = std::min(length, all - begin);
    for (int64_t i = 0; i < count; ++i) sums[i] += charges[begin + i];
  }
  for (int64_t i = 0; i < length; ++i) totals[i % channels] += sums[i];
}

template <class T>
LOREMD_CLONES double sum_of_products(int64_t n, const T *a, const T *b) {
  constexpr int together = 32;
  double sums[together] = {}, total = 0;
  int64_t k = 0;
  for (; k + together <= n; k += together) {
    for (int i = 0; i < together; ++i) sums[i] += static_cast<double>(a[k + i]) * b[k + i];
  }
  for (; k < n; ++k) total += static_cast<double>(a[k]) * b[k];
  for (double sum : sums) total += sum;
  return total;
}

#define LOREMD_INSTANTIATE(T)                                  \
  template void add_totals(int64_t, int, const T *, double *); \
  template double sum_of_products(int64_t, const T *, const T *);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd
