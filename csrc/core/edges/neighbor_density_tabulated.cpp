// SPDX-License-Identifier: BSD-3-Clause
#include "edges/neighbor_density.hpp"
#include "edges/tabulated_chunk.hpp"

namespace loremd {
namespace {

// Calls body(longest vector in bytes, features), both as constants where that is possible.
template <class Body>
void with_vectors_and_features(int features, Body &&body) {
  with_vectors([&](auto bytes) LOREMD_INLINE_LAMBDA {
    if (features == 8) {
      body(bytes, std::integral_constant<int, 8>{});
    } else {
      body(bytes, features);
    }
  });
}

}  // namespace

void neighbor_density_tabulated(const DensityShape &shape, const DensityGeometry &geometry,
                                const RadialTable &table, int64_t begin, int64_t end, float *radial,
                                float *spherical) {
  Neighbourhood neighbours(shape, geometry);
  TabulatedBuffers buffers(shape);
  with_vectors_and_features(shape.features, [&](auto bytes, auto features) LOREMD_INLINE_LAMBDA {
    TabulatedChunk<bytes(), decltype(features)> chunk(shape, features, geometry.species, table,
                                                      buffers);
    for (int64_t i = begin; i < end; ++i) {
      neighbours.collect(i, NoDirections{});
      chunk.set_centre(geometry.species[i]);
      neighbours.for_each_chunk_of_all(chunk.lanes, [&](const Neighbour *const *pairs,
                                                        int count) LOREMD_INLINE_LAMBDA {
        chunk.set_pairs(pairs, count);
        chunk.add_sums(radial + i * shape.radial_size(), spherical + i * shape.spherical_size());
      });
    }
  });
}

void neighbor_density_tabulated_gradient(const DensityShape &shape, const DensityGeometry &geometry,
                                         const RadialTable &table, const float *by_radial,
                                         const float *by_spherical, int64_t begin, int64_t end,
                                         const DensityGradient<float> &gradient) {
  Neighbourhood neighbours(shape, geometry);
  TabulatedBuffers buffers(shape);
  with_vectors_and_features(shape.features, [&](auto bytes, auto features) LOREMD_INLINE_LAMBDA {
    TabulatedChunk<bytes(), decltype(features)> chunk(shape, features, geometry.species, table,
                                                      buffers);
    alignas(64) double by_vectors[3 * chunk.lanes];
    for (int64_t i = begin; i < end; ++i) {
      neighbours.collect(i, NoDirections{});
      chunk.set_centre(geometry.species[i]);
      chunk.set_weights(by_radial + i * shape.radial_size());
      neighbours.for_each_chunk_of_all(
          chunk.lanes, [&](const Neighbour *const *pairs, int count) LOREMD_INLINE_LAMBDA {
            chunk.set_pairs(pairs, count);
            chunk.set_gradient(by_spherical + i * shape.spherical_size(), by_vectors);
            VectorGradient<float>{geometry, gradient, i}.add(pairs, count, chunk.lanes, by_vectors);
          });
    }
  });
}

}  // namespace loremd
