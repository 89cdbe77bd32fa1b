#include "activation.h"

#include <cmath>

#include "vectors.h"

namespace dp_sim {
namespace {

// tanh(x) = (e - 1)/(e + 1), e = exp(2x) = 2^k exp(r), |r| <= ln 2 / 2. With the diagonal Pade approximant
// exp(r) = (q + p)/(q - p), q even and p odd in r, that is one division, and none of its sums cancels:
// ((2^k - 1) q + (2^k + 1) p) / ((2^k + 1) q + (2^k - 1) p). Coefficients: (2m - j)! m! / ((2m)! j! (m - j)!).
INLINE Vector<double>::type tanh(Vector<double>::type x) {
  using V = Vector<double>::type;
  typedef int64_t Integers __attribute__((vector_size(64)));
  constexpr double whole = 6755399441055744.0;  // 1.5 * 2^52: a sum with it is an integer, in the low bits
  constexpr double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;  // k times the first is exact
  constexpr double saturated = 20.0;  // tanh is 1 from here on
  constexpr int m = 6;
  double c[m + 1] = {1.0};
  for (int j = 1; j <= m; ++j) c[j] = c[j - 1] * (m - j + 1) / (j * (2 * m - j + 1));

  V y = x > saturated ? V{} + saturated : x;  // so written, what is not a number stays that
  y = y < -saturated ? V{} - 2 * saturated : y + y;
  const V shifted = y * 1.44269504088896340736 + whole, k = shifted - whole;
  const V r = (y - k * ln2_high) - k * ln2_low, r2 = r * r;
  const V two_k = (V)(((Integers)shifted + 1023) << 52);
  V p = V{} + c[m - 1], q = V{} + c[m];
  for (int j = m - 3; j > 0; j -= 2) p = p * r2 + c[j];
  for (int j = m - 2; j >= 0; j -= 2) q = q * r2 + c[j];
  p *= r;
  const V less = two_k - 1.0, more = two_k + 1.0;
  return (less * q + more * p) / (more * q + less * p);
}

// tanh(x) = 2h/(1 + h^2), h = tanh(x/2) = a/2b, a = x P(x^2), b = Q(x^2): with n = ab and d = b - a/2 that is
// n/(n + d^2) where x > 0, which rounding does not lift above 1; an error of h counts by a factor 1/cosh(x).
// The coefficients are ours: P(0) = Q(0) = 1, the others by least squares of (P - h Q)/(h Q cosh(x)), h by 2x, on 300
// Chebyshev nodes of [0, saturated] in extended precision, with weights that grow with the error (Lawson) until it is
// nearly even; one after another rounded to a float and kept while the rest were fitted again. They alone make a
// relative error of 0.13 * 2^-24. With rounding (of all floats tried, every third of them) it is at most 4.6 units in the
// last place, 2.5 where tanh is above 1/2, 0.8 as a root mean square.
INLINE Vector<float>::type tanh(Vector<float>::type x) {
  using V = Vector<float>::type;
  typedef int32_t Integers __attribute__((vector_size(64)));
  constexpr float saturated = 9.02f;  // tanh rounds to 1 from here on
  V y = (V)((Integers)x & INT32_MAX);
  y = y > saturated ? V{} + saturated : y;  // so written, what is not a number stays that
  const V u = y * y;
  const V a = (y * u) * (0x1.df5a82p-14f * u + 0x1.e7d6bcp-6f) + y;
  const V b = ((0x1.4a1418p-20f * u + 0x1.3c54cep-10f) * u + 0x1.cf4afap-4f) * u + 1.0f;
  const V n = a * b, d = b - 0.5f * a, t = n / (n + d * d);
  return (V)((Integers)t | ((Integers)x & INT32_MIN));
}

// f(x) for each lane, where there is no form in vectors.
template <typename Real, typename Function>
INLINE typename Vector<Real>::type each(typename Vector<Real>::type x, const Function& function) {
  for (int k = 0; k < Vector<Real>::lanes; ++k) x[k] = function(x[k]);
  return x;
}

// x -> f(x), with f'(x) in `slope` and f''(x) in `curvature`, which costs nothing where it is not used. threshold: of
// silut.
template <Activation kind, typename Real>
INLINE typename Vector<Real>::type activated(typename Vector<Real>::type x, Real threshold,
                                             typename Vector<Real>::type& slope,
                                             typename Vector<Real>::type& curvature) {
  using V = typename Vector<Real>::type;
  const V zero{}, one = zero + Real(1), half = zero + Real(0.5);
  if constexpr (kind == Activation::tanh) {
    const V t = tanh(x);
    slope = one - t * t;
    curvature = Real(-2) * t * slope;
    return t;
  } else if constexpr (kind == Activation::gelu) {  // GELU()
    const V phi = each<Real>(x, [](Real v) { return Real(0.5) * std::erfc(-v * Real(0.70710678118654752440)); });
    const V bell = each<Real>(x, [](Real v) { return Real(0.39894228040143267794) * std::exp(Real(-0.5) * v * v); });
    slope = phi + x * bell;
    curvature = bell * (Real(2) - x * x);
    return x * phi;
  } else if constexpr (kind == Activation::gelu_tanh) {  // GELU(approximate="tanh")
    const Real a = Real(0.79788456080286535588), b = Real(0.044715);
    const V t = tanh(a * (x + b * x * x * x)), bell = one - t * t, du = a * (one + Real(3) * b * x * x);
    slope = half * (one + t) + half * x * bell * du;
    curvature = bell * du + half * x * bell * (Real(6) * a * b * x - Real(2) * t * du * du);
    return half * x * (one + t);
  } else if constexpr (kind == Activation::silu) {  // SiLU()
    const V s = half + half * tanh(half * x);
    slope = s * (one + x * (one - s));
    curvature = s * (one - s) * (Real(2) + x * (one - Real(2) * s));
    return x * s;
  } else if constexpr (kind == Activation::softplus) {  // Softplus(), which is linear beyond 20
    const V s = half + half * tanh(half * x);
    slope = x > Real(20) ? one : s;
    curvature = x > Real(20) ? zero : s * (one - s);
    return each<Real>(x, [](Real v) { return v > Real(20) ? v : std::log1p(std::exp(v)); });
  } else if constexpr (kind == Activation::sigmoid) {  // Sigmoid()
    const V s = half + half * tanh(half * x);
    slope = s * (one - s);
    curvature = slope * (one - Real(2) * s);
    return s;
  } else if constexpr (kind == Activation::relu) {  // ReLU()
    slope = x > Real(0) ? one : zero;
    curvature = zero;
    return x < Real(0) ? zero : x;  // so written, what is not a number stays that
  } else if constexpr (kind == Activation::relu6) {  // ReLU6()
    const V low = x < Real(0) ? zero : x;
    slope = ((x > Real(0)) & (x < Real(6))) ? one : zero;
    curvature = zero;
    return low > Real(6) ? zero + Real(6) : low;
  } else if constexpr (kind == Activation::silut) {  // SiLUT(threshold)
    const Real sigmoid = Real(1) / (Real(1) + std::exp(-threshold));
    const Real steepness = sigmoid + threshold * sigmoid * (Real(1) - sigmoid);
    const V t = tanh(steepness * (x - threshold)), s = half + half * tanh(half * x), bell = one - t * t;
    slope = x >= threshold ? steepness * bell : s * (one + x * (one - s));
    curvature = x >= threshold ? Real(-2) * steepness * steepness * t * bell
                               : s * (one - s) * (Real(2) + x * (one - Real(2) * s));
    return x >= threshold ? t + threshold * sigmoid : x * s;
  } else {
    slope = one;
    curvature = zero;
    return x;
  }
}

template <Activation kind, typename Real>
INLINE void activate_rows(Real threshold, const Rows<Real>& a) {
  using V = typename Vector<Real>::type;
  const Real *bias = a.bias, *step = a.step;
  const int64_t columns = a.columns;
  const bool times = a.times;
  for (int64_t r = 0; r < a.rows; ++r) {
    Real *z = a.z + r * a.stride, *slopes = a.slope ? a.slope + r * a.stride : nullptr;
    for (int64_t c = 0; c < columns; c += Vector<Real>::lanes) {
      V slope, unused, y = activated<kind, Real>(*vectors(z + c) + *vectors(bias + c), threshold, slope, unused);
      if (step) y *= *vectors(step + c), slope *= *vectors(step + c);
      *vectors(z + c) = y;
      if (slopes) *vectors(slopes + c) = times ? slope * *vectors(slopes + c) : slope;
    }
  }
}

template <Activation kind, typename Real>
INLINE void activate_rows(Real threshold, const CurvedRows<Real>& a) {
  using V = typename Vector<Real>::type;
  for (int64_t r = 0; r < a.rows; ++r) {
    Real *z = a.z + r * a.stride, *first = a.first + r * a.stride, *second = a.second + r * a.stride;
    for (int64_t c = 0; c < a.columns; c += Vector<Real>::lanes) {
      const V step = a.step ? *vectors(a.step + c) : V{} + Real(1), before = *vectors(first + c);
      V slope, curvature;
      const V y = activated<kind, Real>(*vectors(z + c) + *vectors(a.bias + c), threshold, slope, curvature);
      *vectors(z + c) = step * y, *vectors(first + c) = step * (slope * before);
      *vectors(second + c) = step * (curvature * before * before + slope * *vectors(second + c));
    }
  }
}

// `rows`: Rows or CurvedRows
template <typename Real, typename AnyRows>
INLINE void activate_kind(Activation kind, Real threshold, const AnyRows& rows) {
  switch (kind) {
    case Activation::tanh: return activate_rows<Activation::tanh>(threshold, rows);
    case Activation::gelu: return activate_rows<Activation::gelu>(threshold, rows);
    case Activation::gelu_tanh: return activate_rows<Activation::gelu_tanh>(threshold, rows);
    case Activation::silu: return activate_rows<Activation::silu>(threshold, rows);
    case Activation::softplus: return activate_rows<Activation::softplus>(threshold, rows);
    case Activation::sigmoid: return activate_rows<Activation::sigmoid>(threshold, rows);
    case Activation::relu: return activate_rows<Activation::relu>(threshold, rows);
    case Activation::relu6: return activate_rows<Activation::relu6>(threshold, rows);
    case Activation::linear: return activate_rows<Activation::linear>(threshold, rows);
    case Activation::silut: return activate_rows<Activation::silut>(threshold, rows);
  }
}

}  // namespace

EACH_PROCESSOR void activate(Activation kind, double threshold, const Rows<double>& rows) {
  activate_kind(kind, threshold, rows);
}
EACH_PROCESSOR void activate(Activation kind, float threshold, const Rows<float>& rows) {
  activate_kind(kind, threshold, rows);
}
EACH_PROCESSOR void activate_curved(Activation kind, double threshold, const CurvedRows<double>& rows) {
  activate_kind(kind, threshold, rows);
}
EACH_PROCESSOR void activate_curved(Activation kind, float threshold, const CurvedRows<float>& rows) {
  activate_kind(kind, threshold, rows);
}

}  // namespace dp_sim
