// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "features/spherical_features.hpp"

namespace loremd {

struct TensorDenseShape {
  int degree, inputs;        // of the argument
  int degree_out, features;  // of the result
};

// [first | second] = equivariant_dense of t,  out = tensor_product of first and second,
//
// in blocks of atoms whose linear images stay in the cache.
//
//   dense  (degree + 1, inputs, 2 features)                       row-major
//   weight (degree + 1, degree + 1, degree_out + 1, features)     row-major
//   out    overwritten, must not overlap with t
template <class T>
void tensor_dense(const TensorDenseShape &shape, int64_t atoms, const SphericalFeatures<const T> &t,
                  const T *dense, const T *weight, const SphericalFeatures<T> &out);

// The derivative of sum(grad out) by t, overwritten; by_t may be t itself.
template <class T>
void tensor_dense_gradient(const TensorDenseShape &shape, int64_t atoms,
                           const SphericalFeatures<const T> &t, const T *dense, const T *weight,
                           const SphericalFeatures<const T> &grad,
                           const SphericalFeatures<T> &by_t);

}  // namespace loremd
