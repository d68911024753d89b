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
  using Two = std::integral_constant<int, 2>;
  using Eight = std::integral_constant<int, 8>;
  using Sixteen = std::integral_constant<int, 16>;
  if (inputs == 8 && outputs == 8) return body(Eight{}, Eight{});
  if (inputs == 8 && outputs == 16) return body(Eight{}, Sixteen{});
  if (inputs == 16 && outputs == 8) return body(Sixteen{}, Eight{});
  if (inputs == 8 && outputs == 2) return body(Eight{}, Two{});
  if (inputs == 2 && outputs == 8) return body(Two{}, Eight{});
  body(inputs, outputs);
}

// Rows of one degree times its matrix.
template <int Longest, class T>
LOREMD_INLINE void multiply_rows(int rows, int inputs, int outputs, const T *from,
                                 int64_t from_stride, const T *matrix, T *to, int64_t to_stride) {
  for (int row = 0; row < rows; ++row, from += from_stride, to += to_stride) {
    for_each_vector<T, Longest>(outputs, [&](int j, auto sum) LOREMD_INLINE_LAMBDA {
      for (int i = 0; i < inputs; ++i) {
        sum += from[i] * load<decltype(sum)>(matrix + i * outputs + j);
      }
      store(to + j, sum);
    });
  }
}

// The same with a matrix that stays in registers.
template <int Longest, class T, int Inputs, int Outputs>
LOREMD_INLINE void multiply_rows(int rows, std::integral_constant<int, Inputs>,
                                 std::integral_constant<int, Outputs>, const T *from,
                                 int64_t from_stride, const T *matrix, T *to, int64_t to_stride) {
  constexpr int bytes = std::min<int>(Longest, Outputs * sizeof(T));
  using V = typename Vector<T, bytes>::type;
  constexpr int lanes = bytes / sizeof(T), parts = Outputs / lanes;
  V own[Inputs][parts];
  for_each_constant<Inputs * parts>([&](auto k) LOREMD_INLINE_LAMBDA {
    own[k / parts][k % parts] = load<V>(matrix + k * lanes);
  });
  for (int row = 0; row < rows; ++row, from += from_stride, to += to_stride) {
    V sums[parts] = {};
    for_each_constant<Inputs>([&](auto i) LOREMD_INLINE_LAMBDA {
      for (int part = 0; part < parts; ++part) sums[part] += from[i] * own[i][part];
    });
    for (int part = 0; part < parts; ++part) store(to + part * lanes, sums[part]);
  }
}

}  // namespace

template <class T>
void equivariant_dense(const DenseShape &shape, int64_t atoms, const SphericalFeatures<const T> &t,
                       const T *weight, const SphericalFeatures<T> &out) {
  with_vectors([&](auto bytes) LOREMD_INLINE_LAMBDA {
    const auto multiply = [&](auto inputs, auto outputs) LOREMD_INLINE_LAMBDA {
      for (int64_t atom = 0; atom < atoms; ++atom) {
        for (int degree = 0; degree <= shape.degree; ++degree) {
          multiply_rows<decltype(bytes)::value>(
              2 * degree + 1, inputs, outputs, t.row(atom, degree * degree), t.component_stride,
              weight + degree * inputs * outputs, out.row(atom, degree * degree),
              out.component_stride);
        }
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
