// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "types.hpp"

namespace loremd {

// The cell enters the influence function through its metric only: k^2 = 4 pi^2 f . metric . f for
// integer frequencies f, metric = (A A^T)^-1 for the cell rows A. Volume and mesh normalisation are
// factors outside. Always double.
struct InfluenceCall {
  const double *metric;     // (3, 3) symmetric
  const double *direction;  // (3, 3) or null: with it, the derivative by the metric along it
  std::array<int64_t, 3> points;
  int order;
  double smearing;  // standard deviation of the Gaussian charge clouds, > 0
};

// influence(kx, ky, kz), kz = 0 .. nz/2: optimal influence function of math/influence.hpp without
// the factor N / volume; 0 at k = 0. Overwritten. Some 27 exponentials per point, once per cell.
void influence_sum(const InfluenceCall &call, double *influence);

// gradient(a, b) = d/d metric(a, b) of sum_k weights(k) influence_sum(k): (3, 3), overwritten.
// With call.direction, that of the directional derivative. Both throw Error on a mesh with fewer
// points than the order, a smearing that is not positive or below a twentieth of the mesh spacing.
void influence_sum_gradient(const InfluenceCall &call, const double *weights, double *gradient);

}  // namespace loremd
