// SPDX-License-Identifier: BSD-3-Clause
//
// An item is one norm: the features of a degree of an atom follow each other.
#include "device.hpp"
#include "features/cuda.hpp"
#include "math/norm.hpp"

namespace loremd::cuda {
namespace {

// The components of one degree and feature of one atom, and their norm.
template <class T>
struct NormItem {
  NormShape shape;
  SphericalFeatures<const T> t;

  struct Place {
    int64_t atom;
    int degree, feature;
  };
  LOREMD_HOST_DEVICE Place place(int64_t norm) const {
    const int64_t row = norm / shape.features;
    return {row / (shape.degree + 1), static_cast<int>(row % (shape.degree + 1)),
            static_cast<int>(norm % shape.features)};
  }
  LOREMD_HOST_DEVICE static int component(const Place &at, int k) {
    return at.degree * at.degree + k;
  }

  LOREMD_HOST_DEVICE double square(const Place &at) const {
    double sum = shape.epsilon * shape.epsilon;
    for (int k = 0; k <= 2 * at.degree; ++k) {
      const double value = t.row(at.atom, component(at, k))[at.feature];
      sum += value * value;
    }
    return sum;
  }
};

template <class T>
struct Norms : NormItem<T> {
  T *norms;

  LOREMD_HOST_DEVICE void operator()(int64_t i) const {
    const auto at = this->place(i);
    norms[i] =
        static_cast<T>(norm_factor(at.degree) * (sqrt(this->square(at)) - this->shape.epsilon));
  }
};

template <class T>
struct NormGradient : NormItem<T> {
  const T *grad;
  SphericalFeatures<T> by_t;

  LOREMD_HOST_DEVICE void operator()(int64_t i) const {
    const auto at = this->place(i);
    const double square = this->square(at);
    const double slope = norm_factor(at.degree) * grad[i] * inverse_norm(sqrt(square), square);
    for (int k = 0; k <= 2 * at.degree; ++k) {
      const int component = this->component(at, k);
      by_t.row(at.atom, component)[at.feature] =
          static_cast<T>(slope * this->t.row(at.atom, component)[at.feature]);
    }
  }
};

template <class T>
struct NormCurvature : NormItem<T> {
  const T *grad;
  SphericalFeatures<const T> direction;
  SphericalFeatures<T> by_t;
  T *by_grad;

  LOREMD_HOST_DEVICE void operator()(int64_t i) const {
    const auto at = this->place(i);
    const double square = this->square(at), inverse = inverse_norm(sqrt(square), square);
    double along = 0;
    for (int k = 0; k <= 2 * at.degree; ++k) {
      const int component = this->component(at, k);
      along += double(this->t.row(at.atom, component)[at.feature]) *
               direction.row(at.atom, component)[at.feature];
    }
    along *= inverse;
    const double factor = norm_factor(at.degree), slope = factor * grad[i] * inverse;
    by_grad[i] = static_cast<T>(factor * along);
    for (int k = 0; k <= 2 * at.degree; ++k) {
      const int component = this->component(at, k);
      by_t.row(at.atom, component)[at.feature] =
          static_cast<T>(norm_curvature(slope, direction.row(at.atom, component)[at.feature], along,
                                        inverse, this->t.row(at.atom, component)[at.feature]));
    }
  }
};

int64_t norms_of(const NormShape &shape, int64_t atoms) {
  return atoms * (shape.degree + 1) * shape.features;
}

}  // namespace

template <class T>
void norm_features(const NormShape &shape, int64_t atoms, const SphericalFeatures<const T> &t,
                   T *norms, Stream stream) {
  for_each_item(stream, norms_of(shape, atoms), Norms<T>{{shape, t}, norms});
}

template <class T>
void norm_features_gradient(const NormShape &shape, int64_t atoms,
                            const SphericalFeatures<const T> &t, const T *grad,
                            const SphericalFeatures<T> &by_t, Stream stream) {
  for_each_item(stream, norms_of(shape, atoms), NormGradient<T>{{shape, t}, grad, by_t});
}

template <class T>
void norm_features_curvature(const NormShape &shape, int64_t atoms,
                             const SphericalFeatures<const T> &t, const T *grad,
                             const SphericalFeatures<const T> &direction,
                             const SphericalFeatures<T> &by_t, T *by_grad, Stream stream) {
  for_each_item(stream, norms_of(shape, atoms),
                NormCurvature<T>{{shape, t}, grad, direction, by_t, by_grad});
}

#define LOREMD_INSTANTIATE(T)                                                                      \
  template void norm_features(const NormShape &, int64_t, const SphericalFeatures<const T> &, T *, \
                              Stream);                                                             \
  template void norm_features_gradient(const NormShape &, int64_t,                                 \
                                       const SphericalFeatures<const T> &, const T *,              \
                                       const SphericalFeatures<T> &, Stream);                      \
  template void norm_features_curvature(                                                           \
      const NormShape &, int64_t, const SphericalFeatures<const T> &, const T *,                   \
      const SphericalFeatures<const T> &, const SphericalFeatures<T> &, T *, Stream);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd::cuda
