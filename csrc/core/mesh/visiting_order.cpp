// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/visiting_order.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "simd.hpp"

namespace loremd {
namespace {

constexpr int block_points = 8;

// A mesh of this size stays in the second-level cache whatever the order of the atoms.
constexpr int64_t cached_values = 1 << 18;

// Blocks of 8 x 8 x 8 points; the last one of an axis takes what is left, up to 15 points.
struct Blocks {
  std::array<int32_t, 3> number;
  std::array<double, 3> per_cell;  // blocks in a cell vector, a fraction included

  explicit Blocks(const MeshShape &shape) {
    for (int a = 0; a < 3; ++a) {
      number[a] = std::max(1, static_cast<int32_t>(shape.points[a] / block_points));
      per_cell[a] = static_cast<double>(shape.points[a]) / block_points;
    }
  }
  int32_t per_layer() const { return number[1] * number[2]; }
};

// Counts the atoms of block b in counts[b + 1].
LOREMD_CLONES void find_blocks(const double *fractions, int64_t n, const Blocks &blocks,
                               int32_t *block_of, int32_t *counts) {
  for (int64_t i = 0; i < n; ++i) {
    int32_t block = 0;
    for (int a = 0; a < 3; ++a) {
      const double fraction = fractions[3 * i + a];
      const auto place =
          static_cast<int32_t>((fraction - std::floor(fraction)) * blocks.per_cell[a]);
      block = block * blocks.number[a] + std::min(place, blocks.number[a] - 1);
    }
    block_of[i] = block;
    ++counts[block + 1];
  }
}

LOREMD_CLONES bool all_finite(const double *fractions, int64_t n) {
  using Line = Vector<double, 64>;
  typename Line::type zeros{};  // but not a number where 0 is multiplied with what is not finite
  int64_t i = 0;
  for (; i + Line::lanes <= n; i += Line::lanes)
    zeros += 0 * load<typename Line::type>(fractions + i);
  double zero = 0;
  for (; i < n; ++i) zero += 0 * fractions[i];
  for (int lane = 0; lane < Line::lanes; ++lane) zero += zeros[lane];
  return zero == 0;
}

void check_finite(const double *fractions, int64_t n) {
  if (all_finite(fractions, 3 * n)) return;
  for (int64_t i = 0; i < 3 * n; ++i) {
    check(std::isfinite(fractions[i]), "a position is not finite: atom ", i / 3,
          " has the fractional coordinate ", fractions[i],
          "; check the structure or the time step");
  }
}

// First layer of blocks along x of each slab, and their number.
std::vector<int64_t> slab_layers(int64_t layers, int order) {
  const int64_t thickness = (order + block_points - 1) / block_points;
  const int64_t slabs = std::max<int64_t>(1, layers / thickness / 2 * 2);
  std::vector<int64_t> first(slabs + 1);
  for (int64_t s = 0; s <= slabs; ++s) first[s] = s * layers / slabs;
  return first;
}

}  // namespace

VisitingOrder visiting_order(const double *fractions, int64_t n, const MeshShape &shape,
                             int order) {
  check_finite(fractions, n);
  VisitingOrder result{std::vector<int32_t>(n), {0, n}};
  if (shape.size() <= cached_values) {
    std::iota(result.atoms.begin(), result.atoms.end(), 0);
    return result;
  }
  // counting sort
  const Blocks blocks(shape);
  std::vector<int32_t> block_of(n), starts(blocks.number[0] * blocks.per_layer() + 1);
  find_blocks(fractions, n, blocks, block_of.data(), starts.data());
  std::partial_sum(starts.begin(), starts.end(), starts.begin());
  result.slab_starts.clear();
  for (int64_t layer : slab_layers(blocks.number[0], order)) {
    result.slab_starts.push_back(starts[layer * blocks.per_layer()]);
  }
  for (int64_t i = 0; i < n; ++i) result.atoms[starts[block_of[i]]++] = static_cast<int32_t>(i);
  return result;
}

}  // namespace loremd
