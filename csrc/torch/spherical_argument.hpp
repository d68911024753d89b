// SPDX-License-Identifier: BSD-3-Clause
//
// What the ops on spherical features (n, (degree + 1)^2, features) share.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>

#include "features/spherical_features.hpp"
#include "support.hpp"

namespace loremd_torch {

constexpr int64_t atoms_per_task = 64;  // some 20 to 100 us of work for the usual degrees

inline int degree_of(const char *op, const char *name, const Tensor &t) {
  TORCH_CHECK_VALUE(t.dim() == 3, "loremd::", op, ": expected ", name,
                    " of shape (n, (degree + 1)^2, features), got ", t.sizes());
  int degree = 0;
  while ((degree + 1) * (degree + 1) < t.size(1)) ++degree;
  TORCH_CHECK_VALUE((degree + 1) * (degree + 1) == t.size(1), "loremd::", op, ": expected ", name,
                    " with (degree + 1)^2 components, got ", t.size(1));
  return degree;
}

// Checked, and copied only where its features are not contiguous.
class SphericalArgument {
 public:
  SphericalArgument(const char *op, const char *name, const Tensor &t)
      : degree(degree_of(op, name, t)), values_(t.stride(2) == 1 ? t : t.contiguous()) {
    check_floating(op, name, t);
  }

  // Of the same atoms and dtype as `like`, and with as many features, if `same_features`.
  SphericalArgument(const char *op, const char *name, const Tensor &t, const Tensor &like,
                    bool same_features = true)
      : SphericalArgument(op, name, t) {
    check_dtype(op, name, t, like.scalar_type());
    TORCH_CHECK_VALUE(t.size(0) == like.size(0), "loremd::", op, ": expected ", name, " of ",
                      like.size(0), " atoms, got shape ", t.sizes());
    TORCH_CHECK_VALUE(!same_features || t.size(2) == like.size(2), "loremd::", op, ": expected ",
                      name, " with ", like.size(2), " features, got shape ", t.sizes());
  }

  int features() const { return static_cast<int>(values_.size(2)); }

  template <class T>
  loremd::SphericalFeatures<const T> from(int64_t atom) const {
    const int64_t stride = values_.stride(0);
    return {values_.const_data_ptr<T>() + atom * stride, stride, values_.stride(1)};
  }

  const int degree;

 private:
  Tensor values_;
};

// Where a result begins for the atoms from `atom` on.
template <class T>
loremd::SphericalFeatures<T> result_from(const Tensor &result, int64_t atom) {
  const int64_t stride = result.stride(0);
  return {result.mutable_data_ptr<T>() + atom * stride, stride, result.stride(1)};
}

// Calls kernel(first atom, their number, sums of double to add to) for parts of the atoms, and
// returns the total of the sums. The parts do not depend on the number of threads, nor does the
// total.
template <class Kernel>
Tensor sum_over_atoms(const char *op, int64_t atoms, std::vector<int64_t> shape,
                      const at::TensorOptions &options, Kernel &&kernel) {
  const int64_t parts = std::min<int64_t>(16, atoms / atoms_per_task + 1);
  shape.insert(shape.begin(), parts);
  Tensor sums = at::zeros(shape, options.dtype(at::kDouble));
  double *to = sums.mutable_data_ptr<double>();
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    run_core(op, [&] {
      for (int64_t part = begin; part < end; ++part) {
        const int64_t from = atoms * part / parts, until = atoms * (part + 1) / parts;
        kernel(from, until - from, to + part * sums.stride(0));
      }
    });
  });
  return sums.sum(0).to(options);
}

}  // namespace loremd_torch
