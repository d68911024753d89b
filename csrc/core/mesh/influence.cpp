// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/influence.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "dispatch.hpp"
#include "math/influence.hpp"
#include "math/matrix.hpp"

namespace loremd {
namespace {

// exp(-x) below which a term is nothing beside the others in double precision
constexpr double negligible_exponent = 50;

// Per frequency of one axis: its aliases -range .. range, their window power, and the sum of the
// window power over all aliases.
struct AxisTable {
  int n, range, aliases;
  std::vector<int> frequency;       // (n)
  std::vector<double> power;        // (n, aliases)
  std::vector<double> total_power;  // (n)

  AxisTable(int64_t points, int range, int order)
      : n(static_cast<int>(points)), range(range), aliases(2 * range + 1) {
    for (int index = 0; index < n; ++index) {
      const int f = index <= n / 2 ? index : index - n;
      frequency.push_back(f);
      for (int m = -range; m <= range; ++m) power.push_back(window_power(f + m * n, n, order));
      dispatch_order(order, [&](auto p) { total_power.push_back(window_power_sum<p()>(f, n)); });
    }
  }

  double alias_frequency(int index, int alias) const {
    return frequency[index] + double(alias - range) * n;
  }
  double alias_power(int index, int alias) const { return power[aliases * index + alias]; }
};

// Where the Gaussian has not yet become negligible, |k| <= K, an alias along mesh vector h has
// |m| <= |h| K / 2 pi + 1/2: one on either side for a fine mesh, more for a coarse or skewed one.
std::array<int, 3> alias_ranges(const InfluenceCall &call) {
  Matrix3 metric;
  std::copy_n(call.metric, 9, &metric[0][0]);
  const Matrix3 products = inverse(metric);  // of the cell vectors
  const double largest_k = std::sqrt(2 * negligible_exponent) / call.smearing;
  std::array<int, 3> ranges;
  for (int a = 0; a < 3; ++a) {
    const double spacing = std::sqrt(products[a][a]) / static_cast<double>(call.points[a]);
    check(spacing < 20 * call.smearing, "mesh spacing ", spacing, " is too coarse for smearing ",
          call.smearing, "; it should be near the smearing, and must be below 20 times it");
    ranges[a] = std::max(1, static_cast<int>(spacing * largest_k / (2 * pi) + 0.5));
  }
  return ranges;
}

constexpr double four_pi_squared = 4 * pi * pi;

// One alias of one mesh frequency.
struct Alias {
  double f[3];       // integer frequencies
  double k_squared;  // 4 pi^2 f . metric . f
  double weight;     // U^2 / (sum of U^2)^2
};

// A row of aliases along z: those of one mesh frequency (x, y), shifted by (ax, ay), have
//   k^2 = constant + linear f_z + square f_z^2.
struct AliasRow {
  double fx, fy, weight, constant, linear;
};

// Calls body(k index, alias) for the aliases of all points of the half spectrum but k = 0 whose
// Gaussian is not negligible. Most rows of aliases have none and are left out at once.
template <class Body>
void for_each_alias(const InfluenceCall &call, Body &&body) {
  const auto ranges = alias_ranges(call);
  const AxisTable tx(call.points[0], ranges[0], call.order);
  const AxisTable ty(call.points[1], ranges[1], call.order);
  const AxisTable tz(call.points[2], ranges[2], call.order);
  const double limit = 2 * negligible_exponent / (call.smearing * call.smearing);
  double metric[9];
  for (int i = 0; i < 9; ++i) metric[i] = four_pi_squared * call.metric[i];
  const double square = metric[8];
  const int half = static_cast<int>(half_spectrum_points(call.points[2]));
  std::vector<AliasRow> rows;
  for (int x = 0; x < tx.n; ++x) {
    for (int y = 0; y < ty.n; ++y) {
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
      for (int z = 0; z < half; ++z) {
        const int64_t k = (int64_t(x) * ty.n + y) * half + z;
        if (k == 0) continue;
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

void check_call(const InfluenceCall &call) {
  check_mesh(call.points, call.order);
  check(call.smearing > 0, "smearing is ", call.smearing, "; it must be positive");
}

}  // namespace

void influence_sum(const InfluenceCall &call, double *influence) {
  check_call(call);
  const GaussianSplitting splitting{call.smearing};
  std::fill_n(influence, call.points[0] * call.points[1] * half_spectrum_points(call.points[2]),
              0.0);
  for_each_alias(call, [&](int64_t k, const Alias &alias) {
    influence[k] += call.direction ? alias.weight * splitting.first(alias.k_squared) *
                                         four_pi_squared * metric_product(call.direction, alias.f)
                                   : alias.weight * splitting.value(alias.k_squared);
  });
}

void influence_sum_gradient(const InfluenceCall &call, const double *weights, double *gradient) {
  check_call(call);
  const GaussianSplitting splitting{call.smearing};
  std::fill_n(gradient, 9, 0.0);
  for_each_alias(call, [&](int64_t k, const Alias &alias) {
    const double slope = call.direction ? splitting.second(alias.k_squared) * four_pi_squared *
                                              metric_product(call.direction, alias.f)
                                        : splitting.first(alias.k_squared);
    const double factor = weights[k] * alias.weight * slope * four_pi_squared;
    for (int a = 0; a < 3; ++a) {
      for (int b = 0; b < 3; ++b) gradient[3 * a + b] += factor * alias.f[a] * alias.f[b];
    }
  });
}

}  // namespace loremd
