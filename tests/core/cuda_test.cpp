// SPDX-License-Identifier: BSD-3-Clause
//
// The .cu files compiled by this compiler (LOREMD_CUDA=ON_HOST) against the CPU side, kernel by
// kernel: all that differs between the two is the order of sums.
#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdio>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "edges/cuda.hpp"
#include "expect.hpp"
#include "features/cuda.hpp"
#include "mesh/convolve.hpp"
#include "mesh/cuda.hpp"
#include "mesh/interpolate.hpp"
#include "mesh/spread.hpp"
#include "visits.hpp"

namespace {

namespace cuda = loremd::cuda;
template <class T>
using Values = std::vector<T>;

constexpr cuda::Stream none = nullptr;

// Numbers between -1 and 1 that follow no pattern.
template <class T>
Values<T> numbers(int64_t n, int seed) {
  Values<T> result(n);
  for (int64_t i = 0; i < n; ++i) {
    const double x = std::sin(12.9898 * (i + 1) + 78.233 * seed) * 43758.5453;
    result[i] = static_cast<T>(2 * (x - std::floor(x)) - 1);
  }
  return result;
}

// Some tens of roundings of the largest value, which the sums of a test add up to at most.
template <class A, class B>
bool close(const Values<A> &a, const Values<B> &b, double roundings = 100) {
  double largest = 1e-300, worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(b[i])));
    const double difference = std::abs(static_cast<double>(a[i]) - b[i]);
    worst = difference <= worst ? worst : difference;  // also where it is not a number
  }
  const bool single = sizeof(A) == 4 || sizeof(B) == 4;
  const double rounding = single ? std::numeric_limits<float>::epsilon() : 2.3e-16;
  return a.size() == b.size() && worst <= roundings * rounding * largest;
}

// ---- mesh ----

// The same atoms and window on both sides.
template <class T>
struct Meshes {
  static constexpr int64_t n = 40;
  Values<double> fractions = numbers<double>(3 * n, 1), directions = numbers<double>(3 * n, 2);
  Values<T> charges;
  loremd::WindowTable<T> table;
  loremd::MeshShape host, device;
  std::vector<loremd::Visit<T>> visits;
  Values<int64_t> sorted;
  Values<int32_t> sorted_bins, first, starts;
  Values<T> weights;
  cuda::Windows<T> windows;

  Meshes(int order, int64_t channels)
      : charges(numbers<T>(n * channels, 3)),
        table({order}),
        host(loremd::mesh_layout({11, 12, 10}, channels, order, sizeof(T))),
        device(cuda::mesh_shape<T>({11, 12, 10}, channels, order)),
        sorted(n),
        sorted_bins(n),
        first(3 * n),
        starts(11 * 12 * 10 + 1),
        weights(9 * order * n) {
    for (double &f : fractions) f *= 3;
    visits = visits_of<T>(fractions, host, order);
    Values<int32_t> bins(n);
    cuda::window_bins(fractions.data(), n, device, order, bins.data(), none);
    std::iota(sorted.begin(), sorted.end(), 0);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [&](int64_t i, int64_t j) { return bins[i] < bins[j]; });
    for (int64_t v = 0; v < n; ++v) sorted_bins[v] = bins[sorted[v]];
    cuda::bin_starts(sorted_bins.data(), n, starts.size() - 1, starts.data(), none);
    windows = {sorted.data(), n, order, 2, first.data(), weights.data()};
    cuda::set_windows(fractions.data(), device, table, windows, none);
  }

  loremd::MeshCall<T> call(bool along) const {
    return {visits.data(), along ? directions.data() : nullptr, n, host, &table};
  }
  // What has as many values for each visit, sorted by the atoms.
  Values<T> by_atom(const Values<T> &in_order) const {
    const size_t each = in_order.size() / n;
    Values<T> result(in_order.size());
    for (size_t v = 0; v < visits.size(); ++v) {
      std::copy_n(&in_order[v * each], each, &result[visits[v].atom * each]);
    }
    return result;
  }
  Values<T> compact(const Values<T> &mesh) const {
    Values<T> result;
    for (int64_t p = 0; p < 11 * 12 * 10; ++p) {
      for (int64_t c = 0; c < device.channels; ++c) result.push_back(mesh[p * device.stride + c]);
    }
    return result;
  }
};

template <class T>
void spread_and_interpolate_agree(int order, int64_t channels) {
  const Meshes<T> m(order, channels);
  const int64_t n = m.n, points = 11 * 12 * 10;
  for (const bool along : {false, true}) {
    const double *directions = along ? m.directions.data() : nullptr;
    Values<T> mesh(m.host.size()), reference(points * channels);
    loremd::spread(m.call(along), m.charges.data(), mesh.data());
    loremd::fold_halo(m.host, mesh.data());
    loremd::copy_points(m.host, mesh.data(), reference.data());
    Values<T> added(m.device.size()), collected(m.device.size());
    cuda::spread(m.windows, m.device, directions, m.charges.data(), added.data(), none);
    cuda::spread_in_order(m.windows, m.starts.data(), m.device, directions, m.charges.data(),
                          collected.data(), none);
    expect(close(m.compact(added), reference), "spread agrees");
    expect(close(m.compact(collected), reference), "spread in order agrees");

    Values<T> values(n * channels), expected(n * channels);
    loremd::pack_mesh(m.host, reference.data(), mesh.data());
    loremd::interpolate(m.call(along), mesh.data(), expected.data());
    cuda::interpolate(m.windows, m.device, directions, collected.data(), values.data(), none);
    expect(close(values, expected), "interpolate agrees");

    Values<double> gradient(3 * n), by_fractions(3 * n);
    loremd::interpolate_gradient(m.call(along), mesh.data(), m.charges.data(),
                                 static_cast<T *>(nullptr), by_fractions.data());
    if (along) {
      cuda::gradient_along_directions(m.windows, m.device, directions, collected.data(),
                                      m.charges.data(), gradient.data(), none);
    } else {
      Values<T> field(3 * n * channels), own_values(n * channels), own_field(3 * n * channels);
      loremd::interpolate_field(m.call(false), mesh.data(), values.data(), field.data());
      field = m.by_atom(field);
      cuda::interpolate_field(m.windows, m.device, collected.data(), own_values.data(),
                              own_field.data(), none);
      expect(close(own_values, values) && close(own_field, field), "interpolate_field agrees");
      cuda::add_field_gradient(n, static_cast<int>(channels), own_field.data(), m.charges.data(),
                               gradient.data(), none);
    }
    // the gradient is a sum of T on the CPU
    expect(close(Values<T>(gradient.begin(), gradient.end()), by_fractions), "gradients agree");
  }
}

void positions_that_are_not_finite_stay_in_bounds() {
  const Values<double> fractions{NAN, 0.5, INFINITY};
  const auto shape = cuda::mesh_shape<double>({8, 9, 10}, 1, 5);
  int32_t bin = -1, first[3];
  const int64_t sorted = 0;
  Values<double> weights(15), mesh(shape.size());
  cuda::window_bins(fractions.data(), 1, shape, 5, &bin, none);
  expect(bin >= 0 && bin < shape.size(), "a position that is not finite has a bin");
  const cuda::Windows<double> windows{&sorted, 1, 5, 0, first, weights.data()};
  cuda::set_windows(fractions.data(), shape, loremd::WindowTable<double>({5}), windows, none);
  const double charge = 1;
  cuda::spread(windows, shape, nullptr, &charge, mesh.data(), none);
  expect(std::isnan(std::accumulate(mesh.begin(), mesh.end(), 0.0)), "and its mesh is NaN");
}

void spectra_agree() {
  const std::array<int64_t, 3> points{4, 5, 6};
  const int64_t stored = 4 * 5 * 4;
  const auto half = numbers<double>(stored, 1);
  Values<double> full(4 * 5 * 6), a = numbers<double>(4 * stored, 2),
                                  b = numbers<double>(4 * stored, 3);
  loremd::expand_influence(points, 0.5, half.data(), full.data());
  Values<double> product = a;
  cuda::multiply_spectrum(points, 2, 0.5, half.data(), product.data(), none);
  bool same = true;
  for (int64_t i = 0; i < 4 * stored; ++i) {
    const int64_t k = i / 2 % stored, z = k % 4, row = k / 4;
    same &= std::abs(product[i] - full[row * 6 + z] * a[i]) < 1e-15;
  }
  expect(same, "multiply_spectrum agrees with expand_influence");
  Values<double> own(stored), reference(stored);
  for (int c = 0; c < 2; ++c) {
    const auto channel = [&](const Values<double> &v) {
      return reinterpret_cast<const std::complex<double> *>(v.data()) + c * stored;
    };
    loremd::correlate_half_spectra(points, 0.3, channel(a), channel(b), reference.data());
  }
  cuda::correlate_half_spectra(points, 2, 0.3, a.data(), b.data(), own.data(), none);
  expect(close(own, reference), "correlate_half_spectra agrees");
}

// All splittings and boundaries, a skewed cell, the half spectrum and a share.
void influence_agrees() {
  const Values<double> metric{0.011, 0.002, -0.001, 0.002, 0.009, 0.001, -0.001, 0.001, 0.012};
  const Values<double> direction = numbers<double>(9, 4), shape{1.0, -0.6, 0.1};
  for (int kind = 0; kind < 5; ++kind) {
    loremd::InfluenceCall call{metric.data(), nullptr, {12, 10, 14}, 4, {}, {}};
    call.smooth.range = 1.0;
    if (kind == 1) call.smooth.exponent = 4;
    if (kind == 2) call.smooth = {1, 5.0, {shape.data(), 3}, false};
    if (kind == 3) call.smooth.periodic = 0, call.smooth.reach = 3;
    if (kind == 4) call.smooth.periodic = 2, call.smooth.reach = 5, call.window = {shape.data(), 3};
    if (kind == 1) call.share = loremd::Box{{2, 3, 1}, {9, 8, 14}};
    for (const double *along : {static_cast<const double *>(nullptr), direction.data()}) {
      call.direction = along;
      const int64_t k = call.frequencies().points();
      const auto weights = numbers<double>(k, 5);
      Values<double> own(k), reference(k), by_metric(9), expected(9);
      Values<double> workspace(cuda::influence_workspace(call));
      loremd::influence_sum(call, reference.data());
      cuda::influence_sum(call, workspace.data(), own.data(), none);
      // the derivative of a compact spectrum's series loses a digit
      expect(close(own, reference, 1000), "influence_sum agrees");
      loremd::influence_sum_gradient(call, weights.data(), expected.data());
      cuda::influence_sum_gradient(call, weights.data(), workspace.data(), by_metric.data(), none);
      expect(close(by_metric, expected, 1000), "influence_sum_gradient agrees");
    }
  }
}

// ---- edges ----

// Pairs of atoms in a skewed cell, in no order, some centres beyond those that count.
struct Pairs {
  static constexpr int64_t n = 9, n_centres = 7;
  Values<double> positions = numbers<double>(3 * n, 7), cell{6, 0.3, 0, -1, 5, 0.4, 0.2, 1, 7};
  Values<int64_t> list, shifts, species, counts = Values<int64_t>(n_centres + 1), order;
  int32_t unsorted = 0;
  Values<int64_t> first;

  explicit Pairs(bool sorted) {
    for (double &x : positions) x *= 2.5;
    Values<int64_t> centres, neighbours;
    for (int64_t k = 0; k < 3 * n * n; ++k) {
      const int64_t p = sorted ? k : k * 50 % (3 * n * n), i = p / (3 * n), j = p / 3 % n;
      if (i == j && p % 3 == 1) continue;
      centres.push_back(i), neighbours.push_back(j);
      for (int64_t a = 0; a < 3; ++a) shifts.push_back(a == i % 3 ? p % 3 - 1 : 0);
    }
    list = centres;
    list.insert(list.end(), neighbours.begin(), neighbours.end());
    for (int64_t i = 0; i < n; ++i) species.push_back(i % 2);
    order.resize(size());
    cuda::count_pairs(list.data(), size(), n_centres, counts.data() + 1, &unsorted, none);
    std::partial_sum(counts.begin(), counts.end(), counts.begin());
    first = counts;
    Values<int64_t> next = first;
    cuda::order_pairs(list.data(), size(), n_centres, rows(), next.data(), order.data(), none);
  }
  int64_t size() const { return static_cast<int64_t>(list.size() / 2); }
  cuda::PairRows rows() const { return {first.data(), order.data(), &unsorted}; }
  loremd::Shifts images() const { return {nullptr, shifts.data()}; }
  loremd::PairList pairs() const {
    return {list.data(), list.data() + size(), size(), n_centres, n};
  }
};

void rows_are_complete_and_in_order() {
  for (const bool sorted : {false, true}) {
    const Pairs pairs(sorted);
    const auto reference =
        loremd::rows_of_centres(pairs.list.data(), pairs.size(), pairs.n_centres, pairs.n);
    bool same = pairs.first == reference.first && (pairs.unsorted == 0) == sorted;
    for (int64_t k = 0; k < pairs.first.back(); ++k) {
      same &= pairs.rows().pair(k) == (reference.order.empty() ? k : reference.order[k]);
    }
    expect(same, "pairs by centre agree");
  }
}

template <class T>
void pair_sums_agree() {
  const Pairs pairs(false);
  const int64_t channels = 3;
  const auto weights = numbers<T>(pairs.size(), 1), charges = numbers<T>(pairs.n * channels, 2);
  loremd::PairList list = pairs.pairs();
  Values<int64_t> centres(list.centres, list.centres + list.pairs);
  list.n_centres = pairs.n;
  Values<T> own(pairs.n_centres * channels), reference(pairs.n * channels);
  loremd::pair_sum(list, weights.data(), charges.data(), channels, reference.data());
  reference.resize(own.size());
  cuda::pair_sum(pairs.pairs(), pairs.rows(), weights.data(), charges.data(), channels, own.data(),
                 none);
  expect(close(own, reference), "pair_sum agrees");
  Values<T> products(pairs.size()), expected(pairs.size());
  loremd::pair_dot(list, charges.data(), charges.data(), channels, expected.data());
  cuda::pair_dot(list, charges.data(), charges.data(), channels, products.data(), none);
  expect(close(products, expected), "pair_dot agrees");
}

template <class T>
void pair_potentials_agree() {
  const Values<double> shape{1.0, -0.7, 0.15};
  const Pairs pairs(false);
  const int channels = 3;
  const auto charges = numbers<T>(pairs.n * channels, 1);
  const auto weights = numbers<T>(pairs.n_centres * channels, 2);
  const loremd::PairGeometry geometry{pairs.positions.data(), pairs.cell.data(), pairs.images(),
                                      pairs.pairs(), 4.0};
  for (const loremd::SharpPart &part :
       {loremd::SharpPart{1, 0.9, {}}, loremd::SharpPart{6, 1.1, {}},
        loremd::SharpPart{1, 3.9, {shape.data(), 3}}}) {
    Values<T> own(pairs.n_centres * channels), reference = own;
    loremd::pair_potential(geometry, part, channels, charges.data(), reference.data());
    cuda::pair_potential(geometry, pairs.rows(), part, channels, charges.data(), own.data(), none);
    expect(close(own, reference), "pair_potential agrees");
    Values<double> by_positions(3 * pairs.n), by_cell(9), expected_positions(3 * pairs.n),
        expected_cell(9), workspace(cuda::cell_workspace(pairs.n_centres));
    Values<T> by_charges(pairs.n * channels), expected_charges(pairs.n * channels);
    loremd::pair_potential_gradient(geometry, part, channels, charges.data(), weights.data(),
                                    expected_positions.data(), expected_charges.data(),
                                    expected_cell.data());
    cuda::pair_potential_gradient(geometry, pairs.rows(), part, channels, charges.data(),
                                  weights.data(), workspace.data(), by_positions.data(),
                                  by_charges.data(), by_cell.data(), {}, none);
    expect(close(by_charges, expected_charges), "gradient by charges agrees");
    // products of charges are sums of T on the CPU
    expect(close(Values<T>(by_positions.begin(), by_positions.end()), expected_positions) &&
               close(Values<T>(by_cell.begin(), by_cell.end()), expected_cell),
           "gradient by positions and cell agrees");
  }
}

void sharp_parts_agree() {
  Values<double> x;
  for (int i = 0; i < 200; ++i) x.push_back(0.05 + 0.1 * i);
  const Values<double> shape{1.0, -0.7, 0.15};
  for (int derivative = 0; derivative <= loremd::largest_screening_derivative; ++derivative) {
    for (double a : {0.5, 1.0, 1.3}) {
      Values<double> own(x.size()), reference(x.size());
      loremd::gamma_tail(x.size(), x.data(), {a, 0.4}, derivative, reference.data());
      cuda::gamma_tail(x.size(), x.data(), {a, 0.4}, derivative, own.data(), none);
      expect(close(own, reference), "gamma_tail agrees");
    }
    const loremd::CompactSharp sharp(3.5, {shape.data(), 3}, derivative);
    Values<double> own(x.size()), reference(x.size());
    sharp.evaluate(x.size(), x.data(), reference.data());
    cuda::compact_sharp(x.size(), x.data(), sharp, own.data(), none);
    expect(close(own, reference), "compact_sharp agrees");
  }
  expect(throws([&] { cuda::gamma_tail(1, x.data(), {0.5, 0.4}, 4, x.data(), none); }),
         "a derivative that is too high throws");
}

struct DensityTest {
  Pairs pairs{false};
  loremd::DensityShape shape{2, 7, 3, 5, 4.0, false};
  loremd::PairRows rows =
      loremd::rows_of_centres(pairs.list.data(), pairs.size(), pairs.n_centres, pairs.n);
  loremd::DensityGeometry geometry{pairs.positions.data(),
                                   pairs.cell.data(),
                                   pairs.species.data(),
                                   pairs.list.data() + pairs.size(),
                                   pairs.images(),
                                   &rows,
                                   pairs.n};
  int64_t radial = pairs.n_centres * shape.radial_size();
  int64_t spherical = pairs.n_centres * shape.spherical_size();
};

// Gradients of both sides as arrays; the coefficients of the device are doubles.
template <class T, class Coefficient>
struct Gradients {
  Values<double> positions, cell, shifts;
  Values<Coefficient> coefficients;
  explicit Gradients(const DensityTest &t)
      : positions(3 * t.pairs.n),
        cell(9),
        shifts(3 * t.pairs.size()),
        coefficients(t.shape.coefficients_size()) {}
};

template <class T>
void expect_same(const Gradients<T, double> &own, const Gradients<T, T> &reference,
                 const char *what) {
  const auto rounded = [](const Values<double> &v) { return Values<T>(v.begin(), v.end()); };
  expect(close(rounded(own.positions), reference.positions) &&
             close(rounded(own.cell), reference.cell) &&
             close(rounded(own.shifts), reference.shifts) &&
             close(rounded(own.coefficients), reference.coefficients),
         what);
}

template <class T>
void densities_agree(bool smooth) {
  DensityTest t;
  t.shape.smooth = smooth;
  const auto coefficients = numbers<T>(t.shape.coefficients_size(), 1);
  const auto by_radial = numbers<T>(t.radial, 2), by_spherical = numbers<T>(t.spherical, 3);
  const int64_t centres = t.pairs.n_centres;
  Values<T> radial(t.radial), spherical(t.spherical), own_radial(t.radial),
      own_spherical(t.spherical);
  loremd::neighbor_density(t.shape, t.geometry, coefficients.data(), 0, centres, radial.data(),
                           spherical.data());
  cuda::neighbor_density(t.shape, t.geometry, t.pairs.rows(), centres, coefficients.data(),
                         own_radial.data(), own_spherical.data(), none);
  expect(close(own_radial, radial) && close(own_spherical, spherical), "neighbor_density agrees");

  Values<double> workspace(cuda::density_workspace(t.shape, centres, true));
  Gradients<T, double> own(t), own_along(t);
  Gradients<T, T> reference(t), along(t);
  const auto host = [](Gradients<T, T> &g) {
    return loremd::DensityGradient<T>{g.positions.data(), g.cell.data(), g.shifts.data(),
                                      g.coefficients.data()};
  };
  const auto device = [](Gradients<T, double> &g) {
    return cuda::DensityGradient{g.positions.data(), g.cell.data(), g.shifts.data(),
                                 g.coefficients.data()};
  };
  loremd::neighbor_density_gradient(t.shape, t.geometry, coefficients.data(), by_radial.data(),
                                    by_spherical.data(), 0, centres, host(reference));
  cuda::neighbor_density_gradient(t.shape, t.geometry, t.pairs.rows(), centres, coefficients.data(),
                                  by_radial.data(), by_spherical.data(), workspace.data(),
                                  device(own), none);
  expect_same(own, reference, "neighbor_density_gradient agrees");

  const auto v_positions = numbers<double>(3 * t.pairs.n, 4), v_cell = numbers<double>(9, 5);
  const auto v_shifts = numbers<double>(3 * t.pairs.size(), 6);
  const auto v_coefficients = numbers<T>(t.shape.coefficients_size(), 7);
  const loremd::DensityDirection<T> direction{v_positions.data(), v_cell.data(), v_shifts.data(),
                                              v_coefficients.data()};
  std::fill(radial.begin(), radial.end(), T(0)), own_radial = radial;
  std::fill(spherical.begin(), spherical.end(), T(0)), own_spherical = spherical;
  loremd::neighbor_density_along(t.shape, t.geometry, coefficients.data(), direction,
                                 by_radial.data(), by_spherical.data(), 0, centres, radial.data(),
                                 spherical.data(), host(along));
  cuda::neighbor_density_along(t.shape, t.geometry, t.pairs.rows(), centres, coefficients.data(),
                               direction, by_radial.data(), by_spherical.data(), own_radial.data(),
                               own_spherical.data(), workspace.data(), device(own_along), none);
  expect(close(own_radial, radial) && close(own_spherical, spherical),
         "neighbor_density_along agrees");
  expect_same(own_along, along, "its gradients agree");
}

void tabulated_densities_agree() {
  DensityTest t;
  const int functions = 16 + 32, intervals = 20;
  const auto values = numbers<float>(int64_t(4) * intervals * 4 * functions, 1);
  const loremd::RadialTable table{values.data(), intervals, functions};
  const auto by_radial = numbers<float>(t.radial, 2), by_spherical = numbers<float>(t.spherical, 3);
  const int64_t centres = t.pairs.n_centres;
  Values<float> radial(t.radial), spherical(t.spherical), own_radial(t.radial),
      own_spherical(t.spherical);
  loremd::neighbor_density_tabulated(t.shape, t.geometry, table, 0, centres, radial.data(),
                                     spherical.data());
  cuda::neighbor_density_tabulated(t.shape, t.geometry, t.pairs.rows(), centres, table,
                                   own_radial.data(), own_spherical.data(), none);
  expect(close(own_radial, radial) && close(own_spherical, spherical),
         "neighbor_density_tabulated agrees");
  Gradients<float, double> own(t);
  Gradients<float, float> reference(t);
  Values<double> workspace(cuda::density_workspace(t.shape, centres, false));
  loremd::neighbor_density_tabulated_gradient(
      t.shape, t.geometry, table, by_radial.data(), by_spherical.data(), 0, centres,
      {reference.positions.data(), reference.cell.data(), reference.shifts.data(), nullptr});
  cuda::neighbor_density_tabulated_gradient(
      t.shape, t.geometry, t.pairs.rows(), centres, table, by_radial.data(), by_spherical.data(),
      workspace.data(), {own.positions.data(), own.cell.data(), own.shifts.data(), nullptr}, none);
  expect_same(own, reference, "neighbor_density_tabulated_gradient agrees");
}

// ---- features ----

template <class T>
loremd::SphericalFeatures<T> features_of(Values<std::remove_const_t<T>> &values, int degree,
                                         int features) {
  return {values.data(), (degree + 1) * (degree + 1) * int64_t{features}, features};
}

template <class T>
void products_agree(int degree, int features) {
  const loremd::ProductShape shape{degree, degree - 1, degree, features};
  const int64_t atoms = 21;
  const auto size = [&](int l) { return atoms * (l + 1) * (l + 1) * features; };
  auto a = numbers<T>(size(degree), 1), b = numbers<T>(size(degree - 1), 2),
       grad = numbers<T>(size(degree), 3);
  const int64_t weights = int64_t(1) * (degree + 1) * degree * (degree + 1) * features;
  const auto weight = numbers<T>(weights, 4);
  const auto terms = loremd::coupling_terms<T>(degree, degree - 1, degree);
  const cuda::DeviceCoupling<T> coupling{terms.by_pair.data(),       terms.by_path.data(),
                                         terms.first_of_pair.data(), terms.first_of_path.data(),
                                         terms.weights.data(),       terms.paths()};
  const auto first = features_of<const T>(a, degree, features);
  const auto second = features_of<const T>(b, degree - 1, features);
  const auto third = features_of<const T>(grad, degree, features);
  Values<T> own(size(degree)), reference(size(degree));
  loremd::tensor_product<T>(shape, atoms, first, second, weight.data(),
                            features_of<T>(reference, degree, features));
  cuda::tensor_product<T>(shape, atoms, first, second, weight.data(), coupling,
                          features_of<T>(own, degree, features), none);
  expect(close(own, reference), "tensor_product agrees");
  Values<double> by_weight(weights), expected(weights),
      workspace(cuda::sum_size(atoms, int64_t(1) * terms.paths() * features));
  loremd::tensor_product_weights<T>(shape, atoms, first, second, third, expected.data());
  cuda::tensor_product_weights<T>(shape, atoms, first, second, third, coupling, workspace.data(),
                                  by_weight.data(), none);
  expect(close(Values<T>(by_weight.begin(), by_weight.end()), expected),
         "tensor_product_weights agrees");
}

template <class T>
void dense_layers_agree() {
  const loremd::DenseShape shape{3, 6, 5};
  const int64_t atoms = 300;  // more than there are ranges
  auto t = numbers<T>(atoms * 16 * 6, 1), grad = numbers<T>(atoms * 16 * 5, 2);
  const auto weight = numbers<T>(4 * 6 * 5, 3);
  const auto from = features_of<const T>(t, 3, 6), with = features_of<const T>(grad, 3, 5);
  Values<T> own(atoms * 16 * 5), reference(atoms * 16 * 5);
  loremd::equivariant_dense<T>(shape, atoms, from, weight.data(), features_of<T>(reference, 3, 5));
  cuda::equivariant_dense<T>(shape, atoms, from, weight.data(), features_of<T>(own, 3, 5), none);
  expect(close(own, reference), "equivariant_dense agrees");
  Values<double> by_weight(120), expected(120), workspace(cuda::sum_size(atoms, 120));
  loremd::equivariant_dense_weights<T>(shape, atoms, from, with, expected.data());
  cuda::equivariant_dense_weights<T>(shape, atoms, from, with, workspace.data(), by_weight.data(),
                                     none);
  expect(close(Values<T>(by_weight.begin(), by_weight.end()), expected),
         "equivariant_dense_weights agrees");
}

template <class T>
void norms_agree(double epsilon) {
  const loremd::NormShape shape{2, 11, epsilon};
  const int64_t atoms = 4;
  auto t = numbers<T>(atoms * 9 * 11, 1), direction = numbers<T>(atoms * 9 * 11, 2);
  std::fill_n(t.begin(), 9 * 11, T(0));  // the kink
  const auto grad = numbers<T>(atoms * 3 * 11, 3);
  const auto from = features_of<const T>(t, 2, 11), along = features_of<const T>(direction, 2, 11);
  Values<T> own(grad.size()), reference(grad.size()), by_t(t.size()), expected(t.size());
  loremd::norm_features<T>(shape, atoms, from, reference.data());
  cuda::norm_features<T>(shape, atoms, from, own.data(), none);
  expect(close(own, reference), "norm_features agrees");
  loremd::norm_features_gradient<T>(shape, atoms, from, grad.data(),
                                    features_of<T>(expected, 2, 11));
  cuda::norm_features_gradient<T>(shape, atoms, from, grad.data(), features_of<T>(by_t, 2, 11),
                                  none);
  expect(close(by_t, expected), "norm_features_gradient agrees");
  loremd::norm_features_curvature<T>(shape, atoms, from, grad.data(), along,
                                     features_of<T>(expected, 2, 11), reference.data());
  cuda::norm_features_curvature<T>(shape, atoms, from, grad.data(), along,
                                   features_of<T>(by_t, 2, 11), own.data(), none);
  expect(close(by_t, expected) && close(own, reference), "norm_features_curvature agrees");
}

template <class T>
void all() {
  for (int order = 3; order <= 10; ++order)
    spread_and_interpolate_agree<T>(order, 1 + order % 3 * 5);
  spread_and_interpolate_agree<T>(4, 1);
  spread_and_interpolate_agree<T>(6, 10);
  pair_sums_agree<T>();
  pair_potentials_agree<T>();
  densities_agree<T>(false);
  densities_agree<T>(true);
  products_agree<T>(3, 4);
  products_agree<T>(6, 8);
  products_agree<T>(2, 300);  // more features than a team has lanes
  dense_layers_agree<T>();
  norms_agree<T>(0);
  norms_agree<T>(1e-3);
}

}  // namespace

int main() {
  all<float>();
  all<double>();
  positions_that_are_not_finite_stay_in_bounds();
  spectra_agree();
  influence_agrees();
  rows_are_complete_and_in_order();
  sharp_parts_agree();
  tabulated_densities_agree();
  if (failures == 0) std::printf("CUDA tests on the host passed\n");
  return failures == 0 ? 0 : 1;
}
