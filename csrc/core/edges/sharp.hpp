// SPDX-License-Identifier: BSD-3-Clause
//
// The sharp parts of screening.hpp, value by value, as kernels take them.
#pragma once

#include "edges/screening.hpp"
#include "math/compact_sharp.hpp"

namespace loremd::cuda {

// scale * tail(x), or its derivative.
struct GaussianSharp {
  GammaTail tail;
  double scale;
  int derivative;

  LOREMD_HOST_DEVICE double operator()(double x) const {
    return scale * tail.derivative(x, derivative);
  }
};

struct CompactSharpValue {
  double square, bare;
  int derivative;
  FixedSeries smooth;

  explicit CompactSharpValue(const CompactSharp &sharp)
      : square(sharp.square()),
        bare(sharp.bare()),
        derivative(sharp.derivative()),
        smooth(sharp.smooth()) {}
  LOREMD_HOST_DEVICE double operator()(double x) const {
    return loremd::compact_sharp(x, sqrt(x), square, bare, derivative, smooth.coefficients,
                                 smooth.terms);
  }
};

}  // namespace loremd::cuda
