// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "mesh/window.hpp"

namespace loremd {

// Charges to mesh: mesh(g, c) += sum_i w_g(r_i) charges(i, c), with w_g the product of three
// B-splines of `call.order`; the weights of an atom sum to one, so charge is conserved.
//
//   charges  (atoms, channels)   row-major, any unit
//   mesh     call.shape          added to, so zero it first (or spread several sets of atoms)
//
// With call.directions the weights are replaced by their derivative along the atom's direction.
// The transpose is `interpolate`. Only the atoms of call.visit count. Positions must be finite
// (visiting_order checks that). Throws Error on an order outside 3..8 and on a mesh with fewer
// points than the order.
template <class T>
void spread(const MeshCall &call, const T *charges, T *mesh);

}  // namespace loremd
