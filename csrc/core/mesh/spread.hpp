// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "mesh/window.hpp"

namespace loremd {

// Charges to mesh: mesh(g, c) += sum_i w_g(r_i) charges(i, c), with w_g the product of the
// windows `call.window` of three axes; the weights of a B-spline sum to one, so charge is
// conserved.
//
//   charges  (atoms, channels)   row-major, any unit
//   mesh     call.shape          added to, so zero all of it first (or spread several sets of
//                                atoms); complete after fold_halo
//
// With call.directions the weights are replaced by their derivative along the atom's direction.
// The transpose is `interpolate`. Only the atoms of call.visits count. Throws Error on a mesh that
// has not the layout for the window.
template <class T>
void spread(const MeshCall<T> &call, const T *charges, T *mesh);

}  // namespace loremd
