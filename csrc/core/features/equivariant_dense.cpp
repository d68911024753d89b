// SPDX-License-Identifier: BSD-3-Clause
//
// Lanes are output features.
#include "features/equivariant_dense.hpp"

#include <algorithm>
#include <vector>

#include "simd.hpp"

namespace loremd {
namespace {

// Calls body(degree, component) for all components.
template <class Body>
LOREMD_INLINE void for_each_component(int highest, Body &&body) {
  for (int degree = 0, component = 0; degree <= highest; ++degree) {
    for (int k = 0; k <= 2 * degree; ++k) body(degree, component++);
  }
}

// Calls body(inputs, outputs), both constants where they are usual.
template <class Body>
LOREMD_INLINE void dispatch_features(int inputs, int outputs, Body &&body) {
  using Eight = std::integral_constant<int, 8>;
  using Sixteen = std::integral_constant<int, 16>;
  if (inputs == 8 && outputs == 8) return body(Eight{}, Eight{});
  if (inputs == 8 && outputs == 16) return body(Eight{}, Sixteen{});
  if (inputs == 16 && outputs == 8) return body(Sixteen{}, Eight{});
  body(inputs, outputs);
}

}  // namespace

template <class T>
void equivariant_dense(const DenseShape &shape, int64_t atoms, const SphericalFeatures<const T> &t,
                       const T *weight, const SphericalFeatures<T> &out) {
  with_vectors([&](auto bytes) LOREMD_INLINE_LAMBDA {
    const auto multiply = [&](auto inputs, auto outputs) LOREMD_INLINE_LAMBDA {
      for (int64_t atom = 0; atom < atoms; ++atom) {
        for_each_component(shape.degree, [&](int degree, int component) LOREMD_INLINE_LAMBDA {
          const T *from = t.row(atom, component), *matrix = weight + degree * inputs * outputs;
          T *to = out.row(atom, component);
          for_each_vector<T, decltype(bytes)::value>(
              outputs, [&](int j, auto sum) LOREMD_INLINE_LAMBDA {
                for (int i = 0; i < inputs; ++i) {
                  sum += from[i] * load<decltype(sum)>(matrix + i * outputs + j);
                }
                store(to + j, sum);
              });
        });
      }
    };
    dispatch_features(shape.inputs, shape.outputs, multiply);
  });
}

template <class T>
void equivariant_dense_weights(const DenseShape &shape, int64_t atoms,
                               const SphericalFeatures<const T> &t,
                               const SphericalFeatures<const T> &grad, double *by_weight) {
  constexpr int64_t together = 32;  // atoms whose sum is taken in T
  const int size = (shape.degree + 1) * shape.inputs * shape.outputs;
  std::vector<T> sums(size);
  with_vectors([&](auto bytes) LOREMD_INLINE_LAMBDA {
    const auto add = [&](auto inputs, auto outputs) LOREMD_INLINE_LAMBDA {
      for (int64_t first = 0; first < atoms; first += together) {
        set_zero(size, sums.data());
        for (int64_t atom = first; atom < std::min(first + together, atoms); ++atom) {
          for_each_component(shape.degree, [&](int degree, int component) LOREMD_INLINE_LAMBDA {
            const T *from = t.row(atom, component), *with = grad.row(atom, component);
            T *matrix = sums.data() + degree * inputs * outputs;
            for (int i = 0; i < inputs; ++i) {
              add_scaled<decltype(bytes)::value>(outputs, from[i], with, matrix + i * outputs);
            }
          });
        }
        for (int k = 0; k < size; ++k) by_weight[k] += sums[k];
      }
    };
    dispatch_features(shape.inputs, shape.outputs, add);
  });
}

#define LOREMD_INSTANTIATE(T)                                                                      \
  template void equivariant_dense(const DenseShape &, int64_t, const SphericalFeatures<const T> &, \
                                  const T *, const SphericalFeatures<T> &);                        \
  template void equivariant_dense_weights(const DenseShape &, int64_t,                             \
                                          const SphericalFeatures<const T> &,                      \
                                          const SphericalFeatures<const T> &, double *);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd
