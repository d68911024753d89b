// SPDX-License-Identifier: BSD-3-Clause
//
// The arithmetic of neighbor_density on a chunk: as many pairs as a vector has lanes, of one centre
// and with neighbours of one species. It is written once for numbers N, which are vectors V or, for
// the derivative along a direction, Dual<V>.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "edges/neighbor_density.hpp"
#include "math/dual.hpp"
#include "math/radial.hpp"
#include "math/spherical.hpp"
#include "simd.hpp"

namespace loremd {

// A pair within the cutoff.
struct Neighbour {
  int64_t pair, atom;
  double vector[3], distance;
  double direction[3];  // derivative of the vector along the direction, if there is one
};

// Zeros from a multiple of 64 bytes on.
template <class T>
class AlignedArray {
 public:
  explicit AlignedArray(int64_t size) : storage_(size + 64 / sizeof(T)) {}
  T *data() {
    const auto address = reinterpret_cast<uintptr_t>(storage_.data());
    return storage_.data() + (64 - address % 64) % 64 / sizeof(T);
  }

 private:
  std::vector<T> storage_;
};

// Memory of a chunk. A number takes one or two planes (value, tangent) of `lanes` values; arrays
// of numbers are as long as whole blocks of `lanes`, so that they can be transposed.
template <class T>
struct DensityBuffers {
  static constexpr int most_lanes = 64 / static_cast<int>(sizeof(T));
  static int padded(int n) { return (n + most_lanes - 1) / most_lanes * most_lanes; }
  static AlignedArray<T> numbers(int n) {
    return AlignedArray<T>(int64_t(2) * most_lanes * padded(n));
  }

  explicit DensityBuffers(const DensityShape &shape)
      : binomials(shape.n_radial),
        powers(int64_t(2) * 8 * shape.n_radial),
        rho(numbers(shape.n_radial)),
        rho_slopes(numbers(shape.n_radial)),
        functions(numbers(shape.n_functions())),
        function_slopes(numbers(shape.n_functions())),
        by_functions(numbers(shape.n_functions())),
        harmonics(numbers(shape.n_harmonics())),
        by_harmonics(numbers(shape.n_harmonics())),
        rows(numbers(std::max(shape.n_radial, shape.n_functions()))) {
    pascal_row(shape.n_radial - 2, binomials.data());
  }

  std::vector<double> binomials;
  SphericalRecursion<T> recursion;
  AlignedArray<double> powers;                 // of 1 - r / cutoff
  AlignedArray<T> rho, rho_slopes;             // (k): rho_k and its derivative by r
  AlignedArray<T> functions, function_slopes;  // (lf): g_lf and its derivative by r
  AlignedArray<T> by_functions;                // (lf): derivative of F by g_lf
  AlignedArray<T> harmonics, by_harmonics;     // (lm): Y_lm, and the derivative of F by it
  AlignedArray<T> rows;                        // numbers transposed: one row per pair
};

template <class T, int Bytes, bool Tangents>
class DensityChunk {
 public:
  using V = typename Vector<T, Bytes>::type;
  using D = typename Vector<double, Bytes>::type;
  using N = std::conditional_t<Tangents, Dual<V>, V>;
  using Geometry = std::conditional_t<Tangents, Dual<D>, D>;  // float64
  using Factor = std::conditional_t<Tangents, Dual<T>, T>;    // what all lanes share
  static constexpr int lanes = Vector<T, Bytes>::lanes;
  static constexpr int width = Vector<double, Bytes>::lanes;
  static constexpr int planes = Tangents ? 2 : 1;

  LOREMD_INLINE DensityChunk(const DensityShape &shape, DensityBuffers<T> &buffers)
      : shape_(shape),
        buffers_(buffers),
        rho_{buffers.rho.data()},
        rho_slopes_{buffers.rho_slopes.data()},
        functions_{buffers.functions.data()},
        function_slopes_{buffers.function_slopes.data()},
        by_functions_{buffers.by_functions.data()},
        harmonics_{buffers.harmonics.data()},
        by_harmonics_{buffers.by_harmonics.data()} {}

  // Takes at most `lanes` pairs, to which everything that follows refers, and sets their harmonics.
  // The other lanes hold the first pair.
  LOREMD_INLINE void set_pairs(const Neighbour *const *pairs, int count) {
    pairs_ = pairs;
    count_ = count;
    set_geometry();
    spherical_harmonics(buffers_.recursion, shape_.degree, u_[0], u_[1], u_[2],
                        [&](int lm, const N &y) LOREMD_INLINE_LAMBDA { harmonics_.set(lm, y); });
  }

  // Radial (k) and spherical (lm, f) sums of the centre += those over the pairs.
  LOREMD_INLINE void add_sums(const T *coefficients, T *radial, T *spherical) {
    static_assert(!Tangents);
    set_radial();
    add_radial(radial);
    add_spherical(0, rows(), contract_rows(coefficients), spherical);
  }

  // The same with the radial functions of a table.
  LOREMD_INLINE void add_sums(const RadialTable &table, const T *values, T *radial,
                              T *spherical) const {
    static_assert(!Tangents);
    look_up_rows(table, values);
    add_rows(table.functions, radial);
    add_spherical(0, rows() + RadialTable::padded(shape_.n_radial), table.functions, spherical);
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

  // The same with the radial functions of a table; its values are not differentiated by.
  LOREMD_INLINE void set_gradient(const RadialTable &table, const T *values, const T *by_radial,
                                  const T *by_spherical, double *by_vectors) {
    static_assert(!Tangents);
    const V by_distance = look_up(table, values, by_radial);
    set_vector_gradient(by_distance + contract_spherical(by_spherical), by_vectors);
  }

 private:
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

  // The products of planes that make up a product, or its tangent.
  template <class Body>
  LOREMD_INLINE static void for_each_product(Body &&body) {
    if constexpr (Tangents) body(1, 0);
    body(0, planes - 1);
  }

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
      distance_[p] = pair.distance;
    }
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

  // Calls body(p, first number of the interval of pair p, place in it from 0 to 1).
  template <class Body>
  LOREMD_INLINE void for_each_interval(const RadialTable &table, const T *values,
                                       Body &&body) const {
    const double scale = table.intervals / shape_.cutoff;
    for (int p = 0; p < count_; ++p) {
      const double place = distance_[p] * scale;
      const int interval = std::min(static_cast<int>(place), table.intervals - 1);
      body(p, values + int64_t(4) * interval * table.functions, static_cast<T>(place - interval));
    }
  }

  // Rows of all functions of the table, for every pair.
  LOREMD_INLINE void look_up_rows(const RadialTable &table, const T *values) const {
    const int n = table.functions;
    for_each_interval(table, values, [&](int p, const T *c, T t) LOREMD_INLINE_LAMBDA {
      for (int i = 0; i < n; i += lanes) {
        const V c0 = load<V>(c + i), c1 = load<V>(c + n + i);
        const V c2 = load<V>(c + 2 * n + i), c3 = load<V>(c + 3 * n + i);
        store(rows() + p * n + i, c0 + t * (c1 + t * (c2 + t * c3)));
      }
    });
  }

  // Sets functions and their slopes. Returns the sum of the slopes of rho times by_radial.
  LOREMD_INLINE V look_up(const RadialTable &table, const T *values, const T *by_radial) const {
    const int n = table.functions, n_rho = RadialTable::padded(shape_.n_radial);
    const T scale = static_cast<T>(table.intervals / shape_.cutoff);
    T *weights = rho_.data;  // by_radial and zeros
    std::copy(by_radial, by_radial + shape_.n_radial, weights);
    V block[lanes] = {}, slopes[lanes] = {};
    for_each_interval(table, values, [&](int p, const T *c, T t) LOREMD_INLINE_LAMBDA {
      V sum{};
      for (int i = 0; i < n_rho; i += lanes) {
        const V c1 = load<V>(c + n + i), c2 = load<V>(c + 2 * n + i), c3 = load<V>(c + 3 * n + i);
        sum += load<V>(weights + i) * (c1 + t * (2 * c2 + 3 * t * c3));
      }
      slopes[p] = sum * scale;
    });
    const V by_distance = sum_lanes<T, Bytes>(slopes);
    for (int i = 0; i < shape_.n_functions(); i += lanes) {
      for_each_interval(
          table, values + n_rho + i, [&](int p, const T *c, T t) LOREMD_INLINE_LAMBDA {
            const V c1 = load<V>(c + n), c2 = load<V>(c + 2 * n), c3 = load<V>(c + 3 * n);
            block[p] = load<V>(c) + t * (c1 + t * (c2 + t * c3));
            slopes[p] = scale * (c1 + t * (2 * c2 + 3 * t * c3));
          });
      transpose<T, Bytes>(block);
      transpose<T, Bytes>(slopes);
      for_each_constant<lanes>([&](auto k) LOREMD_INLINE_LAMBDA {
        functions_.set(i + k, block[k]);
        function_slopes_.set(i + k, slopes[k]);
      });
    }
    return by_distance;
  }

  // radial(k) += sum over pairs of their rows (k).
  LOREMD_INLINE void add_rows(int stride, T *radial) const {
    for_each_vector<T, Bytes>(shape_.n_radial, [&](int k, auto zero) LOREMD_INLINE_LAMBDA {
      using W = decltype(zero);
      W sum = load<W>(radial + k);
      for (int p = 0; p < count_; ++p) sum += load<W>(rows() + p * stride + k);
      store(radial + k, sum);
    });
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

  // dF/dR = u dF/dr + (dF/du - u (u . dF/du)) / r
  LOREMD_INLINE void set_vector_gradient(const N &by_distance, double *by_vectors) const {
    N by_u[3] = {};
    spherical_harmonics_gradient(
        buffers_.recursion, shape_.degree, u_[0], u_[1], u_[2],
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
  const Neighbour *const *pairs_ = nullptr;
  int count_ = 0;
  N u_[3], inverse_;  // unit vectors and 1 / r
  alignas(64) double distance_[lanes], distance_change_[lanes];
  Array rho_, rho_slopes_, functions_, function_slopes_, by_functions_, harmonics_, by_harmonics_;
};

}  // namespace loremd
