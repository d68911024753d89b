// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/influence.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "dispatch.hpp"
#include "math/matrix.hpp"
#include "mesh/interaction.hpp"
#include "simd.hpp"

namespace loremd {
namespace {

// The aliases -range .. range of each frequency of one axis. The rows end in room for a vector.
struct AxisTable {
  int n, range, aliases, row;
  std::vector<double> frequency;  // (aliases, row)
  std::vector<double> weight;  // (aliases, row) window power over its squared sum over all aliases

  AxisTable(int64_t points, int range, const WindowTransform &window)
      : n(static_cast<int>(points)),
        range(range),
        aliases(2 * range + 1),
        row(n + Vector<double, 64>::lanes),
        frequency(aliases * row),
        weight(aliases * row) {
    for (int index = 0; index < n; ++index) {
      const auto own = static_cast<double>(mesh_frequency(index, n));
      const double norm = std::pow(window.power_sum(own / n), -2);
      for (int alias = 0; alias < aliases; ++alias) {
        const double f = own + double(alias - range) * n;
        frequency[alias * row + index] = f;
        weight[alias * row + index] = norm * window.power(f / n);
      }
    }
  }

  const double *frequencies(int alias) const { return frequency.data() + alias * row; }
  const double *weights(int alias) const { return weight.data() + alias * row; }
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

// The same alias of all frequencies of a row. That of frequency fz has
//   k^2 = constant + fz (linear + square fz).
struct AliasRun {
  double fx, fy, weight;       // of x and y
  const double *fz, *weights;  // (frequencies of the row)
  double constant, linear, square;

  template <class V>
  LOREMD_INLINE V k_squared(const V &f) const {
    return constant + f * (linear + square * f);
  }

  // The least k^2 for any frequency from `low` to `high`.
  double least(double low, double high) const {
    return k_squared(std::clamp(-linear / (2 * square), low, high));
  }
};

// Frequencies that follow each other along z, and those of their aliases that matter.
struct FrequencyRow {
  int64_t first;  // in the frequencies of the call
  int count = 0;
  double limit;  // of k^2; beyond it a frequency of a run does not matter
  std::vector<AliasRun> runs{};

  // Calls body(index in the frequencies of the call, alias).
  template <class Body>
  void for_each_alias(Body &&body) const {
    for (const AliasRun &run : runs) {
      for (int i = 0; i < count; ++i) {
        const double k_squared = run.k_squared(run.fz[i]);
        if (k_squared > limit) continue;
        body(first + i, Alias{{run.fx, run.fy, run.fz[i]}, k_squared, run.weight * run.weights[i]});
      }
    }
  }
};

// The aliases of all frequencies of a call.
struct AliasTables {
  AxisTable x, y, z;
  std::vector<std::array<double, 2>> spans;  // of the frequencies of the call along z, by alias
  double metric[9];

  AliasTables(const InfluenceCall &call, const std::array<int, 3> &ranges,
              const WindowTransform &window)
      : x(call.points[0], ranges[0], window),
        y(table_or(call, ranges, window, 1, x)),
        z(table_or(call, ranges, window, 2, y)) {
    const Box box = call.frequencies();
    for (int alias = 0; alias < z.aliases; ++alias) {
      const double *f = z.frequencies(alias);
      const auto [low, high] = std::minmax_element(f + box.begin[2], f + box.end[2]);
      spans.push_back({*low, *high});
    }
    for (int i = 0; i < 9; ++i) metric[i] = four_pi_squared * call.metric[i];
  }

  // runs <- those that matter in the row of frequencies from (ix, iy, iz) on.
  void find_runs(int64_t ix, int64_t iy, int64_t iz, double limit,
                 std::vector<AliasRun> &runs) const {
    runs.clear();
    for (int ax = 0; ax < x.aliases; ++ax) {
      for (int ay = 0; ay < y.aliases; ++ay) {
        const double f[3] = {x.frequencies(ax)[ix], y.frequencies(ay)[iy], 0};
        AliasRun run{f[0],
                     f[1],
                     x.weights(ax)[ix] * y.weights(ay)[iy],
                     nullptr,
                     nullptr,
                     metric_product(metric, f),
                     (metric[2] + metric[6]) * f[0] + (metric[5] + metric[7]) * f[1],
                     metric[8]};
        for (int az = 0; az < z.aliases; ++az) {
          run.fz = z.frequencies(az) + iz;
          run.weights = z.weights(az) + iz;
          if (run.least(spans[az][0], spans[az][1]) <= limit) runs.push_back(run);
        }
      }
    }
  }

 private:
  // The table of an axis, which may be that of another.
  static AxisTable table_or(const InfluenceCall &call, const std::array<int, 3> &ranges,
                            const WindowTransform &window, int axis, const AxisTable &other) {
    if (other.n == call.points[axis] && other.range == ranges[axis]) return other;
    return AxisTable(call.points[axis], ranges[axis], window);
  }
};

// Calls body(row) for all frequencies but k = 0.
template <class Body>
void for_each_row(const InfluenceCall &call, double limit, Body &&body) {
  const auto ranges = alias_ranges(call, std::sqrt(limit));
  const Box box = call.frequencies();
  if (box.points() == 0) return;
  const AliasTables tables(call, ranges, WindowTransform(call.order, call.window));
  FrequencyRow row{0, 0, limit};
  for (int64_t x = box.begin[0]; x < box.end[0]; ++x) {
    for (int64_t y = box.begin[1]; y < box.end[1]; ++y) {
      int64_t z = box.begin[2];
      if (x == 0 && y == 0 && z == 0) ++z, ++row.first;  // k = 0
      row.count = static_cast<int>(box.end[2] - z);
      tables.find_runs(x, y, z, limit, row.runs);
      body(row);
      row.first += row.count;
    }
  }
}

// influence(k) = sum of the values over the aliases, whole vectors of frequencies at a time.
template <class Splitting>
void sum_values(const Splitting &splitting, const FrequencyRow &row, double *influence) {
  with_vectors([&](auto longest) LOREMD_INLINE_LAMBDA {
    using V = typename Vector<double, longest()>::type;
    constexpr int lanes = Vector<double, longest()>::lanes;
    const V limit = V{} + row.limit;
    for (int i = 0; i < row.count; i += lanes) {
      V sum{};
      for (const AliasRun &run : row.runs) {
        const V x = run.k_squared(load<V>(run.fz + i));
        const V value = splitting.value(x > limit ? limit : x);
        sum += x > limit ? V{} : run.weight * load<V>(run.weights + i) * value;
      }
      std::memcpy(influence + row.first + i, &sum, std::min(lanes, row.count - i) * sizeof(double));
    }
  });
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
    const auto &splitting = interaction.splitting;
    for_each_row(call, splitting.largest(), [&](const FrequencyRow &row) {
      if constexpr (interaction.in_vectors) {
        if (!call.direction) return sum_values(splitting, row, influence);
      }
      row.for_each_alias([&](int64_t k, const Alias &alias) {
        influence[k] += interaction.term(alias, kz(alias), call.direction);
      });
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
    for_each_row(call, interaction.splitting.largest(), [&](const FrequencyRow &row) {
      row.for_each_alias([&](int64_t k, const Alias &alias) {
        const double factor = weights[k] * interaction.slope(alias, kz(alias), call.direction);
        for (int a = 0; a < 3; ++a) {
          for (int b = 0; b < 3; ++b) gradient[3 * a + b] += factor * alias.f[a] * alias.f[b];
        }
      });
    });
  });
}

}  // namespace loremd
