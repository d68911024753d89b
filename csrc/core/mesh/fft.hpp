// SPDX-License-Identifier: BSD-3-Clause
//
// Fast Fourier transforms of many complex sequences side by side: an element of a sequence is a
// vector of complex numbers (re, im, re, im, ...), one for each pair of channels, so that every
// operation fills the lanes and nothing is ever transposed. On meshes with interleaved channels
// that is 2 to 3 times faster than a library which takes the channels one after the other.
//
// Stockham's autosort algorithm, radices 4, 2, 3, 5, 7 and any other prime (naively).
// (Van Loan 1992, DOI 10.1137/1.9781611970999, section 1.7.)
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "host_device.hpp"
#include "simd.hpp"

namespace loremd {

// Cosine and sine of an angle.
template <class T>
struct Turn {
  T cosine, sine;
};

// Factors and angles for sequences of length n.
template <class T>
struct FftPlan {
  int n;
  std::vector<int> radices;
  std::vector<Turn<T>> turns;  // per stage: p i / (length of the stage) turns, i = 1 .. radix-1
  std::vector<Turn<T>> roots;  // per stage: j / radix turns, j = 0 .. radix-1

  explicit FftPlan(int64_t points) : n(static_cast<int>(points)) {
    int rest = n;
    for (int radix : {4, 2, 3, 5, 7}) {
      for (; rest % radix == 0; rest /= radix) radices.push_back(radix);
    }
    for (int radix = 11; rest > 1; ++radix) {
      for (; rest % radix == 0; rest /= radix) radices.push_back(radix);
    }
    int length = n;
    for (int radix : radices) {
      for (int p = 0; p < length / radix; ++p) {
        for (int i = 1; i < radix; ++i) turns.push_back(turn(double(p) * i / length));
      }
      for (int j = 0; j < radix; ++j) roots.push_back(turn(double(j) / radix));
      length /= radix;
    }
  }

 private:
  static Turn<T> turn(double fraction) {
    const double angle = 2 * std::acos(-1.0) * fraction;
    return {static_cast<T>(std::cos(angle)), static_cast<T>(std::sin(angle))};
  }
};

// Complex numbers in the lanes of a vector.
template <class T, int Bytes>
struct ComplexLanes {
  using V = typename Vector<T, Bytes>::type;
  static constexpr int lanes = Vector<T, Bytes>::lanes;
  using Index = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
  typedef Index Mask __attribute__((vector_size(Bytes)));

  // Turned by a quarter: the product with i for quarter = (-1, 1, -1, 1, ..), -i for its opposite.
  static LOREMD_INLINE V rotate(V x, V quarter) {
    Mask mask;
    for (int k = 0; k < lanes; ++k) mask[k] = k ^ 1;
    return __builtin_shuffle(x, mask) * quarter;
  }
  static LOREMD_INLINE V quarter(bool inverse) {
    V q;
    for (int k = 0; k < lanes; ++k) q[k] = (k % 2 == 0) == inverse ? T(-1) : T(1);
    return q;
  }
};

// a_k <- sum_j a_j exp(-+ 2 pi i j k / R), with `roots` at j / R turns.
template <class Lanes, int R, class V, class T>
LOREMD_INLINE void butterfly(V (&a)[R], V quarter, const Turn<T> *roots) {
  if constexpr (R == 2) {
    const V difference = a[0] - a[1];
    a[0] += a[1];
    a[1] = difference;
  } else if constexpr (R == 4) {
    const V s0 = a[0] + a[2], d0 = a[0] - a[2], s1 = a[1] + a[3];
    const V d1 = Lanes::rotate(a[1] - a[3], quarter);
    a[0] = s0 + s1, a[1] = d0 + d1, a[2] = s0 - s1, a[3] = d0 - d1;
  } else {
    constexpr int half = R / 2;
    V even[half], odd[half], first = a[0];
    LOREMD_UNROLL
    for (int j = 1; j <= half; ++j) {
      even[j - 1] = a[j] + a[R - j];
      odd[j - 1] = a[j] - a[R - j];
      a[0] += even[j - 1];
    }
    LOREMD_UNROLL
    for (int k = 1; k <= half; ++k) {
      V along = first, across = V{};
      LOREMD_UNROLL
      for (int j = 1; j <= half; ++j) {
        along += roots[j * k % R].cosine * even[j - 1];
        across += roots[j * k % R].sine * odd[j - 1];
      }
      across = Lanes::rotate(across, quarter);
      a[k] = along + across;
      a[R - k] = along - across;
    }
  }
}

// One stage: n / (R m) sequences of length R m each become R of length m.
template <class Lanes, int R, class V, class T>
LOREMD_INLINE void fft_stage(int m, int sequences, const Turn<T> *turns, const Turn<T> *roots,
                             V quarter, const V *x, V *y) {
  const std::ptrdiff_t apart = std::ptrdiff_t(sequences) * m;
  for (int p = 0; p < m; ++p, x += sequences, y += R * sequences, turns += R - 1) {
    V cosine[R], sine[R];
    LOREMD_UNROLL
    for (int i = 1; i < R; ++i) {
      cosine[i] = V{} + turns[i - 1].cosine;
      sine[i] = turns[i - 1].sine * quarter;
    }
    for (int q = 0; q < sequences; ++q) {
      V a[R];
      LOREMD_UNROLL
      for (int i = 0; i < R; ++i) a[i] = x[i * apart + q];
      butterfly<Lanes, R>(a, quarter, roots);
      y[q] = a[0];
      LOREMD_UNROLL
      for (int i = 1; i < R; ++i) {
        y[i * sequences + q] = cosine[i] * a[i] + Lanes::rotate(a[i], sine[i]);
      }
    }
  }
}

// The same for any radix, R^2 operations.
template <class Lanes, class V, class T>
LOREMD_INLINE void fft_stage_any(int R, int m, int sequences, const Turn<T> *turns,
                                 const Turn<T> *roots, V quarter, const V *x, V *y) {
  for (int p = 0; p < m; ++p) {
    for (int q = 0; q < sequences; ++q) {
      for (int k = 0; k < R; ++k) {
        V along{}, across{};
        for (int j = 0; j < R; ++j) {
          const V &value = x[q + sequences * (p + m * j)];
          along += roots[j * k % R].cosine * value;
          across += roots[j * k % R].sine * value;
        }
        V sum = along + Lanes::rotate(across, quarter);
        if (k > 0) {
          const Turn<T> &turn = turns[p * (R - 1) + k - 1];
          sum = turn.cosine * sum + Lanes::rotate(sum, turn.sine * quarter);
        }
        y[q + sequences * (R * p + k)] = sum;
      }
    }
  }
}

// Transforms x (plan.n elements of `side_by_side` vectors) with exp(-2 pi i j k / n), or its
// conjugate where `inverse`, without a factor. The result is in one of the two buffers: returned.
template <class Lanes, class V, class T>
LOREMD_INLINE V *fft(const FftPlan<T> &plan, bool inverse, int side_by_side, V *x, V *y) {
  const V quarter = Lanes::quarter(inverse);
  const Turn<T> *turns = plan.turns.data(), *roots = plan.roots.data();
  int m = plan.n, sequences = side_by_side;
  for (const int radix : plan.radices) {
    m /= radix;
    switch (radix) {
      case 2:
        fft_stage<Lanes, 2>(m, sequences, turns, roots, quarter, x, y);
        break;
      case 3:
        fft_stage<Lanes, 3>(m, sequences, turns, roots, quarter, x, y);
        break;
      case 4:
        fft_stage<Lanes, 4>(m, sequences, turns, roots, quarter, x, y);
        break;
      case 5:
        fft_stage<Lanes, 5>(m, sequences, turns, roots, quarter, x, y);
        break;
      case 7:
        fft_stage<Lanes, 7>(m, sequences, turns, roots, quarter, x, y);
        break;
      default:
        fft_stage_any<Lanes>(radix, m, sequences, turns, roots, quarter, x, y);
    }
    turns += m * (radix - 1);
    roots += radix;
    sequences *= radix;
    std::swap(x, y);
  }
  return x;
}

}  // namespace loremd
