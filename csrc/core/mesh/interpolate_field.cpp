// SPDX-License-Identifier: BSD-3-Clause
//
// interpolate_field and interpolate_gradient, which share their way over the mesh.
#include <vector>

#include "mesh/contract.hpp"
#include "mesh/interpolate.hpp"

namespace loremd {
namespace {

// Over the rows of a window:
//   plain = sum w_x w_y row,  by_x = sum w_x' w_y row,  by_y = sum w_x w_y' row
template <int Longest, int P, class W, class Length, class T>
LOREMD_INLINE void sum_rows(const W &window, Length length, const T *mesh, T *plain, T *by_x,
                            T *by_y) {
  const auto &[wx, wy, wz] = window.weights;
  const auto &[sx, sy, sz] = window.slopes;
  for_each_vector<T, Longest>(length, [&](int i, auto zero) LOREMD_INLINE_LAMBDA {
    using V = decltype(zero);
    V sum = zero, sum_by_x = zero, sum_by_y = zero;
    for (int ky = 0; ky < P; ++ky) {
      const T *column = mesh + window.y[ky] + window.z + i;
      V along_x = zero, along_x_by_x = zero;
      LOREMD_UNROLL
      for (int kx = 0; kx < P; ++kx) {
        const V row = load<V>(column + window.x[kx]);
        along_x += wx[kx] * row;
        along_x_by_x += sx[kx] * row;
      }
      sum += wy[ky] * along_x;
      sum_by_x += wy[ky] * along_x_by_x;
      sum_by_y += sy[ky] * along_x;
    }
    store(plain + i, sum);
    store(by_x + i, sum_by_x);
    store(by_y + i, sum_by_y);
  });
}

// What the kernel below is asked for; see interpolate.hpp. Any may be null, charges and gradient
// together.
template <class T>
struct Results {
  T *values, *field;
  const T *charges = nullptr;
  double *gradient = nullptr;
  bool add = false;
  KeptField<T> kept{};
  ChargeTerms<T> terms{};

  // Asks for what an atom reads and writes; of a single channel not for all, since a line of these
  // serves several atoms.
  template <class Channels>
  LOREMD_INLINE void fetch(int64_t i, int64_t place, Channels channels, int64_t row) const {
    const auto fetch_row = [&](const T *of_atoms) LOREMD_INLINE_LAMBDA {
      if (of_atoms) prefetch(of_atoms + i * row, channels);
    };
    fetch_row(charges ? charges : values);
    if constexpr (!is_single<Channels>) {
      const T *const derivatives = field ? field : kept.field;
      if (derivatives) prefetch(derivatives + 3 * place * row, 3 * row);
      fetch_row(kept.charges ? kept.charges : terms.charges);
    }
  }
};

template <int Longest, int P, class T, class Channels>
LOREMD_INLINE void field_atoms(const MeshCall<T> &call, Channels channels, const T *mesh,
                               const Results<T> &results, T *workspace) {
  using Row = RowBuffer<P, T, Channels>;
  Row plain(workspace, channels), by_x(workspace, channels), by_y(workspace, channels);
  Row own_field(workspace, channels);
  const int64_t row = call.row(), step = results.field ? row : int64_t{channels};
  for_each_window<Longest, P, 1>(
      call,
      [&](int64_t i, int64_t place)
          LOREMD_INLINE_LAMBDA { results.fetch(i, place, channels, row); },
      [&](int64_t i, int64_t place, const auto &window) LOREMD_INLINE_LAMBDA {
        sum_rows<Longest, P>(window, row_length<P, T>(channels), mesh, plain.values, by_x.values,
                             by_y.values);
        const auto &wz = window.weights[2], &sz = window.slopes[2];
        if (results.values) {
          T *const values = results.values + i * row;
          contract<Longest, P>(channels, wz, plain.values, values);
          add_terms<Longest>(channels, results.terms, i, row, values);
        }
        T *field = results.field ? results.field + 3 * place * row : own_field.values;
        contract<Longest, P>(channels, wz, by_x.values, field);
        contract<Longest, P>(channels, wz, by_y.values, field + step);
        contract<Longest, P>(channels, sz, plain.values, field + 2 * step);
        for (int a = 0; a < 3 && results.gradient; ++a) {
          double sum = dot(channels, results.charges + i * row, field + a * step);
          if (results.kept.field) {
            sum += dot(channels, results.kept.charges + i * row,
                       results.kept.field + (3 * place + a) * row);
          }
          double &to = results.gradient[3 * i + a];
          to = results.add ? to + sum : sum;
        }
      });
}

// Hessian of sum_c charges(c) values(c), times the direction of each atom.
template <int Longest, int P, class T>
LOREMD_INLINE void gradient_along_directions(const MeshCall<T> &call, const T *mesh,
                                             const T *charges, double *gradient) {
  const int channels = static_cast<int>(call.shape.channels);
  for_each_window<Longest, P, 2>(
      call, fetch_rows(call, charges, channels),
      [&](int64_t i, int64_t, const auto &window) LOREMD_INLINE_LAMBDA {
        const auto &[wx, wy, wz] = window.weights;
        const auto &[sx, sy, sz] = window.slopes;
        const auto &[cx, cy, cz] = window.curvatures;
        HessianSums<T> sums;
        for (int kx = 0; kx < P; ++kx) {
          for (int ky = 0; ky < P; ++ky) {
            const T *row = mesh + window.x[kx] + window.y[ky] + window.z;
            T value = 0, slope = 0, curvature = 0;
            for (int k = 0; k < P; ++k) {
              const T charge = dot(channels, charges + i * call.row(), row + k * call.shape.stride);
              value += wz[k] * charge;
              slope += sz[k] * charge;
              curvature += cz[k] * charge;
            }
            sums.add(wx[kx], wy[ky], sx[kx], sy[ky], cx[kx], cy[ky], value, slope, curvature);
          }
        }
        sums.times(call.directions + 3 * i, gradient + 3 * i);
      });
}

}  // namespace

template <class T>
void interpolate_field(const MeshCall<T> &call, const T *mesh, T *values, T *field,
                       const ChargeTerms<T> &terms) {
  check(!call.directions, "interpolate_field knows no directions");
  dispatch_window(call, [&](auto order, auto channels) {
    constexpr int P = decltype(order)::value;
    std::vector<T> workspace(workspace_size<P, T>(channels, 4));
    with_vectors([&](auto longest) LOREMD_INLINE_LAMBDA {
      Results<T> results{values, field};
      results.terms = terms;
      field_atoms<longest(), P>(call, channels, mesh, results, workspace.data());
    });
  });
}

template <class T>
void interpolate_gradient(const MeshCall<T> &call, const T *mesh, const T *charges, T *values,
                          double *gradient, bool add, const KeptField<T> &kept,
                          const ChargeTerms<T> &terms) {
  check(!call.directions || !values, "values along directions come from interpolate");
  check(!call.directions || (!add && !kept.field), "a gradient along directions stands alone");
  dispatch_window(call, [&](auto order, auto channels) {
    constexpr int P = decltype(order)::value;
    if (call.directions) {
      with_vectors([&](auto longest) LOREMD_INLINE_LAMBDA {
        gradient_along_directions<longest(), P>(call, mesh, charges, gradient);
      });
    } else {
      std::vector<T> workspace(workspace_size<P, T>(channels, 4));
      with_vectors([&](auto longest) LOREMD_INLINE_LAMBDA {
        field_atoms<longest(), P>(call, channels, mesh,
                                  Results<T>{values, nullptr, charges, gradient, add, kept, terms},
                                  workspace.data());
      });
    }
  });
}

#define LOREMD_INSTANTIATE(T)                                                                  \
  template void interpolate_field(const MeshCall<T> &, const T *, T *, T *,                    \
                                  const ChargeTerms<T> &);                                     \
  template void interpolate_gradient(const MeshCall<T> &, const T *, const T *, T *, double *, \
                                     bool, const KeptField<T> &, const ChargeTerms<T> &);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd
