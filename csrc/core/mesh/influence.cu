// SPDX-License-Identifier: BSD-3-Clause
//
// An item is one frequency, which goes through its aliases; what depends on one axis only is in
// tables. The metric stays on the device, so the number of aliases is found there.
#include "device.hpp"
#include "math/matrix.hpp"
#include "mesh/cuda.hpp"
#include "mesh/interaction.hpp"

namespace loremd::cuda {
namespace {

// Tables hold as many aliases on either side, which is enough for the coarsest meshes allowed with
// Gaussian splitting.
constexpr int most_aliases = 32;
constexpr int alias_columns = 2 * most_aliases + 1;

// Per frequency of one axis: the window's power for its aliases, and summed over all of them.
struct AxisTables {
  MeshPoints points;
  double *power;        // (points of x, then y, then z; alias_columns)
  double *total_power;  // (points of x, then y, then z)

  LOREMD_HOST_DEVICE int64_t row(int axis, int64_t index) const {
    return index + (axis > 0 ? points[0] : 0) + (axis > 1 ? points[1] : 0);
  }
  LOREMD_HOST_DEVICE double alias_power(int axis, int64_t index, int alias) const {
    return power[row(axis, index) * alias_columns + alias + most_aliases];
  }
  int64_t rows() const { return points[0] + points[1] + points[2]; }
};

// An item is one alias of one frequency of one axis.
struct TableItem {
  AxisTables tables;
  WindowTransform window;
  int terms;
  double shape[FixedSeries::most_terms];

  LOREMD_HOST_DEVICE void operator()(int64_t item) const {
    int64_t index = item / alias_columns;
    const int alias = static_cast<int>(item % alias_columns) - most_aliases;
    int axis = 0;
    while (index >= tables.points[axis]) index -= tables.points[axis++];
    const auto n = static_cast<double>(tables.points[axis]);
    const double cycles = mesh_frequency(index, tables.points[axis]) / n;
    const WindowTransform own = window.with_shape({shape, terms});
    tables.power[item] = own.power(cycles + alias);
    if (alias == 0) tables.total_power[tables.row(axis, index)] = own.power_sum(cycles);
  }
};

// What all frequencies share.
template <class Interaction>
struct AliasSum {
  Interaction interaction;
  AxisTables tables;
  Box box;
  const double *metric, *direction;
  double range;
  int open_axis;  // -1: none

  // Calls body(alias, k along the open axis) for the aliases of frequency k of the box. Returns
  // whether the mesh is fine enough.
  template <class Body>
  LOREMD_HOST_DEVICE bool for_each_alias(int64_t k, Body &&body) const {
    const MeshPoints lengths = box.lengths();
    const int64_t index[3] = {box.begin[0] + k / (lengths[1] * lengths[2]),
                              box.begin[1] + k / lengths[2] % lengths[1],
                              box.begin[2] + k % lengths[2]};
    if (index[0] == 0 && index[1] == 0 && index[2] == 0) return true;
    int ranges[3];
    if (!find_ranges(ranges)) return false;
    double frequency[3], total = 1;
    for (int a = 0; a < 3; ++a) {
      frequency[a] = static_cast<double>(mesh_frequency(index[a], tables.points[a]));
      total *= tables.total_power[tables.row(a, index[a])];
    }
    const double limit = interaction.splitting.largest(), norm = 1 / (total * total);
    for (int x = -ranges[0]; x <= ranges[0]; ++x) {
      for (int y = -ranges[1]; y <= ranges[1]; ++y) {
        const double power =
            norm * tables.alias_power(0, index[0], x) * tables.alias_power(1, index[1], y);
        for (int z = -ranges[2]; z <= ranges[2]; ++z) {
          Alias alias{{frequency[0] + double(x) * tables.points[0],
                       frequency[1] + double(y) * tables.points[1],
                       frequency[2] + double(z) * tables.points[2]},
                      0,
                      0};
          alias.k_squared = four_pi_squared * metric_product(metric, alias.f);
          if (alias.k_squared > limit) continue;
          alias.weight = power * tables.alias_power(2, index[2], z);
          body(alias, open_axis < 0 ? 0 : open_scale(metric, open_axis) * alias.f[open_axis]);
        }
      }
    }
    return true;
  }

 private:
  LOREMD_HOST_DEVICE bool find_ranges(int *ranges) const {
    Matrix3 own;
    for (int a = 0; a < 3; ++a) {
      for (int b = 0; b < 3; ++b) own[a][b] = metric[3 * a + b];
    }
    const Matrix3 products = inverse(own);
    const double largest_k = sqrt(interaction.splitting.largest());
    bool fine = true;
    for (int a = 0; a < 3; ++a) {
      const double spacing = mesh_spacing(products, a, tables.points[a]);
      fine = fine && spacing < coarsest_spacing * range;
      ranges[a] = fine ? alias_range(spacing, largest_k) : 0;
      fine = fine && ranges[a] <= most_aliases;
    }
    return fine;
  }
};

template <class Interaction>
struct InfluenceItem {
  AliasSum<Interaction> aliases;
  double at_zero;  // added to the first frequency
  double *influence;

  LOREMD_HOST_DEVICE void operator()(int64_t k) const {
    double sum = k == 0 ? at_zero : 0;
    const bool fine = aliases.for_each_alias(k, [&](const Alias &alias, double kz) {
      sum += aliases.interaction.term(alias, kz, aliases.direction);
    });
    influence[k] = fine ? sum : nan("");
  }
};

// Each thread sums up its frequencies, then the team its threads.
template <class Interaction>
struct InfluenceGradient {
  AliasSum<Interaction> aliases;
  int64_t frequencies, teams;
  const double *weights;
  double *partials;  // (teams, 9)

  LOREMD_HOST_DEVICE void operator()(const Team &team) const {
    double *const parts = TeamMemory(team.memory).array<double>(9 * block_threads);
    team.step(block_threads, [&](int t) {
      double sums[9] = {};
      const int64_t step = teams * block_threads;
      for (int64_t k = team.index * block_threads + t; k < frequencies; k += step) add(k, sums);
      for (int e = 0; e < 9; ++e) parts[9 * t + e] = sums[e];
    });
    team.step(9, [&](int e) {
      double sum = 0;
      for (int t = 0; t < block_threads; ++t) sum += parts[9 * t + e];
      partials[9 * team.index + e] = sum;
    });
  }

 private:
  LOREMD_HOST_DEVICE void add(int64_t k, double *sums) const {
    const bool fine = aliases.for_each_alias(k, [&](const Alias &alias, double kz) {
      const double factor = weights[k] * aliases.interaction.slope(alias, kz, aliases.direction);
      LOREMD_UNROLL
      for (int a = 0; a < 3; ++a) {
        LOREMD_UNROLL
        for (int b = 0; b < 3; ++b) sums[3 * a + b] += factor * alias.f[a] * alias.f[b];
      }
    });
    if (!fine) sums[0] = nan("");
  }
};

constexpr int64_t gradient_teams = 256;

AxisTables tables_in(const InfluenceCall &call, double *workspace) {
  AxisTables tables{call.points, workspace, nullptr};
  tables.total_power = workspace + tables.rows() * alias_columns;
  return tables;
}

void set_tables(const InfluenceCall &call, const AxisTables &tables, Stream stream) {
  check(call.window.terms <= FixedSeries::most_terms, "the window has ", call.window.terms,
        " terms; CUDA kernels take up to ", FixedSeries::most_terms);
  TableItem item{tables, WindowTransform(call.order, call.window), call.window.terms, {}};
  std::copy_n(call.window.coefficients, call.window.terms, item.shape);
  for_each_item(stream, tables.rows() * alias_columns, item);
}

template <class Splitting>
const Splitting &by_value(const Splitting &splitting) {
  return splitting;
}
CompactSpectrum<FixedSeries> by_value(const CompactSplitting &splitting) {
  return {splitting.end, FixedSeries(splitting.transform), FixedSeries(splitting.slope),
          FixedSeries(splitting.curvature)};
}

// Calls body(sum over aliases) with the interaction of the call.
template <class Body>
void with_aliases(const InfluenceCall &call, const AxisTables &tables, Body &&body) {
  const int open_axis = call.smooth.periodic == 2 ? call.smooth.open_axis : -1;
  with_interaction(call.smooth, [&](const auto &interaction) {
    const auto splitting = by_value(interaction.splitting);
    const Interaction<std::decay_t<decltype(splitting)>, std::decay_t<decltype(interaction.cut)>>
        own{splitting, interaction.cut};
    body(AliasSum<std::decay_t<decltype(own)>>{own, tables, call.frequencies(), call.metric,
                                               call.direction, call.smooth.range, open_axis});
  });
}

}  // namespace

int64_t influence_workspace(const InfluenceCall &call) {
  return tables_in(call, nullptr).rows() * (alias_columns + 1) + 9 * gradient_teams;
}

void influence_sum(const InfluenceCall &call, double *workspace, double *influence, Stream stream) {
  check_influence(call);
  const AxisTables tables = tables_in(call, workspace);
  set_tables(call, tables, stream);
  with_aliases(call, tables, [&](const auto &aliases) {
    double limit = 0;
    const Box &box = aliases.box;
    const bool has_zero = box.points() > 0 && box.begin == MeshPoints{};
    if (!has_zero || call.direction || !aliases.interaction.cut.at_zero(&limit)) limit = 0;
    for_each_item(
        stream, box.points(),
        InfluenceItem<std::decay_t<decltype(aliases.interaction)>>{aliases, limit, influence});
  });
}

void influence_sum_gradient(const InfluenceCall &call, const double *weights, double *workspace,
                            double *gradient, Stream stream) {
  check_influence(call);
  const AxisTables tables = tables_in(call, workspace);
  double *const partials = workspace + tables.rows() * (alias_columns + 1);
  set_tables(call, tables, stream);
  set_zero(stream, 9, gradient);
  with_aliases(call, tables, [&](const auto &aliases) {
    for_each_team(stream, gradient_teams, block_threads, 9 * block_threads * sizeof(double),
                  InfluenceGradient<std::decay_t<decltype(aliases.interaction)>>{
                      aliases, aliases.box.points(), gradient_teams, weights, partials});
  });
  add_partials(stream, partials, gradient_teams, 9, gradient);
}

}  // namespace loremd::cuda
