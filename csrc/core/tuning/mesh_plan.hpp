// SPDX-License-Identifier: BSD-3-Clause
//
// Choice of smearing, mesh and order for an accuracy, and the error estimates behind it.
//
// Errors are relative, as the accuracy of the pair style: RMS error of the potential over its RMS
// value, for which the estimate takes `typical_potential` below.
#pragma once

#include <array>
#include <cstdint>

#include "types.hpp"

namespace loremd {

struct MeshPlanRequest {
  Matrix3 cell;                   // rows are the cell vectors
  int64_t atoms;                  // in the whole cell
  int64_t channels;               // enters the cost only
  double cutoff;                  // radius of the real-space sum
  double accuracy;                // relative error of the potentials asked for, 1e-12 to 0.1
  double smearing;                // 0: chosen
  std::array<int64_t, 3> points;  // any 0: chosen
  int order;                      // 0: chosen
};

struct MeshPlan {
  double smearing;
  std::array<int64_t, 3> points;
  int order;
  double real_space_error;  // estimated, relative
  double mesh_error;        // estimated, relative
};

// Throws Error on a cell of zero volume, numbers out of range, or an accuracy that no mesh reaches.
MeshPlan plan_mesh(const MeshPlanRequest &request);

// RMS error from truncating the real-space sum at `cutoff`, relative to the typical potential, for
// uncorrelated charges of number density `density` (Kolafa and Perram 1992, DOI
// 10.1080/08927029208049126, for potentials), times margins for the shells of a crystal and for
// cells of few atoms.
double real_space_error(double density, int64_t atoms, double cutoff, double smearing);

// RMS error of the mesh, relative likewise: the part of the long-range potential that the optimal
// influence function cannot recover (Ballenegger, Cerda, Holm 2012, DOI 10.1021/ct2001792),
// integrated over the Brillouin zone of the mesh; any cell.
double mesh_error(const Matrix3 &cell, int64_t atoms, double smearing,
                  const std::array<int64_t, 3> &points, int order);

}  // namespace loremd
