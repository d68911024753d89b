// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include "mesh/window.hpp"
#include "types.hpp"

namespace loremd {

// atoms <- the atoms 0 .. n-1 so that those whose windows of `order` points start in the same
// column (x, y) of the mesh follow each other, by ascending z, which spread makes use of, and
// columns that are near each other come near each other, so that their part of the mesh stays in
// the cache. Throws Error on a position that is not finite.
void visiting_order(const double *fractions, int64_t n, const MeshShape &shape, int order,
                    int32_t *atoms);

// visits <- n atoms in the order of `order` (a part of visiting_order), with the starts of their
// windows of `points` points.
template <class T>
void set_visits(const double *fractions, const int32_t *order, int64_t n, const MeshShape &shape,
                int points, Visit<T> *visits);

// Slabs of the mesh, by the first x of each, and the number of x at the end: each is at least
// `order` points wide. Their number is even, or one.
std::vector<int64_t> slab_begins(int64_t nx, int order);

// Where the slabs of all n visits begin: slab s holds visits[starts[s]] to visits[starts[s + 1]],
// all in slab s of a mesh of nx points. Windows of the slabs 0, 2, 4, ... do not touch each other,
// nor do those of 1, 3, 5, ..., so threads may spread them at once. It depends on mesh and order
// only, which makes the sums the same for any number of threads.
template <class T>
std::vector<int64_t> slab_starts(const Visit<T> *visits, int64_t n, int64_t nx, int points);

}  // namespace loremd
