// SPDX-License-Identifier: BSD-3-Clause
//
// The kernels of the mesh for CUDA. What they compute is in spread.hpp, interpolate.hpp,
// convolve.hpp and influence.hpp; this header says how the arrays lie. All of them are in the
// memory of the device, workspaces included, unless it says otherwise.
//
// A mesh has no halo, and each point a whole number of packs:
//
//   row (x, y):   point 0 | point 1 | ... | point nz-1           windows wrap around by index
//   point:        channel 0 | channel 1 | ... | padding up to the stride, never read
//
// Atoms are sorted by the point where their windows start, so that threads which follow each other
// are at the same place of the mesh. Positions that are not finite make results NaN instead of an
// error, for which the caller would have to wait.
#pragma once

#include "host_device.hpp"
#include "mesh/influence.hpp"
#include "mesh/window_table.hpp"
#include "types.hpp"

namespace loremd::cuda {

// Channels of a point that are added to a mesh or read from it at once: 16 bytes.
template <class T>
constexpr int pack_width = 16 / static_cast<int>(sizeof(T));

// Without a halo, and with the stride of whole packs; a single channel stays alone.
template <class T>
MeshShape mesh_shape(const std::array<int64_t, 3> &points, int64_t channels, int order) {
  check_order(order);
  check_mesh(points, order);
  constexpr int64_t width = pack_width<T>;
  return {points, channels, 0, channels == 1 ? 1 : (channels + width - 1) / width * width};
}

// bins(i) = number of the mesh point where the window of atom i starts, (x ny + y) nz + z.
void window_bins(const double *fractions, int64_t atoms, const MeshShape &shape, int order,
                 int32_t *bins, Stream stream);

// starts(b) = the first of the sorted atoms whose bin is not below b, b = 0 .. points.
void bin_starts(const int32_t *sorted_bins, int64_t atoms, int64_t points, int32_t *starts,
                Stream stream);

// The windows of the sorted atoms v = 0 .. atoms - 1, made once for all that follows:
//   first (atoms, 3)                              the point where the window starts
//   values (atoms, 1 + derivatives, 3, order)     weights along each axis, then their derivatives
//                                                 by the fractional coordinate
template <class T>
struct Windows {
  const int64_t *atoms_sorted;  // (atoms) the atom of row v
  int64_t atoms;
  int order, derivatives;
  int32_t *first;
  T *values;
};

// `table` is in the memory of the host.
template <class T>
void set_windows(const double *fractions, const MeshShape &shape, const WindowTable<T> &table,
                 const Windows<T> &windows, Stream stream);

// spread, with `directions` (n, 3) or null, which needs one derivative. Adds to the mesh with
// atomics; their order, and with it the last digits, changes from call to call.
template <class T>
void spread(const Windows<T> &windows, const MeshShape &shape, const double *directions,
            const T *charges, T *mesh, Stream stream);

// The same without atomics, each point collecting from the windows that reach it in the order of
// the sorted atoms: the same digits in every call. Overwrites the mesh, padding included.
template <class T>
void spread_in_order(const Windows<T> &windows, const int32_t *starts, const MeshShape &shape,
                     const double *directions, const T *charges, T *mesh, Stream stream);

// interpolate.hpp; those with derivatives need as many of the windows.
template <class T>
void interpolate(const Windows<T> &windows, const MeshShape &shape, const double *directions,
                 const T *mesh, T *values, Stream stream);
template <class T>
void interpolate_field(const Windows<T> &windows, const MeshShape &shape, const T *mesh, T *values,
                       T *field, Stream stream);
template <class T>
void add_field_gradient(int64_t n, int channels, const T *field, const T *charges, double *gradient,
                        Stream stream);

// interpolate_gradient along directions; needs two derivatives.
template <class T>
void gradient_along_directions(const Windows<T> &windows, const MeshShape &shape,
                               const double *directions, const T *mesh, const T *charges,
                               double *gradient, Stream stream);

// Spectra are (channels, nx, ny, nz/2 + 1) complex, real part first, as a Fourier transform of
// channels that follow each other gives them.
//
// spectrum *= scale * influence (nx, ny, nz/2 + 1), its mean where both k and -k are there.
template <class T>
void multiply_spectrum(const std::array<int64_t, 3> &points, int64_t channels, double scale,
                       const T *influence, T *spectrum, Stream stream);

// half(k) += scale w sum over channels of Re(conj(a) b), w = 2 where k stands for -k as well.
template <class T>
void correlate_half_spectra(const std::array<int64_t, 3> &points, int64_t channels, double scale,
                            const T *a, const T *b, T *half, Stream stream);

// influence.hpp with `metric` and `direction` of the call in the memory of the device, the shapes
// of window and interaction in that of the host. A mesh that is much too coarse makes results NaN.
// `workspace`: influence_workspace(call) values.
int64_t influence_workspace(const InfluenceCall &call);
void influence_sum(const InfluenceCall &call, double *workspace, double *influence, Stream stream);
void influence_sum_gradient(const InfluenceCall &call, const double *weights, double *workspace,
                            double *gradient, Stream stream);

}  // namespace loremd::cuda
