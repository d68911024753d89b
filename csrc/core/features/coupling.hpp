// SPDX-License-Identifier: BSD-3-Clause
//
// The coupling of two spherical arrays as a list of steps, made once for each set of degrees.
//
// Cosine and sine of the same degree l and order m make a pair, z = c + i s. The two products
// z1 z2 and conj(z1) z2 contribute to the pairs of orders m1 + m2 and |m1 - m2|, each with one real
// coefficient per degree: half as many as there are coefficients of single components.
#pragma once

#include <cstdint>
#include <vector>

namespace loremd {

// Number of the pair (l, m) among all, 0 <= m <= l.
constexpr int pair_number(int l, int m) {
  return l * (l + 1) / 2 + m;
}
constexpr int pairs_up_to(int degree) {
  return pair_number(degree + 1, 0);
}

// The component of the cosine of (l, m); the sine, for m > 0, is the next one.
constexpr int pair_component(int l, int m) {
  return l * l + 2 * (l - m);
}

// The arguments are worked on as rows of lanes, those of b behind those of a. Each pair has three:
// c, s, -s, so that a conjugate pair is rows c and -s. The sines of m = 0 are zero.
constexpr int argument_rows = 3;
struct PairProduct {
  uint16_t c1, s1, c2, s2;
};

// Products that contribute to the pairs (l3 + 2 k, m3), k < degrees, of one (l1, l2).
struct CouplingGroup {
  int axial;     // the first products: s1 is zero
  int products;  // the others
  int degrees;   // 1 to most_degrees
  int l3, m3;
  int path;  // of l3 + 2 k: path + k
};

struct CouplingPath {
  int l1, l2, l3;
};

template <class T>
struct Coupling {
  static constexpr int most_degrees = 4;  // their sums have to stay in registers
  int degree_a, degree_b, degree_out;
  std::vector<CouplingPath> paths;
  std::vector<CouplingGroup> groups;
  std::vector<PairProduct> products;  // of all groups
  std::vector<T> coefficients;        // (products of a group, degrees), of all groups
};

// Made at the first call, then kept. Thread-safe.
template <class T>
const Coupling<T> &coupling(int degree_a, int degree_b, int degree_out);

}  // namespace loremd
