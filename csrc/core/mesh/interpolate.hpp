// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "mesh/window.hpp"

namespace loremd {

// Mesh to atoms: values(i, c) = sum_g w_g(r_i) mesh(g, c), the transpose of `spread`, with the same
// weights, directions and errors.
//
//   mesh    call.shape, with its halo filled (fill_halo, pack_mesh); its padding is never used
//   values  (atoms, channels)   overwritten
template <class T>
void interpolate(const MeshCall<T> &call, const T *mesh, T *values);

// Derivative of sum_c charges(i, c) values(i, c) by the fractional coordinates of atom i:
//   gradient(i, a) += sum_g d_a w_g(r_i) sum_c charges(i, c) mesh(g, c),
// and, unless `values` is null, the values of `interpolate` from the same pass over the mesh.
// With call.directions, w_g is replaced by its derivative along the direction: a row of the Hessian
// (values must be null then).
//
//   charges   (atoms, channels)
//   values    (atoms, channels)   overwritten, or null
//   gradient  (atoms, 3)          added to; double, as all that concerns positions
template <class T>
void interpolate_gradient(const MeshCall<T> &call, const T *mesh, const T *charges, T *values,
                          double *gradient);

// The same derivatives channel by channel, and the values, in one pass over the mesh:
//   field(i, a, c) = sum_g d_a w_g(r_i) mesh(g, c).
// No directions here.
//
//   values  (atoms, channels)      overwritten
//   field   (atoms, 3, channels)   overwritten
template <class T>
void interpolate_field(const MeshCall<T> &call, const T *mesh, T *values, T *field);

// What interpolate_gradient would have given for charges that come later:
//   gradient(i, a) += sum_c charges(i, c) field(i, a, c),  atoms 0 .. n-1.
template <class T>
void add_field_gradient(int64_t n, int channels, const T *field, const T *charges,
                        double *gradient);

}  // namespace loremd
