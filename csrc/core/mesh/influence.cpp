// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/influence.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "dispatch.hpp"
#include "math/matrix.hpp"
#include "mesh/interaction.hpp"

namespace loremd {
namespace {

// Per frequency of one axis: its aliases -range .. range, their window power, and the sum of the
// window power over all aliases.
struct AxisTable {
  int n, range, aliases;
  std::vector<int> frequency;       // (n)
  std::vector<double> power;        // (n, aliases)
  std::vector<double> total_power;  // (n)

  AxisTable(int64_t points, int range, const WindowTransform &window)
      : n(static_cast<int>(points)), range(range), aliases(2 * range + 1) {
    for (int index = 0; index < n; ++index) {
      const int f = static_cast<int>(mesh_frequency(index, n));
      frequency.push_back(f);
      for (int m = -range; m <= range; ++m) power.push_back(window.power(double(f) / n + m));
      total_power.push_back(window.power_sum(double(f) / n));
    }
  }

  double alias_frequency(int index, int alias) const {
    return frequency[index] + double(alias - range) * n;
  }
  double alias_power(int index, int alias) const { return power[aliases * index + alias]; }
};

std::array<int, 3> alias_ranges(const InfluenceCall &call, double largest_k) {
  Matrix3 metric;
  std::copy_n(call.metric, 9, &metric[0][0]);
  const Matrix3 products = inverse(metric);  // of the cell vectors
  std::array<int, 3> ranges;
  for (int a = 0; a < 3; ++a) {
    const double spacing = mesh_spacing(products, a, call.points[a]);
    const double range = call.smooth.range;
    check(spacing < coarsest_spacing * range, "mesh spacing ", spacing,
          " is too coarse for a smearing of ", range,
          "; it should be near the smearing, and must be below 20 times it");
    ranges[a] = alias_range(spacing, largest_k);
  }
  return ranges;
}

// A row of aliases along z: those of one mesh frequency (x, y), shifted by (ax, ay), have
//   k^2 = constant + linear f_z + square f_z^2.
struct AliasRow {
  double fx, fy, weight, constant, linear;
};

// Calls body(index in the frequencies of the call, alias) for the aliases of all of them but k = 0
// whose k^2 is not beyond `limit`. Most rows of aliases have none and are left out at once.
template <class Body>
void for_each_alias(const InfluenceCall &call, double limit, Body &&body) {
  const auto ranges = alias_ranges(call, std::sqrt(limit));
  const WindowTransform window(call.order, call.window);
  const AxisTable tx(call.points[0], ranges[0], window);
  const AxisTable ty(call.points[1], ranges[1], window);
  const AxisTable tz(call.points[2], ranges[2], window);
  double metric[9];
  for (int i = 0; i < 9; ++i) metric[i] = four_pi_squared * call.metric[i];
  const double square = metric[8];
  const Box box = call.frequencies();
  int64_t k = 0;
  std::vector<AliasRow> rows;
  for (int x = int(box.begin[0]); x < box.end[0]; ++x) {
    for (int y = int(box.begin[1]); y < box.end[1]; ++y) {
      rows.clear();
      for (int ax = 0; ax < tx.aliases; ++ax) {
        for (int ay = 0; ay < ty.aliases; ++ay) {
          const double f[3] = {tx.alias_frequency(x, ax), ty.alias_frequency(y, ay), 0};
          const double constant = metric_product(metric, f);
          const double linear = (metric[2] + metric[6]) * f[0] + (metric[5] + metric[7]) * f[1];
          const double smallest = constant - linear * linear / (4 * square);
          if (smallest > limit) continue;
          rows.push_back(
              {f[0], f[1], tx.alias_power(x, ax) * ty.alias_power(y, ay), constant, linear});
        }
      }
      for (int z = int(box.begin[2]); z < box.end[2]; ++z, ++k) {
        if (x == 0 && y == 0 && z == 0) continue;
        const double total = tx.total_power[x] * ty.total_power[y] * tz.total_power[z];
        const double norm = 1 / (total * total);
        for (const AliasRow &row : rows) {
          for (int az = 0; az < tz.aliases; ++az) {
            const double fz = tz.alias_frequency(z, az);
            const double k_squared = row.constant + fz * (row.linear + fz * square);
            if (k_squared > limit) continue;
            body(k,
                 Alias{{row.fx, row.fy, fz}, k_squared, norm * row.weight * tz.alias_power(z, az)});
          }
        }
      }
    }
  }
}

// k along the open axis; 0 where it does not matter.
struct OpenComponent {
  int axis;
  double scale;

  explicit OpenComponent(const InfluenceCall &call)
      : axis(call.smooth.open_axis),
        scale(call.smooth.periodic == 2 ? open_scale(call.metric, axis) : 0) {}
  double operator()(const Alias &alias) const { return scale * alias.f[axis]; }
};

}  // namespace

void check_influence(const InfluenceCall &call) {
  const SmoothPart &smooth = call.smooth;
  check_order(call.order);
  check_mesh(call.points, call.order);
  check(smooth.range > 0, "smearing is ", smooth.range, "; it must be positive");
  check(smooth.exponent > 0 && smooth.exponent <= 6, "exponent is ", smooth.exponent,
        "; allowed: above 0, up to 6");
  check(smooth.exponent == 1 || (smooth.shape.terms == 0 && smooth.periodic == 3), "exponent is ",
        smooth.exponent,
        "; a compact splitting and open directions exist for exponent 1 only, use Gaussian "
        "splitting and three periodic directions");
  check(smooth.periodic == 3 || smooth.periodic == 2 || smooth.periodic == 0,
        "number of periodic directions is ", smooth.periodic, "; allowed: 3, 2, 0");
  check(smooth.periodic == 3 || smooth.reach > 0, "reach is ", smooth.reach,
        "; it must be positive where a direction is open");
  check(smooth.open_axis >= 0 && smooth.open_axis < 3, "open axis is ", smooth.open_axis,
        "; allowed: 0, 1, 2");
}

void influence_sum(const InfluenceCall &call, double *influence) {
  check_influence(call);
  const OpenComponent kz(call);
  const Box box = call.frequencies();
  std::fill_n(influence, box.points(), 0.0);
  with_interaction(call.smooth, [&](const auto &interaction) {
    for_each_alias(call, interaction.splitting.largest(), [&](int64_t k, const Alias &alias) {
      influence[k] += interaction.term(alias, kz(alias), call.direction);
    });
    // U is 1 at k = 0 and 0 at its aliases, but for what a window of another shape leaves there
    double limit = 0;
    const bool has_zero = box.points() > 0 && box.begin == MeshPoints{};
    if (has_zero && !call.direction && interaction.cut.at_zero(&limit)) influence[0] += limit;
  });
}

void influence_sum_gradient(const InfluenceCall &call, const double *weights, double *gradient) {
  check_influence(call);
  const OpenComponent kz(call);
  std::fill_n(gradient, 9, 0.0);
  with_interaction(call.smooth, [&](const auto &interaction) {
    for_each_alias(call, interaction.splitting.largest(), [&](int64_t k, const Alias &alias) {
      const double factor = weights[k] * interaction.slope(alias, kz(alias), call.direction);
      for (int a = 0; a < 3; ++a) {
        for (int b = 0; b < 3; ++b) gradient[3 * a + b] += factor * alias.f[a] * alias.f[b];
      }
    });
  });
}

}  // namespace loremd
