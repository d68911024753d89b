// SPDX-License-Identifier: BSD-3-Clause
//
// Choice of splitting, mesh and window for an accuracy.
//
// Errors here are relative, as the accuracy of the pair style: RMS error of the potential over its
// RMS value, for which a plan, which knows no structure, takes that of an ionic crystal.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "tuning/error_estimate.hpp"
#include "types.hpp"

namespace loremd {

enum class Splitting { automatic, gaussian, prolate };
enum class Window { automatic, bspline, prolate };

// By name: "auto", "gaussian", "prolate" and "auto", "bspline", "prolate". Throw Error on others.
Splitting splitting_named(std::string_view name);
Window window_named(std::string_view name);

struct MeshPlanRequest {
  Matrix3 cell;                   // rows are the cell vectors
  int64_t atoms;                  // in the whole cell
  int64_t channels;               // enters the cost only
  double cutoff;                  // radius of the real-space sum
  double accuracy;                // relative error of the potentials asked for, 1e-12 to 0.1
  double range;                   // smearing of a Gaussian splitting; 0: chosen
  std::array<int64_t, 3> points;  // any 0: chosen
  int order;                      // 0: chosen
  double exponent = 1;            // p of 1/r^p, above 0, up to 6
  Splitting splitting = Splitting::gaussian;
  Window window = Window::bspline;
};

struct MeshPlan {
  MeshSettings settings;
  double real_space_error;  // estimated, relative; of a prolate splitting that of its spectrum
  double mesh_error;        // estimated, relative
};

// The cheapest settings by `cost_model()` whose estimated error is below the accuracy, with a
// margin for what the estimate cannot know: charges on a lattice, whose errors add up, and cells
// of few atoms. Automatic splitting is prolate for 1/r, unless a smearing is given, and Gaussian
// else. Throws Error on a cell of zero volume, numbers out of range, combinations that do not
// exist, or an accuracy that nothing reaches.
MeshPlan plan_mesh(const MeshPlanRequest &request);

// Estimated errors of given settings, relative to the potential of an ionic crystal.
MeshPlan rated(const Matrix3 &cell, int64_t atoms, const MeshSettings &settings);

// Pairs within the cutoff, of both orders.
double expected_pairs(const Matrix3 &cell, int64_t atoms, double cutoff);

}  // namespace loremd
