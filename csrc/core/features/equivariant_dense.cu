// SPDX-License-Identifier: BSD-3-Clause
#include "device.hpp"
#include "features/cuda.hpp"
#include "math/degrees.hpp"

namespace loremd::cuda {
namespace {

// An item is one output feature of one component of one atom, the features fastest.
template <class T>
struct Dense {
  DenseShape shape;
  SphericalFeatures<const T> t;
  const T *weight;
  SphericalFeatures<T> out;

  LOREMD_HOST_DEVICE void operator()(int64_t item) const {
    const int components = (shape.degree + 1) * (shape.degree + 1);
    const int j = static_cast<int>(item % shape.outputs);
    const int64_t row = item / shape.outputs, atom = row / components;
    const int component = static_cast<int>(row % components);
    const T *from = t.row(atom, component);
    const T *matrix = weight + degree_of_component(component) * shape.inputs * shape.outputs;
    T sum = 0;
    for (int i = 0; i < shape.inputs; ++i) sum += from[i] * matrix[i * shape.outputs + j];
    out.row(atom, component)[j] = sum;
  }
};

// An item is one weight for one range of the atoms.
template <class T>
struct DenseWeights {
  DenseShape shape;
  int64_t atoms, ranges;
  SphericalFeatures<const T> t, grad;
  double *partials;  // (ranges, weights)

  LOREMD_HOST_DEVICE void operator()(int64_t item) const {
    const int64_t weights = int64_t(shape.degree + 1) * shape.inputs * shape.outputs;
    const int64_t range = item / weights, weight = item % weights;
    const int j = static_cast<int>(weight % shape.outputs);
    const int i = static_cast<int>(weight / shape.outputs % shape.inputs);
    const int degree = static_cast<int>(weight / (shape.outputs * shape.inputs));
    double sum = 0;
    for (int64_t atom = atoms * range / ranges; atom < atoms * (range + 1) / ranges; ++atom) {
      for (int component = degree * degree; component < (degree + 1) * (degree + 1); ++component) {
        sum += double(t.row(atom, component)[i]) * grad.row(atom, component)[j];
      }
    }
    partials[item] = sum;
  }
};

}  // namespace

template <class T>
void equivariant_dense(const DenseShape &shape, int64_t atoms, const SphericalFeatures<const T> &t,
                       const T *weight, const SphericalFeatures<T> &out, Stream stream) {
  const int64_t components = (shape.degree + 1) * (shape.degree + 1);
  for_each_item(stream, atoms * components * shape.outputs, Dense<T>{shape, t, weight, out});
}

template <class T>
void equivariant_dense_weights(const DenseShape &shape, int64_t atoms,
                               const SphericalFeatures<const T> &t,
                               const SphericalFeatures<const T> &grad, double *workspace,
                               double *by_weight, Stream stream) {
  const int64_t ranges = sum_ranges(atoms);
  const int64_t weights = int64_t(shape.degree + 1) * shape.inputs * shape.outputs;
  for_each_item(stream, ranges * weights,
                DenseWeights<T>{shape, atoms, ranges, t, grad, workspace});
  add_partials(stream, workspace, ranges, weights, by_weight);
}

#define LOREMD_INSTANTIATE(T)                                                                      \
  template void equivariant_dense(const DenseShape &, int64_t, const SphericalFeatures<const T> &, \
                                  const T *, const SphericalFeatures<T> &, Stream);                \
  template void equivariant_dense_weights(                                                         \
      const DenseShape &, int64_t, const SphericalFeatures<const T> &,                             \
      const SphericalFeatures<const T> &, double *, double *, Stream);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd::cuda
