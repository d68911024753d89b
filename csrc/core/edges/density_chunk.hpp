// SPDX-License-Identifier: BSD-3-Clause
//
// The arithmetic of neighbor_density on a chunk of pairs whose neighbours are of one species.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "edges/neighbor_density.hpp"
#include "edges/pair_chunk.hpp"
#include "math/dual.hpp"
#include "math/radial.hpp"
#include "simd.hpp"

namespace loremd {

// Memory of a chunk.
template <class T>
struct DensityBuffers : PairBuffers<T> {
  using PairBuffers<T>::numbers;

  explicit DensityBuffers(const DensityShape &shape)
      : PairBuffers<T>(shape),
        binomials(shape.n_radial),
        powers(int64_t(2) * 8 * shape.n_radial),
        rho(numbers(shape.n_radial)),
        rho_slopes(numbers(shape.n_radial)),
        functions(numbers(shape.n_functions())),
        function_slopes(numbers(shape.n_functions())),
        by_functions(numbers(shape.n_functions())),
        rows(numbers(std::max(shape.n_radial, shape.n_functions()))) {
    pascal_row(shape.n_radial - 2, binomials.data());
  }

  std::vector<double> binomials;
  AlignedArray<double> powers;                 // of 1 - r / cutoff
  AlignedArray<T> rho, rho_slopes;             // (k): rho_k and its derivative by r
  AlignedArray<T> functions, function_slopes;  // (lf): g_lf and its derivative by r
  AlignedArray<T> by_functions;                // (lf): derivative of F by g_lf
  AlignedArray<T> rows;                        // numbers transposed: one row per pair
};

template <class T, int Bytes, bool Tangents>
class DensityChunk : public PairChunk<T, Bytes, Tangents> {
  using Base = PairChunk<T, Bytes, Tangents>;
  using Base::by_harmonics_, Base::count_, Base::distance_, Base::distance_change_,
      Base::harmonics_, Base::number, Base::set_part, Base::set_vector_gradient;
  using typename Base::Array;

 public:
  using Base::lanes, Base::planes, Base::width;
  using typename Base::D;
  using typename Base::Geometry;
  using typename Base::N;
  using typename Base::V;
  using Factor = std::conditional_t<Tangents, Dual<T>, T>;  // what all lanes share

  LOREMD_INLINE DensityChunk(const DensityShape &shape, DensityBuffers<T> &buffers)
      : Base(shape.degree, buffers),
        shape_(shape),
        buffers_(buffers),
        rho_{buffers.rho.data()},
        rho_slopes_{buffers.rho_slopes.data()},
        functions_{buffers.functions.data()},
        function_slopes_{buffers.function_slopes.data()},
        by_functions_{buffers.by_functions.data()} {}

  // Radial (k) and spherical (lm, f) sums of the centre += those over the pairs.
  LOREMD_INLINE void add_sums(const T *coefficients, T *radial, T *spherical) {
    static_assert(!Tangents);
    set_radial();
    add_radial(radial);
    add_spherical(0, rows(), contract_rows(coefficients), spherical);
  }

  // functions(lf) = sum_k coefficients(k, lf) rho(k), and their slopes. The coefficients and their
  // derivative along the direction belong to the species of centre and neighbours.
  LOREMD_INLINE void contract_radial(const T *coefficients, const T *direction) {
    set_radial();
    const int n = shape_.n_functions();
    for_each_tile<tile>(n, [&](int lf, auto size) LOREMD_INLINE_LAMBDA {
      N values[size] = {}, slopes[size] = {};
      for (int k = 0; k < shape_.n_radial; ++k) {
        const N rho = rho_[k], slope = rho_slopes_[k];
        for_each_constant<size>([&](auto t) LOREMD_INLINE_LAMBDA {
          const int64_t at = int64_t(1) * k * n + lf + t;
          const Factor c = factor(coefficients + at, direction + at);
          values[t] += rho * c;
          slopes[t] += slope * c;
        });
      }
      for_each_constant<size>([&](auto t) LOREMD_INLINE_LAMBDA {
        functions_.set(lf + t, values[t]);
        function_slopes_.set(lf + t, slopes[t]);
      });
    });
  }

  // The derivative of add_sums along the direction; after contract_radial.
  LOREMD_INLINE void add_sums_along(T *radial, T *spherical) const {
    add_radial(radial);
    for_each_product([&](int plane, int other) LOREMD_INLINE_LAMBDA {
      const int stride = transpose_rows(functions_, other, shape_.n_functions());
      add_spherical(plane, rows(), stride, spherical);
    });
  }

  // Derivatives of F by the vectors of the pairs, (plane, 3, lanes), and by the coefficients
  // (k, lf) unless null; after contract_radial.
  LOREMD_INLINE void add_gradient(const T *by_radial, const T *by_spherical, double *by_vectors,
                                  T *by_coefficients) {
    N by_distance{};
    for (int k = 0; k < shape_.n_radial; ++k) by_distance += rho_slopes_[k] * by_radial[k];
    set_vector_gradient(by_distance + contract_spherical(by_spherical), by_vectors);
    if (by_coefficients) {
      for_each_product([&](int plane, int other) LOREMD_INLINE_LAMBDA {
        const int stride = transpose_rows(by_functions_, other, shape_.n_functions());
        add_coefficients(plane, stride, by_coefficients);
      });
    }
  }

 private:
  // The products of planes that make up a product, or its tangent.
  template <class Body>
  LOREMD_INLINE static void for_each_product(Body &&body) {
    if constexpr (Tangents) body(1, 0);
    body(0, planes - 1);
  }

  // rho and its slopes, in float64.
  LOREMD_INLINE void set_radial() {
    alignas(64) double cutoff[3][lanes];
    set_cutoff(cutoff[0], cutoff[1], cutoff[2]);
    const double inverse_cutoff = 1 / shape_.cutoff;
    for (int lane = 0; lane < lanes; lane += width) {
      D change{};
      if constexpr (Tangents) change = load<D>(distance_change_ + lane) * inverse_cutoff;
      const D slope = load<D>(cutoff[1] + lane);
      radial_basis(shape_.n_radial, buffers_.binomials.data(),
                   number(load<D>(distance_ + lane) * inverse_cutoff, change), inverse_cutoff,
                   number(load<D>(cutoff[0] + lane), slope * change),
                   number(slope, load<D>(cutoff[2] + lane) * change),
                   reinterpret_cast<Geometry *>(buffers_.powers.data()),
                   [&](int k, const Geometry &value, const Geometry &by_r) LOREMD_INLINE_LAMBDA {
                     set_part(rho_, k, lane, value);
                     set_part(rho_slopes_, k, lane, by_r);
                   });
    }
  }

  LOREMD_INLINE void set_cutoff(double *value, double *slope, double *curvature) const {
    const auto set = [&](auto function) LOREMD_INLINE_LAMBDA {
      for (int p = 0; p < lanes; ++p) {
        const CutoffValue fc = function(distance_[p] / shape_.cutoff);
        const double used = p < count_;
        value[p] = used * fc.value, slope[p] = used * fc.slope, curvature[p] = used * fc.curvature;
      }
    };
    if (shape_.smooth) {
      set([](double x) LOREMD_INLINE_LAMBDA { return smooth_cutoff(x); });
    } else {
      set([](double x) LOREMD_INLINE_LAMBDA { return cosine_cutoff(x); });
    }
  }

  // Calls body(first, number of them as a constant) along n, in tiles that fit the registers.
  template <int Tile, class Body>
  LOREMD_INLINE static void for_each_tile(int n, Body &&body) {
    int i = 0;
    for (; i + Tile <= n; i += Tile) body(i, std::integral_constant<int, Tile>{});
    for (; i < n; ++i) body(i, std::integral_constant<int, 1>{});
  }
  static constexpr int tile = (Bytes == 64 ? 8 : 4) / planes;

  LOREMD_INLINE static Factor factor(const T *coefficients, [[maybe_unused]] const T *direction) {
    if constexpr (Tangents) {
      return {*coefficients, *direction};
    } else {
      return *coefficients;
    }
  }

  // Rows (lf) of functions, for every pair; returns the stride of the rows. Unlike contract_radial
  // it wastes no lanes, and nothing has to be transposed.
  LOREMD_INLINE int contract_rows(const T *coefficients) const {
    const int n = shape_.n_functions(), stride = (n + lanes - 1) / lanes * lanes;
    const auto contract = [&](int lf, auto zero, int p, auto size) LOREMD_INLINE_LAMBDA {
      using W = decltype(zero);
      W sums[size] = {};
      for (int k = 0; k < shape_.n_radial; ++k) {
        const W c = load<W>(coefficients + int64_t(1) * k * n + lf);
        const T *rho = rho_.part(k, 0) + p;
        for_each_constant<size>([&](auto t) LOREMD_INLINE_LAMBDA { sums[t] += rho[t] * c; });
      }
      for_each_constant<size>(
          [&](auto t) LOREMD_INLINE_LAMBDA { store(rows() + (p + t) * stride + lf, sums[t]); });
    };
    for_each_vector<T, Bytes>(n, [&](int lf, auto zero) LOREMD_INLINE_LAMBDA {
      int p = 0;
      for (; p + 4 < count_; p += 8) contract(lf, zero, p, std::integral_constant<int, 8>{});
      if (p < count_) contract(lf, zero, p, std::integral_constant<int, 4>{});
    });
    return stride;
  }

  // by_functions(lf) = sum_m G(lm, f) Y_lm, by_harmonics(lm) = sum_f G(lm, f) functions(lf) with
  // G = by_spherical. Returns the sum of by_functions and the slopes.
  LOREMD_INLINE N contract_spherical(const T *by_spherical) const {
    const int features = shape_.features;
    N by_distance{};
    for (int lm = 0; lm < shape_.n_harmonics(); ++lm) by_harmonics_.set(lm, N{});
    for (int l = 0; l <= shape_.degree; ++l) {
      for_each_tile<tile>(features, [&](int f, auto size) LOREMD_INLINE_LAMBDA {
        N values[size], sums[size] = {};
        for_each_constant<size>(
            [&](auto t) LOREMD_INLINE_LAMBDA { values[t] = functions_[l * features + f + t]; });
        for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm) {
          const N y = harmonics_[lm];
          N by_y = by_harmonics_[lm];
          for_each_constant<size>([&](auto t) LOREMD_INLINE_LAMBDA {
            const T weight = by_spherical[lm * features + f + t];
            sums[t] += y * weight;
            by_y += values[t] * weight;
          });
          by_harmonics_.set(lm, by_y);
        }
        N part{};
        for_each_constant<size>([&](auto t) LOREMD_INLINE_LAMBDA {
          by_functions_.set(l * features + f + t, sums[t]);
          part += function_slopes_[l * features + f + t] * sums[t];
        });
        by_distance += part;
      });
    }
    return by_distance;
  }

  LOREMD_INLINE T *rows() const { return buffers_.rows.data(); }

  // One plane of n numbers as one row per pair; returns the stride of the rows.
  LOREMD_INLINE int transpose_rows(const Array &numbers, int plane, int n) const {
    const int stride = (n + lanes - 1) / lanes * lanes;
    for (int first = 0; first < n; first += lanes) {
      V block[lanes];
      for_each_constant<lanes>(
          [&](auto k) LOREMD_INLINE_LAMBDA { block[k] = load<V>(numbers.part(first + k, plane)); });
      transpose<T, Bytes>(block);
      for_each_constant<lanes>(
          [&](auto p) LOREMD_INLINE_LAMBDA { store(rows() + p * stride + first, block[p]); });
    }
    return stride;
  }

  // radial(k) += sum over pairs of rho(k).
  LOREMD_INLINE void add_radial(T *radial) const {
    const int n = shape_.n_radial;
    for (int first = 0; first < n; first += lanes) {
      V block[lanes];
      for_each_constant<lanes>([&](auto k) LOREMD_INLINE_LAMBDA {
        block[k] = load<V>(rho_.part(first + k, planes - 1));
      });
      alignas(64) T sums[lanes];
      store(sums, sum_lanes<T, Bytes>(block));
      for (int k = first; k < std::min(n, first + lanes); ++k) radial[k] += sums[k - first];
    }
  }

  // spherical(lm, f) += sum over pairs of Y_lm times their rows (lf).
  LOREMD_INLINE void add_spherical(int plane, const T *rows, int stride, T *spherical) const {
    for (int l = 0; l <= shape_.degree; ++l) {
      const int first = l * l;
      for_each_vector<T, Bytes>(shape_.features, [&](int f, auto zero) LOREMD_INLINE_LAMBDA {
        using W = decltype(zero);
        for_each_tile<4>(2 * l + 1, [&](int m, auto size) LOREMD_INLINE_LAMBDA {
          T *to = spherical + (first + m) * shape_.features + f;
          W sums[size];
          for_each_constant<size>(
              [&](auto t) LOREMD_INLINE_LAMBDA { sums[t] = load<W>(to + t * shape_.features); });
          for (int p = 0; p < count_; ++p) {
            const W row = load<W>(rows + p * stride + l * shape_.features + f);
            for_each_constant<size>([&](auto t) LOREMD_INLINE_LAMBDA {
              sums[t] += harmonics_.part(first + m + t, plane)[p] * row;
            });
          }
          for_each_constant<size>(
              [&](auto t) LOREMD_INLINE_LAMBDA { store(to + t * shape_.features, sums[t]); });
        });
      });
    }
  }

  // by_coefficients(k, lf) += sum over pairs of rho(k) times their rows (lf).
  LOREMD_INLINE void add_coefficients(int plane, int stride, T *by_coefficients) const {
    const int n = shape_.n_functions();
    for_each_vector<T, Bytes>(n, [&](int lf, auto zero) LOREMD_INLINE_LAMBDA {
      using W = decltype(zero);
      for_each_tile<8>(shape_.n_radial, [&](int k, auto size) LOREMD_INLINE_LAMBDA {
        T *to = by_coefficients + int64_t(1) * k * n + lf;
        W sums[size];
        for_each_constant<size>([&](auto t)
                                    LOREMD_INLINE_LAMBDA { sums[t] = load<W>(to + t * n); });
        for (int p = 0; p < count_; ++p) {
          const W row = load<W>(rows() + p * stride + lf);
          for_each_constant<size>(
              [&](auto t) LOREMD_INLINE_LAMBDA { sums[t] += rho_.part(k + t, plane)[p] * row; });
        }
        for_each_constant<size>([&](auto t) LOREMD_INLINE_LAMBDA { store(to + t * n, sums[t]); });
      });
    });
  }

  const DensityShape &shape_;
  DensityBuffers<T> &buffers_;
  Array rho_, rho_slopes_, functions_, function_slopes_, by_functions_;
};

}  // namespace loremd
