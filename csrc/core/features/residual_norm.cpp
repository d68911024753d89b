// SPDX-License-Identifier: BSD-3-Clause
#include "features/residual_norm.hpp"

#include <cmath>
#include <cstring>
#include <type_traits>

#include "simd.hpp"

namespace loremd {
namespace {

// Halves are added to each other until one number is left.
template <class T, int Bytes>
LOREMD_INLINE T sum_of_lanes(const typename Vector<T, Bytes>::type &vector) {
  if constexpr (Bytes == 2 * sizeof(T)) {
    return vector[0] + vector[1];
  } else {
    typename Vector<T, Bytes / 2>::type halves[2];
    std::memcpy(halves, &vector, Bytes);
    return sum_of_lanes<T, Bytes / 2>(halves[0] + halves[1]);
  }
}

// A sum over a row, in as many parts as the longest vectors have lanes.
template <class T, int Bytes>
struct RowSum {
  using Longest = typename Vector<T, Bytes>::type;
  Longest lanes{};
  T rest = 0;

  template <class V>
  LOREMD_INLINE void add(const V &terms) {
    if constexpr (std::is_same_v<V, T>) {
      rest += terms;
    } else if constexpr (sizeof(V) == Bytes) {
      lanes += terms;
    } else {
      for (size_t lane = 0; lane < sizeof(V) / sizeof(T); ++lane) rest += terms[lane];
    }
  }

  LOREMD_INLINE T total() const { return rest + sum_of_lanes<T, Bytes>(lanes); }
};

}  // namespace

template <class T>
void residual_norm(int64_t rows, const ResidualNorm<T> &parameters, const T *x, T *values,
                   T *normalised, T *inverse) {
  with_vectors([&](auto longest) LOREMD_INLINE_LAMBDA {
    constexpr int bytes = decltype(longest)::value;
    const auto [width, bias, scale, shift] = parameters;
    for (int64_t row = 0; row < rows; ++row) {
      const T *const residual = x + row * width;
      T *const own = values + row * width;
      T *const kept = normalised ? normalised + row * width : own;
      RowSum<T, bytes> sum, squares;
      for_each_vector<T, bytes>(width, [&](int f, auto zero) LOREMD_INLINE_LAMBDA {
        using V = decltype(zero);
        const V z = load<V>(residual + f) + (load<V>(own + f) + load<V>(bias + f));
        store(own + f, z);
        sum.add(z);
      });
      const T mean = sum.total() / width;
      for_each_vector<T, bytes>(width, [&](int f, auto zero) LOREMD_INLINE_LAMBDA {
        const auto centred = load<decltype(zero)>(own + f) - mean;
        squares.add(centred * centred);
      });
      const T factor = 1 / std::sqrt(squares.total() / width + T(norm_variance));
      for_each_vector<T, bytes>(width, [&](int f, auto zero) LOREMD_INLINE_LAMBDA {
        using V = decltype(zero);
        const V unit = (load<V>(own + f) - mean) * factor;
        store(kept + f, unit);
        store(own + f, unit * load<V>(scale + f) + load<V>(shift + f));
      });
      if (inverse) inverse[row] = factor;
    }
  });
}

// With g = grad scale: inverse (g - <g> - normalised <g normalised>), means over the row.
template <class T>
void residual_norm_gradient(int64_t rows, int width, const T *scale, const T *normalised,
                            const T *inverse, const T *grad, T *by_z) {
  with_vectors([&](auto longest) LOREMD_INLINE_LAMBDA {
    constexpr int bytes = decltype(longest)::value;
    for (int64_t row = 0; row < rows; ++row) {
      const T *const unit = normalised + row * width, *const from = grad + row * width;
      T *const to = by_z + row * width;
      RowSum<T, bytes> sum, along;
      for_each_vector<T, bytes>(width, [&](int f, auto zero) LOREMD_INLINE_LAMBDA {
        using V = decltype(zero);
        const V g = load<V>(from + f) * load<V>(scale + f);
        sum.add(g);
        along.add(g * load<V>(unit + f));
      });
      const T mean = sum.total() / width, slope = along.total() / width, factor = inverse[row];
      for_each_vector<T, bytes>(width, [&](int f, auto zero) LOREMD_INLINE_LAMBDA {
        using V = decltype(zero);
        const V g = load<V>(from + f) * load<V>(scale + f);
        store(to + f, (g - mean - slope * load<V>(unit + f)) * factor);
      });
    }
  });
}

#define LOREMD_INSTANTIATE(T)                                                                    \
  template void residual_norm(int64_t, const ResidualNorm<T> &, const T *, T *, T *, T *);       \
  template void residual_norm_gradient(int64_t, int, const T *, const T *, const T *, const T *, \
                                       T *);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd
