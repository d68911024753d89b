// SPDX-License-Identifier: BSD-3-Clause
//
// The upper incomplete gamma function, Gamma(a, x) = integral from x to infinity of
// t^(a-1) exp(-t), x > 0, for any real a: both halves of the Gaussian splitting of 1/r^p.
#pragma once

#include <math.h>

#include "../host_device.hpp"

namespace loremd {

constexpr double root_pi = 1.77245385090551602730;

// (1 / Gamma(1 + a) - 1) / a for -1/2 <= a <= 1: the Taylor series of the entire 1 / Gamma
// (Wrench 1968, DOI 10.1090/S0025-5718-1968-0237078-4).
LOREMD_HOST_DEVICE double reciprocal_gamma_slope(double a) {
  constexpr int terms = 26;
  constexpr double taylor[terms] = {
      0.57721566490153286,     -0.65587807152025388,    -0.042002635034095236,
      0.16653861138229149,     -0.042197734555544337,   -0.0096219715278769736,
      0.0072189432466630995,   -0.0011651675918590651,  -0.00021524167411495097,
      0.00012805028238811619,  -2.0134854780788239e-5,  -1.2504934821426707e-6,
      1.1330272319816959e-6,   -2.0563384169776071e-7,  6.1160951044814158e-9,
      5.0020076444692229e-9,   -1.1812745704870201e-9,  1.0434267116911005e-10,
      7.7822634399050713e-12,  -3.6968056186422057e-12, 5.100370287454476e-13,
      -2.0583260535665068e-14, -5.348122539423018e-15,  1.2267786282382608e-15,
      -1.1812593016974588e-16, 1.1866922547516003e-18};
  double sum = 0;
  for (int k = terms - 1; k >= 0; --k) sum = taylor[k] + a * sum;
  return sum;
}

// Gamma(a, x) for -1/2 <= a <= 1 and 0 < x <= 1.2: Gamma(a) less the series of the lower function,
//   (Gamma(1+a) - 1)/a - (x^a - 1)/a - x^a sum_{k>0} (-x)^k / (k! (a+k)),
// written so that the poles at a = 0 cancel before anything is computed.
LOREMD_HOST_DEVICE double gamma_by_series(double a, double x) {
  const double slope = reciprocal_gamma_slope(a), logarithm = log(x);
  double term = 1, sum = 0;
  for (int k = 1; k < 24; ++k) {
    term *= -x / k;
    sum += term / (a + k);
  }
  const double power_slope = a == 0 ? logarithm : expm1(a * logarithm) / a;
  return -slope / (1 + a * slope) - power_slope - (1 + a * power_slope) * sum;
}

// Gamma(a, x) x^-a exp(x) for a <= 1 and x > 1.2: continued fraction, NIST DLMF 8.9.2 contracted,
// summed forwards (Steed's algorithm). Some 80 / x steps.
LOREMD_HOST_DEVICE double gamma_by_fraction(double a, double x) {
  double denominator = x + 1 - a, inverse = 1 / denominator, step = inverse, sum = inverse;
  for (int k = 1; k < 200 && fabs(step) > 1e-17 * fabs(sum); ++k) {
    const double numerator = -k * (k - a);
    denominator += 2;
    inverse = 1 / (denominator + numerator * inverse);
    step *= denominator * inverse - 1;
    sum += step;
  }
  return sum;
}

// Gamma(a, x) to about 1e-14 of itself, any a, x > 0. Fast for a = 1/2 and 1; for large |a| the
// time grows with |a|.
LOREMD_HOST_DEVICE double upper_gamma(double a, double x) {
  // base - 1/2 <= base <= 1, from which recursion loses no digits; a itself where the fraction does
  double base = a;
  if (a > 1) base = a - ceil(a) + 1;
  if (a < -0.5 && x <= 1.2) base = a - floor(a + 0.5);
  const double decay = exp(-x);
  double value;
  if (base == 0.5) {
    value = root_pi * erfc(sqrt(x));
  } else if (base == 1) {
    value = decay;
  } else if (x <= 1.2) {
    value = gamma_by_series(base, x);
  } else {
    value = decay * pow(x, base) * gamma_by_fraction(base, x);
  }
  if (base == a) return value;
  // Gamma(a + 1, x) = a Gamma(a, x) + x^a exp(-x)
  double power = decay * pow(x, a > base ? base : base - 1);
  for (; base < a - 0.5; ++base, power *= x) value = base * value + power;
  for (; base > a + 0.5; --base, power /= x) value = (value - power) / (base - 1);
  return value;
}

// tail(x) = x^-a Gamma(a, b x), b > 0. 1/r^p with a Gaussian splitting of width eta has the tails
//   a = p/2,     b = 1 / (2 eta^2),  x = r^2:  sharp(r) = tail(x) / Gamma(p/2)
//   a = (3-p)/2, b = eta^2 / 2,      x = k^2:  R(k) = pi^(3/2) 2^(3-p) / Gamma(p/2) tail(x)
// (Williams 1971, DOI 10.1107/S0567739471000998).
struct GammaTail {
  double a, b;

  LOREMD_HOST_DEVICE GammaTail(double a, double b) : a(a), b(b) {}

  LOREMD_HOST_DEVICE double value(double x) const { return derivative(x, 0); }

  // Of any order: the n-th derivative is (-1)^n x^-(a+n) Gamma(a+n, b x), without cancellation.
  LOREMD_HOST_DEVICE double derivative(double x, int order) const {
    const double raised = a + order;
    const double magnitude = pow(x, -raised) * upper_gamma(raised, b * x);
    return order % 2 == 0 ? magnitude : -magnitude;
  }
};

}  // namespace loremd
