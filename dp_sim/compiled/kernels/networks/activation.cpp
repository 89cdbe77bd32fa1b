#include "activation.h"

#include <cmath>

#include "vectors.h"

namespace dp_sim {
namespace {

template <typename Real>
struct Format;
template <>
struct Format<double> {
  using Integer = int64_t;
  static constexpr int bits = 52, bias = 1023, order = 6;
  static constexpr double whole = 6755399441055744.0;  // 1.5 * 2^52: a sum with it is an integer, in the low bits
  static constexpr double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;  // k times the first is exact
  static constexpr double saturated = 20.0;  // tanh is 1 from here on
};
template <>
struct Format<float> {
  using Integer = int32_t;
  static constexpr int bits = 23, bias = 127, order = 3;
  static constexpr float whole = 12582912.0f;
  static constexpr float ln2_high = 0x1.62ep-1f, ln2_low = 0x1.0bfbe8p-15f;
  static constexpr float saturated = 10.0f;
};

// tanh(x) = (e - 1)/(e + 1), e = exp(2x) = 2^k exp(r), |r| <= ln 2 / 2. With the diagonal Pade approximant
// exp(r) = (q + p)/(q - p), q even and p odd in r, that is one division, and none of its sums cancels:
// ((2^k - 1) q + (2^k + 1) p) / ((2^k + 1) q + (2^k - 1) p). Coefficients: (2m - j)! m! / ((2m)! j! (m - j)!).
template <typename Real>
INLINE typename Vector<Real>::type tanh(typename Vector<Real>::type x) {
  using V = typename Vector<Real>::type;
  using F = Format<Real>;
  typedef typename F::Integer Integers __attribute__((vector_size(64)));
  constexpr int m = F::order;
  double c[m + 1] = {1.0};
  for (int j = 1; j <= m; ++j) c[j] = c[j - 1] * (m - j + 1) / (j * (2 * m - j + 1));

  V y = x > F::saturated ? V{} + F::saturated : x;  // so written, what is not a number stays that
  y = y < -F::saturated ? V{} - 2 * F::saturated : y + y;
  const V shifted = y * Real(1.44269504088896340736) + F::whole, k = shifted - F::whole;
  const V r = (y - k * F::ln2_high) - k * F::ln2_low, r2 = r * r;
  const V two_k = (V)(((Integers)shifted + F::bias) << F::bits);
  constexpr int odd = m % 2 ? m : m - 1, even = m - m % 2;
  V p = V{} + static_cast<Real>(c[odd]), q = V{} + static_cast<Real>(c[even]);
  for (int j = odd - 2; j > 0; j -= 2) p = p * r2 + static_cast<Real>(c[j]);
  for (int j = even - 2; j >= 0; j -= 2) q = q * r2 + static_cast<Real>(c[j]);
  p *= r;
  const V less = two_k - Real(1), more = two_k + Real(1);
  return (less * q + more * p) / (more * q + less * p);
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
    const V t = tanh<Real>(x);
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
    const V t = tanh<Real>(a * (x + b * x * x * x)), bell = one - t * t, du = a * (one + Real(3) * b * x * x);
    slope = half * (one + t) + half * x * bell * du;
    curvature = bell * du + half * x * bell * (Real(6) * a * b * x - Real(2) * t * du * du);
    return half * x * (one + t);
  } else if constexpr (kind == Activation::silu) {  // SiLU()
    const V s = half + half * tanh<Real>(half * x);
    slope = s * (one + x * (one - s));
    curvature = s * (one - s) * (Real(2) + x * (one - Real(2) * s));
    return x * s;
  } else if constexpr (kind == Activation::softplus) {  // Softplus(), which is linear beyond 20
    const V s = half + half * tanh<Real>(half * x);
    slope = x > Real(20) ? one : s;
    curvature = x > Real(20) ? zero : s * (one - s);
    return each<Real>(x, [](Real v) { return v > Real(20) ? v : std::log1p(std::exp(v)); });
  } else if constexpr (kind == Activation::sigmoid) {  // Sigmoid()
    const V s = half + half * tanh<Real>(half * x);
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
    const V t = tanh<Real>(steepness * (x - threshold)), s = half + half * tanh<Real>(half * x), bell = one - t * t;
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

// The first n numbers at p, which need not fill a vector.
template <typename Real>
INLINE typename Vector<Real>::type load(const Real* p, int64_t n) {
  if (n >= Vector<Real>::lanes) return *vectors(p);
  typename Vector<Real>::type v{};
  for (int64_t k = 0; k < n; ++k) v[k] = p[k];
  return v;
}

template <typename Real>
INLINE void store(Real* p, int64_t n, const typename Vector<Real>::type& v) {
  if (n >= Vector<Real>::lanes)
    *vectors(p) = v;
  else
    for (int64_t k = 0; k < n; ++k) p[k] = v[k];
}

template <Activation kind, typename Real>
INLINE void activate_rows(Real threshold, const Rows<Real>& a) {
  using V = typename Vector<Real>::type;
  for (int64_t r = 0; r < a.rows; ++r) {
    Real *z = a.z + r * a.stride, *slopes = a.slope ? a.slope + r * a.stride : nullptr;
    for (int64_t c = 0; c < a.columns; c += Vector<Real>::lanes) {
      const int64_t n = a.columns - c;
      V slope, unused, y = activated<kind, Real>(load(z + c, n) + load(a.bias + c, n), threshold, slope, unused);
      if (a.step) y *= load(a.step + c, n), slope *= load(a.step + c, n);
      store(z + c, n, y);
      if (slopes) store(slopes + c, n, a.times ? slope * load(slopes + c, n) : slope);
    }
  }
}

template <Activation kind, typename Real>
INLINE void activate_rows(Real threshold, const CurvedRows<Real>& a) {
  using V = typename Vector<Real>::type;
  for (int64_t r = 0; r < a.rows; ++r) {
    Real *z = a.z + r * a.stride, *first = a.first + r * a.stride, *second = a.second + r * a.stride;
    for (int64_t c = 0; c < a.columns; c += Vector<Real>::lanes) {
      const int64_t n = a.columns - c;
      const V step = a.step ? load(a.step + c, n) : V{} + Real(1), before = load(first + c, n);
      V slope, curvature, y = activated<kind, Real>(load(z + c, n) + load(a.bias + c, n), threshold, slope, curvature);
      store(z + c, n, step * y), store(first + c, n, step * (slope * before));
      store(second + c, n, step * (curvature * before * before + slope * load(second + c, n)));
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
