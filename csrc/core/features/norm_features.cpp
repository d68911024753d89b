// SPDX-License-Identifier: BSD-3-Clause
#include "features/norm_features.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "math/norm.hpp"
#include "simd.hpp"

namespace loremd {
namespace {

constexpr int most_lanes = 8;  // features that are worked on together, in double

// Some features of one degree of one atom.
template <class Lanes>
struct Part {
  int64_t atom;
  int degree, feature;  // the first
  Lanes lanes;          // 8 as a constant, or fewer
  int64_t norm;         // place among the norms

  template <class T>
  LOREMD_INLINE T *row(const SphericalFeatures<T> &array, int k) const {
    return array.row(atom, degree * degree + k) + feature;
  }
};

// Calls body(part) for all of them.
template <class Body>
void for_each_part(const NormShape &shape, int64_t atoms, Body &&body) {
  with_vectors([&](auto) LOREMD_INLINE_LAMBDA {
    int64_t norm = 0;
    for (int64_t atom = 0; atom < atoms; ++atom) {
      for (int degree = 0; degree <= shape.degree; ++degree, norm += shape.features) {
        for (int f = 0; f < shape.features; f += most_lanes) {
          using All = std::integral_constant<int, most_lanes>;
          const int lanes = std::min(most_lanes, shape.features - f);
          if (lanes == most_lanes) {
            body(Part<All>{atom, degree, f, {}, norm + f});
          } else {
            body(Part<int>{atom, degree, f, lanes, norm + f});
          }
        }
      }
    }
  });
}

// sums[f] += sum over the components of a b
template <class T, class Lanes>
LOREMD_INLINE void add_products(const Part<Lanes> &part, const SphericalFeatures<const T> &a,
                                const SphericalFeatures<const T> &b, double *sums) {
  for (int k = 0; k <= 2 * part.degree; ++k) {
    const T *first = part.row(a, k), *second = part.row(b, k);
    for (int f = 0; f < part.lanes; ++f) sums[f] += double{first[f]} * double{second[f]};
  }
}

// r and 1 / r, the latter 0 where r = 0: without a branch, so that the lanes stay together.
template <class T, class Lanes>
LOREMD_INLINE void radii(const NormShape &shape, const Part<Lanes> &part,
                         const SphericalFeatures<const T> &t, double *radius, double *inverse) {
  double squares[most_lanes];
  for (int f = 0; f < part.lanes; ++f) squares[f] = shape.epsilon * shape.epsilon;
  add_products(part, t, t, squares);
  for (int f = 0; f < part.lanes; ++f) radius[f] = std::sqrt(squares[f]);
  for (int f = 0; f < part.lanes; ++f) inverse[f] = inverse_norm(radius[f], squares[f]);
}

// to[f] = value(f), all of them known before the first is written, so that nothing can overlap.
template <class T, class Lanes, class Value>
LOREMD_INLINE void write(Lanes lanes, T *to, Value &&value) {
  T values[most_lanes];
  for (int f = 0; f < lanes; ++f) values[f] = static_cast<T>(value(f));
  for (int f = 0; f < lanes; ++f) to[f] = values[f];
}

}  // namespace

template <class T>
void norm_features(const NormShape &shape, int64_t atoms, const SphericalFeatures<const T> &t,
                   T *norms) {
  for_each_part(shape, atoms, [&](const auto &part) LOREMD_INLINE_LAMBDA {
    double radius[most_lanes], inverse[most_lanes];
    radii(shape, part, t, radius, inverse);
    const double scale = norm_factor(part.degree);
    for (int f = 0; f < part.lanes; ++f) {
      norms[part.norm + f] = static_cast<T>(scale * (radius[f] - shape.epsilon));
    }
  });
}

template <class T>
void norm_features_gradient(const NormShape &shape, int64_t atoms,
                            const SphericalFeatures<const T> &t, const T *grad,
                            const SphericalFeatures<T> &by_t) {
  for_each_part(shape, atoms, [&](const auto &part) LOREMD_INLINE_LAMBDA {
    double radius[most_lanes], slope[most_lanes];
    radii(shape, part, t, radius, slope);
    const double scale = norm_factor(part.degree);
    for (int f = 0; f < part.lanes; ++f) slope[f] *= scale * grad[part.norm + f];
    for (int k = 0; k <= 2 * part.degree; ++k) {
      const T *from = part.row(t, k);
      write(part.lanes, part.row(by_t, k),
            [&](int f) LOREMD_INLINE_LAMBDA { return slope[f] * from[f]; });
    }
  });
}

// With u = t / r the gradient is grad u, and its derivative grad (direction - u (u direction)) / r.
template <class T>
void norm_features_curvature(const NormShape &shape, int64_t atoms,
                             const SphericalFeatures<const T> &t, const T *grad,
                             const SphericalFeatures<const T> &direction,
                             const SphericalFeatures<T> &by_t, T *by_grad) {
  for_each_part(shape, atoms, [&](const auto &part) LOREMD_INLINE_LAMBDA {
    double radius[most_lanes], inverse[most_lanes], along[most_lanes]{}, slope[most_lanes];
    radii(shape, part, t, radius, inverse);
    add_products(part, t, direction, along);
    const double scale = norm_factor(part.degree);
    for (int f = 0; f < part.lanes; ++f) {
      along[f] *= inverse[f];
      slope[f] = scale * grad[part.norm + f] * inverse[f];
    }
    write(part.lanes, by_grad + part.norm,
          [&](int f) LOREMD_INLINE_LAMBDA { return scale * along[f]; });
    for (int k = 0; k <= 2 * part.degree; ++k) {
      const T *from = part.row(t, k), *with = part.row(direction, k);
      write(part.lanes, part.row(by_t, k), [&](int f) LOREMD_INLINE_LAMBDA {
        return norm_curvature(slope[f], with[f], along[f], inverse[f], from[f]);
      });
    }
  });
}

#define LOREMD_INSTANTIATE(T)                                                                 \
  template void norm_features(const NormShape &, int64_t, const SphericalFeatures<const T> &, \
                              T *);                                                           \
  template void norm_features_gradient(const NormShape &, int64_t,                            \
                                       const SphericalFeatures<const T> &, const T *,         \
                                       const SphericalFeatures<T> &);                         \
  template void norm_features_curvature(                                                      \
      const NormShape &, int64_t, const SphericalFeatures<const T> &, const T *,              \
      const SphericalFeatures<const T> &, const SphericalFeatures<T> &, T *);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd
