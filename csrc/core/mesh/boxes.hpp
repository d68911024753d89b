// SPDX-License-Identifier: BSD-3-Clause
//
// How a mesh is divided between ranks: each holds the points of a box, one box around its atoms and
// others in which one axis is whole, as a Fourier transform along it needs. All ranks compute all
// boxes by themselves, so nothing here communicates.
#pragma once

#include <array>
#include <cstdint>

#include "types.hpp"

namespace loremd {

using MeshPoints = std::array<int64_t, 3>;

// The points begin <= index < end along each axis. A box of a periodic mesh may reach beyond its
// end: there an index stands for itself modulo the number of points.
struct Box {
  MeshPoints begin{}, end{};

  int64_t length(int axis) const { return end[axis] - begin[axis]; }
  MeshPoints lengths() const { return {length(0), length(1), length(2)}; }
  int64_t points() const { return length(0) * length(1) * length(2); }
};

// ---- around atoms ----

// What a rank needs to spread its atoms and to interpolate at them.
struct Brick {
  Box box;            // holds the windows of all atoms; no point where there is no atom
  MeshPoints points;  // of the mesh to work on: those of the box, or of the smallest mesh there is
};

// The smallest such box for windows of `order` points, with one more point on either side, where
// positions may be rounded to. Along each axis it is a part of the mesh that no window leaves, or
// the whole, 0 to points[axis], which windows wrap around. `fractions` (n, 3): positions in units
// of the cell vectors; those that are not finite count as 0. Throws Error on a mesh with fewer
// points than the order.
Brick brick_around(const double *fractions, int64_t n, const MeshPoints &points, int order);

// local (n, 3): the same positions in units of the mesh brick.points, for spread and interpolate.
// Derivatives by `fractions` are those by `local` times points[axis] / brick.points[axis].
void to_brick(const Brick &brick, const double *fractions, int64_t n, const MeshPoints &points,
              double *local);

// ---- for transforms ----

// The ranks as a grid of rows x columns, each axis of the mesh cut into nearly equal parts:
//
//   whole axis   cut by rows   cut by columns
//       z             x              y
//       y             x              z        in the same row for z and y
//       x             y              z        in the same column for y and x
//
// With one column the boxes for z and y are the same, slabs of whole planes.
struct PencilGrid {
  MeshPoints points;
  int rows, columns;  // ranks from rows * columns on hold nothing

  Box box(int whole_axis, int rank) const;
  bool slabs() const { return columns == 1; }
};

// The grid with the least work and communication of the busiest rank, for two ranks or more.
PencilGrid pencil_grid(const MeshPoints &points, int ranks);

}  // namespace loremd
