// SPDX-License-Identifier: BSD-3-Clause
//
// A mesh divided between ranks, all of them in this process: their messages are copied.
#include "mesh/boxes.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "expect.hpp"
#include "mesh/convolve.hpp"
#include "mesh/interpolate.hpp"
#include "mesh/layout.hpp"
#include "mesh/remap.hpp"
#include "mesh/spread.hpp"
#include "visits.hpp"

namespace {

using loremd::Box;
using loremd::MeshPoints;
using loremd::MeshShape;

// The mesh of one rank.
struct Part {
  MeshShape shape;
  std::vector<double> values;
};

Part part_of(const MeshPoints &lengths, int64_t channels, int64_t stride) {
  Part part{{lengths, channels, 0, stride}, {}};
  part.values.resize(part.shape.size());
  return part;
}

// Every rank packs, all messages travel, every rank unpacks into the meshes `to`.
void remap(const MeshPoints &points, const std::vector<Box> &sources,
           const std::vector<Box> &targets, int64_t width, bool add, const std::vector<Part> &from,
           std::vector<Part> &to) {
  const int ranks = static_cast<int>(from.size());
  std::vector<loremd::Remap> remaps;
  std::vector<std::vector<double>> messages(ranks), received(ranks);
  for (int r = 0; r < ranks; ++r) {
    remaps.emplace_back(points, sources, targets, r);
    messages[r].resize(remaps[r].total_sent() * width);
    remaps[r].pack(from[r].shape, width, from[r].values.data(), messages[r].data());
  }
  for (int r = 0; r < ranks; ++r) {
    const double *next = messages[r].data();
    for (int other = 0; other < ranks; ++other) {
      const int64_t count = remaps[r].sent()[other] * width;
      expect(remaps[other].received()[r] == remaps[r].sent()[other],
             "both ends agree on a message");
      received[other].insert(received[other].end(), next, next + count);
      next += count;
    }
  }
  for (int r = 0; r < ranks; ++r) {
    remaps[r].unpack(to[r].shape, width, add, received[r].data(), to[r].values.data());
  }
}

std::vector<Box> boxes_of(const loremd::PencilGrid &grid, int whole_axis, int ranks) {
  std::vector<Box> boxes;
  for (int r = 0; r < ranks; ++r) boxes.push_back(grid.box(whole_axis, r));
  return boxes;
}

// Each point of the mesh is in the box of exactly one rank, and the axis is whole.
void pencils_cover_the_mesh() {
  for (const MeshPoints &points : {MeshPoints{12, 10, 14}, MeshPoints{3, 5, 4}}) {
    for (int ranks : {2, 3, 4, 6, 7, 16, 100, 1000}) {
      const auto grid = loremd::pencil_grid(points, ranks);
      for (int axis = 0; axis < 3; ++axis) {
        std::vector<int> owners(points[0] * points[1] * points[2]);
        for (const Box &box : boxes_of(grid, axis, ranks)) {
          expect(box.points() == 0 || box.length(axis) == points[axis], "the axis is whole");
          for (int64_t x = box.begin[0]; x < box.end[0]; ++x) {
            for (int64_t y = box.begin[1]; y < box.end[1]; ++y) {
              for (int64_t z = box.begin[2]; z < box.end[2]; ++z) {
                ++owners[(x * points[1] + y) * points[2] + z];
              }
            }
          }
        }
        expect(*std::min_element(owners.begin(), owners.end()) == 1 &&
                   *std::max_element(owners.begin(), owners.end()) == 1,
               "every point has one owner");
      }
    }
  }
  const auto grid = loremd::pencil_grid({12, 10, 14}, 4);
  expect(grid.slabs(), "few ranks hold slabs");
  expect(!loremd::pencil_grid({12, 10, 14}, 64).slabs(), "many ranks hold pencils");
  expect(throws([] { loremd::pencil_grid({12, 10, 14}, 1); }), "one rank has nothing to divide");
}

// Random boxes that overlap and reach beyond the mesh: the sum over all of what is sent, with
// weights at the target, is that of the transposed remap.
void remap_backwards_is_its_transpose(std::mt19937 &random) {
  const MeshPoints points{7, 5, 6};
  const int ranks = 4;
  std::vector<Box> boxes(ranks);
  for (int r = 1; r < ranks; ++r) {  // the first one is empty
    for (int a = 0; a < 3; ++a) {
      boxes[r].begin[a] = static_cast<int64_t>(random() % (points[a] + 1)) - 1;
      boxes[r].end[a] = boxes[r].begin[a] + 1 + static_cast<int64_t>(random() % points[a]);
    }
  }
  const auto pencils = boxes_of(loremd::pencil_grid(points, ranks), 2, ranks);
  std::vector<Part> bricks, slabs, back, sums;
  for (int r = 0; r < ranks; ++r) {
    bricks.push_back(part_of(boxes[r].lengths(), 3, 4));
    back.push_back(bricks.back());
    slabs.push_back(part_of(pencils[r].lengths(), 3, 3));
    sums.push_back(slabs.back());
    for (double &value : bricks.back().values) value = random() % 100;
    for (double &value : slabs.back().values) value = random() % 100;
  }
  remap(points, boxes, pencils, 3, true, bricks, sums);
  remap(points, pencils, boxes, 3, false, slabs, back);
  double left = 0, right = 0;
  for (int r = 0; r < ranks; ++r) {
    for (size_t i = 0; i < slabs[r].values.size(); ++i) {
      left += slabs[r].values[i] * sums[r].values[i];
    }
    for (size_t i = 0; i < bricks[r].values.size(); ++i) {
      right += bricks[r].values[i] * back[r].values[i];
    }
  }
  expect(left == right && left > 0, "a remap backwards is the transpose");
}

struct Atoms {
  std::vector<double> fractions, charges;
  int64_t count() const { return static_cast<int64_t>(fractions.size()) / 3; }
};

loremd::MeshCall<double> call_of(const std::vector<loremd::Visit<double>> &visits,
                                 const MeshShape &shape,
                                 const loremd::WindowTable<double> &window) {
  return {visits.data(), nullptr, static_cast<int64_t>(visits.size()), shape, &window};
}

constexpr int order = 4;
constexpr int64_t channels = 2;

// The spread charges in the layout of the kernels, halo folded.
Part spread(const std::vector<double> &fractions, const std::vector<double> &charges,
            const MeshPoints &points) {
  static const loremd::WindowTable<double> window({order});
  Part mesh{loremd::mesh_layout(points, channels, order, sizeof(double)), {}};
  mesh.values.resize(mesh.shape.size());
  const auto visits = visits_of<double>(fractions, mesh.shape, order);
  loremd::spread(call_of(visits, mesh.shape, window), charges.data(), mesh.values.data());
  loremd::fold_halo(mesh.shape, mesh.values.data());
  return mesh;
}

// Values at the atoms, and the gradients with their charges.
std::array<std::vector<double>, 2> interpolate(const std::vector<double> &fractions,
                                               const std::vector<double> &charges, Part &mesh) {
  static const loremd::WindowTable<double> window({order});
  const auto n = static_cast<int64_t>(fractions.size()) / 3;
  std::vector<double> values(n * channels), gradients(3 * n);
  const auto visits = visits_of<double>(fractions, mesh.shape, order);
  loremd::fill_halo(mesh.shape, mesh.values.data());
  loremd::interpolate_gradient(call_of(visits, mesh.shape, window), mesh.values.data(),
                               charges.data(), values.data(), gradients.data());
  return {values, gradients};
}

// Any even function.
double influence_at(const MeshPoints &points, const MeshPoints &k) {
  double value = 1;
  for (int a = 0; a < 3; ++a) value += (a + 1) * std::cos(2 * M_PI * k[a] / points[a]);
  return value / static_cast<double>(points[0] * points[1] * points[2]);
}

void convolve_columns(const MeshPoints &points, const Box &box, const loremd::MeshFft<double> &fft,
                      Part &part) {
  std::vector<double> influence;
  for (int64_t x = box.begin[0]; x < box.end[0]; ++x) {
    for (int64_t y = box.begin[1]; y < box.end[1]; ++y) {
      for (int64_t z = box.begin[2]; z < box.end[2]; ++z) {
        influence.push_back(influence_at(points, {x, y, z}));
      }
    }
  }
  influence.resize(influence.size() + loremd::line_bytes / sizeof(double));
  loremd::convolve_columns({part.shape, influence.data(), nullptr, nullptr, nullptr}, fft, 0,
                           box.length(1), part.values.data());
}

// Spread, convolve and interpolate with each rank's atoms, as csrc/torch/distributed_mesh.cpp does.
std::vector<std::array<std::vector<double>, 2>> on_ranks(const MeshPoints &points,
                                                         const std::vector<Atoms> &atoms) {
  const int ranks = static_cast<int>(atoms.size());
  const auto grid = loremd::pencil_grid(points, ranks);
  const loremd::MeshFft<double> fft(points);
  std::vector<loremd::Brick> bricks;
  std::vector<Box> boxes;
  std::vector<Part> parts;
  std::vector<std::vector<double>> local;
  for (const Atoms &own : atoms) {
    bricks.push_back(loremd::brick_around(own.fractions.data(), own.count(), points, order));
    boxes.push_back(bricks.back().box);
    local.push_back(own.fractions);
    loremd::to_brick(bricks.back(), own.fractions.data(), own.count(), points, local.back().data());
    parts.push_back(spread(local.back(), own.charges, bricks.back().points));
  }
  const auto move = [&](const std::vector<Box> &from, const std::vector<Box> &to) {
    std::vector<Part> target;
    for (const Box &box : to) {
      target.push_back({loremd::mesh_layout(box.lengths(), channels, sizeof(double)), {}});
      target.back().values.resize(target.back().shape.size());
    }
    remap(points, from, to, channels, true, parts, target);
    parts = std::move(target);
  };
  const auto transform = [&](bool inverse, loremd::PlaneAxes axes) {
    for (Part &part : parts) {
      loremd::transform_planes(part.shape, fft, inverse, part.values.data(), axes);
    }
  };
  const auto z = boxes_of(grid, 2, ranks), y = boxes_of(grid, 1, ranks),
             x = boxes_of(grid, 0, ranks);
  const std::vector<MeshShape> brick_shapes = [&] {
    std::vector<MeshShape> shapes;
    for (const Part &part : parts) shapes.push_back(part.shape);
    return shapes;
  }();
  move(boxes, z);
  transform(false, loremd::PlaneAxes::z);
  move(z, y);
  transform(false, loremd::PlaneAxes::y);
  move(y, x);
  for (int r = 0; r < ranks; ++r) convolve_columns(points, x[r], fft, parts[r]);
  move(x, y);
  transform(true, loremd::PlaneAxes::y);
  move(y, z);
  transform(true, loremd::PlaneAxes::z);
  std::vector<Part> back;
  for (const MeshShape &shape : brick_shapes) {
    back.push_back({shape, std::vector<double>(shape.size())});
  }
  remap(points, z, boxes, channels, false, parts, back);
  std::vector<std::array<std::vector<double>, 2>> results;
  for (int r = 0; r < ranks; ++r) {
    results.push_back(interpolate(local[r], atoms[r].charges, back[r]));
    for (int64_t i = 0; i < atoms[r].count(); ++i) {
      for (int a = 0; a < 3; ++a) {
        results[r][1][3 * i + a] *= double(points[a]) / bricks[r].points[a];
      }
    }
  }
  return results;
}

// Atoms in a random box for each rank, which may reach across the boundary; sometimes none.
std::vector<Atoms> random_atoms(int ranks, std::mt19937 &random) {
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<Atoms> atoms(ranks);
  for (int r = 0; r < ranks; ++r) {
    if (r == 1) continue;
    double corner[3], size[3];
    for (int a = 0; a < 3; ++a) {
      corner[a] = 4 * uniform(random) - 2, size[a] = uniform(random) < 0.3 ? 1 : 0.4;
    }
    for (int i = 0; i < 20; ++i) {
      for (int a = 0; a < 3; ++a) {
        atoms[r].fractions.push_back(corner[a] + size[a] * uniform(random));
      }
      for (int c = 0; c < channels; ++c) atoms[r].charges.push_back(uniform(random) - 0.5);
    }
  }
  return atoms;
}

void ranks_together_are_the_whole_mesh(const MeshPoints &points, int ranks, std::mt19937 &random) {
  const auto atoms = random_atoms(ranks, random);
  Atoms all;
  for (const Atoms &own : atoms) {
    all.fractions.insert(all.fractions.end(), own.fractions.begin(), own.fractions.end());
    all.charges.insert(all.charges.end(), own.charges.begin(), own.charges.end());
  }
  const loremd::MeshFft<double> fft(points);
  Part mesh = spread(all.fractions, all.charges, points);
  loremd::transform_planes(mesh.shape, fft, false, mesh.values.data());
  convolve_columns(points, {{0, 0, 0}, points}, fft, mesh);
  loremd::transform_planes(mesh.shape, fft, true, mesh.values.data());
  const auto expected = interpolate(all.fractions, all.charges, mesh);

  const auto found = on_ranks(points, atoms);
  for (int what = 0; what < 2; ++what) {
    size_t next = 0;
    double error = 0;
    for (const auto &own : found) {
      for (double value : own[what]) {
        error = std::max(error, std::abs(value - expected[what][next++]));
      }
    }
    // values of order one, and slopes of up to the number of points times that
    expect(next == expected[what].size() && error < (what == 0 ? 1e-12 : 1e-10),
           "ranks together give the potentials and gradients of the whole mesh");
  }
}

void bricks_are_small() {
  const MeshPoints points{40, 40, 40};
  const std::vector<double> across{0.98, 0.5, 0.2, 1.02, 0.55, -3.7};  // second z: 0.3
  const auto brick = loremd::brick_around(across.data(), 2, points, 5);
  for (int a = 0; a < 3; ++a) {
    // two windows of five points, up to four spacings apart, and one more on either side
    expect(brick.box.length(a) <= 5 + 4 + 2, "a brick is no larger than its windows");
  }
  expect(loremd::brick_around(nullptr, 0, points, 5).box.points() == 0, "no atoms, no points");
  const std::vector<double> lost{std::nan(""), 0.1, 0.1};
  expect(loremd::brick_around(lost.data(), 1, points, 5).box.points() > 0, "NaN does no harm");
  expect(throws([&] { loremd::brick_around(across.data(), 2, {40, 40, 4}, 5); }),
         "a coarse mesh throws");
}

}  // namespace

void test_boxes() {
  std::mt19937 random(7);
  pencils_cover_the_mesh();
  bricks_are_small();
  for (int k = 0; k < 20; ++k) remap_backwards_is_its_transpose(random);
  for (int ranks : {2, 3, 4, 6, 7, 40}) {
    ranks_together_are_the_whole_mesh({12, 10, 15}, ranks, random);
    ranks_together_are_the_whole_mesh({4, 5, 16}, ranks, random);
  }
}
