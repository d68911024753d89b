// SPDX-License-Identifier: BSD-3-Clause
//
// From the description of an interaction to the functions of math/influence.hpp.
#pragma once

#include "math/influence.hpp"
#include "mesh/influence.hpp"

namespace loremd {

template <class Splitting, class Body>
void with_cut(const SmoothPart &smooth, const Splitting &splitting, Body &&body) {
  if (smooth.periodic == 3) return body(Interaction<Splitting, Periodic>{splitting, {}});
  if (smooth.periodic == 2) {
    return body(Interaction<Splitting, CutSlab>{splitting, {smooth.reach}});
  }
  body(Interaction<Splitting, CutSphere>{splitting, {smooth.reach}});
}

// Calls body(interaction) with the one that `smooth` describes.
template <class Body>
void with_interaction(const SmoothPart &smooth, Body &&body) {
  if (smooth.shape.terms > 0) {
    with_cut(smooth, CompactSplitting(smooth.shape, smooth.range, smooth.ends_at_zero), body);
  } else if (smooth.exponent == 1) {
    with_cut(smooth, GaussianSplitting{smooth.range}, body);
  } else {
    body(Interaction<PowerSplitting, Periodic>{{smooth.exponent, smooth.range}, {}});
  }
}

}  // namespace loremd
