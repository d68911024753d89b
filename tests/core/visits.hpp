// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include "mesh/visiting_order.hpp"

// All atoms in the order of the visit.
template <class T>
std::vector<loremd::Visit<T>> visits_of(const std::vector<double> &fractions,
                                        const loremd::MeshShape &shape, int order) {
  const auto n = static_cast<int64_t>(fractions.size()) / 3;
  std::vector<int32_t> atoms(n);
  loremd::visiting_order(fractions.data(), n, shape, order, atoms.data());
  std::vector<loremd::Visit<T>> visits(n);
  loremd::set_visits(fractions.data(), atoms.data(), n, shape, order, visits.data());
  return visits;
}
