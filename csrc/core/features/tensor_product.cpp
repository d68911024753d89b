// SPDX-License-Identifier: BSD-3-Clause
//
// Lanes are (atom, feature): as many atoms as fill a vector with their features, or a part of the
// features of one atom. Products and sums of a group stay in registers.
#include "features/tensor_product.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "aligned_array.hpp"
#include "features/coupling.hpp"
#include "features/coupling_terms.hpp"
#include "simd.hpp"

namespace loremd {
namespace {

// The lanes of one block: `features` of `atoms`, the features fastest.
template <class Features>
struct Block {
  int64_t atom;
  int atoms, first_feature;
  Features features;
};

// Calls body(block) for all blocks of at most `lanes` lanes. The usual numbers of features are
// constants, so that rows are copied by single instructions.
template <class Body>
LOREMD_INLINE void for_each_block(int64_t atoms, int first_feature, int features, int lanes,
                                  Body &&body) {
  const auto blocks = [&](auto constant_features) LOREMD_INLINE_LAMBDA {
    const int64_t step = lanes / constant_features;
    for (int64_t atom = 0; atom < atoms; atom += step) {
      const int here = static_cast<int>(std::min(step, atoms - atom));
      body(Block<decltype(constant_features)>{atom, here, first_feature, constant_features});
    }
  };
  if (features == 1) return blocks(std::integral_constant<int, 1>{});
  if (features == 8) return blocks(std::integral_constant<int, 8>{});
  if (features == 16) return blocks(std::integral_constant<int, 16>{});
  blocks(features);
}

// Calls body(number of the pair, 0 for the cosine and 1 for the sine) in the order of components.
template <class Body>
LOREMD_INLINE void for_each_component(int degree, Body &&body) {
  for (int l = 0; l <= degree; ++l) {
    for (int m = l; m > 0; --m) {
      body(pair_number(l, m), 0);
      body(pair_number(l, m), 1);
    }
    body(pair_number(l, 0), 0);
  }
}

// The rows of an argument, see coupling.hpp.
template <int Lanes, class T, class Features>
LOREMD_INLINE void gather(const Block<Features> &block, const SphericalFeatures<const T> &array,
                          int degree, T *rows) {
  for (int k = 0; k < block.atoms; ++k, rows += block.features) {
    const T *values = array.row(block.atom + k, 0) + block.first_feature;
    for_each_component(degree, [&](int pair, int sine) LOREMD_INLINE_LAMBDA {
      T *row = rows + (argument_rows * pair + sine) * Lanes;
      for (int f = 0; f < block.features; ++f) row[f] = values[f];
      for (int f = 0; sine && f < block.features; ++f) row[Lanes + f] = -values[f];
      values += array.component_stride;
    });
  }
}

template <int Lanes, class T, class Features>
LOREMD_INLINE void scatter(const Block<Features> &block, const T *rows, int degree,
                           const SphericalFeatures<T> &array) {
  for (int k = 0; k < block.atoms; ++k, rows += block.features) {
    T *values = array.row(block.atom + k, 0) + block.first_feature;
    for_each_component(degree, [&](int pair, int sine) LOREMD_INLINE_LAMBDA {
      const T *row = rows + (2 * pair + sine) * Lanes;
      for (int f = 0; f < block.features; ++f) values[f] = row[f];
      values += array.component_stride;
    });
  }
}

// The transpose of gather: -s, too, has a gradient.
template <int Lanes, class T, class Features>
LOREMD_INLINE void scatter_gradient(const Block<Features> &block, const T *rows, int degree,
                                    const SphericalFeatures<T> &array) {
  for (int k = 0; k < block.atoms; ++k, rows += block.features) {
    T *values = array.row(block.atom + k, 0) + block.first_feature;
    for_each_component(degree, [&](int pair, int sine) LOREMD_INLINE_LAMBDA {
      const T *row = rows + (argument_rows * pair + sine) * Lanes;
      for (int f = 0; f < block.features; ++f) values[f] = sine ? row[f] - row[Lanes + f] : row[f];
      values += array.component_stride;
    });
  }
}

// Sums of one group over its products of pairs: calls finish(k, cosine, sine) for the degrees.
template <class V, int Degrees, class T, class Finish>
LOREMD_INLINE void sum_group(const CouplingGroup &group, const PairProduct *products,
                             const T *coefficients, const T *rows, Finish &&finish) {
  const auto row = [&](uint16_t number) LOREMD_INLINE_LAMBDA {
    return load<V>(rows + number * (sizeof(V) / sizeof(T)));
  };
  V cosine[Degrees]{}, sine[Degrees]{};
  for (int i = 0; i < group.products; ++i, ++products, coefficients += Degrees) {
    const V c1 = row(products->c1), s1 = row(products->s1);
    const V c2 = row(products->c2), s2 = row(products->s2);
    V c, s;
    multiply_pairs(c1, s1, c2, s2, &c, &s);
    for (int k = 0; k < Degrees; ++k) {
      cosine[k] += coefficients[k] * c;
      sine[k] += coefficients[k] * s;
    }
  }
  for (int k = 0; k < Degrees; ++k) finish(k, cosine[k], sine[k]);
}

// Calls body(group, its number of degrees as a constant, its products, its coefficients) for all.
template <class T, class Body>
LOREMD_INLINE void for_each_group(const Coupling<T> &coupling, Body &&body) {
  const PairProduct *products = coupling.products.data();
  const T *coefficients = coupling.coefficients.data();
  for (const CouplingGroup &group : coupling.groups) {
    const auto call = [&](auto degrees)
                          LOREMD_INLINE_LAMBDA { body(group, degrees, products, coefficients); };
    static_assert(Coupling<T>::most_degrees == 4);
    if (group.degrees == 1) call(std::integral_constant<int, 1>{});
    if (group.degrees == 2) call(std::integral_constant<int, 2>{});
    if (group.degrees == 3) call(std::integral_constant<int, 3>{});
    if (group.degrees == 4) call(std::integral_constant<int, 4>{});
    products += group.products;
    coefficients += group.products * group.degrees;
  }
}

// Calls finish(path, number of the pair, cosines, sines) for all that is coupled, without weights.
template <class V, class T, class Finish>
LOREMD_INLINE void couple(const Coupling<T> &coupling, const T *rows, Finish &&finish) {
  for_each_group(
      coupling, [&](const CouplingGroup &group, auto degrees, const PairProduct *products,
                    const T *coefficients) LOREMD_INLINE_LAMBDA {
        sum_group<V, decltype(degrees)::value>(
            group, products, coefficients, rows, [&](int k, V cosine, V sine) LOREMD_INLINE_LAMBDA {
              finish(group.path + k, pair_number(group.l3 + 2 * k, group.m3), cosine, sine);
            });
      });
}

// The transpose of sum_group: with the weighted gradients by its sums, those by the rows are added
// to `by_rows`.
template <class V, int Degrees, class T>
LOREMD_INLINE void sum_group_back(const CouplingGroup &group, const PairProduct *products,
                                  const T *coefficients, const T *rows, const V *cosine,
                                  const V *sine, T *by_rows) {
  const auto row = [&](uint16_t number) LOREMD_INLINE_LAMBDA {
    return load<V>(rows + number * (sizeof(V) / sizeof(T)));
  };
  const auto add = [&](uint16_t number, V x1, V y1, V x2, V y2) LOREMD_INLINE_LAMBDA {
    T *to = by_rows + number * (sizeof(V) / sizeof(T));
    store(to, load<V>(to) + x1 * y1 + x2 * y2);
  };
  for (int i = 0; i < group.products; ++i, ++products, coefficients += Degrees) {
    V c = coefficients[0] * cosine[0], s = coefficients[0] * sine[0];
    for (int k = 1; k < Degrees; ++k) {
      c += coefficients[k] * cosine[k];
      s += coefficients[k] * sine[k];
    }
    const V c1 = row(products->c1), s1 = row(products->s1);
    const V c2 = row(products->c2), s2 = row(products->s2);
    add(products->c1, c, c2, s, s2);
    add(products->s1, s, c2, -c, s2);
    add(products->c2, c, c1, s, s1);
    add(products->s2, s, c1, -c, s1);
  }
}

// The transpose of couple: gradients by the rows, added to `by_rows`, from those by the sums, which
// weighted(path, number of the pair, &cosines, &sines) gives.
template <class V, class T, class Weighted>
LOREMD_INLINE void couple_back(const Coupling<T> &coupling, const T *rows, T *by_rows,
                               Weighted &&weighted) {
  for_each_group(
      coupling, [&](const CouplingGroup &group, auto degrees, const PairProduct *products,
                    const T *coefficients) LOREMD_INLINE_LAMBDA {
        constexpr int count = decltype(degrees)::value;
        V cosine[count], sine[count];
        for (int k = 0; k < count; ++k) {
          weighted(group.path + k, pair_number(group.l3 + 2 * k, group.m3), &cosine[k], &sine[k]);
        }
        sum_group_back<V, count>(group, products, coefficients, rows, cosine, sine, by_rows);
      });
}

// Where the weight of a path and a feature stands.
int64_t weight_index(const ProductShape &shape, const CouplingPath &path, int feature) {
  const int64_t degrees =
      (path.l1 * (shape.degree_b + 1) + path.l2) * int64_t{shape.degree_out + 1} + path.l3;
  return degrees * shape.features + feature;
}

// Calls body(path, lane, index of the weight) for all lanes of full blocks.
template <class Body>
void for_each_weight(const ProductShape &shape, const std::vector<CouplingPath> &paths,
                     int first_feature, int features, int lanes, Body &&body) {
  for (size_t path = 0; path < paths.size(); ++path) {
    for (int lane = 0; lane < lanes / features * features; ++lane) {
      body(static_cast<int>(path), lane,
           weight_index(shape, paths[path], first_feature + lane % features));
    }
  }
}

// Calls body(first feature, their number) for parts that fit into the lanes.
template <class Body>
LOREMD_INLINE void for_each_part(int features, int lanes, Body &&body) {
  for (int first = 0; first < features; first += lanes) {
    body(first, std::min(lanes, features - first));
  }
}

}  // namespace

template <class T>
void tensor_product(const ProductShape &shape, int64_t atoms, const SphericalFeatures<const T> &a,
                    const SphericalFeatures<const T> &b, const T *weight,
                    const SphericalFeatures<T> &out) {
  const Coupling<T> &table = coupling<T>(shape.degree_a, shape.degree_b, shape.degree_out);
  with_vectors([&](auto bytes) LOREMD_INLINE_LAMBDA {
    using V = typename Vector<T, decltype(bytes)::value>::type;
    constexpr int lanes = decltype(bytes)::value / sizeof(T);
    const int a_rows = argument_rows * pairs_up_to(shape.degree_a);
    const int b_rows = argument_rows * pairs_up_to(shape.degree_b);
    const int out_rows = 2 * pairs_up_to(shape.degree_out);
    AlignedArray<T> arguments((a_rows + b_rows) * lanes), sums(out_rows * lanes);
    AlignedArray<T> weights(table.paths.size() * lanes);
    T *rows = arguments.data(), *w = weights.data(), *sum = sums.data();
    for_each_part(shape.features, lanes, [&](int first, int features) LOREMD_INLINE_LAMBDA {
      for_each_weight(shape, table.paths, first, features, lanes,
                      [&](int path, int lane, int64_t i) { w[path * lanes + lane] = weight[i]; });
      for_each_block(atoms, first, features, lanes, [&](const auto &block) LOREMD_INLINE_LAMBDA {
        gather<lanes>(block, a, shape.degree_a, rows);
        gather<lanes>(block, b, shape.degree_b, rows + a_rows * lanes);
        set_zero(out_rows * lanes, sum);
        couple<V>(table, rows, [&](int path, int pair, V cosine, V sine) LOREMD_INLINE_LAMBDA {
          const V factor = load<V>(w + path * lanes);
          T *to = sum + 2 * pair * lanes;
          store(to, load<V>(to) + factor * cosine);
          store(to + lanes, load<V>(to + lanes) + factor * sine);
        });
        scatter<lanes>(block, sum, shape.degree_out, out);
      });
    });
  });
}

namespace {

template <class T>
void gradient_in_one_pass(const ProductShape &shape, int64_t atoms,
                          const SphericalFeatures<const T> &a, const SphericalFeatures<const T> &b,
                          const T *weight, const SphericalFeatures<const T> &grad,
                          const SphericalFeatures<T> &by_a, const SphericalFeatures<T> &by_b) {
  const Coupling<T> &table = coupling<T>(shape.degree_a, shape.degree_b, shape.degree_out);
  with_vectors([&](auto bytes) LOREMD_INLINE_LAMBDA {
    using V = typename Vector<T, decltype(bytes)::value>::type;
    constexpr int lanes = decltype(bytes)::value / sizeof(T);
    const int a_rows = argument_rows * pairs_up_to(shape.degree_a);
    const int b_rows = argument_rows * pairs_up_to(shape.degree_b);
    AlignedArray<T> arguments((a_rows + b_rows) * lanes), gradients((a_rows + b_rows) * lanes);
    AlignedArray<T> grads(argument_rows * pairs_up_to(shape.degree_out) * lanes);
    AlignedArray<T> weights(table.paths.size() * lanes);
    T *rows = arguments.data(), *by_rows = gradients.data(), *g = grads.data();
    T *w = weights.data();
    for_each_part(shape.features, lanes, [&](int first, int features) LOREMD_INLINE_LAMBDA {
      for_each_weight(shape, table.paths, first, features, lanes,
                      [&](int path, int lane, int64_t i) { w[path * lanes + lane] = weight[i]; });
      for_each_block(atoms, first, features, lanes, [&](const auto &block) LOREMD_INLINE_LAMBDA {
        gather<lanes>(block, a, shape.degree_a, rows);
        gather<lanes>(block, b, shape.degree_b, rows + a_rows * lanes);
        gather<lanes>(block, grad, shape.degree_out, g);
        set_zero((a_rows + b_rows) * lanes, by_rows);
        couple_back<V>(table, rows, by_rows,
                       [&](int path, int pair, V *cosine, V *sine) LOREMD_INLINE_LAMBDA {
                         const V factor = load<V>(w + path * lanes);
                         const T *with = g + argument_rows * pair * lanes;
                         *cosine = factor * load<V>(with), *sine = factor * load<V>(with + lanes);
                       });
        scatter_gradient<lanes>(block, by_rows, shape.degree_a, by_a);
        scatter_gradient<lanes>(block, by_rows + a_rows * lanes, shape.degree_b, by_b);
      });
    });
  });
}

// The weights for grad in the place of argument 0 or 1, as the header says.
template <class T>
std::vector<T> exchanged(const ProductShape &shape, const T *weight, int argument) {
  const int degrees[3] = {shape.degree_a + 1, shape.degree_b + 1, shape.degree_out + 1};
  const int steps[3] = {degrees[1] * degrees[2], degrees[2], 1};
  std::vector<T> result;
  int l[3];  // of the result's weights: of its arguments and itself
  const int size[3] = {degrees[argument == 0 ? 2 : 0], degrees[argument == 1 ? 2 : 1],
                       degrees[argument]};
  for (l[0] = 0; l[0] < size[0]; ++l[0]) {
    for (l[1] = 0; l[1] < size[1]; ++l[1]) {
      for (l[2] = 0; l[2] < size[2]; ++l[2]) {
        int place = l[1 - argument] * steps[1 - argument];
        place += l[2] * steps[argument] + l[argument] * steps[2];
        const double factor = std::sqrt((2.0 * l[argument] + 1) / (2.0 * l[2] + 1));
        for (int f = 0; f < shape.features; ++f) {
          result.push_back(static_cast<T>(factor * weight[place * shape.features + f]));
        }
      }
    }
  }
  return result;
}

}  // namespace

template <class T>
void tensor_product_gradient(const ProductShape &shape, int64_t atoms,
                             const SphericalFeatures<const T> &a,
                             const SphericalFeatures<const T> &b, const T *weight,
                             const SphericalFeatures<const T> &grad,
                             const SphericalFeatures<T> &by_a, const SphericalFeatures<T> &by_b) {
  // One pass stores four rows for every product of pairs; few degrees of the result, few sums of
  // the other way: then two products are faster.
  if (shape.degree_out >= std::min(shape.degree_a, shape.degree_b)) {
    return gradient_in_one_pass(shape, atoms, a, b, weight, grad, by_a, by_b);
  }
  const ProductShape for_a{shape.degree_out, shape.degree_b, shape.degree_a, shape.features};
  const ProductShape for_b{shape.degree_a, shape.degree_out, shape.degree_b, shape.features};
  tensor_product<T>(for_a, atoms, grad, b, exchanged(shape, weight, 0).data(), by_a);
  tensor_product<T>(for_b, atoms, a, grad, exchanged(shape, weight, 1).data(), by_b);
}

template <class T>
void tensor_product_weights(const ProductShape &shape, int64_t atoms,
                            const SphericalFeatures<const T> &a,
                            const SphericalFeatures<const T> &b,
                            const SphericalFeatures<const T> &grad, double *by_weight) {
  const Coupling<T> &table = coupling<T>(shape.degree_a, shape.degree_b, shape.degree_out);
  with_vectors([&](auto bytes) LOREMD_INLINE_LAMBDA {
    using V = typename Vector<T, decltype(bytes)::value>::type;
    constexpr int lanes = decltype(bytes)::value / sizeof(T);
    const int a_rows = argument_rows * pairs_up_to(shape.degree_a);
    const int b_rows = argument_rows * pairs_up_to(shape.degree_b);
    const int n_paths = static_cast<int>(table.paths.size());
    AlignedArray<T> arguments((a_rows + b_rows) * lanes), sums(n_paths * lanes);
    AlignedArray<T> grads(argument_rows * pairs_up_to(shape.degree_out) * lanes);
    AlignedArray<double> totals(n_paths * lanes);
    T *rows = arguments.data(), *g = grads.data(), *sum = sums.data();
    double *total = totals.data();
    for_each_part(shape.features, lanes, [&](int first, int features) LOREMD_INLINE_LAMBDA {
      set_zero(n_paths * lanes, total);
      for_each_block(atoms, first, features, lanes, [&](const auto &block) LOREMD_INLINE_LAMBDA {
        gather<lanes>(block, a, shape.degree_a, rows);
        gather<lanes>(block, b, shape.degree_b, rows + a_rows * lanes);
        gather<lanes>(block, grad, shape.degree_out, g);
        set_zero(n_paths * lanes, sum);
        couple<V>(table, rows, [&](int path, int pair, V cosine, V sine) LOREMD_INLINE_LAMBDA {
          const T *with = g + argument_rows * pair * lanes;
          T *to = sum + path * lanes;
          store(to, load<V>(to) + load<V>(with) * cosine + load<V>(with + lanes) * sine);
        });
        for (int path = 0; path < n_paths; ++path) {
          for (int lane = 0; lane < block.atoms * block.features; ++lane) {
            total[path * lanes + lane] += sum[path * lanes + lane];
          }
        }
      });
      for_each_weight(
          shape, table.paths, first, features, lanes,
          [&](int path, int lane, int64_t i) { by_weight[i] += total[path * lanes + lane]; });
    });
  });
}

#define LOREMD_INSTANTIATE(T)                                                                     \
  template void tensor_product(const ProductShape &, int64_t, const SphericalFeatures<const T> &, \
                               const SphericalFeatures<const T> &, const T *,                     \
                               const SphericalFeatures<T> &);                                     \
  template void tensor_product_gradient(                                                          \
      const ProductShape &, int64_t, const SphericalFeatures<const T> &,                          \
      const SphericalFeatures<const T> &, const T *, const SphericalFeatures<const T> &,          \
      const SphericalFeatures<T> &, const SphericalFeatures<T> &);                                \
  template void tensor_product_weights(                                                           \
      const ProductShape &, int64_t, const SphericalFeatures<const T> &,                          \
      const SphericalFeatures<const T> &, const SphericalFeatures<const T> &, double *);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd
