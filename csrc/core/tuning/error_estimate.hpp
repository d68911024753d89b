// SPDX-License-Identifier: BSD-3-Clause
//
// Errors to expect of a mesh sum, for independent charges of mean square one at random places.
//
// The potential is V_i = 1/2 sum_j q_j / r_ij^p, its unit charge / length^p; the force is that of
// the energy sum_i q_i V_i, divided by the charge of the atom. All errors are RMS values, to be
// multiplied by the RMS charge.
#pragma once

#include <array>
#include <cstdint>

#include "types.hpp"

namespace loremd {

// Everything that fixes the sum over a periodic cell.
struct MeshSettings {
  double cutoff;                  // radius of the real-space sum
  double exponent;                // p of 1/r^p
  double range;                   // smearing; for the prolate splitting, where it ends: the cutoff
  double splitting_bandlimit;     // of the prolate splitting (p = 1 only); 0: Gaussian
  std::array<int64_t, 3> points;  // of the mesh along the cell vectors
  int order;                      // mesh points under the window, per axis
  double window_bandlimit;        // of a prolate window; 0: B-spline
};

struct ErrorEstimate {
  double potential;
  double force;
};

// From what the splitting leaves out: for the Gaussian the sum beyond the cutoff (Kolafa and Perram
// 1992, DOI 10.1080/08927029208049126), for the prolate one the waves beyond the first zero of its
// spectrum (arXiv 2602.16591). `density` is a number per volume.
ErrorEstimate splitting_error(const MeshSettings &settings, double density);

// From the mesh: what the optimal influence function cannot recover of the smooth part
// (Ballenegger, Cerda, Holm 2012, DOI 10.1021/ct2001792), summed over the Brillouin zone, and the
// potential of an atom on itself, which depends on its place between the mesh points. Any cell. The
// frequencies are those of the mesh up to `largest_sum` points, else a quadrature over the zone.
ErrorEstimate mesh_error(const Matrix3 &cell, int64_t atoms, const MeshSettings &settings,
                         int64_t largest_sum = 16384);

// The bandlimit of the prolate window that loses the least, for a mesh whose spacing is that of the
// cell along its first vector; settings.window_bandlimit is not used.
double best_window_bandlimit(const Matrix3 &cell, const MeshSettings &settings);

double cell_volume(const Matrix3 &cell);

}  // namespace loremd
