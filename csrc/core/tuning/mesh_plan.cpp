// SPDX-License-Identifier: BSD-3-Clause
#include "tuning/mesh_plan.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "dispatch.hpp"
#include "math/influence.hpp"
#include "math/matrix.hpp"

namespace loremd {
namespace {

// 2 |V| / (charge * density^(1/3)) of simple ionic crystals and of one-component lattices lies
// between 1.5 and 2.9; the smaller value makes the relative errors larger.
constexpr double typical_potential = 1.5;

// The neighbours beyond the cutoff of a crystal come in shells of equal charge, which add up
// instead of averaging out. A factor of 3 costs 5 % of smearing.
constexpr double shell_margin = 3;

// A small cell is a perfect crystal of its own images: its atoms may all sit at the same place
// relative to the mesh points, or on one shell, where errors add up instead of averaging out, by up
// to a factor of 6 in the crystals of tests/ops/test_mesh_potential.py. Tends to 1 for many atoms.
double small_cell_margin(int64_t atoms) {
  return std::sqrt(1 + 40 * 16.0 / (16.0 + atoms));
}

// How the accuracy is divided; what the real-space part does not use is no gain in speed.
constexpr double real_space_share = 0.5, mesh_share = 0.7;

double volume(const Matrix3 &rows) {
  return std::abs(determinant(rows));
}

double length(const Vector3 &v) {
  return std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
}

// Smallest n >= lower whose prime factors are 2, 3, 5, 7: sizes that FFTs like.
int64_t smooth_size(int64_t lower) {
  for (int64_t n = lower;; ++n) {
    int64_t rest = n;
    for (int64_t p : {2, 3, 5, 7}) {
      while (rest % p == 0) rest /= p;
    }
    if (rest == 1) return n;
  }
}

// Nanoseconds, relative between orders: window work per atom against FFT work per mesh point
// (forward and backward of all channels, one AVX-512 core).
double cost(const MeshPlanRequest &request, const std::array<int64_t, 3> &points, int order) {
  const double mesh = double(points[0]) * points[1] * points[2];
  const double window = 5 * (20 + 0.05 * order * order * order * request.channels);
  return request.atoms * window + 5.4 * request.channels * mesh;
}

double density_of(const MeshPlanRequest &request) {
  return request.atoms / volume(request.cell);
}

double smearing_for(const MeshPlanRequest &request) {
  double low = request.cutoff / 40, high = request.cutoff;
  for (int step = 0; step < 60; ++step) {
    const double middle = std::sqrt(low * high);
    const double error =
        real_space_error(density_of(request), request.atoms, request.cutoff, middle);
    const bool good = error <= real_space_share * request.accuracy;
    (good ? low : high) = middle;
  }
  return low;
}

// One frequency along an axis of the mesh: in units of the mesh's own (-1/2 .. 1/2), with the
// window power of its aliases m = -1, 0, 1, and its weight in a sum over the Brillouin zone.
struct AxisPoint {
  double frequency;
  double power[3];
  double weight;
};

// The frequencies of the mesh itself, as the few that lie at the edge of the zone carry most of the
// error; on a large mesh 24 per axis stand for all.
std::vector<AxisPoint> axis_points(const std::array<int64_t, 3> &mesh, int axis, int order) {
  constexpr int64_t largest_sum = 65536, samples = 24;
  const bool all = mesh[0] * mesh[1] * mesh[2] <= largest_sum;
  const int64_t count = all ? mesh[axis] : std::min(mesh[axis], samples);
  std::vector<AxisPoint> points;
  for (int64_t i = 0; i < count; ++i) {
    AxisPoint point{double(i - count / 2) / count, {}, 1.0 / count};
    for (int m = 0; m < 3; ++m) {
      const double x = pi * (point.frequency + m - 1);
      point.power[m] = std::abs(x) < 1e-12 ? 1 : std::pow(std::sin(x) / x, 2 * order);
    }
    points.push_back(point);
  }
  return points;
}

// sum_m R_m^2 - (sum_m U_m^2 R_m)^2 / (sum_m U_m^2)^2 over the aliases m of one frequency, arranged
// so that the large R_0^2 does not cancel; `metric` is that of the mesh vectors.
double unrecovered_power(const double *metric, const AxisPoint &x, const AxisPoint &y,
                         const AxisPoint &z, const GaussianSplitting &splitting) {
  double own_r = 0, own_power = 0, other_squares = 0, other_sum = 0, other_power = 0;
  for (int a = 0; a < 27; ++a) {
    const int mx = a / 9, my = a / 3 % 3, mz = a % 3;
    const double f[3] = {x.frequency + mx - 1, y.frequency + my - 1, z.frequency + mz - 1};
    const double power = x.power[mx] * y.power[my] * z.power[mz];
    const double k_squared = 4 * pi * pi * metric_product(metric, f);
    const bool negligible = 0.5 * splitting.smearing * splitting.smearing * k_squared > 80;
    const double r = negligible ? 0 : splitting.value(k_squared);
    if (mx == 1 && my == 1 && mz == 1) {
      own_r = r;
      own_power = power;
    } else {
      other_squares += r * r;
      other_sum += power * r;
      other_power += power;
    }
  }
  const double total = own_power + other_power;
  const double lost = other_power / total, mixed = other_sum / total;
  return std::max(0.0, own_r * own_r * lost * (2 - lost) + other_squares -
                           2 * (1 - lost) * own_r * mixed - mixed * mixed);
}

}  // namespace

double real_space_error(double density, int64_t atoms, double cutoff, double smearing) {
  // integral of 4 pi erfc(r / sqrt(2) smearing)^2 from the cutoff on, by Simpson's rule over the
  // range in which it falls by a factor of e^40
  const double a = 1 / (std::sqrt(2.0) * smearing);
  const double step = (std::sqrt(a * a * cutoff * cutoff + 20) / a - cutoff) / 64;
  double sum = 0;
  for (int i = 0; i <= 64; ++i) {
    const double weight = i == 0 || i == 64 ? 1 : i % 2 ? 4 : 2;
    const double tail = std::erfc(a * (cutoff + i * step));
    sum += weight * tail * tail;
  }
  const double variance = density * 4 * pi * sum * step / 3;
  return small_cell_margin(atoms) * shell_margin * std::sqrt(variance) /
         (typical_potential * std::cbrt(density));
}

double mesh_error(const Matrix3 &cell, int64_t atoms, double smearing,
                  const std::array<int64_t, 3> &points, int order) {
  Matrix3 spacing = cell;
  for (int a = 0; a < 3; ++a) {
    for (double &component : spacing[a]) component /= points[a];
  }
  const Matrix3 metric = inverse(gram(spacing));
  const auto x_points = axis_points(points, 0, order), y_points = axis_points(points, 1, order),
             z_points = axis_points(points, 2, order);
  double mean = 0;
  for (const AxisPoint &x : x_points) {
    for (const AxisPoint &y : y_points) {
      for (const AxisPoint &z : z_points) {
        // z > 0 mirrors z < 0, but for the mesh's own -1/2, which is its own mirror image
        if (z.frequency > 0) continue;
        if (x.frequency == 0 && y.frequency == 0 && z.frequency == 0) continue;
        const double images = z.frequency == 0 || z.frequency == -0.5 ? 1 : 2;
        mean += images * x.weight * y.weight * z.weight *
                unrecovered_power(&metric[0][0], x, y, z, GaussianSplitting{smearing});
      }
    }
  }
  const double integral = mean / volume(spacing);  // d3k / (2 pi)^3 over the zone
  const double density = atoms / volume(cell);
  return small_cell_margin(atoms) * std::sqrt(density * integral) /
         (typical_potential * std::cbrt(density));
}

namespace {

void check_request(const MeshPlanRequest &request) {
  const double omega = volume(request.cell);
  check(std::isfinite(omega) && omega > 0, "the cell has volume ", omega,
        "; a mesh needs three linearly independent cell vectors");
  check(request.atoms > 0, "number of atoms is ", request.atoms, "; it must be positive");
  check(request.cutoff > 0, "cutoff is ", request.cutoff, "; it must be positive");
  check(request.accuracy >= 1e-12 && request.accuracy <= 0.1, "accuracy is ", request.accuracy,
        "; allowed: 1e-12 to 0.1");
  check(request.smearing >= 0, "smearing is ", request.smearing,
        "; it must be positive, or 0 for automatic");
  check(request.order == 0 || (request.order >= smallest_order && request.order <= largest_order),
        "order is ", request.order, "; allowed: ", smallest_order, " to ", largest_order,
        ", or 0 for automatic");
  for (int64_t n : request.points) {
    check(n >= 0, "mesh ", request.points[0], " x ", request.points[1], " x ", request.points[2],
          " is not a mesh; give three positive numbers, or zeros for automatic");
  }
}

std::array<int64_t, 3> points_for_spacing(const Matrix3 &cell, double spacing, int order) {
  std::array<int64_t, 3> points;
  for (int a = 0; a < 3; ++a) {
    const auto needed = static_cast<int64_t>(std::ceil(length(cell[a]) / spacing));
    points[a] = smooth_size(std::max<int64_t>(needed, order));
  }
  return points;
}

// The coarsest mesh that reaches the accuracy with one order, by bisection of the spacing; a plan
// whose points are 0 where none down to a twentieth of the smearing does.
MeshPlan coarsest_mesh(const MeshPlanRequest &request, double smearing, int order) {
  const double target = mesh_share * request.accuracy;
  const auto plan_at = [&](double spacing) {
    const auto points = points_for_spacing(request.cell, spacing, order);
    return MeshPlan{smearing, points, order, 0,
                    mesh_error(request.cell, request.atoms, smearing, points, order)};
  };
  double coarse = 2 * smearing, fine = smearing / 20;
  MeshPlan best = plan_at(fine);
  if (best.mesh_error > target) return MeshPlan{};
  while (coarse > 1.02 * fine) {
    const double middle = std::sqrt(coarse * fine);
    const MeshPlan plan = plan_at(middle);
    if (plan.mesh_error <= target) {
      best = plan;
      fine = middle;
    } else {
      coarse = middle;
    }
  }
  return best;
}

MeshPlan cheapest_plan(const MeshPlanRequest &request, double smearing) {
  const int first = request.order ? request.order : 4;
  const int last = request.order ? request.order : largest_order;
  MeshPlan best{};
  for (int order = first; order <= last; ++order) {
    const MeshPlan plan = coarsest_mesh(request, smearing, order);
    if (plan.order == 0) continue;
    if (best.order == 0 ||
        cost(request, plan.points, order) < cost(request, best.points, best.order)) {
      best = plan;
    }
  }
  check(best.order != 0, "no mesh reaches accuracy ", request.accuracy, " with cutoff ",
        request.cutoff, request.order ? " and this order" : "",
        "; ask for less, or raise the cutoff or the order");
  return best;
}

// The mesh is the user's; the order is the most accurate one unless it is given, too.
MeshPlan plan_on_given_mesh(const MeshPlanRequest &request, double smearing) {
  const int order = request.order ? request.order : largest_order;
  check_mesh(request.points, order);
  return {smearing, request.points, order, 0,
          mesh_error(request.cell, request.atoms, smearing, request.points, order)};
}

}  // namespace

MeshPlan plan_mesh(const MeshPlanRequest &request) {
  check_request(request);
  const double smearing = request.smearing > 0 ? request.smearing : smearing_for(request);
  const bool mesh_given = *std::min_element(request.points.begin(), request.points.end()) > 0;
  MeshPlan plan =
      mesh_given ? plan_on_given_mesh(request, smearing) : cheapest_plan(request, smearing);
  plan.real_space_error =
      real_space_error(density_of(request), request.atoms, request.cutoff, smearing);
  return plan;
}

}  // namespace loremd
