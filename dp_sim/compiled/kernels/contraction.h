// From T = G^T R~ of an atom to what its fitting net reads, and back.
//
// D_ab = sum_k T_ka T_kb with b among the first `axis` columns (eq. 11). D_ab = D_ba there, so each such pair is held
// once, a >= b: rows of columns, columns - 1, ..., columns - axis + 1 numbers. The net's weights are folded to match
// (dp_sim/compiled/fitting_layout.py). axis = 0 stands for the radial variant, D_a = T_0a.
#pragma once

#include <cstdint>

#include "processors.h"

namespace dp_sim {

struct Contraction {
  int64_t columns, axis;  // M1 without padding, M2

  int64_t features() const { return axis ? axis * columns - axis * (axis - 1) / 2 : columns; }
};

// t (4, stride) -> d (features)
template <typename Real>
INLINE void contract(const Real* t, int64_t stride, const Contraction& c, Real* __restrict d) {
  const Real *t0 = t, *t1 = t + stride, *t2 = t + 2 * stride, *t3 = t + 3 * stride;
  if (!c.axis)
    for (int64_t a = 0; a < c.columns; ++a) d[a] = t0[a];
  for (int64_t b = 0; b < c.axis; d += c.columns - b, ++b) {
    const Real x0 = t0[b], x1 = t1[b], x2 = t2[b], x3 = t3[b];
    for (int64_t a = b; a < c.columns; ++a) d[a - b] = x0 * t0[a] + x1 * t1[a] + x2 * t2[a] + x3 * t3[a];
  }
}

// slope = dE/dD (features) -> dE/dT (4, stride), padding included
template <typename Real>
INLINE void contract_gradient(const Real* t, int64_t stride, const Contraction& c, const Real* slope,
                              Real* __restrict out) {
  const Real *t0 = t, *t1 = t + stride, *t2 = t + 2 * stride, *t3 = t + 3 * stride;
  Real *o0 = out, *o1 = out + stride, *o2 = out + 2 * stride, *o3 = out + 3 * stride;
  for (int64_t k = 0; k < 4 * stride; ++k) out[k] = 0;
  if (!c.axis)
    for (int64_t a = 0; a < c.columns; ++a) o0[a] = slope[a];
  for (int64_t b = 0; b < c.axis; slope += c.columns - b, ++b) {
    const Real x0 = t0[b], x1 = t1[b], x2 = t2[b], x3 = t3[b];
    Real s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
    for (int64_t a = b; a < c.columns; ++a) {
      const Real s = slope[a - b];
      s0 += s * t0[a], s1 += s * t1[a], s2 += s * t2[a], s3 += s * t3[a];
      o0[a] += s * x0, o1[a] += s * x1, o2[a] += s * x2, o3[a] += s * x3;
    }
    o0[b] += s0, o1[b] += s1, o2[b] += s2, o3[b] += s3;
  }
}

}  // namespace dp_sim
