// SPDX-License-Identifier: BSD-3-Clause
//
// Geometry of a chunk: as many pairs of one centre as a vector has lanes. It is written once for
// numbers N, which are vectors V or, for the derivative along a direction, Dual<V>.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "aligned_array.hpp"
#include "edges/neighbor_density.hpp"
#include "edges/neighbourhood.hpp"
#include "math/dual.hpp"
#include "math/spherical.hpp"
#include "simd.hpp"

namespace loremd {

// Memory of a chunk. A number takes one or two planes (value, tangent) of `lanes` values; arrays
// of numbers are as long as whole blocks of `lanes`, so that they can be transposed.
template <class T>
struct PairBuffers {
  static constexpr int most_lanes = 64 / static_cast<int>(sizeof(T));
  static int padded(int n) { return (n + most_lanes - 1) / most_lanes * most_lanes; }
  static AlignedArray<T> numbers(int n) {
    return AlignedArray<T>(int64_t(2) * most_lanes * padded(n));
  }

  explicit PairBuffers(const DensityShape &shape)
      : harmonics(numbers(shape.n_harmonics())), by_harmonics(numbers(shape.n_harmonics())) {}

  SphericalRecursion<T> recursion;
  AlignedArray<T> harmonics, by_harmonics;  // (lm): Y_lm, and the derivative of F by it
};

template <class T, int Bytes, bool Tangents>
class PairChunk {
 public:
  using V = typename Vector<T, Bytes>::type;
  using D = typename Vector<double, Bytes>::type;
  using N = std::conditional_t<Tangents, Dual<V>, V>;
  using Geometry = std::conditional_t<Tangents, Dual<D>, D>;  // float64
  static constexpr int lanes = Vector<T, Bytes>::lanes;
  static constexpr int width = Vector<double, Bytes>::lanes;
  static constexpr int planes = Tangents ? 2 : 1;

  LOREMD_INLINE PairChunk(int degree, PairBuffers<T> &buffers)
      : degree_(degree),
        recursion_(buffers.recursion),
        harmonics_{buffers.harmonics.data()},
        by_harmonics_{buffers.by_harmonics.data()} {}

  // Takes at most `lanes` pairs, to which everything that follows refers, and sets their harmonics.
  // The other lanes hold the first pair.
  LOREMD_INLINE void set_pairs(const Neighbour *const *pairs, int count) {
    pairs_ = pairs;
    count_ = count;
    set_geometry();
    spherical_harmonics(recursion_, degree_, u_[0], u_[1], u_[2],
                        [&](int lm, const N &y) LOREMD_INLINE_LAMBDA { harmonics_.set(lm, y); });
  }

 protected:
  struct Array {
    T *data;
    LOREMD_INLINE T *part(int i, int plane) const { return data + (i * planes + plane) * lanes; }
    LOREMD_INLINE N operator[](int i) const {
      if constexpr (Tangents) {
        return {load<V>(part(i, 0)), load<V>(part(i, 1))};
      } else {
        return load<V>(part(i, 0));
      }
    }
    LOREMD_INLINE void set(int i, const N &number) const {
      if constexpr (Tangents) {
        store(part(i, 0), number.value);
        store(part(i, 1), number.tangent);
      } else {
        store(part(i, 0), number);
      }
    }
  };

  // float64 to T. Below 1e-36 floats lose digits and processors speed, so that is rounded to zero.
  LOREMD_INLINE static void store_as(T *to, D value) {
    if constexpr (std::is_same_v<T, double>) {
      store(to, value);
    } else {
      using Half = typename Vector<float, Bytes / 2>::type;
      store(to, __builtin_convertvector(value + 1e-20 - 1e-20, Half));
    }
  }
  LOREMD_INLINE static void set_part(const Array &array, int i, int lane, const Geometry &number) {
    if constexpr (Tangents) {
      store_as(array.part(i, 0) + lane, number.value);
      store_as(array.part(i, 1) + lane, number.tangent);
    } else {
      store_as(array.part(i, 0) + lane, number);
    }
  }
  LOREMD_INLINE static Geometry number(const D &value, [[maybe_unused]] const D &tangent) {
    if constexpr (Tangents) {
      return {value, tangent};
    } else {
      return value;
    }
  }

  // Unit vectors, distances and their inverses, from the pairs, in float64.
  LOREMD_INLINE void set_geometry() {
    alignas(64) double vector[3][lanes], direction[3][lanes];
    for (int p = 0; p < lanes; ++p) {
      const Neighbour &pair = *pairs_[p < count_ ? p : 0];
      for (int a = 0; a < 3; ++a) vector[a][p] = pair.vector[a];
      for (int a = 0; Tangents && a < 3; ++a) direction[a][p] = pair.direction[a];
      distance_[p] = pair.squared;
    }
    for (int p = 0; p < lanes; ++p) distance_[p] = std::sqrt(distance_[p]);
    alignas(64) T unit[4 * planes * lanes];
    const Array units{unit};
    for (int lane = 0; lane < lanes; lane += width) {
      const D inverse = 1.0 / load<D>(distance_ + lane);
      const D u[3] = {load<D>(vector[0] + lane) * inverse, load<D>(vector[1] + lane) * inverse,
                      load<D>(vector[2] + lane) * inverse};
      D change{}, turn[3] = {};  // of the distance and of u
      if constexpr (Tangents) {
        for (int a = 0; a < 3; ++a) change += u[a] * load<D>(direction[a] + lane);
        for (int a = 0; a < 3; ++a) {
          turn[a] = (load<D>(direction[a] + lane) - u[a] * change) * inverse;
        }
        store(distance_change_ + lane, change);
      }
      for (int a = 0; a < 3; ++a) set_part(units, a, lane, number(u[a], turn[a]));
      set_part(units, 3, lane, number(inverse, -inverse * inverse * change));
    }
    for (int a = 0; a < 3; ++a) u_[a] = units[a];
    inverse_ = units[3];
  }

  // dF/dR = u dF/dr + (dF/du - u (u . dF/du)) / r
  LOREMD_INLINE void set_vector_gradient(const N &by_distance, double *by_vectors) const {
    N by_u[3] = {};
    spherical_harmonics_gradient(
        recursion_, degree_, u_[0], u_[1], u_[2],
        [&](int lm) LOREMD_INLINE_LAMBDA { return by_harmonics_[lm]; }, by_u[0], by_u[1], by_u[2]);
    const N along = u_[0] * by_u[0] + u_[1] * by_u[1] + u_[2] * by_u[2];
    const N radial = by_distance - along * inverse_;
    alignas(64) T parts[3 * planes * lanes];
    const Array gradient{parts};
    for (int a = 0; a < 3; ++a) gradient.set(a, u_[a] * radial + by_u[a] * inverse_);
    for (int plane = 0; plane < planes; ++plane) {
      for (int a = 0; a < 3; ++a) {
        for (int p = 0; p < lanes; ++p) {
          by_vectors[(plane * 3 + a) * lanes + p] = gradient.part(a, plane)[p];
        }
      }
    }
  }

  int degree_;
  const SphericalRecursion<T> &recursion_;
  const Neighbour *const *pairs_ = nullptr;
  int count_ = 0;
  N u_[3], inverse_;  // unit vectors and 1 / r
  alignas(64) double distance_[lanes], distance_change_[lanes];
  Array harmonics_, by_harmonics_;
};

}  // namespace loremd
