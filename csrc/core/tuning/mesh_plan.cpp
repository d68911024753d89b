// SPDX-License-Identifier: BSD-3-Clause
#include "tuning/mesh_plan.hpp"

#include <algorithm>
#include <cmath>

#include "dispatch.hpp"
#include "math/influence.hpp"
#include "math/pswf.hpp"
#include "tuning/cost_model.hpp"

namespace loremd {
namespace {

// V / (RMS charge * density^(p/3)) of ionic crystals lies between 0.75 and 0.95, that of gases
// above.
constexpr double typical_potential = 0.875;

// How the accuracy is divided between what the splitting leaves out and the mesh: near the optimum
// for orders 5 to 8.
constexpr double splitting_share = 0.6, mesh_share = 0.8;

// Up to this many mesh points the errors are summed over all frequencies while searching.
constexpr int64_t search_sum = 2048;
constexpr int64_t confirmed_sum = 16384;  // for what the search finds

// More are not a mesh, but a mistake: 8 GB per channel.
constexpr double most_points = 1e9;

// What the errors of a structure may be more than those of independent charges: in crystals the
// neighbours beyond the cutoff come in shells of equal charge, and single Bragg peaks may carry all
// of the error; a small cell is a perfect crystal of its own images.
double margin(int64_t atoms) {
  return 3 * std::sqrt(1 + 320.0 / (16.0 + atoms));
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

double density_of(const MeshPlanRequest &request) {
  return request.atoms / cell_volume(request.cell);
}

double typical_value(double density, double exponent) {
  return typical_potential * std::pow(density, exponent / 3);
}

double target(const MeshPlanRequest &request) {
  return request.accuracy / margin(request.atoms) *
         typical_value(density_of(request), request.exponent);
}

bool mesh_given(const MeshPlanRequest &request) {
  return *std::min_element(request.points.begin(), request.points.end()) > 0;
}

void check_numbers(const MeshPlanRequest &request) {
  const double omega = cell_volume(request.cell);
  check(std::isfinite(omega) && omega > 0, "the cell has volume ", omega,
        "; a mesh needs three linearly independent cell vectors");
  check(request.atoms > 0, "number of atoms is ", request.atoms, "; it must be positive");
  check(request.cutoff > 0, "cutoff is ", request.cutoff, "; it must be positive");
  check(request.accuracy >= 1e-12 && request.accuracy <= 0.1, "accuracy is ", request.accuracy,
        "; allowed: 1e-12 to 0.1");
  check(request.range >= 0, "smearing is ", request.range,
        "; it must be positive, or 0 for automatic");
  check(request.order == 0 || (request.order >= smallest_order && request.order <= largest_order),
        "order is ", request.order, "; allowed: ", smallest_order, " to ", largest_order,
        ", or 0 for automatic");
  for (int64_t n : request.points) {
    check(n >= 0, "mesh ", request.points[0], " x ", request.points[1], " x ", request.points[2],
          " is not a mesh; give three positive numbers, or zeros for automatic");
  }
}

void check_combination(const MeshPlanRequest &request) {
  check(request.exponent > 0 && request.exponent <= 6, "exponent is ", request.exponent,
        "; allowed: above 0, up to 6");
  check(request.splitting != Splitting::prolate || request.exponent == 1, "exponent is ",
        request.exponent, ", but the prolate splitting is for 1 only; use Gaussian splitting");
  check(request.splitting != Splitting::prolate || request.range == 0 ||
            request.range == request.cutoff,
        "range is ", request.range, ", but the prolate splitting ends at the cutoff, ",
        request.cutoff, "; give that, or 0");
}

// ---- the splitting ----

// The largest parameter of `middle(step)` that is still good, by bisection of its logarithm.
template <class Good>
double largest_good(double low, double high, double tolerance, Good &&good) {
  while (high > (1 + tolerance) * low) {
    const double middle = std::sqrt(low * high);
    (good(middle) ? low : high) = middle;
  }
  return low;
}

bool uses_prolate_splitting(const MeshPlanRequest &request) {
  if (request.splitting != Splitting::automatic) return request.splitting == Splitting::prolate;
  return request.exponent == 1 && request.range == 0;
}

// Settings with splitting, but without mesh and window.
MeshSettings with_splitting_chosen(const MeshPlanRequest &request) {
  MeshSettings settings{request.cutoff, request.exponent, request.range, 0, {}, 0, 0};
  const double density = density_of(request), allowed = splitting_share * target(request);
  if (uses_prolate_splitting(request)) {
    settings.range = request.cutoff;
    const double inverse = largest_good(1.0 / 50, 1.0 / 3, 0.003, [&](double inverse) {
      settings.splitting_bandlimit = 1 / inverse;
      return splitting_error(settings, density).potential <= allowed;
    });
    settings.splitting_bandlimit = 1 / inverse;
  } else if (request.range == 0) {
    const double low = request.cutoff / 40, high = request.cutoff;
    settings.range = largest_good(low, high, 0.003, [&](double smearing) {
      settings.range = smearing;
      return splitting_error(settings, density).potential <= allowed;
    });
  }
  return settings;
}

// Above this spacing no mesh is good: the spectrum of the smooth part ends, to the accuracy, at
// three quarters of its second Brillouin zone.
double coarsest_spacing(const MeshSettings &settings, double accuracy) {
  const double last = settings.splitting_bandlimit > 0 ? settings.splitting_bandlimit
                                                       : std::sqrt(-2 * std::log(accuracy));
  return 1.3 * pi * settings.range / last;
}

// ---- the mesh ----

std::array<int64_t, 3> points_for_spacing(const Matrix3 &cell, double spacing, int order) {
  std::array<int64_t, 3> points;
  for (int a = 0; a < 3; ++a) {
    const auto needed = static_cast<int64_t>(std::ceil(length(cell[a]) / spacing));
    points[a] = smooth_size(std::max<int64_t>(needed, order));
  }
  return points;
}

double cost_of(const MeshPlanRequest &request, const MeshSettings &settings) {
  return cost_model()(request.atoms, request.channels, 0, settings.points, settings.order);
}

// Refines the mesh of `settings` from `spacing` on until it reaches the accuracy, and returns the
// spacing; 0 where none down to `finest` does.
double refined(const MeshPlanRequest &request, double spacing, double finest, bool prolate_window,
               MeshSettings &settings) {
  constexpr double step = 0.96;  // sizes that FFTs like are as far apart
  constexpr int bandlimit_steps = 4;
  int steps = 0;
  const double allowed = mesh_share * target(request);
  for (; spacing > finest; spacing *= step) {
    const auto points = points_for_spacing(request.cell, spacing, settings.order);
    if (points == settings.points) continue;
    if (double(points[0]) * points[1] * points[2] > most_points) return 0;
    settings.points = points;
    if (prolate_window && steps++ % bandlimit_steps == 0) {
      settings.window_bandlimit = best_window_bandlimit(request.cell, settings);
    }
    // the quick estimate may miss what sits at the edge of the zone: order 10, skewed cells
    const auto good = [&](int64_t largest_sum) {
      return mesh_error(request.cell, request.atoms, settings, largest_sum).potential <= allowed;
    };
    if (good(search_sum) && good(confirmed_sum)) return spacing;
  }
  return 0;
}

// Tries the orders downwards with one kind of window; each needs a finer mesh than the one before,
// until that costs more than the window saves.
void try_orders(const MeshPlanRequest &request, MeshSettings settings, bool prolate_window,
                MeshSettings &best) {
  const double accuracy = request.accuracy / margin(request.atoms);
  double spacing = coarsest_spacing(settings, accuracy), cheapest = 0;
  const double finest = spacing / (prolate_window ? 4 : 40);
  for (int order = largest_order; order >= smallest_order; --order) {
    if (request.order != 0 && order != request.order) continue;
    settings.order = order;
    settings.points = {};
    spacing = refined(request, spacing, finest, prolate_window, settings);
    if (spacing == 0) return;
    const double cost = cost_of(request, settings);
    if (best.order == 0 || cost < cost_of(request, best)) best = settings;
    if (cheapest > 0 && cost > 1.5 * cheapest) return;
    cheapest = cheapest == 0 ? cost : std::min(cost, cheapest);
  }
}

bool may_use(const MeshPlanRequest &request, Window window) {
  return request.window == Window::automatic || request.window == window;
}

MeshSettings cheapest(const MeshPlanRequest &request, const MeshSettings &settings) {
  MeshSettings best = settings;
  if (may_use(request, Window::prolate)) try_orders(request, settings, true, best);
  if (may_use(request, Window::bspline)) try_orders(request, settings, false, best);
  check(best.order != 0, "no mesh reaches accuracy ", request.accuracy, " with cutoff ",
        request.cutoff, request.order ? " and this order" : "",
        "; ask for less, or raise the cutoff or the order");
  if (best.window_bandlimit == 0) return best;
  MeshSettings refined = best;
  refined.window_bandlimit = best_window_bandlimit(request.cell, best);
  const auto error = [&](const MeshSettings &s) {
    return mesh_error(request.cell, request.atoms, s, search_sum).potential;
  };
  return error(refined) < error(best) ? refined : best;
}

// The bandlimit of a prolate window from the accuracy alone; at the coarsest mesh that reaches it,
// the best one is within some 10 %.
double usual_window_bandlimit(double accuracy, int order) {
  return std::max(0.54 * pi * order, 5.1 - 2.05 * std::log10(accuracy));
}

// The mesh is the user's; the order is the most accurate one unless it is given, too. With mesh and
// smearing given nothing depends on the cell, so that energies are smooth functions of it.
MeshSettings on_given_mesh(const MeshPlanRequest &request, MeshSettings settings) {
  const int64_t fewest = *std::min_element(request.points.begin(), request.points.end());
  const int order = static_cast<int>(std::min<int64_t>(largest_order, fewest));
  settings.order = request.order ? request.order : std::max(smallest_order, order);
  settings.points = request.points;
  check_mesh(settings.points, settings.order);
  const bool fixed = request.range > 0;
  if (!may_use(request, Window::prolate)) return settings;
  if (fixed && may_use(request, Window::bspline)) return settings;
  MeshSettings prolate = settings;
  prolate.window_bandlimit = fixed ? usual_window_bandlimit(request.accuracy, settings.order)
                                   : best_window_bandlimit(request.cell, settings);
  if (!may_use(request, Window::bspline)) return prolate;
  const auto error = [&](const MeshSettings &s) {
    return mesh_error(request.cell, request.atoms, s, search_sum).potential;
  };
  return error(prolate) < error(settings) ? prolate : settings;
}

}  // namespace

MeshPlan rated(const Matrix3 &cell, int64_t atoms, const MeshSettings &settings) {
  const double density = atoms / cell_volume(cell);
  const double potential = typical_value(density, settings.exponent);
  return {settings, splitting_error(settings, density).potential / potential,
          mesh_error(cell, atoms, settings).potential / potential};
}

Splitting splitting_named(std::string_view name) {
  if (name == "gaussian") return Splitting::gaussian;
  if (name == "prolate") return Splitting::prolate;
  check(name == "auto", "splitting is '", name, "'; allowed: auto, gaussian, prolate");
  return Splitting::automatic;
}

Window window_named(std::string_view name) {
  if (name == "bspline") return Window::bspline;
  if (name == "prolate") return Window::prolate;
  check(name == "auto", "window is '", name, "'; allowed: auto, bspline, prolate");
  return Window::automatic;
}

MeshPlan plan_mesh(const MeshPlanRequest &request) {
  check_numbers(request);
  check_combination(request);
  const MeshSettings splitting = with_splitting_chosen(request);
  return rated(
      request.cell, request.atoms,
      mesh_given(request) ? on_given_mesh(request, splitting) : cheapest(request, splitting));
}

double expected_pairs(const Matrix3 &cell, int64_t atoms, double cutoff) {
  const double neighbours = atoms / cell_volume(cell) * 4 * pi / 3 * std::pow(cutoff, 3);
  return atoms * neighbours;
}

}  // namespace loremd
