// SPDX-License-Identifier: BSD-3-Clause
#include "features/tensor_dense.hpp"

#include <algorithm>
#include <vector>

#include "features/equivariant_dense.hpp"
#include "features/tensor_product.hpp"

namespace loremd {
namespace {

constexpr int64_t atoms_at_once = 64;  // 200 kB of images at degree 6 with 8 features, float

// The linear images of a block of atoms, first and second side by side.
template <class T>
class Images {
 public:
  explicit Images(const TensorDenseShape &shape)
      : features_(shape.features),
        components_((shape.degree + 1) * (shape.degree + 1)),
        values_(atoms_at_once * components_ * 2 * features_) {}

  SphericalFeatures<T> both() { return part(values_.data()); }
  SphericalFeatures<T> first() { return both(); }
  SphericalFeatures<T> second() { return part(values_.data() + features_); }

 private:
  SphericalFeatures<T> part(T *from) const {
    return {from, int64_t{2} * components_ * features_, int64_t{2} * features_};
  }

  int features_, components_;
  std::vector<T> values_;
};

template <class T>
SphericalFeatures<const T> read_only(const SphericalFeatures<T> &array) {
  return {array.data, array.atom_stride, array.component_stride};
}

template <class T>
SphericalFeatures<T> from_atom(const SphericalFeatures<T> &array, int64_t atom) {
  return {array.row(atom, 0), array.atom_stride, array.component_stride};
}

// Calls body(first atom, their number) for all blocks.
template <class Body>
void for_each_block(int64_t atoms, Body &&body) {
  for (int64_t atom = 0; atom < atoms; atom += atoms_at_once) {
    body(atom, std::min(atoms_at_once, atoms - atom));
  }
}

// The matrix of every degree transposed.
template <class T>
std::vector<T> transposed(const DenseShape &shape, const T *dense) {
  std::vector<T> result(size_t{1} * (shape.degree + 1) * shape.inputs * shape.outputs);
  T *to = result.data();
  for (int degree = 0; degree <= shape.degree; ++degree) {
    for (int j = 0; j < shape.outputs; ++j) {
      for (int i = 0; i < shape.inputs; ++i) *to++ = dense[i * shape.outputs + j];
    }
    dense += shape.inputs * shape.outputs;
  }
  return result;
}

}  // namespace

template <class T>
void tensor_dense(const TensorDenseShape &shape, int64_t atoms, const SphericalFeatures<const T> &t,
                  const T *dense, const T *weight, const SphericalFeatures<T> &out) {
  const DenseShape linear{shape.degree, shape.inputs, 2 * shape.features};
  const ProductShape product{shape.degree, shape.degree, shape.degree_out, shape.features};
  Images<T> images(shape);
  for_each_block(atoms, [&](int64_t atom, int64_t here) {
    equivariant_dense<T>(linear, here, from_atom(t, atom), dense, images.both());
    tensor_product<T>(product, here, read_only(images.first()), read_only(images.second()), weight,
                      from_atom(out, atom));
  });
}

template <class T>
void tensor_dense_gradient(const TensorDenseShape &shape, int64_t atoms,
                           const SphericalFeatures<const T> &t, const T *dense, const T *weight,
                           const SphericalFeatures<const T> &grad,
                           const SphericalFeatures<T> &by_t) {
  const DenseShape linear{shape.degree, shape.inputs, 2 * shape.features};
  const DenseShape back{shape.degree, 2 * shape.features, shape.inputs};
  const ProductShape product{shape.degree, shape.degree, shape.degree_out, shape.features};
  const std::vector<T> dense_back = transposed(linear, dense);
  Images<T> images(shape), gradients(shape);
  for_each_block(atoms, [&](int64_t atom, int64_t here) {
    equivariant_dense<T>(linear, here, from_atom(t, atom), dense, images.both());
    tensor_product_gradient<T>(product, here, read_only(images.first()), read_only(images.second()),
                               weight, from_atom(grad, atom), gradients.first(),
                               gradients.second());
    equivariant_dense<T>(back, here, read_only(gradients.both()), dense_back.data(),
                         from_atom(by_t, atom));
  });
}

#define LOREMD_INSTANTIATE(T)                                                                      \
  template void tensor_dense(const TensorDenseShape &, int64_t,                                    \
                             const SphericalFeatures<const T> &, const T *, const T *,             \
                             const SphericalFeatures<T> &);                                        \
  template void tensor_dense_gradient(                                                             \
      const TensorDenseShape &, int64_t, const SphericalFeatures<const T> &, const T *, const T *, \
      const SphericalFeatures<const T> &, const SphericalFeatures<T> &);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd
