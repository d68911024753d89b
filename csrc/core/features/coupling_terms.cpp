// SPDX-License-Identifier: BSD-3-Clause
#include "features/coupling_terms.hpp"

#include <algorithm>

namespace loremd {
namespace {

// Row of coupling.hpp -> pair; its third row is the sine with the other sign.
template <class T>
T sign_of(int sine_row) {
  return sine_row % argument_rows == 2 ? T(-1) : T(1);
}

// Sorts by number(term), and says where each number begins.
template <class T, class Number>
std::vector<int32_t> sort_by(std::vector<CouplingTerm<T>> &terms, int numbers, Number &&number) {
  std::stable_sort(terms.begin(), terms.end(),
                   [&](const auto &x, const auto &y) { return number(x) < number(y); });
  std::vector<int32_t> first(numbers + 1, 0);
  for (const auto &term : terms) ++first[number(term) + 1];
  for (int k = 0; k < numbers; ++k) first[k + 1] += first[k];
  return first;
}

}  // namespace

template <class T>
CouplingTerms<T> coupling_terms(int degree_a, int degree_b, int degree_out) {
  const Coupling<T> &table = coupling<T>(degree_a, degree_b, degree_out);
  CouplingTerms<T> result;
  const PairProduct *product = table.products.data();
  const T *coefficient = table.coefficients.data();
  const int first_b = pairs_up_to(degree_a);
  for (const CouplingGroup &group : table.groups) {
    for (int i = 0; i < group.products; ++i, ++product) {
      for (int k = 0; k < group.degrees; ++k) {
        result.by_pair.push_back({*coefficient++, sign_of<T>(product->s1), sign_of<T>(product->s2),
                                  static_cast<uint16_t>(product->c1 / argument_rows),
                                  static_cast<uint16_t>(product->c2 / argument_rows - first_b),
                                  static_cast<uint16_t>(pair_number(group.l3 + 2 * k, group.m3)),
                                  static_cast<uint16_t>(group.path + k)});
      }
    }
  }
  result.by_path = result.by_pair;
  result.first_of_pair =
      sort_by(result.by_pair, pairs_up_to(degree_out), [](const auto &term) { return term.out; });
  result.first_of_path = sort_by(result.by_path, static_cast<int>(table.paths.size()),
                                 [](const auto &term) { return term.path; });
  for (const CouplingPath &path : table.paths) {
    result.weights.push_back((path.l1 * (degree_b + 1) + path.l2) * (degree_out + 1) + path.l3);
  }
  return result;
}

template CouplingTerms<float> coupling_terms(int, int, int);
template CouplingTerms<double> coupling_terms(int, int, int);

}  // namespace loremd
