// SPDX-License-Identifier: BSD-3-Clause
#include "edges/screening.hpp"

#include "device.hpp"
#include "edges/cuda.hpp"
#include "edges/sharp.hpp"

namespace loremd::cuda {
namespace {

template <class Sharp>
struct SharpItem {
  Sharp sharp;
  const double *x;
  double *out;

  LOREMD_HOST_DEVICE void operator()(int64_t i) const { out[i] = sharp(x[i]); }
};

}  // namespace

void gamma_tail(int64_t n, const double *x, GammaTail tail, int derivative, double *out,
                Stream stream) {
  check_gamma_tail(tail, derivative);
  for_each_item(stream, n, SharpItem<GaussianSharp>{{tail, 1, derivative}, x, out});
}

void compact_sharp(int64_t n, const double *x, const CompactSharp &sharp, double *out,
                   Stream stream) {
  for_each_item(stream, n, SharpItem<CompactSharpValue>{CompactSharpValue(sharp), x, out});
}

}  // namespace loremd::cuda
