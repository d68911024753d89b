// SPDX-License-Identifier: BSD-3-Clause
#include "math/row_products.hpp"

#include <algorithm>

#include "simd.hpp"

namespace loremd {

LOREMD_CLONES void row_products(int64_t n, const double *__restrict rows, const double *matrix,
                                double *__restrict products) {
  double m[9];
  std::copy_n(matrix, 9, m);
  for (int64_t i = 0; i < n; ++i) {
    const double x = rows[3 * i], y = rows[3 * i + 1], z = rows[3 * i + 2];
    for (int a = 0; a < 3; ++a) products[3 * i + a] = x * m[a] + y * m[3 + a] + z * m[6 + a];
  }
}

}  // namespace loremd
