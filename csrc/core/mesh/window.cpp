// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/window.hpp"

#include <numeric>

namespace loremd {
namespace {

constexpr int64_t block_points = 8;

// A mesh of this size stays in the second-level cache whatever the order of the atoms.
constexpr int64_t cached_values = 1 << 18;

}  // namespace

std::vector<int32_t> visiting_order(const double *fractions, int64_t n, const MeshShape &shape) {
  std::vector<int32_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = 0; i < 3 * n; ++i) {
    check(std::isfinite(fractions[i]), "a position is not finite: atom ", i / 3,
          " has the fractional coordinate ", fractions[i],
          "; check the structure or the time step");
  }
  if (shape.size() <= cached_values) return order;

  std::array<int64_t, 3> blocks;
  for (int a = 0; a < 3; ++a) blocks[a] = (shape.points[a] + block_points - 1) / block_points;
  std::vector<int32_t> block_of(n);
  std::vector<int32_t> starts(blocks[0] * blocks[1] * blocks[2] + 1);
  for (int64_t i = 0; i < n; ++i) {
    int64_t block = 0;
    for (int a = 0; a < 3; ++a) {
      const double fraction = fractions[3 * i + a];
      const auto point = static_cast<int64_t>((fraction - std::floor(fraction)) * shape.points[a]);
      block = block * blocks[a] + std::min(point / block_points, blocks[a] - 1);
    }
    block_of[i] = static_cast<int32_t>(block);
    ++starts[block + 1];
  }
  std::partial_sum(starts.begin(), starts.end(), starts.begin());
  for (int64_t i = 0; i < n; ++i) order[starts[block_of[i]]++] = static_cast<int32_t>(i);
  return order;
}

}  // namespace loremd
