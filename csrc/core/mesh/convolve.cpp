// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/convolve.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "aligned_array.hpp"
#include "math/half_spectrum.hpp"
#include "mesh/layout.hpp"

namespace loremd {
namespace {

// Vectors that are transformed together: they share the angles, and fill cache lines. Two buffers
// of this many times 200 vectors stay within the second-level cache.
constexpr int side_by_side = 4;

// Memory for `Sets` sequences of `n` elements of `width` vectors, aligned for any vector; one
// vector more may be written behind the last.
template <class Lanes, int Sets>
class Buffers {
  using T = typename Lanes::Value;

 public:
  Buffers(int64_t n, int width)
      : size_(n * width * Lanes::lanes), memory_(Sets * size_ + line_bytes) {}

  T *operator[](int set) { return memory_.data() + set * size_; }

 private:
  int64_t size_;
  AlignedArray<T> memory_;
};

// Calls body(ComplexLanes) with the longest vectors of the machine.
template <class T, class Body>
void dispatch_lanes(Body &&body) {
  if (LOREMD_HAS_WIDE) return body(ComplexLanes<T, 64>{});
  body(ComplexLanes<T, 32>{});
}

// Vectors that hold the points of a row; the last one may reach into the halo.
template <class Lanes>
int64_t vectors_of_row(const MeshShape &shape) {
  return (shape.points[2] * shape.stride + Lanes::lanes - 1) / Lanes::lanes;
}

// Rows that lie side by side in whole vectors, in at least `side_by_side` of them.
template <class Lanes>
int rows_together(const MeshShape &shape) {
  const auto stride = static_cast<int>(shape.stride);
  const int rows = Lanes::lanes / std::gcd(stride, Lanes::lanes);
  const int vectors = rows * stride / Lanes::lanes;
  return rows * ((side_by_side + vectors - 1) / vectors);
}

// fft.hpp, compiled once for all that calls it.
template <class Lanes, class T>
LOREMD_CLONES void transform(Lanes, const FftPlan<T> &plan, bool inverse, int width,
                             Sequences<T> from, Sequences<T> to, T *workspace) {
  fft<Lanes>(plan, inverse, width, from, to, workspace);
}

// Calls copy(offset of a piece of a point in its row, offset side by side) for `count` rows, in the
// order of the points: the end of a piece may belong to the next one.
template <int Piece, class Copy>
LOREMD_INLINE void for_each_piece_of_points(const MeshShape &shape, int64_t count, int64_t element,
                                            Copy &&copy) {
  const int64_t row = shape.row_size(), stride = shape.stride;
  for (int64_t i = 0; i < shape.points[2]; ++i) {
    for (int64_t r = 0; r < count; ++r) {
      const int64_t in_row = r * row + i * stride, together = i * element + r * stride;
      copy(in_row, together);
      for (int64_t c = Piece; c < stride; c += Piece) copy(in_row + c, together + c);
    }
  }
}

// Transforms `count` rows along z. The points of the rows are brought side by side as they are, in
// whole vectors, whose ends are overwritten by the next point, or belong to the halo; or in single
// complex numbers, where there is one. `together` has room for them, `workspace` for twice as much.
template <class Lanes, class T>
LOREMD_INLINE void transform_along_z(const MeshShape &shape, const FftPlan<T> &plan, bool inverse,
                                     int64_t count, int width, T *rows, T *together, T *workspace) {
  const auto with_pieces = [&](auto zero) LOREMD_INLINE_LAMBDA {
    using V = decltype(zero);
    constexpr int length = sizeof(V) / sizeof(T);
    const int element = width * Lanes::lanes;
    for_each_piece_of_points<length>(shape, count, element,
                                     [&](int64_t in_row, int64_t at) LOREMD_INLINE_LAMBDA {
                                       store(together + at, load<V>(rows + in_row));
                                     });
    const Sequences<T> sequences{together, element};
    transform(Lanes{}, plan, inverse, width, sequences, sequences, workspace);
    for_each_piece_of_points<length>(shape, count, element,
                                     [&](int64_t in_row, int64_t at) LOREMD_INLINE_LAMBDA {
                                       store(rows + in_row, load<V>(together + at));
                                     });
  };
  if (shape.stride == 2) return with_pieces(typename Vector<T, 2 * sizeof(T)>::type{});
  with_pieces(typename Lanes::V{});
}

// The vectors of a row that hold nothing but some of its points.
template <class Lanes>
Run vectors_within(const MeshShape &shape, const Run &points) {
  const int64_t begin = (points.begin * shape.stride + Lanes::lanes - 1) / Lanes::lanes;
  return {begin, std::max(begin, points.end * shape.stride / Lanes::lanes)};
}

// Calls body(first, number) for the vectors of a row from `begin` to `end`.
template <class Body>
LOREMD_INLINE void for_each_block(int64_t begin, int64_t end, Body &&body) {
  for (int64_t v = begin; v < end; v += side_by_side) {
    body(v, static_cast<int>(std::min<int64_t>(side_by_side, end - v)));
  }
}

template <class Lanes, class T>
LOREMD_CLONES void transform_planes_in(Lanes, const MeshShape &planes, const MeshFft<T> &fft,
                                       bool inverse, PlaneAxes axes, Halo halo, T *mesh) {
  const int64_t ny = planes.points[1], row = planes.row_size(), rows = rows_together<Lanes>(planes);
  const int width = static_cast<int>(rows * planes.stride / Lanes::lanes);
  Buffers<Lanes, 3> along_z(planes.points[2], width);
  Buffers<Lanes, 2> along_y(ny, side_by_side);
  const auto zeros = vectors_within<Lanes>(planes, fft.zeros);
  for (int64_t x = 0; x < planes.points[0]; ++x) {
    T *const plane = mesh + x * planes.plane_size();
    if (halo == Halo::meets_windows && !inverse) fold_halo(planes.planes(x, x + 1), plane);
    for (int step = 0; step < 2; ++step) {
      const bool is_z = (step == 0) != inverse;
      if (axes == (is_z ? PlaneAxes::y : PlaneAxes::z)) continue;
      if (is_z) {
        for (int64_t y = 0; y < ny; y += rows) {
          transform_along_z<Lanes>(planes, fft.z, inverse, std::min(rows, ny - y), width,
                                   plane + y * row, along_z[0], along_z[1]);
        }
      } else {
        const auto transform_block = [&](int64_t v, int count) LOREMD_INLINE_LAMBDA {
          const Sequences<T> columns{plane + v * Lanes::lanes, row};
          transform(Lanes{}, fft.y, inverse, count, columns, columns, along_y[0]);
        };
        for_each_block(0, zeros.begin, transform_block);
        for_each_block(zeros.end, vectors_of_row<Lanes>(planes), transform_block);
      }
    }
    if (halo == Halo::meets_windows && inverse) fill_halo(planes.planes(x, x + 1), plane);
  }
}

// The points of a vector in a row: lane l belongs to point first + lanes[l].
template <class Lanes>
struct alignas(line_bytes) PointsOfVector {
  int64_t first;
  typename Lanes::Mask lanes;

  PointsOfVector(int64_t vector, int64_t stride) : first(vector * Lanes::lanes / stride) {
    for (int l = 0; l < Lanes::lanes; ++l) {
      lanes[l] = static_cast<typename Lanes::Index>((vector * Lanes::lanes + l) / stride - first);
    }
  }
};

// correlation(point) += the products of its channels, points below nz
template <class Lanes, class V, class T>
LOREMD_INLINE void add_products(const PointsOfVector<Lanes> &points, int64_t nz, const V &products,
                                T *correlation) {
  for (int l = 0; l < Lanes::lanes; ++l) {
    const int64_t z = points.first + points.lanes[l];
    if (z < nz) correlation[z] += products[l];
  }
}

// needed(kz) <- whether the influence function is not zero there, for any kx
template <class T>
LOREMD_CLONES void find_needed(const MeshPoints &points, const T *influence, int64_t y,
                               std::vector<int32_t> &needed) {
  const auto [nx, ny, nz] = points;
  std::fill(needed.begin(), needed.end(), 0);
  for (int64_t x = 0; x < nx; ++x) {
    const T *row = influence + (x * ny + y) * nz;
    for (int64_t z = 0; z < nz; ++z) needed[z] |= row[z] != 0;
  }
}

template <class Lanes, class T>
LOREMD_CLONES void convolve_columns_in(Lanes, const ColumnCall<T> &call, const MeshFft<T> &fft_of,
                                       int64_t begin, int64_t end, T *mesh) {
  using V = typename Lanes::V;
  const MeshShape &shape = call.shape;
  const FftPlan<T> &plan = fft_of.x;
  const int64_t ny = shape.points[1], nz = shape.points[2];
  const int64_t plane = shape.plane_size();
  std::vector<PointsOfVector<Lanes>> points;
  for (int64_t v = 0; v < vectors_of_row<Lanes>(shape); ++v) points.emplace_back(v, shape.stride);
  Buffers<Lanes, 3> buffers(plan.n, side_by_side);
  T *const spectrum = buffers[0];
  const bool all = call.spectrum || call.correlation;  // are transformed
  std::vector<int32_t> needed(nz, 1);
  for (int64_t y = begin; y < end; ++y) {
    if (!all) find_needed(shape.points, call.influence, y, needed);
    for_each_block(0, points.size(), [&](int64_t block, int width) LOREMD_INLINE_LAMBDA {
      const int64_t first = y * shape.row_size() + block * Lanes::lanes;
      const Sequences<T> columns{mesh + first, plane}, spectra{spectrum, width * Lanes::lanes};
      const int64_t last = ((block + width) * Lanes::lanes - 1) / shape.stride;
      const auto begin_of_block = needed.begin() + points[block].first;
      if (std::count(begin_of_block, needed.begin() + std::min(nz, last + 1), 1) == 0) {
        for (int x = 0; x < plan.n; ++x) {
          std::fill_n(columns.data + x * plane, width * Lanes::lanes, T(0));
        }
        return;
      }
      transform(Lanes{}, plan, false, width, columns, spectra, buffers[1]);
      if (call.spectrum) {
        copy_sequences<Lanes>(plan.n, width, spectra, {call.spectrum + first, plane});
      }
      for (int x = 0; x < plan.n; ++x) {
        const int64_t k = (x * ny + y) * nz;
        for (int v = 0; v < width; ++v) {
          T *const place = spectrum + (x * width + v) * Lanes::lanes;
          const V value = load<V>(place);
          const PointsOfVector<Lanes> &of = points[block + v];
          if (call.correlation) {
            const int64_t in_mesh = first + x * plane + v * Lanes::lanes;
            const V partner = call.other ? load<V>(call.other + in_mesh) : value;
            add_products(of, nz, partner * value, call.correlation + k);
          }
          store(place, value * __builtin_shuffle(load<V>(call.influence + k + of.first), of.lanes));
        }
      }
      transform(Lanes{}, plan, true, width, spectra, columns, buffers[1]);
    });
  }
}

// One channel, even and odd points z as the real and imaginary parts of the field a of pairs. With
// its transform A, the transform of the mesh is, at kz and at kz + nz/2,
//
//   E + w O  and  E - w O,   2 E = A + B*,  2i O = A - B*,  B = A(-k),  w = exp(-2 pi i kz / nz),
//
// so that the product with G there becomes, for s and d half the sum and the difference of G,
//
//   A <- (s - d sin(2 pi kz / nz)) A  +  d cos(2 pi kz / nz) i B*,
//
// both factors real, and i B* is B with its real and imaginary parts exchanged.
template <class T>
class PairedFactors {
 public:
  // `room`: values of a row, and what vectors reach behind it.
  PairedFactors(const MeshPoints &pairs, int64_t room)
      : pairs_(pairs), turns_(pairs[2]), own_(room), mirrored_(room) {
    const double nz = 2.0 * pairs[2];
    scale_ = 1 / (nz * pairs[0] * pairs[1]);
    for (int64_t z = 0; z < pairs[2]; ++z) turns_[z] = turn<T>(z / nz);
  }

  // Of row (x, y) of the spectrum, from the influence function's half spectrum.
  void set(const T *influence, int64_t x, int64_t y) {
    const int64_t nx = pairs_[0], ny = pairs_[1], middle = pairs_[2];
    const T *own = influence + (x * ny + y) * (middle + 1);
    const T *mirrored = influence + (mirror(x, nx) * ny + mirror(y, ny)) * (middle + 1);
    const auto set_pair = [&](int64_t z, T low, T high) LOREMD_INLINE_LAMBDA {
      const T sum = scale_ * (low + high), difference = scale_ * (low - high);
      const auto [cosine, sine] = turns_[z];
      T *const a = own_.data() + 2 * z, *const b = mirrored_.data() + 2 * z;
      a[0] = a[1] = sum - difference * sine;
      b[0] = b[1] = difference * cosine;
    };
    const auto even = [&](int64_t z) { return even_part(z, 2 * middle, own[z], mirrored[z]); };
    set_pair(0, even(0), even(middle));
    for (int64_t z = 1; z < middle; ++z) set_pair(z, own[z], mirrored[middle - z]);
  }

  // Each factor twice in a row, for both parts of a complex number.
  const T *own() const { return own_.data(); }
  const T *mirrored() const { return mirrored_.data(); }

 private:
  MeshPoints pairs_;
  T scale_;
  std::vector<Turn<T>> turns_;
  AlignedArray<T> own_, mirrored_;
};

// Whether the influence function vanishes in the rows (x, y) for all x.
template <class T>
bool vanishes(const MeshPoints &pairs, const T *influence, int64_t y) {
  const auto [nx, ny, middle] = pairs;
  for (int64_t x = 0; x < nx; ++x) {
    const T *row = influence + (x * ny + y) * (middle + 1);
    if (!std::all_of(row, row + middle + 1, [](T value) { return value == 0; })) return false;
  }
  return true;
}

template <class Lanes, class T>
LOREMD_CLONES void convolve_paired_columns_in(Lanes, const MeshShape &pairs,
                                              const MeshFft<T> &fft_of, const T *influence,
                                              int64_t begin, int64_t end, T *mesh) {
  using V = typename Lanes::V;
  constexpr int lanes = Lanes::lanes;
  const FftPlan<T> &plan = fft_of.x;
  const int64_t nx = pairs.points[0], ny = pairs.points[1], values = 2 * pairs.points[2];
  const int64_t vectors = vectors_of_row<Lanes>(pairs);
  // a row of a spectrum, with room for a vector before it and behind it
  const int64_t room = (vectors + 2) * lanes, plane = pairs.plane_size();
  PairedFactors<T> factors(pairs.points, room);
  Buffers<Lanes, 3> spectra(nx, static_cast<int>(vectors + 2));
  Buffers<Lanes, 2> workspace(nx, side_by_side);
  const auto transform_row = [&](int64_t y, bool inverse, T *spectrum) {
    for_each_block(0, vectors, [&](int64_t v, int width) LOREMD_INLINE_LAMBDA {
      const Sequences<T> columns{mesh + y * pairs.row_size() + v * lanes, plane};
      const Sequences<T> rows{spectrum + v * lanes, room};
      transform(Lanes{}, plan, inverse, width, inverse ? rows : columns, inverse ? columns : rows,
                workspace[0]);
    });
  };
  for (int64_t y = begin; y < end; ++y) {
    const int64_t rows[2] = {y, mirror(y, ny)};
    const int count = rows[0] == rows[1] ? 1 : 2;
    if (vanishes(pairs.points, influence, rows[0]) && vanishes(pairs.points, influence, rows[1])) {
      for (int r = 0; r < count; ++r) {
        for (int64_t x = 0; x < nx; ++x) {
          std::fill_n(mesh + x * plane + rows[r] * pairs.row_size(), values, T(0));
        }
      }
      continue;
    }
    for (int r = 0; r < count; ++r) {
      T *const spectrum = spectra[r] + lanes;
      transform_row(rows[r], false, spectrum);
      // k = nz/2 is 0 again
      for (int64_t x = 0; x < nx; ++x) {
        std::copy_n(spectrum + x * room, 2, spectrum + x * room + values);
      }
    }
    for (int r = 0; r < count; ++r) {
      const T *own = spectra[r] + lanes, *mirrored = spectra[count - 1 - r] + lanes;
      T *const result = spectra[2] + lanes;
      for (int64_t x = 0; x < nx; ++x) {
        factors.set(influence, x, rows[r]);
        for (int64_t i = 0; i < vectors * lanes; i += lanes) {
          const V a = load<V>(own + x * room + i);
          const V b = load<V>(mirrored + mirror(x, nx) * room + values + 2 - lanes - i);
          store(result + x * room + i, load<V>(factors.own() + i) * a +
                                           load<V>(factors.mirrored() + i) * Lanes::reversed(b));
        }
      }
      transform_row(rows[r], true, result);
    }
  }
}

// Calls body(index in a compact field, address of the point in the mesh).
template <class Body>
void for_each_point(const MeshShape &shape, Body &&body) {
  int64_t index = 0;
  for (int64_t x = 0; x < shape.points[0]; ++x) {
    for (int64_t y = 0; y < shape.points[1]; ++y) {
      const int64_t row = x * shape.plane_size() + y * shape.row_size();
      for (int64_t z = 0; z < shape.points[2]; ++z) body(index++, row + z * shape.stride);
    }
  }
}

}  // namespace

template <class T>
void transform_planes(const MeshShape &planes, const MeshFft<T> &fft, bool inverse, T *mesh,
                      PlaneAxes axes, Halo halo) {
  dispatch_lanes<T>(
      [&](auto lanes) { transform_planes_in(lanes, planes, fft, inverse, axes, halo, mesh); });
}

template <class T>
void convolve_columns(const ColumnCall<T> &call, const MeshFft<T> &fft, int64_t begin, int64_t end,
                      T *mesh) {
  dispatch_lanes<T>([&](auto lanes) { convolve_columns_in(lanes, call, fft, begin, end, mesh); });
}

template <class T>
void convolve_paired_columns(const MeshShape &pairs, const MeshFft<T> &fft, const T *influence,
                             int64_t begin, int64_t end, T *mesh) {
  dispatch_lanes<T>([&](auto lanes) {
    convolve_paired_columns_in(lanes, pairs, fft, influence, begin, end, mesh);
  });
}

template <class T>
Run vanishing_frequencies(const MeshPoints &points, const T *influence) {
  const auto [nx, ny, nz] = points;
  const int64_t stored = half_spectrum_points(nz);
  int64_t needed = 0;  // kz = 0 .. needed - 1
  for (int64_t row = 0; row < nx * ny; ++row) {
    const T *values = influence + row * stored;
    for (int64_t z = stored - 1; z >= needed; --z) {
      if (values[z] != 0) needed = z + 1;
    }
  }
  return {needed, std::clamp(nz - needed + 1, needed, nz)};
}

template <class T>
void expand_influence(const MeshPoints &points, double scale, const T *half, T *full) {
  const auto [nx, ny, nz] = points;
  const int64_t stored = half_spectrum_points(nz);
  const T factor = static_cast<T>(scale);
  for (int64_t x = 0; x < nx; ++x) {
    for (int64_t y = 0; y < ny; ++y) {
      const T *own = half + (x * ny + y) * stored;
      const T *mirrored = half + (mirror(x, nx) * ny + mirror(y, ny)) * stored;
      T *row = full + (x * ny + y) * nz;
      for (int64_t z = 0; z < stored; ++z) {
        row[z] = factor * even_part(z, nz, own[z], mirrored[z]);
      }
      for (int64_t z = stored; z < nz; ++z) row[z] = factor * mirrored[nz - z];
    }
  }
}

template <class T>
void reduce_correlation(const MeshPoints &points, double scale, const T *full, T *half) {
  const auto [nx, ny, nz] = points;
  const int64_t stored = half_spectrum_points(nz);
  for (int64_t x = 0; x < nx; ++x) {
    for (int64_t y = 0; y < ny; ++y) {
      const T *own = full + (x * ny + y) * nz;
      const T *mirrored = full + (mirror(x, nx) * ny + mirror(y, ny)) * nz;
      T *row = half + (x * ny + y) * stored;
      for (int64_t z = 0; z < stored; ++z) {
        const double both = double(own[z]) + mirrored[mirror(z, nz)];
        row[z] += static_cast<T>((own_mirror(z, nz) ? 0.5 : 1.0) * scale * both);
      }
    }
  }
}

template <class T>
void take_channel(const MeshShape &shape, const T *mesh, T *field) {
  for_each_point(shape, [&](int64_t i, int64_t point) { field[i] = mesh[point]; });
}

template <class T>
void put_channel(const MeshShape &shape, const T *field, T *mesh) {
  for_each_point(shape, [&](int64_t i, int64_t point) { mesh[point] = field[i]; });
}

template <class T>
void multiply_spectrum(int64_t count, const T *factors, std::complex<T> *spectrum) {
  for (int64_t k = 0; k < count; ++k) spectrum[k] *= factors[k];
}

template <class T>
void correlate_half_spectra(const MeshPoints &points, double scale, const std::complex<T> *a,
                            const std::complex<T> *b, T *half) {
  const auto [nx, ny, nz] = points;
  const int64_t stored = half_spectrum_points(nz);
  for (int64_t k = 0; k < nx * ny * stored; ++k) {
    const double product = real_product(a[k].real(), a[k].imag(), b[k].real(), b[k].imag());
    half[k] += static_cast<T>(multiplicity(k % stored, nz) * scale * product);
  }
}

#define LOREMD_INSTANTIATE(T)                                                                      \
  template void transform_planes(const MeshShape &, const MeshFft<T> &, bool, T *, PlaneAxes,      \
                                 Halo);                                                            \
  template void convolve_columns(const ColumnCall<T> &, const MeshFft<T> &, int64_t, int64_t,      \
                                 T *);                                                             \
  template void convolve_paired_columns(const MeshShape &, const MeshFft<T> &, const T *, int64_t, \
                                        int64_t, T *);                                             \
  template Run vanishing_frequencies(const MeshPoints &, const T *);                               \
  template void expand_influence(const MeshPoints &, double, const T *, T *);                      \
  template void reduce_correlation(const MeshPoints &, double, const T *, T *);                    \
  template void take_channel(const MeshShape &, const T *, T *);                                   \
  template void put_channel(const MeshShape &, const T *, T *);                                    \
  template void multiply_spectrum(int64_t, const T *, std::complex<T> *);                          \
  template void correlate_half_spectra(const MeshPoints &, double, const std::complex<T> *,        \
                                       const std::complex<T> *, T *);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd
