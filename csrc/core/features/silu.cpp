// SPDX-License-Identifier: BSD-3-Clause
#include "features/silu.hpp"

#include <algorithm>

#include "math/exponential.hpp"
#include "simd.hpp"

namespace loremd {

template <class T>
void bias_silu(int64_t rows, int width, const T *bias, T *values, T *slopes) {
  with_vectors([&](auto bytes) LOREMD_INLINE_LAMBDA {
    for (int64_t row = 0; row < rows; ++row) {
      T *const own = values + row * width, *const slope = slopes ? slopes + row * width : nullptr;
      for_each_vector<T, decltype(bytes)::value>(width, [&](int f, auto zero) LOREMD_INLINE_LAMBDA {
        using V = decltype(zero);
        const auto result = silu<T>(load<V>(own + f) + load<V>(bias + f));
        store(own + f, result.value);
        if (slope) store(slope + f, result.slope);
      });
    }
  });
}

template <class T>
void add_bias(int64_t rows, int width, const T *bias, T *values) {
  with_vectors([&](auto bytes) LOREMD_INLINE_LAMBDA {
    for (int64_t row = 0; row < rows; ++row) {
      add_scaled<decltype(bytes)::value>(width, T(1), bias, values + row * width);
    }
  });
}

template <class T>
void multiply(int64_t size, const T *factors, T *values) {
  constexpr int64_t together = 1 << 20;  // lengths of loops are int
  with_vectors([&](auto bytes) LOREMD_INLINE_LAMBDA {
    for (int64_t first = 0; first < size; first += together) {
      const T *const with = factors + first;
      T *const own = values + first;
      for_each_vector<T, decltype(bytes)::value>(static_cast<int>(std::min(together, size - first)),
                                                 [&](int i, auto zero) LOREMD_INLINE_LAMBDA {
                                                   using V = decltype(zero);
                                                   store(own + i,
                                                         load<V>(own + i) * load<V>(with + i));
                                                 });
    }
  });
}

#define LOREMD_INSTANTIATE(T)                                 \
  template void bias_silu(int64_t, int, const T *, T *, T *); \
  template void add_bias(int64_t, int, const T *, T *);       \
  template void multiply(int64_t, const T *, T *);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd
