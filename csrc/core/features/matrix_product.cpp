// SPDX-License-Identifier: BSD-3-Clause
//
// A tile of the result, some rows of two vectors, stays in registers while k runs; its rows of `a`
// are broadcast one number at a time.
#include "features/matrix_product.hpp"

#include <algorithm>

#include "simd.hpp"

namespace loremd {
namespace {

// Some columns of a panel: `Vectors` vectors V side by side.
template <class T, class V, int Rows, int Vectors>
LOREMD_INLINE void product_tile(int inner, const T *a, int64_t a_stride, const T *panel, T *out,
                                int64_t out_stride, int columns) {
  constexpr int lanes = sizeof(V) / sizeof(T);
  V sums[Rows][Vectors] = {};
  for (int k = 0; k < inner; ++k, panel += PackedMatrix<T>::width) {
    V row[Vectors];
    for_each_constant<Vectors>([&](auto v)
                                   LOREMD_INLINE_LAMBDA { row[v] = load<V>(panel + v * lanes); });
    for_each_constant<Rows>([&](auto i) LOREMD_INLINE_LAMBDA {
      const T factor = a[i * a_stride + k];
      for_each_constant<Vectors>([&](auto v)
                                     LOREMD_INLINE_LAMBDA { sums[i][v] += factor * row[v]; });
    });
  }
  for_each_constant<Rows>([&](auto i) LOREMD_INLINE_LAMBDA {
    T *to = out + i * out_stride;
    if (columns >= Vectors * lanes) {
      for_each_constant<Vectors>([&](auto v)
                                     LOREMD_INLINE_LAMBDA { store(to + v * lanes, sums[i][v]); });
    } else {
      T values[Vectors * lanes];
      for_each_constant<Vectors>(
          [&](auto v) LOREMD_INLINE_LAMBDA { store(values + v * lanes, sums[i][v]); });
      std::copy(values, values + columns, to);
    }
  });
}

// The rows in tiles of Rows, then of fewer.
template <class T, class V, int Rows, int Vectors>
LOREMD_INLINE void product_columns(int64_t rows, int inner, const T *a, int64_t a_stride,
                                   const T *panel, T *out, int64_t out_stride, int columns) {
  int64_t i = 0;
  const auto tiles = [&](auto size) LOREMD_INLINE_LAMBDA {
    for (; i + size <= rows; i += size) {
      product_tile<T, V, size(), Vectors>(inner, a + i * a_stride, a_stride, panel,
                                          out + i * out_stride, out_stride, columns);
    }
  };
  tiles(std::integral_constant<int, Rows>{});
  tiles(std::integral_constant<int, 4>{});
  tiles(std::integral_constant<int, 1>{});
}

}  // namespace

template <class T>
PackedMatrix<T>::PackedMatrix(const T *values, int rows, int columns, int64_t row_stride,
                              int64_t column_stride)
    : rows_(rows),
      columns_(columns),
      storage_(int64_t(columns + width - 1) / width * rows * width) {
  const int panels = (columns + width - 1) / width;
  for (int p = 0; p < panels; ++p) {
    T *to = storage_.data() + int64_t(p) * rows * width;
    const int here = std::min(width, columns - p * width);
    for (int i = 0; i < rows; ++i, to += width) {
      const T *from = values + i * row_stride + p * width * column_stride;
      for (int j = 0; j < here; ++j) to[j] = from[j * column_stride];
    }
  }
}

template <class T>
void matrix_product(int64_t rows, const T *a, int64_t a_stride, const PackedMatrix<T> &matrix,
                    T *out, int64_t out_stride) {
  with_vectors([&](auto bytes) LOREMD_INLINE_LAMBDA {
    using V = typename Vector<T, bytes()>::type;
    constexpr int width = PackedMatrix<T>::width, both = 2 * bytes() / sizeof(T);
    constexpr int tall = bytes() == 64 ? 12 : 6;  // as many as the registers hold
    for (int first = 0; first < matrix.columns(); first += both) {
      const T *panel = matrix.panel(first / width) + first % width;
      const int columns = matrix.columns() - first;
      if (columns > both / 2) {
        product_columns<T, V, tall, 2>(rows, matrix.rows(), a, a_stride, panel, out + first,
                                       out_stride, columns);
      } else {
        product_columns<T, V, tall, 1>(rows, matrix.rows(), a, a_stride, panel, out + first,
                                       out_stride, columns);
      }
    }
  });
}

#define LOREMD_INSTANTIATE(T)     \
  template class PackedMatrix<T>; \
  template void matrix_product(int64_t, const T *, int64_t, const PackedMatrix<T> &, T *, int64_t);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd
