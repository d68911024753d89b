// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/visiting_order.hpp"

#include <algorithm>
#include <cmath>

#include "simd.hpp"

namespace loremd {
namespace {

// The columns are visited by ascending x within strips of about this many y: what their windows
// have in common stays in the second-level cache.
constexpr int64_t strip_columns = 16;

// A slab is at least this thick, because its windows reach into the next one.
constexpr int least_thickness = 8;

// The place of each column (x, y) of a mesh in the order of the visit; those of a slab follow each
// other.
std::vector<int32_t> column_ranks(const MeshShape &shape, int order) {
  const int64_t nx = shape.points[0], ny = shape.points[1];
  const auto begins = slab_begins(nx, order);
  std::vector<int32_t> ranks(nx * ny);
  int32_t rank = 0;
  for (size_t s = 0; s + 1 < begins.size(); ++s) {
    for (int64_t strip = 0; strip < ny; strip += strip_columns) {
      for (int64_t x = begins[s]; x < begins[s + 1]; ++x) {
        for (int64_t y = strip; y < std::min(strip + strip_columns, ny); ++y) {
          ranks[x * ny + y] = rank++;
        }
      }
    }
  }
  return ranks;
}

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

// An atom and the z where its window starts.
struct Start {
  int32_t z, atom;
};

// places(k) <- how many of the keys are below k, for k = 0 .. number_of_keys
template <class Key>
void count_below(int64_t n, int64_t number_of_keys, Key &&key, int32_t *places) {
  std::fill_n(places, number_of_keys + 1, 0);
  for (int64_t i = 0; i < n; ++i) ++places[key(i) + 1];
  for (int64_t k = 0; k < number_of_keys; ++k) places[k + 1] += places[k];
}

}  // namespace

std::vector<int64_t> slab_begins(int64_t nx, int order) {
  const int64_t slabs = std::max<int64_t>(1, nx / std::max(order, least_thickness) / 2 * 2);
  std::vector<int64_t> begins;
  for (int64_t s = 0; s <= slabs; ++s) begins.push_back(s * nx / slabs);
  return begins;
}

void visiting_order(const double *fractions, int64_t n, const MeshShape &shape, int order,
                    int32_t *atoms) {
  check_finite(fractions, n);
  const std::vector<int32_t> ranks = column_ranks(shape, order);
  const auto columns = static_cast<int64_t>(ranks.size()), heights = shape.points[2];
  // kept, because touching fresh memory takes longer than sorting
  thread_local std::vector<int32_t> column, z;
  thread_local std::vector<Start> starts;
  column.resize(n), z.resize(n), starts.resize(n);
  find_starts(fractions, n, shape, order, ranks.data(), column.data(), z.data());

  // counting sorts, which leave equal ones as they were: by column, then each column by z
  std::vector<int32_t> places(columns + 1), by_z(heights + 1);
  count_below(n, columns, [&](int64_t i) { return column[i]; }, places.data());
  for (int64_t i = 0; i < n; ++i) {
    starts[places[column[i]]++] = {z[i], static_cast<int32_t>(i)};
  }
  for (int64_t c = 0, begin = 0; c < columns; begin = places[c++]) {
    const Start *own = starts.data() + begin;
    const int64_t count = places[c] - begin;
    count_below(count, heights, [&](int64_t i) { return own[i].z; }, by_z.data());
    for (int64_t i = 0; i < count; ++i) atoms[begin + by_z[own[i].z]++] = own[i].atom;
  }
}

template <class T>
LOREMD_CLONES void set_visits(const double *fractions, const int32_t *order, int64_t n,
                              const MeshShape &shape, int points, Visit<T> *visits) {
  constexpr int64_t ahead = 16;
  for (int64_t v = 0; v < n; ++v) {
    if (v + ahead < n) prefetch(fractions + 3 * int64_t{order[v + ahead]}, 3);
    Visit<T> &visit = visits[v];
    visit.atom = order[v];
    int32_t *const first[3] = {&visit.x, &visit.y, &visit.z};
    for (int a = 0; a < 3; ++a) {
      const auto start =
          window_start(fractions[3 * int64_t{order[v]} + a], shape.points[a], points);
      *first[a] = static_cast<int32_t>(start.first);
      visit.offset[a] = static_cast<T>(start.offset);
    }
  }
}

template <class T>
std::vector<int64_t> slab_starts(const Visit<T> *visits, int64_t n, int64_t nx, int points) {
  std::vector<int64_t> starts;
  for (int64_t begin : slab_begins(nx, points)) {
    const auto before = [&](const Visit<T> &visit) { return visit.x < begin; };
    starts.push_back(std::partition_point(visits, visits + n, before) - visits);
  }
  return starts;
}

#define LOREMD_INSTANTIATE(T)                                                                \
  template void set_visits(const double *, const int32_t *, int64_t, const MeshShape &, int, \
                           Visit<T> *);                                                      \
  template std::vector<int64_t> slab_starts(const Visit<T> *, int64_t, int64_t, int);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd
