// Lanes are columns of G: 64-byte vectors, which a compiler maps onto whatever registers the processor has.
#include "table_sum.h"

#include "processors.h"

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
  const double s = near.s[n];
  out[0] = static_cast<Real>(s * scale[0]);
  out[1] = static_cast<Real>(s * near.x[n] * scale[1]);
  out[2] = static_cast<Real>(s * near.y[n] * scale[2]);
  out[3] = static_cast<Real>(s * near.z[n] * scale[3]);
}

// Vectors of G that are summed together: as many as the registers hold the sums of.
inline int64_t tile_width() {
#if defined(__x86_64__)
  static const int64_t width = __builtin_cpu_supports("avx512f") ? 5 : 1;
  return width;
#else
  return 1;
#endif
}

// Columns c .. c + width (in vectors) of T: sum over n neighbours of x (4) times the polynomial through six table rows.
template <int width, typename Real>
INLINE void sum_tile(const Real* const* row, const Real* weights, const Real* x, int64_t n, int64_t columns, int64_t c,
                     typename Vector<Real>::type* sum) {
  using V = typename Vector<Real>::type;
  V t[4][width] = {};
  for (; n > 0; --n, ++row, weights += 8, x += 4) {
    const V* v = vectors(*row) + c;
    for (int k = 0; k < width; ++k, ++v) {
      const V g = (weights[0] * v[0] + weights[1] * v[columns] + weights[2] * v[2 * columns]) +
                  (weights[3] * v[3 * columns] + weights[4] * v[4 * columns] + weights[5] * v[5 * columns]);
      t[0][k] += x[0] * g, t[1][k] += x[1] * g, t[2][k] += x[2] * g, t[3][k] += x[3] * g;
    }
  }
  for (int q = 0; q < 4; ++q)
    for (int k = 0; k < width; ++k) sum[q * columns + c + k] = t[q][k];
}

template <typename Real>
INLINE void sum_tiles(const Real* const* row, const Real* weights, const Real* x, int64_t n, int64_t columns,
                      typename Vector<Real>::type* sum) {
  const int64_t tiles = (columns + tile_width() - 1) / tile_width();
  for (int64_t k = 0, c = 0; k < tiles; ++k) {
    const int64_t width = (columns - c + tiles - k - 1) / (tiles - k);  // tiles of nearly equal width
    switch (width) {
      case 1: sum_tile<1>(row, weights, x, n, columns, c, sum); break;
      case 2: sum_tile<2>(row, weights, x, n, columns, c, sum); break;
      case 3: sum_tile<3>(row, weights, x, n, columns, c, sum); break;
      case 4: sum_tile<4>(row, weights, x, n, columns, c, sum); break;
      default: sum_tile<5>(row, weights, x, n, columns, c, sum);
    }
    c += width;
  }
}

template <typename Real>
INLINE void describe_block(const Pairs& pairs, const Tables<Real>& t, const Block& block, Real* total, Real* features) {
  thread_local Neighborhood<Real> near;
  thread_local std::vector<const Real*> row;
  thread_local std::vector<Real> x;
  const int64_t columns = t.width / Vector<Real>::lanes;
  for (int64_t b = block.begin; b < block.end; ++b) {
    const int64_t i = block.atoms[b];
    prepare(near, pairs, t, i, false);
    row.resize(near.n), x.resize(4 * near.n);
    for (int64_t n = 0; n < near.n; ++n) {
      row[n] = rows_of(near, pairs, t, i, n);
      environment_row(near, t.scale + 4 * pairs.species[i], n, x.data() + 4 * n);
    }
    Real* sum = total + b * 4 * t.width;
    sum_tiles(row.data(), near.weights.data(), x.data(), near.n, columns,
              reinterpret_cast<typename Vector<Real>::type*>(sum));
    contract(sum, t.width, t.contraction, features + b * t.contraction.features());
  }
}

// a_c = dE/dR~_c (4) and the part of dE/ds that goes through G, of one pair: d = dE/dT of its centre.
template <typename Real>
INLINE void through_rows(const Real* rows, const Real* w, const Real* slopes, const Real x[4], const Real* d,
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
  const double unit[3] = {near.x[n], near.y[n], near.z[n]};
  const double d[3] = {a[1] * scale[1], a[2] * scale[2], a[3] * scale[3]};
  const double along = d[0] * unit[0] + d[1] * unit[1] + d[2] * unit[2];
  const double slope = (through_g + a[0] * scale[0] + along) * near.slope[n], over_r = near.s_over_r[n];
  for (int k = 0; k < 3; ++k) out[k] = static_cast<Real>(slope * unit[k] + over_r * (d[k] - along * unit[k]));
}

template <typename Real>
INLINE void gradient_block(const Pairs& pairs, const Tables<Real>& t, const Block& block, const Real* total,
                           const Real* slope, Real* out) {
  thread_local Neighborhood<Real> near;
  thread_local std::vector<Real> d;  // dE/dT of one atom
  d.resize(4 * t.width);
  const int64_t columns = t.width / Vector<Real>::lanes;
  for (int64_t b = block.begin; b < block.end; ++b) {
    const int64_t i = block.atoms[b];
    const double* scale = t.scale + 4 * pairs.species[i];
    prepare(near, pairs, t, i, true);
    contract_gradient(total + b * 4 * t.width, t.width, t.contraction, slope + b * t.contraction.features(), d.data());
    for (int64_t p = 3 * pairs.first[i]; p < 3 * pairs.first[i + 1]; ++p) out[p] = 0;
    for (int64_t n = 0; n < near.n; ++n) {
      Real x[4], a[4], through_g;
      environment_row(near, scale, n, x);
      through_rows(rows_of(near, pairs, t, i, n), near.weights.data() + 8 * n, near.slopes.data() + 8 * n, x, d.data(),
                   columns, a, through_g);
      pair_gradient(near, scale, n, a, through_g, out + 3 * near.pair[n]);
    }
  }
}

}  // namespace

EACH_PROCESSOR void describe(const Pairs& p, const Tables<double>& t, const Block& b, double* total,
                             double* features) {
  describe_block(p, t, b, total, features);
}
EACH_PROCESSOR void describe(const Pairs& p, const Tables<float>& t, const Block& b, float* total, float* features) {
  describe_block(p, t, b, total, features);
}
EACH_PROCESSOR void describe_gradient(const Pairs& p, const Tables<double>& t, const Block& b, const double* total,
                                      const double* slope, double* out) {
  gradient_block(p, t, b, total, slope, out);
}
EACH_PROCESSOR void describe_gradient(const Pairs& p, const Tables<float>& t, const Block& b, const float* total,
                                      const float* slope, float* out) {
  gradient_block(p, t, b, total, slope, out);
}

}  // namespace dp_sim
