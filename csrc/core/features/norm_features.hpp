// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "features/spherical_features.hpp"

namespace loremd {

struct NormShape {
  int degree;  // the highest, any
  int features;
  double epsilon;  // not negative
};

// norms[n, l, f] = (2 l + 1)^(1/4) (r - epsilon) with r^2 = epsilon^2 + sum over m of t[n, l m,
// f]^2
//
//   norms (atoms, degree + 1, features)  row-major, overwritten
//
// For epsilon = 0 all derivatives where r = 0 are taken as 0. Between arguments and results all is
// double, so that derivatives do not overflow for the tiny features of an untrained float model.
template <class T>
void norm_features(const NormShape &shape, int64_t atoms, const SphericalFeatures<const T> &t,
                   T *norms);

// by_t: the derivative of sum(grad norms), overwritten. `grad` is laid out as the norms.
template <class T>
void norm_features_gradient(const NormShape &shape, int64_t atoms,
                            const SphericalFeatures<const T> &t, const T *grad,
                            const SphericalFeatures<T> &by_t);

// Derivatives of sum(direction norm_features_gradient(t, grad)) by t and by grad, overwritten.
template <class T>
void norm_features_curvature(const NormShape &shape, int64_t atoms,
                             const SphericalFeatures<const T> &t, const T *grad,
                             const SphericalFeatures<const T> &direction,
                             const SphericalFeatures<T> &by_t, T *by_grad);

}  // namespace loremd
