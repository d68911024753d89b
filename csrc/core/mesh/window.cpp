// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/window.hpp"

#include <numeric>

namespace loremd {
namespace {

constexpr int64_t block_points = 8;

// A mesh of this size stays in the second-level cache whatever the order of the atoms.
constexpr int64_t cached_values = 1 << 18;

}  // namespace

VisitingOrder visiting_order(const double *fractions, int64_t n, const MeshShape &shape) {
  VisitingOrder order{std::vector<int32_t>(n), {0, n}};
  std::iota(order.atoms.begin(), order.atoms.end(), 0);
  for (int64_t i = 0; i < 3 * n; ++i) {
    check(std::isfinite(fractions[i]), "a position is not finite: atom ", i / 3,
          " has the fractional coordinate ", fractions[i],
          "; check the structure or the time step");
  }
  if (shape.size() <= cached_values) return order;

  // counting sort; the last block of an axis takes what is left, up to 15 points
  std::array<int64_t, 3> blocks;
  for (int a = 0; a < 3; ++a) blocks[a] = std::max<int64_t>(1, shape.points[a] / block_points);
  std::vector<int32_t> block_of(n);
  std::vector<int64_t> starts(blocks[0] * blocks[1] * blocks[2] + 1);
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
  const int64_t slabs = std::max<int64_t>(1, blocks[0] / 2 * 2);
  order.slab_starts.resize(slabs + 1);
  for (int64_t s = 0; s <= slabs; ++s) {
    const int64_t layer = s * blocks[0] / slabs;
    order.slab_starts[s] = starts[layer * blocks[1] * blocks[2]];
  }
  for (int64_t i = 0; i < n; ++i) order.atoms[starts[block_of[i]]++] = static_cast<int32_t>(i);
  return order;
}

}  // namespace loremd
