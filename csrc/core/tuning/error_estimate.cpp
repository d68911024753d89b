// SPDX-License-Identifier: BSD-3-Clause
#include "tuning/error_estimate.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "math/gamma.hpp"
#include "math/influence.hpp"
#include "math/matrix.hpp"
#include "math/pswf.hpp"
#include "math/quadrature.hpp"

namespace loremd {
namespace {

// exp(-x) below which an error does not matter at the best accuracy, 1e-12
constexpr double unseen_exponent = 32;

// A shape and the storage of its series; none: Gaussian or B-spline.
struct OwnedShape {
  std::vector<double> series;

  explicit OwnedShape(double bandlimit) {
    if (bandlimit > 0) series = prolate_shape(bandlimit);
  }
  EvenSeries view() const { return {series.data(), static_cast<int>(series.size())}; }
};

// Simpson's rule with an even number of intervals.
template <class F>
double integral(double low, double high, int intervals, F &&f) {
  const double step = (high - low) / intervals;
  double sum = 0;
  for (int i = 0; i <= intervals; ++i) {
    const double weight = i == 0 || i == intervals ? 1 : i % 2 ? 4 : 2;
    sum += weight * f(low + i * step);
  }
  return sum * step / 3;
}

// ---- what the splitting leaves out ----

ErrorEstimate gaussian_tail(const MeshSettings &s, double density) {
  const double a = 0.5 * s.exponent, beta = 0.5 / (s.range * s.range);
  const double start = std::sqrt(beta) * s.cutoff;
  const double last = std::sqrt(start * start + 20) / std::sqrt(beta);  // e^-40 of the first
  const double scale = 1 / std::tgamma(a);
  const auto sharp = [&](double r) {
    return scale * upper_gamma(a, beta * r * r) / std::pow(r, s.exponent);
  };
  const auto slope = [&](double r) {
    const double screening = 2 * scale * std::pow(beta, a) * std::exp(-beta * r * r) / r;
    return s.exponent / r * sharp(r) + screening;
  };
  const auto variance = [&](auto &&f) {
    return density *
           integral(s.cutoff, last, 64, [&](double r) { return 4 * pi * r * r * f(r) * f(r); });
  };
  return {0.5 * std::sqrt(variance(sharp)), std::sqrt(variance(slope))};
}

// R(k) = 4 pi / k^2 F(k range) beyond the first zero of F: density times the integral of R^2 over
// d3k / (2 pi)^3, with k^2 for the force. F falls as 1/u^2 from one extremum to the next.
ErrorEstimate spectrum_tail(const MeshSettings &s, double density) {
  const OwnedShape shape(s.splitting_bandlimit);
  const double start = CompactSplitting::first_zero(shape.view());
  const double last = start + 10 * pi;
  double potential = 0, force = 0;
  integral(start, last, 120, [&](double u) {
    const double square = std::pow(shape.view().cosine_transform(u), 2), du = (last - start) / 120;
    potential += 8 * square / (u * u) * du;
    force += 8 * square * du;
    return 0.0;
  });
  return {0.5 * std::sqrt(density * potential * s.range), std::sqrt(density * force / s.range)};
}

// ---- the mesh ----

// A smooth part whose values come from a table of their logarithms by log x; for 1/r^p, whose
// incomplete gamma functions are slow.
class TabulatedSplitting {
 public:
  TabulatedSplitting(const PowerSplitting &splitting, double largest)
      : largest_(largest), first_(std::log(1e-8 * largest)), step_(std::log(1e8) / (points - 1)) {
    for (int i = 0; i < points; ++i) {
      logarithms_[i] = std::log(splitting.value(std::exp(first_ + i * step_)));
    }
  }
  double largest() const { return largest_; }
  double value(double x) const {
    const double place = std::clamp((std::log(x) - first_) / step_, 0.0, points - 1.001);
    const int i = static_cast<int>(place);
    return std::exp(logarithms_[i] + (place - i) * (logarithms_[i + 1] - logarithms_[i]));
  }

 private:
  static constexpr int points = 600;
  double largest_, first_, step_;
  std::array<double, points> logarithms_;
};

// The Gaussian, ended where errors do not matter.
struct EndedGaussian {
  GaussianSplitting splitting;

  double largest() const { return 2 * unseen_exponent / (splitting.smearing * splitting.smearing); }
  double value(double x) const { return splitting.value(x); }
};

template <class Body>
auto with_splitting(const MeshSettings &s, Body &&body) {
  if (s.splitting_bandlimit > 0) {
    const OwnedShape shape(s.splitting_bandlimit);
    return body(CompactSplitting(shape.view(), s.range));
  }
  if (s.exponent == 1) return body(EndedGaussian{{s.range}});
  const PowerSplitting power(s.exponent, s.range);
  return body(TabulatedSplitting(power, unseen_exponent / power.tail.b));
}

// The window's transform with its sign. (WindowTransform sums all aliases in closed form, which
// loses the small ones beside the one; here they are what counts.)
class SignedWindow {
 public:
  SignedWindow(int order, EvenSeries shape) : order_(order), shape_(shape) {}

  double transform(double cycles) const {
    if (shape_.terms > 0) return shape_.cosine_transform(pi * order_ * cycles);
    const double x = pi * cycles;
    return std::abs(x) < 1e-12 ? 1 : std::pow(std::sin(x) / x, order_);
  }
  // Sums over the aliases but -1, 0, 1 of the square, and of the square times frequency^2. The
  // former falls as 1/m^4 or faster; of the latter, the rest as 1/m^2.
  void far_sums(double cycles, double *power, double *slope) const {
    const int last = shape_.terms > 0 ? 5 : 2;
    const double rest = shape_.terms > 0 ? 1.4 : 1;
    *power = *slope = 0;
    for (int m = 2; m <= last; ++m) {
      for (int side : {-m, m}) {
        const double square = std::pow(transform(cycles + side), 2);
        *power += square;
        *slope += rest * square * (cycles + side) * (cycles + side);
      }
    }
  }

 private:
  int order_;
  EvenSeries shape_;
};

// One frequency along an axis of the mesh: in units of the mesh's own (-1/2 .. 1/2), with its
// weight in a mean over the zone.
struct AxisPoint {
  double frequency;
  double weight;
  double power[3];     // U^2 of the aliases -1, 0, 1
  double total_power;  // of all
  double lost;         // the share of all but the alias 0
  double far_slope;    // sum of U^2 frequency^2 of the aliases but -1, 0, 1
  double cross;        // U(f) U(f + 1) + U(f) U(f - 1)

  AxisPoint(const SignedWindow &window, double frequency, double weight)
      : frequency(frequency), weight(weight) {
    double transform[3];
    for (int m = 0; m < 3; ++m) {
      transform[m] = window.transform(frequency + m - 1);
      power[m] = transform[m] * transform[m];
    }
    double far_power;
    window.far_sums(frequency, &far_power, &far_slope);
    const double others = power[0] + power[2] + far_power;
    total_power = power[1] + others;
    lost = others / total_power;
    cross = transform[1] * (transform[0] + transform[2]);
  }

  // Of -frequency.
  AxisPoint mirrored() const {
    AxisPoint point = *this;
    point.frequency = -frequency;
    std::swap(point.power[0], point.power[2]);
    return point;
  }
};

// 1 - (1 - x) (1 - y) (1 - z), to all digits.
double combined_loss(double x, double y, double z) {
  const double xy = x + y - x * y;
  return xy + z - xy * z;
}

// All of the mesh, or a Gauss rule for either half of the zone, whose nodes crowd at the edge,
// where the error is.
std::vector<AxisPoint> axis_points(int64_t n, bool all, const SignedWindow &window) {
  std::vector<AxisPoint> points;
  if (all) {
    for (int64_t i = 0; i < n; ++i) points.emplace_back(window, double(i - n / 2) / n, 1.0 / n);
    return points;
  }
  const Quadrature rule = gauss_legendre(6);
  for (size_t i = 0; i < rule.nodes.size(); ++i) {
    points.emplace_back(window, 0.25 * (1 + rule.nodes[i]), 0.25 * rule.weights[i]);
    points.push_back(points.back().mirrored());
  }
  return points;
}

// Means over the zone; the self terms are amplitudes along the three axes.
struct ZoneMeans {
  double potential = 0, force = 0;
  std::array<double, 3> self{};
};

// What one frequency adds: with the aliases m and their R_m, U_m, S = sum U_m^2, G = sum U_m^2 R_m
// / S^2, the squared errors are
//   potential  sum_m R_m^2 - (sum_m U_m^2 R_m)^2 / S^2,
//   force      sum_m k_m^2 (U_m^2 G^2 S - 2 U_m^2 G R_m + R_m^2),
// the first arranged so that the large R_0^2 does not cancel. `lost_at_zero` leaves out the part of
// it that goes with R_0^2 at small k, see `far_part`.
template <class Splitting>
void add_frequency(const Splitting &splitting, const double *metric, const AxisPoint &x,
                   const AxisPoint &y, const AxisPoint &z, double weight, double lost_at_zero,
                   ZoneMeans &means) {
  const double limit = splitting.largest();
  const double total = x.total_power * y.total_power * z.total_power;
  double own_r = 0, own_k = 0, own_power = 0, others = 0, mixed = 0;
  double k_sum = 0, kr_sum = 0, krr_sum = 0;  // over the aliases: k^2 U^2, k^2 U^2 R, k^2 R^2
  for (int a = 0; a < 27; ++a) {
    const int mx = a / 9, my = a / 3 % 3, mz = a % 3;
    const double f[3] = {x.frequency + mx - 1, y.frequency + my - 1, z.frequency + mz - 1};
    const double power = x.power[mx] * y.power[my] * z.power[mz];
    const double k_squared = 4 * pi * pi * metric_product(metric, f);
    const bool own = a == 13;
    const double r = k_squared < limit ? splitting.value(k_squared) : 0;
    k_sum += own ? 0 : k_squared * power;
    if (own) {
      own_r = r;
      own_k = k_squared;
      own_power = power;
    } else if (r > 0) {
      others += r * r;
      mixed += power * r / total;
      kr_sum += k_squared * power * r;
      krr_sum += k_squared * r * r;
    }
  }
  k_sum += 4 * pi * pi *
           (metric[0] * x.far_slope * y.power[1] * z.power[1] +
            metric[4] * y.far_slope * x.power[1] * z.power[1] +
            metric[8] * z.far_slope * x.power[1] * y.power[1]);
  const double lost = combined_loss(x.lost, y.lost, z.lost);
  const double influence = (own_power * own_r / total + mixed) / total;  // G
  const double error = own_r * own_r * (lost * (2 - lost) - lost_at_zero * (2 - lost_at_zero)) +
                       others - 2 * (1 - lost) * own_r * mixed - mixed * mixed;
  // U_0^2 G^2 S - 2 U_0^2 G R_0 + R_0^2, with U_0^2 = (1 - lost) S
  const double recovered = influence * total;
  const double own_force =
      own_r * own_r * lost + (1 - lost) * (own_r - recovered) * (own_r - recovered);
  means.potential += weight * error;
  means.force += weight * (own_k * own_force + k_sum * influence * influence * total -
                           2 * influence * kr_sum + krr_sum);
  means.self[0] += weight * influence * x.cross * y.total_power * z.total_power;
  means.self[1] += weight * influence * y.cross * x.total_power * z.total_power;
  means.self[2] += weight * influence * z.cross * x.total_power * y.total_power;
}

// Of 1/n^4 over the simple cubic lattice.
constexpr double lattice_sum = 16.5323;

// Mean over the zone of R^2 lost_0 (2 - lost_0) where `lost_0`, what the window loses of the
// longest waves, is not zero: R^2 grows as 1/k^4, and the mean with the size of the cell. For 1/r:
// (1/volume) sum R^2 = length sum_n 1/n^4 / pi^2 + integral of 8 (F^2 - 1) / k^2, F = R k^2 / 4 pi.
template <class Splitting>
double far_part(const Splitting &splitting, double cell_size, double lost_at_zero) {
  const double last = std::sqrt(splitting.largest());
  const double missing = integral(1e-3 * last, last, 60, [&](double k) {
    const double f = splitting.value(k * k) * k * k / (4 * pi);
    return 8 * (f * f - 1) / (k * k);
  });
  const double sum = cell_size * lattice_sum / (pi * pi) + missing - 8 / last;
  return lost_at_zero * (2 - lost_at_zero) * std::max(0.0, sum);
}

template <class Splitting>
ZoneMeans zone_means(const Splitting &splitting, const MeshSettings &s, const double *metric,
                     bool all, double lost_at_zero, const SignedWindow &window) {
  const auto x_points = axis_points(s.points[0], all, window);
  const auto y_points = axis_points(s.points[1], all, window);
  const auto z_points = axis_points(s.points[2], all, window);
  ZoneMeans means;
  for (const AxisPoint &x : x_points) {
    for (const AxisPoint &y : y_points) {
      for (const AxisPoint &z : z_points) {
        // z > 0 mirrors z < 0, but for the mesh's own -1/2, which is its own mirror image
        if (z.frequency > 0) continue;
        if (x.frequency == 0 && y.frequency == 0 && z.frequency == 0) continue;
        const double images = z.frequency == 0 || z.frequency == -0.5 ? 1 : 2;
        const double weight = images * x.weight * y.weight * z.weight;
        add_frequency(splitting, metric, x, y, z, weight, lost_at_zero, means);
      }
    }
  }
  return means;
}

double length(const Vector3 &v) {
  return std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
}

}  // namespace

double cell_volume(const Matrix3 &cell) {
  return std::abs(determinant(cell));
}

ErrorEstimate splitting_error(const MeshSettings &settings, double density) {
  return settings.splitting_bandlimit > 0 ? spectrum_tail(settings, density)
                                          : gaussian_tail(settings, density);
}

ErrorEstimate mesh_error(const Matrix3 &cell, int64_t atoms, const MeshSettings &s,
                         int64_t largest_sum) {
  Matrix3 spacing = cell;
  for (int a = 0; a < 3; ++a) {
    for (double &component : spacing[a]) component /= s.points[a];
  }
  const Matrix3 metric = inverse(gram(spacing));
  const OwnedShape shape(s.window_bandlimit);
  const SignedWindow window(s.order, shape.view());
  const bool all = s.points[0] * s.points[1] * s.points[2] <= largest_sum;
  const bool far = !all && s.exponent == 1 && s.window_bandlimit > 0;
  const double axis_lost = far ? AxisPoint(window, 0, 0).lost : 0;
  const double lost_at_zero = combined_loss(axis_lost, axis_lost, axis_lost);
  const double volume = cell_volume(cell), point_volume = cell_volume(spacing);
  double far_sum = 0;
  const ZoneMeans means = with_splitting(s, [&](const auto &splitting) {
    if (far) far_sum = far_part(splitting, std::cbrt(volume), lost_at_zero);
    return zone_means(splitting, s, &metric[0][0], all, lost_at_zero, window);
  });
  // 1/point_volume turns a mean into the integral over d3k / (2 pi)^3
  const double density = atoms / volume;
  double self = 0, self_force = 0;
  for (int a = 0; a < 3; ++a) {
    const double square = 2 * std::pow(means.self[a] / point_volume, 2);
    self += square;
    self_force += square * 4 * pi * pi * metric[a][a];
  }
  const double potential = density * std::max(0.0, means.potential / point_volume + far_sum);
  const double force = density * std::max(0.0, means.force / point_volume);
  return {0.5 * std::sqrt(potential + self), std::sqrt(force + 0.25 * self_force)};
}

namespace {

// How much the window loses on a mesh of spacing h: mean over the frequencies f of one axis of
// lost(f) = 1 - U(f)^2 / sum_m U(f + m)^2, weighted with the integral of R^2 over the two other
// axes; that of f = 0 with what lies closer to 0 than the other frequencies (`far_part`).
class WindowLoss {
 public:
  WindowLoss(const MeshSettings &s, double spacing, double cell_size) : order_(s.order) {
    with_splitting(s, [&](const auto &splitting) {
      for (int i = 0; i < points; ++i) {
        const double f = frequency(i), scale = std::pow(2 * pi / spacing, 2);
        weights_[i] = 2 * pi / points * integral(0, 0.75, 40, [&](double p) {
                        const double x = scale * (f * f + p * p);
                        return x < splitting.largest() ? p * std::pow(splitting.value(x), 2) : 0;
                      });
      }
      return 0;
    });
    if (s.exponent != 1) return;
    const double all = cell_size * lattice_sum / (pi * pi) * std::pow(spacing, 3);
    at_zero_ = std::max(0.0, all - std::accumulate(weights_.begin(), weights_.end(), 0.0));
  }
  double operator()(double bandlimit) const {
    const OwnedShape shape(bandlimit);
    const SignedWindow window(order_, shape.view());
    double sum = at_zero_ * AxisPoint(window, 0, 1).lost;
    for (int i = 0; i < points; ++i) sum += weights_[i] * AxisPoint(window, frequency(i), 1).lost;
    return sum;
  }

 private:
  static constexpr int points = 12;
  static double frequency(int i) { return 0.5 * (i + 0.5) / points; }
  int order_;
  std::array<double, points> weights_;
  double at_zero_ = 0;
};

}  // namespace

double best_window_bandlimit(const Matrix3 &cell, const MeshSettings &settings) {
  const double spacing = length(cell[0]) / settings.points[0];
  const WindowLoss loss(settings, spacing, std::cbrt(cell_volume(cell)));
  constexpr double golden = 0.618033988749895;
  double low = 0.5 * pi * settings.order, high = 1.1 * pi * settings.order;
  double left = high - golden * (high - low), right = low + golden * (high - low);
  double left_loss = loss(left), right_loss = loss(right);
  for (int step = 0; step < 11; ++step) {
    if (left_loss < right_loss) {
      high = right;
      right = left;
      right_loss = left_loss;
      left = high - golden * (high - low);
      left_loss = loss(left);
    } else {
      low = left;
      left = right;
      left_loss = right_loss;
      right = low + golden * (high - low);
      right_loss = loss(right);
    }
  }
  return left_loss < right_loss ? left : right;
}

}  // namespace loremd
