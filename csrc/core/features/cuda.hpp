// SPDX-License-Identifier: BSD-3-Clause
//
// The kernels on spherical features for CUDA: what they compute, and the layouts, are those of
// tensor_product.hpp, equivariant_dense.hpp and norm_features.hpp. Arrays are in the memory of the
// device, workspaces included; sums over atoms are taken in double and in an order that is always
// the same.
#pragma once

#include "features/coupling_terms.hpp"
#include "features/equivariant_dense.hpp"
#include "features/norm_features.hpp"
#include "features/tensor_product.hpp"
#include "host_device.hpp"

namespace loremd::cuda {

// A CouplingTerms on the device.
template <class T>
struct DeviceCoupling {
  const CouplingTerm<T> *by_pair, *by_path;
  const int32_t *first_of_pair, *first_of_path, *weights;
  int paths;
};

template <class T>
void tensor_product(const ProductShape &shape, int64_t atoms, const SphericalFeatures<const T> &a,
                    const SphericalFeatures<const T> &b, const T *weight,
                    const DeviceCoupling<T> &coupling, const SphericalFeatures<T> &out,
                    Stream stream);

// `workspace`: sum_size(atoms, coupling.paths * features) values.
template <class T>
void tensor_product_weights(const ProductShape &shape, int64_t atoms,
                            const SphericalFeatures<const T> &a,
                            const SphericalFeatures<const T> &b,
                            const SphericalFeatures<const T> &grad,
                            const DeviceCoupling<T> &coupling, double *workspace, double *by_weight,
                            Stream stream);

template <class T>
void equivariant_dense(const DenseShape &shape, int64_t atoms, const SphericalFeatures<const T> &t,
                       const T *weight, const SphericalFeatures<T> &out, Stream stream);

// `workspace`: sum_size(atoms, values of by_weight) values.
template <class T>
void equivariant_dense_weights(const DenseShape &shape, int64_t atoms,
                               const SphericalFeatures<const T> &t,
                               const SphericalFeatures<const T> &grad, double *workspace,
                               double *by_weight, Stream stream);

template <class T>
void norm_features(const NormShape &shape, int64_t atoms, const SphericalFeatures<const T> &t,
                   T *norms, Stream stream);
template <class T>
void norm_features_gradient(const NormShape &shape, int64_t atoms,
                            const SphericalFeatures<const T> &t, const T *grad,
                            const SphericalFeatures<T> &by_t, Stream stream);
template <class T>
void norm_features_curvature(const NormShape &shape, int64_t atoms,
                             const SphericalFeatures<const T> &t, const T *grad,
                             const SphericalFeatures<const T> &direction,
                             const SphericalFeatures<T> &by_t, T *by_grad, Stream stream);

// Ranges of atoms whose sums are taken one by one, and values of a workspace for them: a row of
// `columns` for each, and one for the total.
constexpr int64_t most_ranges = 256;
inline int64_t sum_ranges(int64_t atoms) {
  return atoms < most_ranges ? atoms : most_ranges;
}
inline int64_t sum_size(int64_t atoms, int64_t columns) {
  return (sum_ranges(atoms) + 1) * columns;
}

}  // namespace loremd::cuda
