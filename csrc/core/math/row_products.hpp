// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace loremd {

// products(i, a) = sum_b rows(i, b) matrix(b, a) for n rows of three; the arrays do not overlap.
void row_products(int64_t n, const double *rows, const double *matrix, double *products);

}  // namespace loremd
