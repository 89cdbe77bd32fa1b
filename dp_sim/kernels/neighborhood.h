// The neighbours of one atom within the cutoff: r_ij, s(r), its slope, and where s lies in the table. Written once for
// the sum and for its derivative. Geometry is float64 for models of either precision.
//
// r_ij = r_j - r_i + shift @ cell (dp_sim/batch.py); s(r) = w(u)/r with u = (r - start)/(cutoff - start)
// (dp_sim/switch.py); Hermite weights of the six table rows around s (dp_sim/hermite.py).
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "processors.h"

namespace dp_sim {

// Pairs sorted by centre, as dp_sim.batch.NeighborList has them; pairs beyond the cutoff may be among them.
struct Pairs {
  const double* positions;    // (N, 3) Angstrom
  const double* cell;         // (S, 3, 3)
  const int64_t* system;      // (N,)
  const int64_t* species;     // (N,)
  const int64_t* first;       // (N + 1,) first pair of each atom
  const int64_t* neighbor;    // (P,)
  const double* shift;        // (P, 3)
};

INLINE void pair_vector(const Pairs& pairs, int64_t i, int64_t p, double out[3]) {
  const double* a = pairs.positions + 3 * i;
  const double* b = pairs.positions + 3 * pairs.neighbor[p];
  const double* s = pairs.shift + 3 * p;
  const double* h = pairs.cell + 9 * pairs.system[i];
  for (int k = 0; k < 3; ++k) out[k] = b[k] - a[k] + s[0] * h[k] + s[1] * h[3 + k] + s[2] * h[6 + k];
}

struct Switch {
  double start, cutoff;
  bool cosine;
};

// s is piecewise: `uniform` segments of width `spacing` from zero on, wider ones after them.
struct Knots {
  const double* places;  // (K,) 1/Angstrom, ascending from zero
  int64_t count, uniform;
  double spacing;
};

template <typename Real>
struct Neighborhood {
  std::vector<int64_t> pair;             // index into the list
  std::vector<double> x, y, z, r, s, slope, s_over_r;  // x, y, z of the unit vector r_ij / r
  std::vector<int64_t> segment;          // s lies between this knot and the next
  std::vector<Real> weights, slopes;     // (n, 8): Hermite weights of 2 knots x (G, G', G''), their derivatives in s
  int64_t n = 0;

  void reserve(int64_t most) {
    if (most <= static_cast<int64_t>(pair.size())) return;
    for (auto* v : {&x, &y, &z, &r, &s, &slope, &s_over_r}) v->resize(most);
    pair.resize(most), segment.resize(most), weights.resize(8 * most), slopes.resize(8 * most);
  }
};

INLINE int64_t segment_of(double s, const Knots& knots) {
  if (s < knots.places[knots.uniform]) {
    const int64_t k = static_cast<int64_t>(s / knots.spacing);
    return k < knots.uniform ? k : knots.uniform - 1;
  }
  int64_t low = knots.uniform, high = knots.count - 1;
  if (low == high) return low - 1;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    (s >= knots.places[middle] ? low : high) = middle;
  }
  return low;
}

// Which pairs of atom i are within the cutoff, their vectors (x, y, z) and squared lengths (r).
template <typename Real>
INLINE void gather(Neighborhood<Real>& near, const Pairs& pairs, int64_t i, double cutoff) {
  near.reserve(pairs.first[i + 1] - pairs.first[i]);
  int64_t n = 0;
  for (int64_t p = pairs.first[i]; p < pairs.first[i + 1]; ++p) {
    double v[3];
    pair_vector(pairs, i, p, v);
    const double square = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
    near.pair[n] = p, near.x[n] = v[0], near.y[n] = v[1], near.z[n] = v[2], near.r[n] = square;
    n += square < cutoff * cutoff;
  }
  near.n = n;
}

template <typename Real>
INLINE void switched_by_cosine(Neighborhood<Real>& near, const Switch& sw) {
  const double scale = 1.0 / (sw.cutoff - sw.start);
  const double pi = 3.14159265358979323846;
  for (int64_t n = 0; n < near.n; ++n) {
    const double r = near.r[n], u = (r - sw.start) * scale;
    const double w = u > 0.0 ? 0.5 * std::cos(pi * u) + 0.5 : 1.0;
    const double dw = u > 0.0 ? -0.5 * pi * scale * std::sin(pi * u) : 0.0;
    near.s[n] = w / r, near.slope[n] = (dw - w / r) / r;
  }
}

// Lengths, unit vectors, s(r) and ds/dr.
template <typename Real>
INLINE void switched(Neighborhood<Real>& near, const Switch& sw) {
  const double scale = 1.0 / (sw.cutoff - sw.start);
  for (int64_t n = 0; n < near.n; ++n) {
    const double r = std::sqrt(near.r[n]), inverse = 1.0 / r;
    double u = (r - sw.start) * scale;
    u = u < 0.0 ? 0.0 : u;
    const double w = 1.0 + u * u * u * (u * (15.0 - 6.0 * u) - 10.0);
    const double dw = -30.0 * u * u * (1.0 - u) * (1.0 - u) * scale;
    near.r[n] = r, near.s[n] = w * inverse, near.slope[n] = (dw - w * inverse) * inverse;
    near.x[n] *= inverse, near.y[n] *= inverse, near.z[n] *= inverse;
  }
  if (sw.cosine) switched_by_cosine(near, sw);
  for (int64_t n = 0; n < near.n; ++n) near.s_over_r[n] = near.s[n] / near.r[n];
}

// Quintic Hermite weights on the segment of s, and their derivatives in s.
template <typename Real>
INLINE void hermite(Neighborhood<Real>& near, const Knots& knots, bool with_slopes) {
  for (int64_t n = 0; n < near.n; ++n) near.segment[n] = segment_of(near.s[n], knots);
  for (int64_t n = 0; n < near.n; ++n) {
    const double* place = knots.places + near.segment[n];
    const double h = place[1] - place[0], inverse = 1.0 / h, u = (near.s[n] - place[0]) * inverse;
    const double u2 = u * u, u3 = u2 * u, step = u3 * (10.0 + u * (6.0 * u - 15.0));
    Real* w = near.weights.data() + 8 * n;
    w[0] = static_cast<Real>(1.0 - step);
    w[1] = static_cast<Real>(h * (u + u3 * (u * (8.0 - 3.0 * u) - 6.0)));
    w[2] = static_cast<Real>(0.5 * h * h * (u2 + u3 * (u * (3.0 - u) - 3.0)));
    w[3] = static_cast<Real>(step);
    w[4] = static_cast<Real>(h * u3 * (u * (7.0 - 3.0 * u) - 4.0));
    w[5] = static_cast<Real>(0.5 * h * h * u3 * (1.0 + u * (u - 2.0)));
    if (!with_slopes) continue;
    Real* d = near.slopes.data() + 8 * n;
    const double rise = 30.0 * u2 * (1.0 + u * (u - 2.0));
    d[0] = static_cast<Real>(-rise * inverse);
    d[1] = static_cast<Real>(1.0 + u2 * (u * (32.0 - 15.0 * u) - 18.0));
    d[2] = static_cast<Real>(0.5 * h * (2.0 * u + u2 * (u * (12.0 - 5.0 * u) - 9.0)));
    d[3] = static_cast<Real>(rise * inverse);
    d[4] = static_cast<Real>(u2 * (u * (28.0 - 15.0 * u) - 12.0));
    d[5] = static_cast<Real>(0.5 * h * u2 * (3.0 + u * (5.0 * u - 8.0)));
  }
}

}  // namespace dp_sim
