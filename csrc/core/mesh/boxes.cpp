// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/boxes.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace loremd {
namespace {

// The position in mesh points, in [0, n) but for rounding.
double mesh_coordinate(double fraction, int64_t n) {
  return (fraction - std::floor(fraction)) * static_cast<double>(n);
}

// First points of the windows, taken modulo n, along one axis.
std::vector<bool> window_starts(const double *fractions, int64_t atoms, int axis, int64_t n,
                                int order) {
  std::vector<bool> taken(n, false);
  for (int64_t i = 0; i < atoms; ++i) {
    const double fraction = fractions[3 * i + axis];
    const double at = std::isfinite(fraction) ? mesh_coordinate(fraction, n) : 0;
    const auto first = static_cast<int64_t>(std::floor(at - 0.5 * order)) + 1;
    taken[(first + n) % n] = true;
  }
  return taken;
}

// The indices around a circle that are left when the longest run of free ones is taken out.
struct Arc {
  int64_t first, count;
};

Arc without_longest_gap(const std::vector<bool> &taken) {
  const auto n = static_cast<int64_t>(taken.size());
  const int64_t start = std::find(taken.begin(), taken.end(), true) - taken.begin();
  int64_t run = 0, longest = 0, end = start;  // `end`: the index behind the longest gap
  for (int64_t k = 1; k <= n; ++k) {
    const int64_t index = (start + k) % n;
    if (!taken[index]) {
      ++run;
      continue;
    }
    if (run > longest) longest = run, end = index;
    run = 0;
  }
  return {end, n - longest};
}

int64_t part_begin(int64_t n, int parts, int part) {
  return n * part / parts;
}

}  // namespace

Brick brick_around(const double *fractions, int64_t n, const MeshPoints &points, int order) {
  check_mesh(points, order);
  if (n == 0) return {{}, {order, order, order}};
  Box box;
  for (int a = 0; a < 3; ++a) {
    const Arc starts = without_longest_gap(window_starts(fractions, n, a, points[a], order));
    const int64_t length = starts.count + order - 1 + 2;
    const bool whole = length >= points[a];
    box.begin[a] = whole ? 0 : starts.first - 1;
    box.end[a] = box.begin[a] + (whole ? points[a] : length);
  }
  return {box, box.lengths()};
}

void to_brick(const Brick &brick, const double *fractions, int64_t n, const MeshPoints &points,
              double *local) {
  for (int64_t i = 0; i < n; ++i) {
    for (int a = 0; a < 3; ++a) {
      const auto all = static_cast<double>(points[a]), own = static_cast<double>(brick.points[a]);
      const double at = mesh_coordinate(fractions[3 * i + a], points[a]) -
                        static_cast<double>(brick.box.begin[a]);
      local[3 * i + a] = (at - all * std::floor(at / all)) / own;
    }
  }
}

Box PencilGrid::box(int whole_axis, int rank) const {
  if (rank >= rows * columns) return {};
  Box box{{0, 0, 0}, points};
  const int row_axis = whole_axis == 0 ? 1 : 0, column_axis = whole_axis == 2 ? 1 : 2;
  const int row = rank / columns, column = rank % columns;
  box.begin[row_axis] = part_begin(points[row_axis], rows, row);
  box.end[row_axis] = part_begin(points[row_axis], rows, row + 1);
  box.begin[column_axis] = part_begin(points[column_axis], columns, column);
  box.end[column_axis] = part_begin(points[column_axis], columns, column + 1);
  return box;
}

// Every layout is transformed once and moved once, but for the move from z to y within slabs. At
// least two rows, so that no rank ever holds the whole of y and x.
PencilGrid pencil_grid(const MeshPoints &points, int ranks) {
  check(ranks >= 2, "the mesh is divided between ", ranks, " ranks; at least 2 are needed");
  const auto largest = [](int64_t n, int64_t parts) { return (n + parts - 1) / parts; };
  PencilGrid best{points, ranks, 1};
  int64_t least = 0;
  for (int columns = 1; 2 * columns <= ranks; ++columns) {
    const int rows = ranks / columns;
    const int64_t x = largest(points[0], rows), y = largest(points[1], columns);
    const int64_t z = largest(points[2], columns);
    const int64_t whole_z = x * y * points[2], whole_y = x * points[1] * z;
    const int64_t whole_x = points[0] * largest(points[1], rows) * z;
    const int64_t cost = 2 * whole_z + (columns == 1 ? 1 : 2) * whole_y + 2 * whole_x;
    if (columns > 1 && cost >= least) continue;
    least = cost;
    best = {points, rows, columns};
  }
  return best;
}

}  // namespace loremd
