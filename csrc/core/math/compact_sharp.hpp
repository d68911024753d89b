// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "chebyshev.hpp"

namespace loremd {

// The sharp part of 1/r with a compact splitting, or a derivative by x = r^2:
//   bare x^-(derivative + 1/2) - smooth(x) for x < square, else 0,
// with the Chebyshev series `smooth` over 0 <= x <= square; `root` is sqrt(x). V: a number or a
// vector.
template <class V>
LOREMD_HOST_DEVICE V compact_sharp(const V &x, const V &root, double square, double bare,
                                   int derivative, const double *smooth, int terms) {
  V value = bare / root;
  for (int k = 0; k < derivative; ++k) value /= x;
  value -= clenshaw(smooth, terms, V((2 / square) * x - 1.0));
  return x >= square ? V{} : value;
}

}  // namespace loremd
