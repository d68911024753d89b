// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/influence.hpp"

#include <algorithm>
#include <vector>

#include "dispatch.hpp"
#include "math/influence.hpp"

namespace loremd {
namespace {

// Aliases m = -1, 0, 1 per axis. Those further out lie where a mesh fine enough for any use has a
// Gaussian of exp(-40) or less.
constexpr int aliases = 3;

// exp(-x) below which a term is nothing beside the others in double precision
constexpr double negligible_exponent = 100;

// Per frequency of one axis: its aliases, their window power, and the sum over all aliases.
struct AxisTable {
  std::vector<int> frequency;        // (n)
  std::vector<double> power;         // (n, aliases)
  std::vector<double> total_power;   // (n)
  int n;

  AxisTable(int64_t points, int order) : n(static_cast<int>(points)) {
    for (int index = 0; index < n; ++index) {
      const int f = index <= n / 2 ? index : index - n;
      frequency.push_back(f);
      for (int m = -1; m <= 1; ++m) power.push_back(window_power(f + m * n, n, order));
      dispatch_order(order, [&](auto p) { total_power.push_back(window_power_sum<p()>(f, n)); });
    }
  }
};

// One alias of one mesh frequency: integer frequency vector and window weight.
struct Alias {
  double f[3];
  double weight;  // U^2 / (sum of U^2)^2
};

// Calls body(k index, alias) for all aliases of all points of the half spectrum but k = 0.
template <class Body>
void for_each_alias(const InfluenceCall &call, Body &&body) {
  const AxisTable tx(call.points[0], call.order), ty(call.points[1], call.order),
      tz(call.points[2], call.order);
  const int half = static_cast<int>(half_spectrum_points(call.points[2]));
  int64_t k = 0;
  for (int x = 0; x < tx.n; ++x) {
    for (int y = 0; y < ty.n; ++y) {
      for (int z = 0; z < half; ++z, ++k) {
        if (k == 0) continue;
        const double total = tx.total_power[x] * ty.total_power[y] * tz.total_power[z];
        const double norm = 1 / (total * total);
        for (int a = 0; a < aliases * aliases * aliases; ++a) {
          const int ax = a / (aliases * aliases), ay = a / aliases % aliases, az = a % aliases;
          const double power = tx.power[aliases * x + ax] * ty.power[aliases * y + ay] *
                               tz.power[aliases * z + az];
          body(k, Alias{{double(tx.frequency[x] + (ax - 1) * tx.n),
                         double(ty.frequency[y] + (ay - 1) * ty.n),
                         double(tz.frequency[z] + (az - 1) * tz.n)},
                        power * norm});
        }
      }
    }
  }
}

constexpr double four_pi_squared = 4 * pi * pi;

bool negligible(const InfluenceCall &call, double k_squared) {
  return 0.5 * call.smearing * call.smearing * k_squared > negligible_exponent;
}

void check_call(const InfluenceCall &call) {
  check_mesh(call.points, call.order);
  check(call.smearing > 0, "smearing is ", call.smearing, "; it must be positive");
}

}  // namespace

void influence_sum(const InfluenceCall &call, double *influence) {
  check_call(call);
  const GaussianSplitting splitting{call.smearing};
  std::fill_n(influence,
              call.points[0] * call.points[1] * half_spectrum_points(call.points[2]), 0.0);
  for_each_alias(call, [&](int64_t k, const Alias &alias) {
    const double k_squared = four_pi_squared * metric_product(call.metric, alias.f);
    if (negligible(call, k_squared)) return;
    influence[k] += call.direction
                        ? alias.weight * splitting.first(k_squared) * four_pi_squared *
                              metric_product(call.direction, alias.f)
                        : alias.weight * splitting.value(k_squared);
  });
}

void influence_sum_gradient(const InfluenceCall &call, const double *weights, double *gradient) {
  check_call(call);
  const GaussianSplitting splitting{call.smearing};
  std::fill_n(gradient, 9, 0.0);
  for_each_alias(call, [&](int64_t k, const Alias &alias) {
    const double k_squared = four_pi_squared * metric_product(call.metric, alias.f);
    if (negligible(call, k_squared)) return;
    const double slope = call.direction ? splitting.second(k_squared) * four_pi_squared *
                                              metric_product(call.direction, alias.f)
                                        : splitting.first(k_squared);
    const double factor = weights[k] * alias.weight * slope * four_pi_squared;
    for (int a = 0; a < 3; ++a) {
      for (int b = 0; b < 3; ++b) gradient[3 * a + b] += factor * alias.f[a] * alias.f[b];
    }
  });
}

}  // namespace loremd
