// SPDX-License-Identifier: BSD-3-Clause
#include "features/coupling.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>

#include "error.hpp"
#include "math/clebsch_gordan.hpp"

namespace loremd {
namespace {

template <class T>
class CouplingBuilder {
 public:
  CouplingBuilder(int degree_a, int degree_b, int degree_out)
      : result_{degree_a, degree_b, degree_out, {}, {}, {}, {}} {
    for (int l1 = 0; l1 <= degree_a; ++l1) {
      for (int l2 = 0; l2 <= degree_b; ++l2) add_degrees(l1, l2);
    }
  }

  // Groups of the same lengths follow one another, so that the processor foresees the ends of
  // loops.
  Coupling<T> result() && {
    std::stable_sort(steps_.begin(), steps_.end(),
                     [](const Step &a, const Step &b) { return a.lengths() < b.lengths(); });
    for (const Step &step : steps_) {
      result_.groups.push_back(step.group);
      for (const PairProduct &product : step.products) result_.products.push_back(product);
      for (const T coefficient : step.coefficients) result_.coefficients.push_back(coefficient);
    }
    return std::move(result_);
  }

 private:
  struct Step {
    CouplingGroup group;
    std::vector<PairProduct> products;
    std::vector<T> coefficients;
    std::tuple<int, int, int> lengths() const {
      return {group.degrees, group.axial, group.products};
    }
  };

  void add_degrees(int l1, int l2) {
    const int path = static_cast<int>(result_.paths.size()), lowest = std::abs(l1 - l2);
    int highest = lowest - 2;
    for (int l3 = lowest; l3 <= std::min(l1 + l2, result_.degree_out); l3 += 2) {
      result_.paths.push_back({l1, l2, l3});
      highest = l3;
    }
    for (int m3 = 0; m3 <= highest; ++m3) {
      int l3 = lowest;
      while (l3 < m3) l3 += 2;
      for (; l3 <= highest; l3 += 2 * Coupling<T>::most_degrees) {
        const int degrees = std::min(Coupling<T>::most_degrees, (highest - l3) / 2 + 1);
        steps_.push_back({{0, 0, degrees, l3, m3, path + (l3 - lowest) / 2}, {}, {}});
        add_products(l1, l2, m3, steps_.back());
      }
    }
  }

  void add_products(int l1, int l2, int m3, Step &step) {
    const auto add = [&](int m1, int m2, bool conjugate_a, bool conjugate_b) {
      step.products.push_back(product(l1, m1, conjugate_a, l2, m2, conjugate_b));
      ++(m1 == 0 || m2 == 0 ? step.group.axial : step.group.products);
      for (int k = 0; k < step.group.degrees; ++k) {
        const int l3 = step.group.l3 + 2 * k;
        const double scale = std::sqrt(2.0 * l3 + 1);
        step.coefficients.push_back(
            static_cast<T>(scale * cosine_coupling(l1, m1, l2, m2, l3, m3)));
      }
    };
    if (m3 <= l2) add(0, m3, false, false);
    if (0 < m3 && m3 <= l1) add(m3, 0, false, false);
    for (int m1 = 1; m1 <= l1; ++m1) {
      const int rest = m3 - m1, below = m1 - m3, above = m1 + m3;
      if (0 < rest && rest <= l2) add(m1, rest, false, false);
      if (0 < below && below <= l2) add(m1, below, false, true);
      if (0 < m3 && above <= l2) add(m1, above, true, false);
    }
  }

  PairProduct product(int l1, int m1, bool conjugate_a, int l2, int m2, bool conjugate_b) const {
    const int a = argument_rows * pair_number(l1, m1);
    const int b = argument_rows * (pairs_up_to(result_.degree_a) + pair_number(l2, m2));
    const auto row = [](int number) { return static_cast<uint16_t>(number); };
    const uint16_t c1 = row(a), s1 = row(a + 1 + conjugate_a);
    const uint16_t c2 = row(b), s2 = row(b + 1 + conjugate_b);
    if (m2 == 0) return {c2, s2, c1, s1};
    return {c1, s1, c2, s2};
  }

  Coupling<T> result_;
  std::vector<Step> steps_;
};

}  // namespace

template <class T>
const Coupling<T> &coupling(int degree_a, int degree_b, int degree_out) {
  static std::mutex mutex;
  static std::map<std::tuple<int, int, int>, std::unique_ptr<const Coupling<T>>> made;
  const int highest = std::max({degree_a, degree_b, degree_out});
  check(std::min({degree_a, degree_b, degree_out}) >= 0 && highest <= 40, "degrees are ", degree_a,
        ", ", degree_b, ", ", degree_out, "; allowed: 0 to 40");
  const std::lock_guard<std::mutex> lock(mutex);
  auto &entry = made[{degree_a, degree_b, degree_out}];
  if (!entry) {
    entry = std::make_unique<const Coupling<T>>(
        CouplingBuilder<T>(degree_a, degree_b, degree_out).result());
  }
  return *entry;
}

template const Coupling<float> &coupling(int, int, int);
template const Coupling<double> &coupling(int, int, int);

}  // namespace loremd
