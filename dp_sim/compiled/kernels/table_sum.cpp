#include "table_sum.h"

namespace dp_sim {
namespace {

INLINE int64_t segment_of(double s, const Knots& knots) {
  if (s < knots.s[knots.uniform]) {
    const int64_t k = static_cast<int64_t>(s / knots.spacing);
    return k < knots.uniform ? k : knots.uniform - 1;
  }
  int64_t low = knots.uniform, high = knots.count - 1;
  if (low == high) return low - 1;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    (s >= knots.s[middle] ? low : high) = middle;
  }
  return low;
}

// Polynomials through six rows of a table: those of the knots left and right of s.
template <typename Real>
class TableRows {
 public:
  void open(const Tables<Real>& tables) {
    tables_ = &tables;
  }

  INLINE void for_sum(const Pairs& pairs, int64_t i, const Neighborhood& near) { prepare(pairs, i, near, 0); }
  INLINE void for_gradient(const Pairs& pairs, int64_t i, const Neighborhood& near) { prepare(pairs, i, near, 1); }
  INLINE void for_jets(const Pairs& pairs, int64_t i, const Neighborhood& near) { prepare(pairs, i, near, 2); }

  INLINE void prepare(const Pairs& pairs, int64_t i, const Neighborhood& near, int derivatives) {
    const Tables<Real>& t = *tables_;
    grow(segment_, near.n), grow(row_, near.n), grow(weights_, 8 * near.n), grow(slopes_, 8 * near.n);
    grow(curvatures_, 8 * near.n);
    const int64_t* table_of = t.table_of + pairs.species[i] * t.n_species;
    for (int64_t n = 0; n < near.n; ++n) segment_[n] = segment_of(near.s[n], t.knots);
    for (int64_t n = 0; n < near.n; ++n) {
      const int64_t table = table_of[pairs.species[pairs.neighbor[near.pair[n]]]];
      row_[n] = t.values + (table * t.knots.count + segment_[n]) * 3 * t.width;
    }
    hermite(near, t.knots, derivatives);
  }

  template <int bytes>
  INLINE typename Vector<Real, bytes>::type value(int64_t n, int64_t c) const {
    return weighted<bytes>(n, c, weights_);
  }

  INLINE typename Vector<Real>::type curvature(int64_t n, int64_t c) const { return weighted<64>(n, c, curvatures_); }

  template <int bytes>
  INLINE void value_and_slope(int64_t n, int64_t c, typename Vector<Real, bytes>::type& g,
                              typename Vector<Real, bytes>::type& slope) const {
    using V = typename Vector<Real, bytes>::type;
    const int64_t columns = tables_->width / Vector<Real, bytes>::lanes;
    const V* v = vectors<bytes>(row_[n]) + c;
    const Real *w = weights_.data() + 8 * n, *d = slopes_.data() + 8 * n;
    const V v0 = v[0], v1 = v[columns], v2 = v[2 * columns], v3 = v[3 * columns], v4 = v[4 * columns],
            v5 = v[5 * columns];
    g = (w[0] * v0 + w[1] * v1 + w[2] * v2) + (w[3] * v3 + w[4] * v4 + w[5] * v5);
    slope = (d[0] * v0 + d[1] * v1 + d[2] * v2) + (d[3] * v3 + d[4] * v4 + d[5] * v5);
  }

 private:
  template <int bytes>
  INLINE typename Vector<Real, bytes>::type weighted(int64_t n, int64_t c, const std::vector<Real>& weights) const {
    const int64_t columns = tables_->width / Vector<Real, bytes>::lanes;
    const typename Vector<Real, bytes>::type* v = vectors<bytes>(row_[n]) + c;
    const Real* w = weights.data() + 8 * n;
    return (w[0] * v[0] + w[1] * v[columns] + w[2] * v[2 * columns]) +
           (w[3] * v[3 * columns] + w[4] * v[4 * columns] + w[5] * v[5 * columns]);
  }

  // Quintic Hermite weights on the segment of s (dp_sim/descriptors/tabulated.py), and their derivatives in s.
  INLINE void hermite(const Neighborhood& near, const Knots& knots, int derivatives) {
    for (int64_t n = 0; n < near.n; ++n) {
      const double* left = knots.s + segment_[n];
      const double h = left[1] - left[0], inverse = 1.0 / h, u = (near.s[n] - left[0]) * inverse;
      const double u2 = u * u, u3 = u2 * u, step = u3 * (10.0 + u * (6.0 * u - 15.0));
      Real* w = weights_.data() + 8 * n;
      w[0] = static_cast<Real>(1.0 - step);
      w[1] = static_cast<Real>(h * (u + u3 * (u * (8.0 - 3.0 * u) - 6.0)));
      w[2] = static_cast<Real>(0.5 * h * h * (u2 + u3 * (u * (3.0 - u) - 3.0)));
      w[3] = static_cast<Real>(step);
      w[4] = static_cast<Real>(h * u3 * (u * (7.0 - 3.0 * u) - 4.0));
      w[5] = static_cast<Real>(0.5 * h * h * u3 * (1.0 + u * (u - 2.0)));
      if (!derivatives) continue;
      Real* d = slopes_.data() + 8 * n;
      const double rise = 30.0 * u2 * (1.0 + u * (u - 2.0));
      d[0] = static_cast<Real>(-rise * inverse);
      d[1] = static_cast<Real>(1.0 + u2 * (u * (32.0 - 15.0 * u) - 18.0));
      d[2] = static_cast<Real>(0.5 * h * (2.0 * u + u2 * (u * (12.0 - 5.0 * u) - 9.0)));
      d[3] = static_cast<Real>(rise * inverse);
      d[4] = static_cast<Real>(u2 * (u * (28.0 - 15.0 * u) - 12.0));
      d[5] = static_cast<Real>(0.5 * h * u2 * (3.0 + u * (5.0 * u - 8.0)));
      if (derivatives < 2) continue;
      Real* c = curvatures_.data() + 8 * n;
      const double bend = 60.0 * u * (1.0 + u * (2.0 * u - 3.0)) * inverse * inverse;
      c[0] = static_cast<Real>(-bend);
      c[1] = static_cast<Real>(inverse * u * (u * (96.0 - 60.0 * u) - 36.0));
      c[2] = static_cast<Real>(1.0 + u * (u * (18.0 - 10.0 * u) - 9.0));
      c[3] = static_cast<Real>(bend);
      c[4] = static_cast<Real>(inverse * u * (u * (84.0 - 60.0 * u) - 24.0));
      c[5] = static_cast<Real>(u * (3.0 + u * (10.0 * u - 12.0)));
    }
  }

  const Tables<Real>* tables_;
  std::vector<int64_t> segment_;     // s lies between this knot and the next
  std::vector<const Real*> row_;     // the first of the six rows
  std::vector<Real> weights_, slopes_, curvatures_;  // (n, 8): of 2 knots x (G, G', G''), and their derivatives in s
};

// Nothing is kept: a table is as quickly read again.
template <typename Real>
INLINE TableRows<Real>& rows_of(const Tables<Real>& tables, Kept<Real>*) {
  thread_local TableRows<Real> rows;
  rows.open(tables);
  return rows;
}

}  // namespace

DEFINE_PART(Tables, double)
DEFINE_PART(Tables, float)
DEFINE_JETS(Tables)

}  // namespace dp_sim
