// Lanes are columns of G: 64-byte vectors, which a compiler maps onto whatever registers the processor has.
#include "table_sum.h"

// One copy of each entry point per instruction set, chosen when the library loads; what they call is inlined into them.
#if defined(__x86_64__) && defined(__linux__)
#define EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), flatten))
#else
#define EACH_PROCESSOR __attribute__((flatten))
#endif
#define INLINE inline __attribute__((always_inline))

namespace dp_sim {
namespace {

template <typename Real>
struct Vector {
  typedef Real type __attribute__((vector_size(64), aligned(sizeof(Real)), may_alias));
  static constexpr int lanes = 64 / sizeof(Real);
};

template <typename Real>
INLINE const typename Vector<Real>::type* vectors(const Real* values) {
  return reinterpret_cast<const typename Vector<Real>::type*>(values);
}

// Sum of the lanes, by halves.
template <typename Real, int lanes>
INLINE Real total(const Real* values) {
  if constexpr (lanes == 1) {
    return values[0];
  } else {
    typedef Real Half __attribute__((vector_size(lanes / 2 * sizeof(Real)), aligned(sizeof(Real)), may_alias));
    const Half* halves = reinterpret_cast<const Half*>(values);
    const Half sum = halves[0] + halves[1];
    return total<Real, lanes / 2>(reinterpret_cast<const Real*>(&sum));
  }
}

template <typename Real>
INLINE Real total(const typename Vector<Real>::type& v) {
  return total<Real, Vector<Real>::lanes>(reinterpret_cast<const Real*>(&v));
}

template <typename Real>
INLINE void prepare(Neighborhood<Real>& near, const Pairs& pairs, const Tables<Real>& t, int64_t i, bool slopes) {
  gather(near, pairs, i, t.sw.cutoff);
  switched(near, t.sw);
  hermite(near, t.knots, slopes);
}

// The first of the six rows of the table that the pair needs.
template <typename Real>
INLINE const Real* rows_of(const Neighborhood<Real>& near, const Pairs& pairs, const Tables<Real>& t, int64_t i,
                           int64_t n) {
  const int64_t other = pairs.species[pairs.neighbor[near.pair[n]]];
  const int64_t table = t.table_of[pairs.species[i] * t.n_species + other];
  return t.values + (table * t.knots.count + near.segment[n]) * 3 * t.width;
}

// R~_ij, eq. 8, scaled.
template <typename Real>
INLINE void environment_row(const Neighborhood<Real>& near, const double* scale, int64_t n, Real out[4]) {
  const double s = near.s[n], over_r = s / near.r[n];
  out[0] = static_cast<Real>(s * scale[0]);
  out[1] = static_cast<Real>(over_r * near.x[n] * scale[1]);
  out[2] = static_cast<Real>(over_r * near.y[n] * scale[2]);
  out[3] = static_cast<Real>(over_r * near.z[n] * scale[3]);
}

template <typename Real>
INLINE void sum_block(const Pairs& pairs, const Tables<Real>& t, const Block& block, Real* out) {
  using V = typename Vector<Real>::type;
  thread_local Neighborhood<Real> near;
  thread_local std::vector<const Real*> row;
  thread_local std::vector<Real> r;
  const int64_t columns = t.width / Vector<Real>::lanes;
  for (int64_t b = block.begin; b < block.end; ++b) {
    const int64_t i = block.atoms[b];
    prepare(near, pairs, t, i, false);
    row.resize(near.n), r.resize(4 * near.n);
    for (int64_t n = 0; n < near.n; ++n) {
      row[n] = rows_of(near, pairs, t, i, n);
      environment_row(near, t.scale + 4 * pairs.species[i], n, r.data() + 4 * n);
    }
    V* sum = reinterpret_cast<V*>(out + b * 4 * t.width);
    for (int64_t c = 0; c < columns; ++c) {
      V t0{}, t1{}, t2{}, t3{};
      for (int64_t n = 0; n < near.n; ++n) {
        const V* v = vectors(row[n]) + c;
        const Real *w = near.weights.data() + 8 * n, *x = r.data() + 4 * n;
        const V g = (w[0] * v[0] + w[1] * v[columns] + w[2] * v[2 * columns]) +
                    (w[3] * v[3 * columns] + w[4] * v[4 * columns] + w[5] * v[5 * columns]);
        t0 += x[0] * g, t1 += x[1] * g, t2 += x[2] * g, t3 += x[3] * g;
      }
      sum[c] = t0, sum[columns + c] = t1, sum[2 * columns + c] = t2, sum[3 * columns + c] = t3;
    }
  }
}

// a_c = dE/dR~_c (4) and the part of dE/ds that goes through G, of one pair: d = dE/dT of its centre.
template <typename Real>
INLINE void contract(const Real* rows, const Real* w, const Real* slopes, const Real x[4], const Real* d,
                     int64_t columns, Real a[4], Real& through_g) {
  using V = typename Vector<Real>::type;
  const V *v = vectors(rows), *dt = vectors(d);
  V a0{}, a1{}, a2{}, a3{}, b{};
  for (int64_t c = 0; c < columns; ++c, ++v, ++dt) {
    const V v0 = v[0], v1 = v[columns], v2 = v[2 * columns], v3 = v[3 * columns], v4 = v[4 * columns],
            v5 = v[5 * columns];
    const V g = (w[0] * v0 + w[1] * v1 + w[2] * v2) + (w[3] * v3 + w[4] * v4 + w[5] * v5);
    const V slope = (slopes[0] * v0 + slopes[1] * v1 + slopes[2] * v2) +
                    (slopes[3] * v3 + slopes[4] * v4 + slopes[5] * v5);
    const V d0 = dt[0], d1 = dt[columns], d2 = dt[2 * columns], d3 = dt[3 * columns];
    a0 += d0 * g, a1 += d1 * g, a2 += d2 * g, a3 += d3 * g;
    b += slope * (x[0] * d0 + x[1] * d1 + x[2] * d2 + x[3] * d3);
  }
  a[0] = total<Real>(a0), a[1] = total<Real>(a1), a[2] = total<Real>(a2), a[3] = total<Real>(a3);
  through_g = total<Real>(b);
}

// dE/dr_ij from dE/dR~ (a) and dE/ds: through s along n = r_ij/r, through n across it.
template <typename Real>
INLINE void pair_gradient(const Neighborhood<Real>& near, const double* scale, int64_t n, const Real a[4],
                          Real through_g, Real* out) {
  const double r = near.r[n], unit[3] = {near.x[n] / r, near.y[n] / r, near.z[n] / r};
  const double d[3] = {a[1] * scale[1], a[2] * scale[2], a[3] * scale[3]};
  const double along = d[0] * unit[0] + d[1] * unit[1] + d[2] * unit[2];
  const double slope = (through_g + a[0] * scale[0] + along) * near.slope[n], over_r = near.s[n] / r;
  for (int k = 0; k < 3; ++k) out[k] = static_cast<Real>(slope * unit[k] + over_r * (d[k] - along * unit[k]));
}

template <typename Real>
INLINE void gradient_block(const Pairs& pairs, const Tables<Real>& t, const Block& block, const Real* gradient,
                           Real* out) {
  thread_local Neighborhood<Real> near;
  const int64_t columns = t.width / Vector<Real>::lanes;
  for (int64_t b = block.begin; b < block.end; ++b) {
    const int64_t i = block.atoms[b];
    const double* scale = t.scale + 4 * pairs.species[i];
    prepare(near, pairs, t, i, true);
    for (int64_t p = 3 * pairs.first[i]; p < 3 * pairs.first[i + 1]; ++p) out[p] = 0;
    for (int64_t n = 0; n < near.n; ++n) {
      Real x[4], a[4], through_g;
      environment_row(near, scale, n, x);
      contract(rows_of(near, pairs, t, i, n), near.weights.data() + 8 * n, near.slopes.data() + 8 * n, x,
               gradient + b * 4 * t.width, columns, a, through_g);
      pair_gradient(near, scale, n, a, through_g, out + 3 * near.pair[n]);
    }
  }
}

}  // namespace

EACH_PROCESSOR void table_sum(const Pairs& p, const Tables<double>& t, const Block& b, double* out) {
  sum_block(p, t, b, out);
}
EACH_PROCESSOR void table_sum(const Pairs& p, const Tables<float>& t, const Block& b, float* out) {
  sum_block(p, t, b, out);
}
EACH_PROCESSOR void table_sum_gradient(const Pairs& p, const Tables<double>& t, const Block& b, const double* gradient,
                                       double* out) {
  gradient_block(p, t, b, gradient, out);
}
EACH_PROCESSOR void table_sum_gradient(const Pairs& p, const Tables<float>& t, const Block& b, const float* gradient,
                                       float* out) {
  gradient_block(p, t, b, gradient, out);
}

}  // namespace dp_sim
