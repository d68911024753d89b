// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

namespace loremd {

// Zeros from a multiple of 64 bytes on, where the longest vectors are read and written fastest.
template <class T>
class AlignedArray {
 public:
  explicit AlignedArray(int64_t size)
      : lines_((size * sizeof(T) + sizeof(Line) - 1) / sizeof(Line)) {}

  T *data() { return reinterpret_cast<T *>(lines_.data()); }
  const T *data() const { return reinterpret_cast<const T *>(lines_.data()); }

 private:
  struct alignas(64) Line {
    char bytes[64];
  };
  std::vector<Line> lines_;
};

}  // namespace loremd
