// SPDX-License-Identifier: BSD-3-Clause
//
// Fast Fourier transforms of many complex sequences side by side: an element of a sequence is a
// vector of complex numbers (re, im, re, im, ...), one for each pair of channels, so that every
// operation fills the lanes and nothing is ever transposed. On meshes with interleaved channels
// that is several times faster than a library which takes the channels one after the other.
//
// Stockham's autosort algorithm (Van Loan 1992, DOI 10.1137/1.9781611970999, section 1.7) in as few
// stages as the length allows, two for nearly all up to 144: time goes by how often an element
// travels between memory and registers. The first stage reads from wherever the sequences are, and
// the last one writes to where they shall be.
#pragma once

#include <algorithm>
#include <array>
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

template <class T>
Turn<T> turn(double fraction) {
  const double angle = 2 * std::acos(-1.0) * fraction;
  return {static_cast<T>(std::cos(angle)), static_cast<T>(std::sin(angle))};
}

// Radices that there is code for; a stage of any other prime takes radix^2 operations.
constexpr std::array<int, 11> fft_radices{2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16};
inline bool has_code(int radix) {
  return std::find(fft_radices.begin(), fft_radices.end(), radix) != fft_radices.end();
}

// Factors and angles for sequences of length n.
template <class T>
struct FftPlan {
  int n;
  std::vector<int> radices;
  std::vector<Turn<T>> turns;  // per stage: p i / (length of the stage) turns, i = 1 .. radix-1
  std::vector<Turn<T>> roots;  // per stage: j / radix turns, j = 0 .. radix-1

  explicit FftPlan(int64_t points) : n(static_cast<int>(points)) {
    int rest = n, smooth = 1;
    for (int prime : {2, 3, 5, 7}) {
      for (; rest % prime == 0; rest /= prime) smooth *= prime;
    }
    radices = fewest_radices(smooth);
    for (int radix = 11; rest > 1; ++radix) {
      for (; rest % radix == 0; rest /= radix) radices.push_back(radix);
    }
    int length = n;
    for (int radix : radices) {
      for (int p = 0; p < length / radix; ++p) {
        for (int i = 1; i < radix; ++i) turns.push_back(turn<T>(double(p) * i / length));
      }
      for (int j = 0; j < radix; ++j) roots.push_back(turn<T>(double(j) / radix));
      length /= radix;
    }
  }

 private:
  // A product of the fewest; of several such the one whose largest is the smallest.
  static std::vector<int> fewest_radices(int product) {
    if (product == 1) return {};
    std::vector<int> best;
    for (int radix : fft_radices) {
      if (product % radix != 0) continue;
      std::vector<int> found = fewest_radices(product / radix);
      found.push_back(radix);
      const auto largest = [](const auto &all) {
        return *std::max_element(all.begin(), all.end());
      };
      if (best.empty() || found.size() < best.size() ||
          (found.size() == best.size() && largest(found) < largest(best))) {
        best = found;
      }
    }
    return best;
  }
};

// j / n turns as a constant, j = 0 .. n: Taylor's series about half a turn.
constexpr Turn<double> constant_turn(int j, int n) {
  const long double x = 3.14159265358979323846264338328L * (2 * j - n) / n;
  long double cosine = 0, sine = 0, term = 1;
  for (int k = 0; k < 40; term *= x / ++k) {
    (k % 2 == 0 ? cosine : sine) += k / 2 % 2 == 0 ? term : -term;
  }
  return {static_cast<double>(-cosine), static_cast<double>(-sine)};
}

// Complex numbers in the lanes of a vector.
template <class T, int Bytes>
struct ComplexLanes {
  using Value = T;
  using V = typename Vector<T, Bytes>::type;
  static constexpr int lanes = Vector<T, Bytes>::lanes;
  using Index = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
  typedef Index Mask __attribute__((vector_size(Bytes)));

  static LOREMD_INLINE V swapped(V x) {
    Mask mask;
    for (int k = 0; k < lanes; ++k) mask[k] = k ^ 1;
    return __builtin_shuffle(x, mask);
  }
  // All values, so that the complex numbers change places and their parts as well.
  static LOREMD_INLINE V reversed(V x) {
    Mask mask;
    for (int k = 0; k < lanes; ++k) mask[k] = lanes - 1 - k;
    return __builtin_shuffle(x, mask);
  }
  // (x, -x, x, -x, ...)
  static LOREMD_INLINE V alternating(T x) {
    V both;
    for (int k = 0; k < lanes; ++k) both[k] = k % 2 == 0 ? x : -x;
    return both;
  }
  // The product with exp(-i angle), its sine alternating; with -i for cosine 0, sine 1.
  static LOREMD_INLINE V turned(V x, T cosine, V sine) { return cosine * x + swapped(x) * sine; }
  static LOREMD_INLINE V quarter_turned(V x) { return swapped(x) * alternating(1); }
};

// The product with exp(-2 pi i J / N).
template <class Lanes, int J, int N>
LOREMD_INLINE typename Lanes::V turned(typename Lanes::V x) {
  using T = typename Lanes::Value;
  if constexpr (J == 0) {
    return x;
  } else if constexpr (4 * J == N) {
    return Lanes::quarter_turned(x);
  } else {
    constexpr Turn<double> turn = constant_turn(J, N);
    return Lanes::turned(x, T(turn.cosine), Lanes::alternating(T(turn.sine)));
  }
}

// The larger factor of a radix that is no prime; 4 counts as one.
constexpr int larger_factor(int radix) {
  for (int factor : {4, 5, 3}) {
    if (radix > factor && radix % factor == 0) return factor;
  }
  return radix;
}

// a_k <- sum_j a_j exp(-2 pi i j k / R)
template <class Lanes, int R, class V>
LOREMD_INLINE void butterfly(V (&a)[R]) {
  constexpr int A = larger_factor(R), B = R / A;
  if constexpr (B > 1) {
    // j = B j1 + j2, k = k1 + A k2
    for_each_constant<B>([&](auto j2) LOREMD_INLINE_LAMBDA {
      V part[A];
      LOREMD_UNROLL
      for (int j1 = 0; j1 < A; ++j1) part[j1] = a[B * j1 + j2];
      butterfly<Lanes, A>(part);
      for_each_constant<A>([&](auto k1) LOREMD_INLINE_LAMBDA {
        a[B * k1 + j2] = turned<Lanes, j2() * k1(), R>(part[k1]);
      });
    });
    V result[R];
    LOREMD_UNROLL
    for (int k1 = 0; k1 < A; ++k1) {
      V part[B];
      LOREMD_UNROLL
      for (int j2 = 0; j2 < B; ++j2) part[j2] = a[B * k1 + j2];
      butterfly<Lanes, B>(part);
      LOREMD_UNROLL
      for (int k2 = 0; k2 < B; ++k2) result[k1 + A * k2] = part[k2];
    }
    LOREMD_UNROLL
    for (int k = 0; k < R; ++k) a[k] = result[k];
  } else if constexpr (R == 2) {
    const V difference = a[0] - a[1];
    a[0] += a[1];
    a[1] = difference;
  } else if constexpr (R == 4) {
    const V s0 = a[0] + a[2], d0 = a[0] - a[2], s1 = a[1] + a[3];
    const V d1 = Lanes::quarter_turned(a[1] - a[3]);
    a[0] = s0 + s1, a[1] = d0 + d1, a[2] = s0 - s1, a[3] = d0 - d1;
  } else {
    using T = typename Lanes::Value;
    constexpr int half = R / 2;
    V even[half], odd[half];
    const V first = a[0];
    LOREMD_UNROLL
    for (int j = 1; j <= half; ++j) {
      even[j - 1] = a[j] + a[R - j];
      odd[j - 1] = a[j] - a[R - j];
      a[0] += even[j - 1];
    }
    for_each_constant<half>([&](auto before) LOREMD_INLINE_LAMBDA {
      constexpr int k = before() + 1;
      V along = first, across = V{};
      for_each_constant<half>([&](auto i) LOREMD_INLINE_LAMBDA {
        constexpr Turn<double> root = constant_turn((i() + 1) * k % R, R);
        along += T(root.cosine) * even[i];
        across += T(root.sine) * odd[i];
      });
      across = Lanes::quarter_turned(across);
      a[k] = along + across;
      a[R - k] = along - across;
    });
  }
}

// Sequences of elements of `width` vectors side by side each, `step` values from one to the next.
template <class T>
struct Sequences {
  T *data;
  std::ptrdiff_t step;
};

// One stage of radix R: element (p + m i) runs + j, i = 0 .. R-1, becomes (R p + k) runs + j, k = 0
// .. R-1; of the last stage of an inverse transform, that many elements before the end.
template <class T>
struct FftStage {
  int n, m, runs, width;
  const Turn<T> *turns, *roots;
  Sequences<T> from, to;
  bool reversed;

  LOREMD_INLINE const T *source(int p, int j) const {
    return from.data + (std::ptrdiff_t(p) * runs + j) * from.step;
  }
  LOREMD_INLINE std::ptrdiff_t source_step() const { return std::ptrdiff_t(m) * runs * from.step; }
  // What k = 0 becomes.
  LOREMD_INLINE std::ptrdiff_t element(int R, int p, int j) const {
    return std::ptrdiff_t(R) * p * runs + j;
  }
  // Where k = 0 goes, and from where on the others go k `target_step` further.
  LOREMD_INLINE T *first_target(int R, int p, int j) const {
    const std::ptrdiff_t e = element(R, p, j);
    return to.data + (reversed && e > 0 ? n - e : e) * to.step;
  }
  LOREMD_INLINE T *other_targets(int R, int p, int j) const {
    const std::ptrdiff_t e = element(R, p, j);
    return to.data + (reversed ? n - e : e) * to.step;
  }
  LOREMD_INLINE std::ptrdiff_t target_step() const {
    return (reversed ? -1 : 1) * std::ptrdiff_t(runs) * to.step;
  }
};

template <class Lanes, int R, class T>
LOREMD_INLINE void fft_stage(const FftStage<T> &stage) {
  using V = typename Lanes::V;
  const std::ptrdiff_t x_step = stage.source_step(), y_step = stage.target_step();
  const Turn<T> *turns = stage.turns;
  for (int p = 0; p < stage.m; ++p, turns += R - 1) {
    V sine[R];
    LOREMD_UNROLL
    for (int i = 1; i < R; ++i) sine[i] = Lanes::alternating(1) * turns[i - 1].sine;
    for (int j = 0; j < stage.runs; ++j) {
      const T *x = stage.source(p, j);
      T *y0 = stage.first_target(R, p, j), *y = stage.other_targets(R, p, j);
      for (int v = 0; v < stage.width; ++v) {
        V a[R];
        LOREMD_UNROLL
        for (int i = 0; i < R; ++i) a[i] = load<V>(x + i * x_step);
        butterfly<Lanes, R>(a);
        store(y0, a[0]);
        if (p == 0) {
          LOREMD_UNROLL
          for (int k = 1; k < R; ++k) store(y + k * y_step, a[k]);
        } else {
          LOREMD_UNROLL
          for (int k = 1; k < R; ++k) {
            store(y + k * y_step, Lanes::turned(a[k], turns[k - 1].cosine, sine[k]));
          }
        }
        x += Lanes::lanes, y0 += Lanes::lanes, y += Lanes::lanes;
      }
    }
  }
}

// The same for any radix; `from` and `to` do not overlap.
template <class Lanes, class T>
LOREMD_INLINE void fft_stage_any(int R, const FftStage<T> &stage) {
  using V = typename Lanes::V;
  const std::ptrdiff_t x_step = stage.source_step(), y_step = stage.target_step();
  for (int p = 0; p < stage.m; ++p) {
    for (int j = 0; j < stage.runs; ++j) {
      for (int v = 0; v < stage.width; ++v) {
        const T *x = stage.source(p, j) + v * Lanes::lanes;
        for (int k = 0; k < R; ++k) {
          V along{}, across{};
          for (int i = 0; i < R; ++i) {
            const V value = load<V>(x + i * x_step);
            along += stage.roots[i * k % R].cosine * value;
            across += stage.roots[i * k % R].sine * value;
          }
          V sum = along + Lanes::quarter_turned(across);
          if (k > 0) {
            const Turn<T> &turn = stage.turns[p * (R - 1) + k - 1];
            sum = Lanes::turned(sum, turn.cosine, Lanes::alternating(1) * turn.sine);
          }
          T *const y =
              k == 0 ? stage.first_target(R, p, j) : stage.other_targets(R, p, j) + k * y_step;
          store(y + v * Lanes::lanes, sum);
        }
      }
    }
  }
}

template <class Lanes, class T>
LOREMD_INLINE void copy_sequences(int n, int width, Sequences<T> from, Sequences<T> to) {
  for (int i = 0; i < n; ++i) {
    for (int v = 0; v < width; ++v) {
      const auto value = load<typename Lanes::V>(from.data + i * from.step + v * Lanes::lanes);
      store(to.data + i * to.step + v * Lanes::lanes, value);
    }
  }
}

// to <- the transforms of `from` with exp(-2 pi i j k / n), or its conjugate where `inverse`,
// without a factor; `to` may be `from`. `workspace` has room for two sequences and is apart.
template <class Lanes, class T>
LOREMD_INLINE void fft(const FftPlan<T> &plan, bool inverse, int width, Sequences<T> from,
                       Sequences<T> to, T *workspace) {
  const std::ptrdiff_t step = std::ptrdiff_t(width) * Lanes::lanes;
  const int stages = static_cast<int>(plan.radices.size());
  if (stages == 0) return copy_sequences<Lanes>(1, width, from, to);
  if (stages == 1 && !has_code(plan.n)) {  // reads all elements for each
    copy_sequences<Lanes>(plan.n, width, from, {workspace, step});
    from = {workspace, step};
  }
  FftStage<T> stage{plan.n, plan.n, 1,    width, plan.turns.data(), plan.roots.data(),
                    from,   {},     false};
  for (int s = 0; s < stages; ++s) {
    const int radix = plan.radices[s];
    const bool last = s == stages - 1;
    stage.m /= radix;
    stage.to = last ? to : Sequences<T>{workspace + s % 2 * plan.n * step, step};
    stage.reversed = last && inverse;
    if (has_code(radix)) {
      for_each_constant<fft_radices.size()>([&](auto index) LOREMD_INLINE_LAMBDA {
        constexpr int R = fft_radices[index()];
        if (radix == R) fft_stage<Lanes, R>(stage);
      });
    } else {
      fft_stage_any<Lanes>(radix, stage);
    }
    stage.turns += stage.m * (radix - 1);
    stage.roots += radix;
    stage.runs *= radix;
    stage.from = stage.to;
  }
}

}  // namespace loremd
