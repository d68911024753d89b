// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace loremd {

// Cell vectors between the images of two atoms, (pairs, 3) with any strides, integers or not.
struct Shifts {
  const double *real = nullptr;  // one of both
  const int64_t *whole = nullptr;
  int64_t row_stride = 3, stride = 1;

  double operator()(int64_t pair, int a) const {
    const int64_t at = pair * row_stride + a * stride;
    return real ? real[at] : static_cast<double>(whole[at]);
  }
};

}  // namespace loremd
