// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "features/spherical_features.hpp"

namespace loremd {

struct ProductShape {
  int degree_a, degree_b, degree_out;  // highest degrees, any
  int features;
};

// out[n, l3 m3, f] = sum over l1, l2 of weight[l1, l2, l3, f]
//                    sum over m1, m2 of C[l1 m1, l2 m2, l3 m3] a[n, l1 m1, f] b[n, l2 m2, f]
// with C of math/clebsch_gordan.hpp, over the paths (l1, l2, l3) that couple; other weights are not
// read.
//
//   weight (degree_a + 1, degree_b + 1, degree_out + 1, features)  row-major
//   out    overwritten, must not overlap with a and b
//
// sum(grad out) is symmetric under the exchange of an argument with grad if the weights are
// exchanged likewise and multiplied by sqrt((2 l3 + 1) / (2 l1 + 1)), l1 the degree of the argument
// and l3 that of grad: so the derivatives by a and b are tensor products again.
template <class T>
void tensor_product(const ProductShape &shape, int64_t atoms, const SphericalFeatures<const T> &a,
                    const SphericalFeatures<const T> &b, const T *weight,
                    const SphericalFeatures<T> &out);

// The derivatives of sum(grad out) by a and b, overwritten; both at once cost less than one by one.
template <class T>
void tensor_product_gradient(const ProductShape &shape, int64_t atoms,
                             const SphericalFeatures<const T> &a,
                             const SphericalFeatures<const T> &b, const T *weight,
                             const SphericalFeatures<const T> &grad,
                             const SphericalFeatures<T> &by_a, const SphericalFeatures<T> &by_b);

// The derivative of sum(grad out) by the weights, added to by_weight, in double whatever T is.
// Nothing is added for paths that do not couple.
template <class T>
void tensor_product_weights(const ProductShape &shape, int64_t atoms,
                            const SphericalFeatures<const T> &a,
                            const SphericalFeatures<const T> &b,
                            const SphericalFeatures<const T> &grad, double *by_weight);

}  // namespace loremd
