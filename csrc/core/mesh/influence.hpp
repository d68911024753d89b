// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>

#include "math/even_series.hpp"
#include "mesh/boxes.hpp"
#include "types.hpp"

namespace loremd {

// Which interaction is on the mesh (math/influence.hpp).
struct SmoothPart {
  double exponent = 1;       // p of 1/r^p
  double range = 0;          // smearing of the Gaussian; of a compact splitting, where it ends
  EvenSeries shape{};        // of a compact splitting (p = 1 only); no terms: Gaussian
  bool ends_at_zero = true;  // its spectrum may be cut at the first zero, as that of prolate shapes
  int periodic = 3;          // periodic directions: 3, 2 or 0 (p = 1 only)
  int open_axis = 2;         // of two periodic ones: the third, perpendicular to them
  double reach = 0;          // fewer than 3: where the interaction ends; along an open axis half
                             // the height of the cell
};

// The cell enters the influence function through its metric only: k^2 = 4 pi^2 f . metric . f for
// integer frequencies f, metric = (A A^T)^-1 for the cell rows A. Volume and mesh normalisation are
// factors outside. Always double.
struct InfluenceCall {
  const double *metric;     // (3, 3) symmetric
  const double *direction;  // (3, 3) or null: with it, the derivative by the metric along it
  std::array<int64_t, 3> points;
  int order;
  EvenSeries window;  // no terms: B-spline
  SmoothPart smooth;
  std::optional<Box> share{};  // of the full spectrum; none: the half of it, kz = 0 .. nz/2

  Box frequencies() const {
    return share ? *share : Box{{}, {points[0], points[1], half_spectrum_points(points[2])}};
  }
};

// Throws Error on a mesh with fewer points than the order, a range that is not positive, an
// exponent outside (0, 6], and combinations that do not exist.
void check_influence(const InfluenceCall &call);

// influence(kx, ky, kz) for call.frequencies(): optimal influence function of math/influence.hpp
// without the factor N / volume. Overwritten. At k = 0 it is 0 with three periodic directions,
// where the caller adds a background or the finite term, else the limit. Once per cell.
void influence_sum(const InfluenceCall &call, double *influence);

// gradient(a, b) = d/d metric(a, b) of sum_k weights(k) influence_sum(k): (3, 3), overwritten.
// With call.direction, that of the directional derivative. The sum is over call.frequencies().
//
// Both throw Error as check_influence does, and on a range that is much shorter than the mesh
// spacing.
void influence_sum_gradient(const InfluenceCall &call, const double *weights, double *gradient);

}  // namespace loremd
