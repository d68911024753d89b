// SPDX-License-Identifier: BSD-3-Clause
//
// The core by itself: what it promises, without torch and without Python.
#include <cmath>
#include <cstdio>
#include <vector>

#include "dispatch.hpp"
#include "edges/pair_sum.hpp"
#include "mesh/interpolate.hpp"
#include "mesh/spread.hpp"
#include "tuning/mesh_plan.hpp"

namespace {

int failures = 0;

void expect(bool condition, const char *what) {
  if (condition) return;
  std::printf("FAILED: %s\n", what);
  ++failures;
}

template <class Body>
bool throws(Body &&body) {
  try {
    body();
  } catch (const loremd::Error &) {
    return true;
  }
  return false;
}

void spread_conserves_charge_and_is_adjoint() {
  const std::vector<double> fractions{0.1, 0.2, 0.3, -3.7, 0.999, 12.5};
  const std::vector<double> charges{1, -2, 0.5, 3};  // two channels
  for (int order = loremd::smallest_order; order <= loremd::largest_order; ++order) {
    const loremd::MeshShape shape{{8, 9, 10}, 2};
    const auto visit = loremd::visiting_order(fractions.data(), 2, shape);
    const loremd::MeshCall call{fractions.data(), nullptr, visit.atoms.data(), 2, shape, order};
    std::vector<double> mesh(call.shape.size());
    loremd::spread(call, charges.data(), mesh.data());
    double sums[2] = {0, 0}, product = 0, expected = 0;
    std::vector<double> other(mesh.size()), values(4);
    for (size_t i = 0; i < mesh.size(); ++i) {
      other[i] = std::sin(double(i));
      sums[i % 2] += mesh[i];
      product += mesh[i] * other[i];
    }
    loremd::interpolate(call, other.data(), values.data());
    for (int i = 0; i < 4; ++i) expected += values[i] * charges[i];
    expect(std::abs(sums[0] - 1.5) + std::abs(sums[1] - 1) < 1e-13, "charge is conserved");
    expect(std::abs(product - expected) < 1e-12, "interpolate is the transpose of spread");
  }
}

void every_atom_is_visited_once_in_its_slab() {
  std::vector<double> fractions;
  for (int i = 0; i < 3000; ++i) fractions.push_back(7 * std::sin(double(i)));
  for (int64_t nx : {7, 17, 31, 70, 71}) {
    const auto visit = loremd::visiting_order(fractions.data(), 1000, {{nx, 71, 272}, 10});
    std::vector<int> visits(1000);
    for (int32_t i : visit.atoms) ++visits[i];
    expect(visits == std::vector<int>(1000, 1), "every atom is visited once");
    expect(visit.slabs() == 1 || visit.slabs() % 2 == 0, "the number of slabs is even or one");
    expect(visit.slab_starts.front() == 0 && visit.slab_starts.back() == 1000, "slabs hold all");
    double end_of_last = 0;
    for (int64_t s = 0; s < visit.slabs(); ++s) {
      double lowest = nx, highest = 0;
      for (int64_t k = visit.slab_starts[s]; k < visit.slab_starts[s + 1]; ++k) {
        const double x = fractions[3 * visit.atoms[k]];
        lowest = std::min(lowest, (x - std::floor(x)) * nx);
        highest = std::max(highest, (x - std::floor(x)) * nx);
      }
      expect(lowest >= end_of_last, "slabs follow each other");
      end_of_last = highest;
    }
  }
}

void bad_input_throws() {
  const std::vector<double> fractions{0.1, 0.2, 0.3}, charges{1};
  std::vector<double> mesh(8 * 8 * 8);
  const int32_t first = 0;
  const loremd::MeshCall call{fractions.data(), nullptr, &first, 1, {{8, 8, 8}, 1}, 9};
  const std::vector<double> nan{0.1, std::nan(""), 0.3};
  expect(throws([&] { loremd::visiting_order(nan.data(), 1, call.shape); }), "NaN throws");
  expect(throws([&] { loremd::spread(call, charges.data(), mesh.data()); }), "order 9 throws");
  const int64_t centre = 3, neighbour = 0;
  double sum = 0;
  expect(throws([&] {
           loremd::pair_sum({&centre, &neighbour, 1, 1, 1}, charges.data(), charges.data(), 1,
                            &sum);
         }),
         "an index out of range throws");
  expect(throws([&] { loremd::plan_mesh({{}, 10, 1, 5.0, 1e-4, 0, {0, 0, 0}, 0}); }),
         "a cell without volume throws");
}

void plan_reaches_its_target() {
  const loremd::Matrix3 cell{{{20, 0, 0}, {5, 18, 0}, {-3, 2, 22}}};
  for (double accuracy : {1e-3, 1e-5, 1e-7}) {
    const auto plan = loremd::plan_mesh({cell, 800, 10, 5.0, accuracy, 0, {0, 0, 0}, 0});
    expect(plan.mesh_error <= accuracy && plan.real_space_error <= accuracy,
           "estimates are within the accuracy");
    expect(plan.points[0] >= plan.order, "the mesh is fine enough for the order");
  }
}

}  // namespace

int main() {
  spread_conserves_charge_and_is_adjoint();
  every_atom_is_visited_once_in_its_slab();
  bad_input_throws();
  plan_reaches_its_target();
  std::printf("%s\n", failures ? "core tests failed" : "core tests passed");
  return failures;
}
