// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "mesh/charge_terms.hpp"
#include "mesh/window.hpp"

namespace loremd {

// Mesh to atoms: values(i, c) = sum_g w_g(r_i) mesh(g, c), the transpose of `spread`, with the same
// weights, directions and errors; and the terms, which have no directions.
//
//   mesh    call.shape, with its halo filled (fill_halo, pack_mesh); its padding is never used
//   values  (atoms, channels)   overwritten
template <class T>
void interpolate(const MeshCall<T> &call, const T *mesh, T *values,
                 const ChargeTerms<T> &terms = {});

// What interpolate_field gave for another mesh, and the charges that it is to be multiplied with.
template <class T>
struct KeptField {
  const T *field = nullptr;    // (atoms in the order of the visit, 3, channels), or null
  const T *charges = nullptr;  // (atoms, channels)
};

// Derivative of sum_c charges(i, c) values(i, c) by the fractional coordinates of atom i,
//   gradient(i, a) = sum_g d_a w_g(r_i) sum_c charges(i, c) mesh(g, c)
//                    + sum_c kept.charges(i, c) kept.field(i, a, c),
// and, unless `values` is null, the values of `interpolate` from the same pass over the mesh.
// With call.directions, w_g is replaced by its derivative along the direction: a row of the Hessian
// (values and the kept field must be null then, and nothing is added to).
//
//   charges   (atoms, channels)
//   values    (atoms, channels)   overwritten, or null
//   gradient  (atoms, 3)          overwritten, or, with `add`, added to; double, as all that
//                                 concerns positions
template <class T>
void interpolate_gradient(const MeshCall<T> &call, const T *mesh, const T *charges, T *values,
                          double *gradient, bool add = false, const KeptField<T> &kept = {},
                          const ChargeTerms<T> &terms = {});

// The same derivatives channel by channel, and the values, in one pass over the mesh:
//   field(i, a, c) = sum_g d_a w_g(r_i) mesh(g, c).
// No directions here.
//
//   values  (atoms, channels)                               overwritten
//   field   (atoms in the order of the visit, 3, channels)  overwritten; written and read in turn
template <class T>
void interpolate_field(const MeshCall<T> &call, const T *mesh, T *values, T *field,
                       const ChargeTerms<T> &terms = {});

}  // namespace loremd
