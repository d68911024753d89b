// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "aligned_array.hpp"

namespace loremd {

// A matrix as matrix_product reads it: panels of `width` columns, rows one after the other within a
// panel, zeros behind the last column.
template <class T>
class PackedMatrix {
 public:
  static constexpr int width = 128 / static_cast<int>(sizeof(T));  // two of the longest vectors

  // Row i, column j of the matrix stands at values[i * row_stride + j * column_stride].
  PackedMatrix(const T *values, int rows, int columns, int64_t row_stride, int64_t column_stride);

  int rows() const { return rows_; }
  int columns() const { return columns_; }
  const T *panel(int number) const { return storage_.data() + int64_t(number) * rows_ * width; }

 private:
  int rows_, columns_;
  AlignedArray<T> storage_;
};

// out(i, j) = sum_k a(i, k) matrix(k, j) for i < rows; rows of a and out are `a_stride` and
// `out_stride` values apart. For a few dozen rows at a time, which stay in the cache with one
// panel.
template <class T>
void matrix_product(int64_t rows, const T *a, int64_t a_stride, const PackedMatrix<T> &matrix,
                    T *out, int64_t out_stride);

}  // namespace loremd
