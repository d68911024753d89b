// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "features/spherical_features.hpp"

namespace loremd {

struct DenseShape {
  int degree;  // the highest, any
  int inputs, outputs;
};

// out[n, l m, j] = sum over i of weight[l, i, j] t[n, l m, i]: one matrix per degree, shared by its
// components.
//
//   weight (degree + 1, inputs, outputs)  row-major
//   out    overwritten, must not overlap with t
template <class T>
void equivariant_dense(const DenseShape &shape, int64_t atoms, const SphericalFeatures<const T> &t,
                       const T *weight, const SphericalFeatures<T> &out);

// The derivative of sum(grad out) by the weights, added to by_weight, in double whatever T is.
template <class T>
void equivariant_dense_weights(const DenseShape &shape, int64_t atoms,
                               const SphericalFeatures<const T> &t,
                               const SphericalFeatures<const T> &grad, double *by_weight);

}  // namespace loremd
