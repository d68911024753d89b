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
    const loremd::MeshCall call{fractions.data(), nullptr, 2, {{8, 9, 10}, 2}, order};
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

void bad_input_throws() {
  const std::vector<double> fractions{0.1, 0.2, 0.3}, charges{1};
  std::vector<double> mesh(8 * 8 * 8);
  loremd::MeshCall call{fractions.data(), nullptr, 1, {{8, 8, 8}, 1}, 9};
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
  bad_input_throws();
  plan_reaches_its_target();
  std::printf("%s\n", failures ? "core tests failed" : "core tests passed");
  return failures;
}
