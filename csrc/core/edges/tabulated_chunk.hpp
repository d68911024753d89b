// SPDX-License-Identifier: BSD-3-Clause
//
// The arithmetic of neighbor_density with tabulated radial functions, on a chunk of pairs. A pair's
// functions stand side by side in the table, so the lanes of its sums are features. Only harmonics
// and the derivatives by them have pairs in the lanes; between the two stands one transposition.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "edges/neighbor_density.hpp"
#include "edges/pair_chunk.hpp"
#include "math/polynomial.hpp"
#include "simd.hpp"

namespace loremd {

// Memory of a chunk.
struct TabulatedBuffers : PairBuffers<float> {
  explicit TabulatedBuffers(const DensityShape &shape)
      : PairBuffers(shape),
        by_radial(int64_t(1) * shape.n_species * RadialTable::padded(shape.n_radial)),
        rows(numbers(shape.n_functions())),
        by_rows(numbers(shape.n_functions())),
        functions(numbers(shape.n_functions())) {}

  AlignedArray<float> by_radial;      // (species, k), zeros behind each k
  AlignedArray<float> rows, by_rows;  // (pair, lf): g_lf, and the derivative of F by it
  AlignedArray<float> functions;      // (lf): g_lf, pairs in the lanes
};

// Features: their number, as a constant where it is a usual one.
template <int Bytes, class Features>
class TabulatedChunk : public PairChunk<float, Bytes, false> {
  using Base = PairChunk<float, Bytes, false>;
  using Base::by_harmonics_, Base::count_, Base::distance_, Base::harmonics_, Base::pairs_,
      Base::set_vector_gradient;
  using typename Base::Array;

 public:
  using Base::lanes;
  using typename Base::V;

  LOREMD_INLINE TabulatedChunk(const DensityShape &shape, Features features, const int64_t *species,
                               const RadialTable &table, TabulatedBuffers &buffers)
      : Base(shape.degree, buffers),
        shape_(shape),
        features_(features),
        species_(species),
        table_(table),
        scale_(table.intervals / shape.cutoff),
        n_rho_(RadialTable::padded(shape.n_radial)),
        stride_(RadialTable::padded(shape.n_functions())),
        by_radial_(buffers.by_radial.data()),
        rows_(buffers.rows.data()),
        by_rows_(buffers.by_rows.data()),
        functions_{buffers.functions.data()} {}

  // The table for pairs of a centre of this species.
  void set_centre(int64_t species) {
    values_ = table_.values + species * shape_.n_species * 4 * table_.intervals * table_.functions;
  }

  // Radial (species, k) and spherical (lm, f) sums of a centre += those over the pairs.
  LOREMD_INLINE void add_sums(float *radial, float *spherical) const {
    for (int p = 0; p < count_; ++p) {
      const Place at = place(p);
      float *sums = radial + at.species * shape_.n_radial;
      for_each_vector<float, Bytes>(shape_.n_radial, [&](int k, auto zero) LOREMD_INLINE_LAMBDA {
        using W = decltype(zero);
        store(sums + k, load<W>(sums + k) + value<W>(at, k));
      });
      for (int lf = 0; lf < stride_; lf += lanes) {
        store(rows_ + p * stride_ + lf, value<V>(at, n_rho_ + lf));
      }
    }
    for_each_degrees([&](auto first, auto last)
                         LOREMD_INLINE_LAMBDA { add_products<first(), last()>(spherical); });
  }

  // Derivatives of F by the radial sums (species, k) of the centre, for set_gradient.
  void set_weights(const float *by_radial) {
    for (int b = 0; b < shape_.n_species; ++b, by_radial += shape_.n_radial) {
      std::copy(by_radial, by_radial + shape_.n_radial, by_radial_ + b * n_rho_);
    }
  }

  // Derivatives of F by the vectors of the pairs, (3, lanes).
  LOREMD_INLINE void set_gradient(const float *by_spherical, double *by_vectors) const {
    set_by_rows(by_spherical);
    V slopes[lanes] = {};
    for (int p = 0; p < count_; ++p) {
      const Place at = place(p);
      const float *by_rho = by_radial_ + at.species * n_rho_;
      V sum{};
      for (int k = 0; k < n_rho_; k += lanes) sum += load<V>(by_rho + k) * slope(at, k);
      for (int lf = 0; lf < stride_; lf += lanes) {
        store(rows_ + p * stride_ + lf, value<V>(at, n_rho_ + lf));
        sum += load<V>(by_rows_ + p * stride_ + lf) * slope(at, n_rho_ + lf);
      }
      slopes[p] = sum;
    }
    set_functions();
    set_by_harmonics(by_spherical);
    set_vector_gradient(sum_lanes<float, Bytes>(slopes) * static_cast<float>(scale_), by_vectors);
  }

 private:
  // The interval of the distance of a pair, and where in it.
  struct Place {
    int64_t species;
    const float *powers[4];
    float t;  // 0 to 1
  };

  LOREMD_INLINE Place place(int p) const {
    const int64_t species = species_[pairs_[p]->atom];
    const double scaled = distance_[p] * scale_;
    const int interval = std::min(static_cast<int>(scaled), table_.intervals - 1);
    const int n = table_.functions;
    const float *c = values_ + (species * table_.intervals + interval) * 4 * n;
    return {species, {c, c + n, c + 2 * n, c + 3 * n}, static_cast<float>(scaled - interval)};
  }
  template <class W>
  LOREMD_INLINE static W value(const Place &at, int i) {
    const W c0 = load<W>(at.powers[0] + i), c1 = load<W>(at.powers[1] + i);
    const W c2 = load<W>(at.powers[2] + i), c3 = load<W>(at.powers[3] + i);
    return cubic(c0, c1, c2, c3, at.t);
  }
  LOREMD_INLINE static V slope(const Place &at, int i) {
    const V c1 = load<V>(at.powers[1] + i), c2 = load<V>(at.powers[2] + i);
    const V c3 = load<V>(at.powers[3] + i);
    return cubic_slope(c1, c2, c3, at.t);
  }

  // Calls body(first degree, last degree) as constants, for groups of degrees whose components fit
  // the registers.
  template <class Body>
  LOREMD_INLINE void for_each_degrees(Body &&body) const {
    using std::integral_constant;
    const integral_constant<int, 0> zero{};
    if (shape_.degree == 0) return body(zero, zero);
    if (shape_.degree == 1) return body(zero, integral_constant<int, 1>{});
    body(zero, integral_constant<int, 2>{});
    for_each_constant<largest_degree - 2>([&](auto k) LOREMD_INLINE_LAMBDA {
      const integral_constant<int, k + 3> degree{};
      if (degree <= shape_.degree) body(degree, degree);
    });
  }

  // Calls body(degree) as a constant.
  template <class Body>
  LOREMD_INLINE void for_each_degree(Body &&body) const {
    for_each_constant<largest_degree + 1>([&](auto l) LOREMD_INLINE_LAMBDA {
      if (l <= shape_.degree) body(l);
    });
  }

  // spherical(lm, f) += sum over pairs of Y_lm g_lf, for these degrees.
  template <int First, int Last>
  LOREMD_INLINE void add_products(float *spherical) const {
    constexpr int begin = First * First, components = (Last + 1) * (Last + 1) - begin;
    for_each_vector<float, Bytes>(features_, [&](int f, auto zero) LOREMD_INLINE_LAMBDA {
      using W = decltype(zero);
      float *to = spherical + begin * features_ + f;
      W sums[components];
      for_each_constant<components>(
          [&](auto k) LOREMD_INLINE_LAMBDA { sums[k] = load<W>(to + k * features_); });
      for (int p = 0; p < count_; ++p) {
        const float *row = rows_ + p * stride_ + f, *y = harmonics_.part(begin, 0) + p;
        for_each_constant<Last - First + 1>([&](auto k) LOREMD_INLINE_LAMBDA {
          constexpr int l = First + k;
          const W g = load<W>(row + l * features_);
          for_each_constant<2 * l + 1>([&](auto m) LOREMD_INLINE_LAMBDA {
            constexpr int lm = l * l - begin + m;
            sums[lm] += y[lm * lanes] * g;
          });
        });
      }
      for_each_constant<components>(
          [&](auto k) LOREMD_INLINE_LAMBDA { store(to + k * features_, sums[k]); });
    });
  }

  // by_rows(pair, lf) = sum_m Y_lm G(lm, f) with G = by_spherical
  LOREMD_INLINE void set_by_rows(const float *by_spherical) const {
    for (int p = 0; p < count_; p += together) {
      for_each_degree([&](auto l) LOREMD_INLINE_LAMBDA {
        for_each_vector<float, Bytes>(features_, [&](int f, auto zero) LOREMD_INLINE_LAMBDA {
          using W = decltype(zero);
          W sums[together] = {};
          for_each_constant<2 * l + 1>([&](auto m) LOREMD_INLINE_LAMBDA {
            const W weight = load<W>(by_spherical + (l * l + m) * features_ + f);
            const float *y = harmonics_.part(l * l + m, 0) + p;
            for_each_constant<together>([&](auto t)
                                            LOREMD_INLINE_LAMBDA { sums[t] += y[t] * weight; });
          });
          for_each_constant<together>([&](auto t) LOREMD_INLINE_LAMBDA {
            store(by_rows_ + (p + t) * stride_ + l * features_ + f, sums[t]);
          });
        });
      });
    }
  }
  static constexpr int together = 8;

  // The rows of all pairs, transposed.
  LOREMD_INLINE void set_functions() const {
    for (int lf = 0; lf < stride_; lf += lanes) {
      V block[lanes];
      for_each_constant<lanes>(
          [&](auto p) LOREMD_INLINE_LAMBDA { block[p] = load<V>(rows_ + p * stride_ + lf); });
      transpose<float, Bytes>(block);
      for_each_constant<lanes>([&](auto k)
                                   LOREMD_INLINE_LAMBDA { functions_.set(lf + k, block[k]); });
    }
  }

  // by_harmonics(lm) = sum_f G(lm, f) g_lf
  LOREMD_INLINE void set_by_harmonics(const float *by_spherical) const {
    for (int lm = 0; lm < shape_.n_harmonics(); ++lm) by_harmonics_.set(lm, V{});
    int f = 0;
    for (; f + 8 <= features_; f += 8) add_by_harmonics<8>(f, by_spherical);
    for (; f < features_; ++f) add_by_harmonics<1>(f, by_spherical);
  }
  template <int Size>
  LOREMD_INLINE void add_by_harmonics(int f, const float *by_spherical) const {
    for_each_degree([&](auto l) LOREMD_INLINE_LAMBDA {
      V values[Size];
      for_each_constant<Size>(
          [&](auto t) LOREMD_INLINE_LAMBDA { values[t] = functions_[l * features_ + f + t]; });
      for_each_constant<2 * l + 1>([&](auto m) LOREMD_INLINE_LAMBDA {
        const int lm = l * l + m;
        const float *weights = by_spherical + lm * features_ + f;
        V sums[2] = {by_harmonics_[lm], V{}};  // two, because one would wait for itself
        for_each_constant<Size>(
            [&](auto t) LOREMD_INLINE_LAMBDA { sums[t % 2] += values[t] * weights[t]; });
        by_harmonics_.set(lm, sums[0] + sums[1]);
      });
    });
  }

  const DensityShape &shape_;
  Features features_;
  const int64_t *species_;
  const RadialTable &table_;
  const float *values_ = nullptr;
  double scale_;  // intervals per length
  int n_rho_, stride_;
  float *by_radial_, *rows_, *by_rows_;
  Array functions_;
};

}  // namespace loremd
