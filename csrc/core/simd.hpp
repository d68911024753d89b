// SPDX-License-Identifier: BSD-3-Clause
//
// Vector width at run time: a function marked LOREMD_CLONES is compiled for AVX-512, AVX2 and the
// baseline, and the loader picks the one for the machine. What it calls must be inlined into it
// (LOREMD_INLINE), else that part stays at the baseline.
//
// The loops take their length as `int` or as std::integral_constant, so that one piece of code
// serves any number of channels and is unrolled completely for the usual ones.
#pragma once

#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__x86_64__) && defined(__GNUC__) && __GNUC__ >= 12 && !defined(__clang__)
#define LOREMD_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define LOREMD_WIDE __attribute__((target("arch=x86-64-v4")))
#define LOREMD_NARROW __attribute__((target_clones("arch=x86-64-v3", "default")))
#define LOREMD_HAS_WIDE __builtin_cpu_supports("x86-64-v4")
#else
#define LOREMD_CLONES
#define LOREMD_WIDE
#define LOREMD_NARROW
#define LOREMD_HAS_WIDE false
#endif
#define LOREMD_INLINE_LAMBDA __attribute__((always_inline))
#define LOREMD_INLINE inline LOREMD_INLINE_LAMBDA

namespace loremd {

// A vector of `Bytes` bytes; where the machine's are shorter, the compiler takes several.
template <class T, int Bytes>
struct Vector {
  typedef T type __attribute__((vector_size(Bytes)));
  static constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
};

template <class V, class T>
LOREMD_INLINE V load(const T *from) {
  V value;
  std::memcpy(&value, from, sizeof(V));
  return value;
}

template <class V, class T>
LOREMD_INLINE void store(T *to, const V &value) {
  std::memcpy(to, &value, sizeof(V));
}

// Calls body(t) for t = 0 .. N - 1 as constants, so that arrays of N values stay in registers.
template <class Body, int... T>
LOREMD_INLINE void for_each_constant(std::integer_sequence<int, T...>, Body &&body) {
  (body(std::integral_constant<int, T>{}), ...);
}
template <int N, class Body>
LOREMD_INLINE void for_each_constant(Body &&body) {
  for_each_constant(std::make_integer_sequence<int, N>{}, body);
}

template <class T>
using LaneNumber = std::conditional_t<sizeof(T) == 4, int, long long>;

// Blocks of h lanes change places: every second block of `a` with the one before it of `b`.
template <int Bytes, class V>
LOREMD_INLINE void exchange_lanes(int h, V &a, V &b) {
  using T = std::remove_reference_t<decltype(a[0])>;
  constexpr int lanes = Vector<T, Bytes>::lanes;
  typename Vector<LaneNumber<T>, Bytes>::type upper, lower;
  for (int lane = 0; lane < lanes; ++lane) {
    upper[lane] = lane & h ? lanes + lane - h : lane;
    lower[lane] = lane & h ? lanes + lane : lane + h;
  }
  const V first = __builtin_shuffle(a, b, upper);
  b = __builtin_shuffle(a, b, lower);
  a = first;
}

// Within every 16 bytes: the lower halves of both by turns, h lanes of each, into `a`, the upper
// ones into `b`. One fast instruction each.
template <int Bytes, class V>
LOREMD_INLINE void interleave_lanes(int h, V &a, V &b) {
  using T = std::remove_reference_t<decltype(a[0])>;
  constexpr int lanes = Vector<T, Bytes>::lanes, block = 16 / sizeof(T);
  typename Vector<LaneNumber<T>, Bytes>::type lower, upper;
  for (int lane = 0; lane < lanes; ++lane) {
    const int place = lane % block, turn = place / (2 * h);
    lower[lane] = (place / h % 2) * lanes + (lane - place) + turn * h + place % h;
    upper[lane] = lower[lane] + block / 2;
  }
  const V first = __builtin_shuffle(a, b, lower);
  b = __builtin_shuffle(a, b, upper);
  a = first;
}

// The square block with these rows, transposed in place: first within every 16 bytes, where 2 or 4
// lanes stand.
template <class T, int Bytes>
LOREMD_INLINE void transpose(typename Vector<T, Bytes>::type *rows) {
  constexpr int lanes = Vector<T, Bytes>::lanes, block = 16 / sizeof(T);
#pragma GCC unroll 4
  for (int k = 0; k < lanes; k += block) {
    for (int i = 0; i < block; i += 2) interleave_lanes<Bytes>(1, rows[k + i], rows[k + i + 1]);
    if constexpr (block == 4) {
      interleave_lanes<Bytes>(2, rows[k], rows[k + 2]);
      interleave_lanes<Bytes>(2, rows[k + 1], rows[k + 3]);
      std::swap(rows[k + 1], rows[k + 2]);
    }
  }
#pragma GCC unroll 4
  for (int h = block; h < lanes; h *= 2) {
#pragma GCC unroll 16
    for (int k = 0; k < lanes; ++k) {
      if ((k & h) == 0) exchange_lanes<Bytes>(h, rows[k], rows[k + h]);
    }
  }
}

// Lane k of the result is the sum over the lanes of row k, for as many rows as lanes; rows are
// overwritten.
template <class T, int Bytes>
LOREMD_INLINE typename Vector<T, Bytes>::type sum_lanes(typename Vector<T, Bytes>::type *rows) {
  constexpr int lanes = Vector<T, Bytes>::lanes, block = 16 / sizeof(T);
#pragma GCC unroll 4
  for (int h = 1; h < lanes; h *= 2) {
#pragma GCC unroll 16
    for (int k = 0; k < lanes; k += 2 * h) {
      if (h < block) {
        interleave_lanes<Bytes>(h, rows[k], rows[k + h]);
      } else {
        exchange_lanes<Bytes>(h, rows[k], rows[k + h]);
      }
      rows[k] += rows[k + h];
    }
  }
  return rows[0];
}

// Calls body(longest vector in bytes) as a constant, 64 with AVX-512 and 32 without: compilers keep
// vectors longer than the machine's in memory. As with LOREMD_CLONES, what the body, itself
// LOREMD_INLINE_LAMBDA, calls must be inlined.
template <class Body>
LOREMD_WIDE void with_wide_vectors(Body &&body) {
  body(std::integral_constant<int, 64>{});
}
template <class Body>
LOREMD_NARROW void with_narrow_vectors(Body &&body) {
  body(std::integral_constant<int, 32>{});
}
template <class Body>
void with_vectors(Body &&body) {
  if (LOREMD_HAS_WIDE) {
    with_wide_vectors(body);
  } else {
    with_narrow_vectors(body);
  }
}

// Calls body(offset, zero of the vector type) along `length` values: the longest vectors first,
// then what is left in shorter ones, then single values. Nothing beyond the end is touched.
template <class T, int Longest = 64, class Length, class Body>
LOREMD_INLINE void for_each_vector(Length length, Body &&body) {
  using Line = Vector<T, 64>;
  using Half = Vector<T, 32>;
  using Quarter = Vector<T, 16>;
  int i = 0, rest = length;
  for (; Longest == 64 && rest >= Line::lanes; i += Line::lanes, rest -= Line::lanes) {
    body(i, typename Line::type{});
  }
  for (; rest >= Half::lanes; i += Half::lanes, rest -= Half::lanes) {
    body(i, typename Half::type{});
  }
  if (rest >= Quarter::lanes) {
    body(i, typename Quarter::type{});
    i += Quarter::lanes, rest -= Quarter::lanes;
  }
  for (; rest > 0; ++i, --rest) body(i, T{});
}

// target += scale * values
template <int Longest = 64, class T, class Length>
LOREMD_INLINE void add_scaled(Length length, T scale, const T *__restrict values,
                              T *__restrict target) {
  for_each_vector<T, Longest>(length, [&](int i, auto zero) LOREMD_INLINE_LAMBDA {
    using V = decltype(zero);
    store(target + i, load<V>(target + i) + scale * load<V>(values + i));
  });
}

template <class T, class Length>
LOREMD_INLINE void set_zero(Length length, T *target) {
  std::memset(target, 0, sizeof(T) * static_cast<int>(length));
}

// The lanes of both halves, in registers.
template <class V, class H, int... Lanes>
LOREMD_INLINE V join(const H &first, const H &second, std::integer_sequence<int, Lanes...>) {
#if defined(__clang__) || __GNUC__ >= 12
  return __builtin_shufflevector(first, second, Lanes...);
#else
  V both;
  std::memcpy(&both, &first, sizeof(H));
  std::memcpy(reinterpret_cast<char *>(&both) + sizeof(H), &second, sizeof(H));
  return both;
#endif
}
template <class V, class H>
LOREMD_INLINE V join(const H &first, const H &second) {
  constexpr int lanes = sizeof(V) / sizeof(first[0]);
  return join<V>(first, second, std::make_integer_sequence<int, lanes>{});
}

// The sum of the lanes, by halves.
template <int Bytes, int Half = 0, class V>
LOREMD_INLINE auto sum_of_lanes(const V &sums) {
  using T = std::remove_cv_t<std::remove_reference_t<decltype(sums[0])>>;
  constexpr int lanes = Vector<T, Bytes>::lanes, half = Half == 0 ? lanes / 2 : Half;
  typename Vector<LaneNumber<T>, Bytes>::type other;
  for (int lane = 0; lane < lanes; ++lane) other[lane] = lane ^ half;
  const V both = sums + __builtin_shuffle(sums, other);
  if constexpr (half == 1) {
    return both[0];
  } else {
    return sum_of_lanes<Bytes, half / 2>(both);
  }
}

// Sum of a * b. The partial sums of a vector are added at the end.
template <class T, class Length>
LOREMD_INLINE T dot(Length length, const T *a, const T *b) {
  using Half = Vector<T, 32>;
  typename Half::type sums{};
  T total = 0;
  int i = 0, rest = length;
  for (; rest >= Half::lanes; i += Half::lanes, rest -= Half::lanes) {
    sums += load<typename Half::type>(a + i) * load<typename Half::type>(b + i);
  }
  for (; rest > 0; ++i, --rest) total += a[i] * b[i];
  return total + sum_of_lanes<32>(sums);
}

}  // namespace loremd
