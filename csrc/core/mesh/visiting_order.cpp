// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/visiting_order.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "mesh/window.hpp"
#include "simd.hpp"

namespace loremd {
namespace {

// The columns are visited by ascending x within strips of about this many y: what their windows
// have in common stays in the second-level cache.
constexpr int64_t strip_columns = 16;

// A slab is at least this thick, because its windows reach into the next one.
constexpr int least_thickness = 8;

// The columns (x, y) of a mesh in the order of the visit.
struct Columns {
  std::vector<int64_t> slab_begins;  // first x of each slab, and the number of x
  std::vector<int32_t> ranks;        // (x, y)

  Columns(const MeshShape &shape, int order) : ranks(shape.points[0] * shape.points[1]) {
    const auto [nx, ny, nz] = shape.points;
    const int64_t slabs = std::max<int64_t>(1, nx / std::max(order, least_thickness) / 2 * 2);
    for (int64_t s = 0; s <= slabs; ++s) slab_begins.push_back(s * nx / slabs);
    int32_t rank = 0;
    for (int64_t s = 0; s < slabs; ++s) {
      for (int64_t strip = 0; strip < ny; strip += strip_columns) {
        for (int64_t x = slab_begins[s]; x < slab_begins[s + 1]; ++x) {
          for (int64_t y = strip; y < std::min(strip + strip_columns, ny); ++y) {
            ranks[x * ny + y] = rank++;
          }
        }
      }
    }
  }
};

// Where the windows of the atoms start: the rank of the column, and z.
LOREMD_CLONES void find_starts(const double *fractions, int64_t n, const MeshShape &shape,
                               int order, const int32_t *ranks, int32_t *column, int32_t *z) {
  const int64_t ny = shape.points[1];
  for (int64_t i = 0; i < n; ++i) {
    int64_t first[3];
    for (int a = 0; a < 3; ++a)
      first[a] = window_start(fractions[3 * i + a], shape.points[a], order).first;
    column[i] = ranks[first[0] * ny + first[1]];
    z[i] = static_cast<int32_t>(first[2]);
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

// The atoms, in the order given, by ascending key, equal ones as they were: a counting sort.
// Returns the end of each key's atoms.
std::vector<int32_t> sort_by(const std::vector<int32_t> &keys, int64_t number_of_keys,
                             const int32_t *given, int32_t *sorted) {
  std::vector<int32_t> places(number_of_keys + 1);
  for (const int32_t key : keys) ++places[key + 1];
  std::partial_sum(places.begin(), places.end(), places.begin());
  const auto n = static_cast<int64_t>(keys.size());
  for (int64_t i = 0; i < n; ++i) sorted[places[keys[given[i]]]++] = given[i];
  return places;
}

}  // namespace

VisitingOrder visiting_order(const double *fractions, int64_t n, const MeshShape &shape,
                             int order) {
  check_finite(fractions, n);
  const Columns columns(shape, order);
  std::vector<int32_t> column(n), z(n), given(n), by_z(n);
  find_starts(fractions, n, shape, order, columns.ranks.data(), column.data(), z.data());
  std::iota(given.begin(), given.end(), 0);
  sort_by(z, shape.points[2], given.data(), by_z.data());
  VisitingOrder result{std::vector<int32_t>(n), {0}};
  const auto ends = sort_by(column, columns.ranks.size(), by_z.data(), result.atoms.data());
  // the columns of a slab have consecutive ranks
  for (size_t s = 1; s < columns.slab_begins.size(); ++s) {
    result.slab_starts.push_back(ends[columns.slab_begins[s] * shape.points[1] - 1]);
  }
  return result;
}

}  // namespace loremd
