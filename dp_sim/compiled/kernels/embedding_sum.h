// T_i = sum_j R~_ij (x) G(s_ij) (eq. 10) of one part of the descriptor, the features that the fitting net reads, and the
// derivative of the energy with respect to r_ij. G comes from embedding nets or from tables: `Rows` has, for the
// neighbours of one atom,
//
//   for_sum(pairs, i, near)           called once the distances are known; then
//     value<bytes>(n, c)                vector c (each of `bytes`) of G of neighbour n
//   for_gradient(pairs, i, near)      the same for the gradient, of the atoms of a block in the same order; then also
//     value_and_slope<bytes>(n, c, g, slope)  G and dG/ds
//   for_jets(pairs, i, near)          the same for any atom; then also
//     curvature(n, c)                   d2G/ds2
//
// Lanes are columns of G. M below is its width, padded with zeros to whole vectors.
#pragma once

#include "contraction.h"
#include "neighborhood.h"
#include "vectors.h"

namespace dp_sim {

// DeePMD-kit's padding (dp_sim/descriptors/deepmd_kit.py): an atom has sel_b places for neighbours of species b, and each
// free one adds a constant to the first row of T.
template <typename Real>
struct Padding {
  const double* sel;    // (species,); null: no padding
  const Real* free;     // (species, species, M), centre first: what a free place adds
  const Real* blocked;  // (species, species, M): what a place adds that an excluded neighbour takes
};

// What parts with nets and parts with tables have in common.
template <typename Real>
struct Sum {
  const double* scale;   // (species, 4): what the columns of R~ are multiplied by, per species of the centre
  const double* offset;  // (species,): what is added to its first column
  int64_t n_species, width;
  Switch sw;
  Exclusion exclusion;
  Contraction contraction;
  Padding<Real> padding;
};

// Atoms that are described together; their features, or the slopes of these, are in rows `stride` apart.
struct Block {
  const int64_t* atoms;
  int64_t count, stride;
};

// What `describe` has for `add_gradient` of the same block: rows of numbers, one atom's behind another's.
template <typename Real>
struct Kept {
  Lines<Real> numbers;
  int64_t used = 0;

  Real* next(int64_t count) {
    grow(numbers, used + count);
    return numbers.data() + (used += count) - count;
  }
};

// R~_ij, eq. 8, shifted and scaled.
template <typename Real>
INLINE void environment_row(const Neighborhood& near, const double* scale, double offset, int64_t n, Real out[4]) {
  const double g = near.g[n];
  out[0] = static_cast<Real>(near.s[n] * scale[0] + offset);
  out[1] = static_cast<Real>(g * near.x[n] * scale[1]);
  out[2] = static_cast<Real>(g * near.y[n] * scale[2]);
  out[3] = static_cast<Real>(g * near.z[n] * scale[3]);
}

// Columns c .. c + width (in vectors of `bytes`) of T: sum over n neighbours of x (4) times G.
template <int bytes, int width, typename Real, typename Rows>
INLINE void sum_tile(const Rows& rows, const Real* x, int64_t count, int64_t columns, int64_t c, Real* sum) {
  using V = typename Vector<Real, bytes>::type;
  V t[4][width] = {};
  for (int64_t n = 0; n < count; ++n, x += 4) {
    for (int k = 0; k < width; ++k) {
      const V g = rows.template value<bytes>(n, c + k);
      t[0][k] += x[0] * g, t[1][k] += x[1] * g, t[2][k] += x[2] * g, t[3][k] += x[3] * g;
    }
  }
  for (int q = 0; q < 4; ++q)
    for (int k = 0; k < width; ++k) vectors<bytes>(sum)[q * columns + c + k] = t[q][k];
}

// The same for `width` columns, at most `most`.
template <int bytes, int most, typename Real, typename Rows>
INLINE void sum_tile_of(int64_t width, const Rows& rows, const Real* x, int64_t count, int64_t columns, int64_t c,
                        Real* sum) {
  if constexpr (most > 1)
    if (width < most) return sum_tile_of<bytes, most - 1>(width, rows, x, count, columns, c, sum);
  sum_tile<bytes, most>(rows, x, count, columns, c, sum);
}

template <int bytes, typename Real, typename Rows>
INLINE void sum_tiles(const Rows& rows, const Real* x, int64_t count, int64_t stride, Real* sum) {
  constexpr int most = bytes == 64 ? 5 : 2;
  const int64_t columns = stride / Vector<Real, bytes>::lanes, tiles = (columns + most - 1) / most;
  for (int64_t k = 0, c = 0; k < tiles; ++k) {
    const int64_t width = (columns - c + tiles - k - 1) / (tiles - k);  // tiles of nearly equal width
    sum_tile_of<bytes, most>(width, rows, x, count, columns, c, sum);
    c += width;
  }
}

// Adds the terms of places without a neighbour that is seen to T (4, M), of which they change the first row.
template <typename Real>
INLINE void add_padding(const Pairs& pairs, const Sum<Real>& t, int64_t i, const Neighborhood& near, Real* sum) {
  thread_local std::vector<double> free;
  free.assign(t.padding.sel, t.padding.sel + t.n_species);
  for (int64_t n = 0; n < near.n; ++n) free[pairs.species[pairs.neighbor[near.pair[n]]]] -= 1.0;
  for (int64_t b = 0; b < t.n_species; ++b) {
    const int64_t row = (pairs.species[i] * t.n_species + b) * t.width, taken = t.exclusion.kind ? near.blocked[b] : 0;
    const Real times = static_cast<Real>(free[b] - static_cast<double>(taken));
    for (int64_t c = 0; c < t.width; ++c) sum[c] += times * t.padding.free[row + c];
    if (!taken) continue;
    for (int64_t c = 0; c < t.width; ++c) sum[c] += static_cast<Real>(taken) * t.padding.blocked[row + c];
  }
}

// total = T (B, 4, M), features = D (B, F) (contraction.h)
template <typename Rows, typename Real>
INLINE void describe_block(const Pairs& pairs, const Sum<Real>& t, Rows& rows, const Block& block, Real* total,
                           Real* features) {
  thread_local Neighborhood near;
  thread_local std::vector<Real> x;
  for (int64_t b = 0; b < block.count; ++b) {
    const int64_t i = block.atoms[b], species = pairs.species[i];
    find_near(near, pairs, t.sw, t.exclusion, i);
    rows.for_sum(pairs, i, near);
    grow(x, 4 * near.n);
    for (int64_t n = 0; n < near.n; ++n)
      environment_row(near, t.scale + 4 * species, t.offset[species], n, x.data() + 4 * n);
    Real* sum = total + b * 4 * t.width;
    WITH_REGISTERS(sum_tiles, rows, x.data(), near.n, t.width, sum)
    if (t.padding.sel) add_padding(pairs, t, i, near, sum);
    contract(sum, t.width, t.contraction, features + b * block.stride);
  }
}

// a_c = dE/dR~_c (4) and the part of dE/ds that goes through G, of neighbour n: d = dE/dT of its centre.
template <int bytes, typename Rows, typename Real>
INLINE void through_row(const Rows& rows, int64_t n, const Real x[4], const Real* d, int64_t width, Real a[4],
                        Real& through_g) {
  using V = typename Vector<Real, bytes>::type;
  const int64_t columns = width / Vector<Real, bytes>::lanes;
  const V* dt = vectors<bytes>(d);
  V a0{}, a1{}, a2{}, a3{}, b{};
  for (int64_t c = 0; c < columns; ++c, ++dt) {
    V g, slope;
    rows.template value_and_slope<bytes>(n, c, g, slope);
    const V d0 = dt[0], d1 = dt[columns], d2 = dt[2 * columns], d3 = dt[3 * columns];
    a0 += d0 * g, a1 += d1 * g, a2 += d2 * g, a3 += d3 * g;
    b += slope * (x[0] * d0 + x[1] * d1 + x[2] * d2 + x[3] * d3);
  }
  a[0] = total<bytes, Real>(a0), a[1] = total<bytes, Real>(a1), a[2] = total<bytes, Real>(a2);
  a[3] = total<bytes, Real>(a3), through_g = total<bytes, Real>(b);
}

// Adds dE/dr_ij to `out`, from dE/dR~ (a) and dE/ds: through s and g along n = r_ij/r, through n across it.
template <typename Real>
INLINE void add_pair_gradient(const Neighborhood& near, const double* scale, int64_t n, const Real a[4],
                              Real through_g, Real* out) {
  const double unit[3] = {near.x[n], near.y[n], near.z[n]};
  const double d[3] = {a[1] * scale[1], a[2] * scale[2], a[3] * scale[3]};
  const double along = d[0] * unit[0] + d[1] * unit[1] + d[2] * unit[2];
  const double slope = (through_g + a[0] * scale[0]) * near.slope[n] + along * near.g_slope[n];
  const double over_r = near.g_over_r[n];
  for (int k = 0; k < 3; ++k) out[k] += static_cast<Real>(slope * unit[k] + over_r * (d[k] - along * unit[k]));
}

// total = T (B, 4, M), slope = dE/dD (B, F); adds dE/dr_ij to `out` (P, 3) for the pairs of the block's atoms
template <typename Rows, typename Real>
INLINE void gradient_block(const Pairs& pairs, const Sum<Real>& t, Rows& rows, const Block& block, const Real* total,
                           const Real* slope, Real* out) {
  thread_local Neighborhood near;
  thread_local Lines<Real> d;  // dE/dT of one atom
  grow(d, 4 * t.width);
  for (int64_t b = 0; b < block.count; ++b) {
    const int64_t i = block.atoms[b], species = pairs.species[i];
    const double *scale = t.scale + 4 * species, offset = t.offset[species];
    find_near(near, pairs, t.sw, t.exclusion, i);
    rows.for_gradient(pairs, i, near);
    contract_gradient(total + b * 4 * t.width, t.width, t.contraction, slope + b * block.stride, d.data());
    for (int64_t n = 0; n < near.n; ++n) {
      Real x[4], a[4], through_g;
      environment_row(near, scale, offset, n, x);
      WITH_REGISTERS(through_row, rows, n, x, d.data(), t.width, a, through_g)
      add_pair_gradient(near, scale, n, a, through_g, out + 3 * near.pair[n]);
    }
  }
}

// The neighbours of one atom with all that second derivatives need.
struct Jets {
  Neighborhood near;         // with curvatures
  std::vector<double> x, g;  // (n, 4) R~ and (n, 3, M) G, dG/ds, d2G/ds2
};

template <typename Rows>
INLINE void find_jets_in(const Pairs& pairs, const Sum<double>& t, Rows& rows, int64_t i, Jets& out) {
  using V = typename Vector<double>::type;
  const int64_t columns = t.width / Vector<double>::lanes, species = pairs.species[i];
  find_near(out.near, pairs, t.sw, t.exclusion, i);
  add_curvatures(out.near, t.sw);
  rows.for_jets(pairs, i, out.near);
  grow(out.x, 4 * out.near.n), grow(out.g, 3 * t.width * out.near.n);
  for (int64_t n = 0; n < out.near.n; ++n) {
    environment_row(out.near, t.scale + 4 * species, t.offset[species], n, out.x.data() + 4 * n);
    V* g = vectors(out.g.data() + 3 * t.width * n);
    for (int64_t c = 0; c < columns; ++c) {
      rows.template value_and_slope<64>(n, c, g[c], g[columns + c]);
      g[2 * columns + c] = rows.curvature(n, c);
    }
  }
}

// Declares the functions of a kind of part for a precision: T and features, and the derivative; and jets in double. What
// is null is not kept, where no derivative follows.
#define DECLARE_JETS(Part) void find_jets(const Pairs&, const Part<double>&, int64_t i, Jets&);
#define DECLARE_PART(Part, Real)                                                                            \
  void describe(const Pairs&, const Part<Real>&, const Block&, Kept<Real>*, Real* total, Real* features); \
  void add_gradient(const Pairs&, const Part<Real>&, const Block&, Kept<Real>*, const Real* total,        \
                    const Real* slope, Real* out);

// Defines them, once for each instruction set; a template cannot be compiled so by every compiler.
#define DEFINE_JETS(Part)                                                                        \
  EACH_PROCESSOR void find_jets(const Pairs& p, const Part<double>& t, int64_t i, Jets& out) { \
    find_jets_in(p, t, rows_of(t, static_cast<Kept<double>*>(nullptr)), i, out);              \
  }
#define DEFINE_PART(Part, Real)                                                                                  \
  EACH_PROCESSOR void describe(const Pairs& p, const Part<Real>& t, const Block& b, Kept<Real>* kept,            \
                               Real* total, Real* features) {                                                    \
    describe_block(p, t, rows_of(t, kept), b, total, features);                                                  \
  }                                                                                                              \
  EACH_PROCESSOR void add_gradient(const Pairs& p, const Part<Real>& t, const Block& b, Kept<Real>* kept,        \
                                   const Real* total, const Real* slope, Real* out) {                            \
    gradient_block(p, t, rows_of(t, kept), b, total, slope, out);                                                \
  }

}  // namespace dp_sim
