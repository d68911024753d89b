// SPDX-License-Identifier: BSD-3-Clause
//
// The coupling of coupling.hpp as a list of terms for threads that each have one result: every term
// is one product of pairs with one degree of the result.
#pragma once

#include <cstdint>
#include <vector>

#include "features/coupling.hpp"
#include "host_device.hpp"

namespace loremd {

// coefficient * weight(path) * z_a z_b contributes to the pair `out`, with z = c + i s of the pairs
// a and b, where s has the sign given: a conjugate pair has -1.
template <class T>
struct CouplingTerm {
  T coefficient, sign_a, sign_b;
  uint16_t a, b, out, path;
};

// The same terms twice: those of pair `out` are by_pair[first_of_pair[out] .. first_of_pair[out +
// 1]), those of a path likewise. Made on the host once, then copied to the device as they are.
template <class T>
struct CouplingTerms {
  std::vector<CouplingTerm<T>> by_pair, by_path;
  std::vector<int32_t> first_of_pair, first_of_path;
  std::vector<int32_t> weights;  // (paths) number of the weight (l1, l2, l3), times features

  int paths() const { return static_cast<int>(weights.size()); }
};

// Throws Error as `coupling` does.
template <class T>
CouplingTerms<T> coupling_terms(int degree_a, int degree_b, int degree_out);

// z_a z_b
template <class T>
LOREMD_HOST_DEVICE void multiply_pairs(T c1, T s1, T c2, T s2, T *cosine, T *sine) {
  *cosine = c1 * c2 - s1 * s2;
  *sine = s1 * c2 + c1 * s2;
}

}  // namespace loremd
