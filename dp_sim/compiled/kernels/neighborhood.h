// The neighbours of one atom within the cutoff: r_ij, s(r) and its slope. Written once for the sum and for its
// derivative. Geometry is float64 for models of either precision.
//
// r_ij = r_j - r_i + shift @ cell (dp_sim/structures/batch.py); s(r) = w(u)/r with u = (r - start)/(cutoff - start)
// (dp_sim/descriptors/switch.py).
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "processors.h"

namespace dp_sim {

// Pairs sorted by centre, as dp_sim.structures.batch.NeighborList has them; pairs beyond the cutoff may be among them.
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

// Memory that a thread keeps from atom to atom only ever grows.
template <typename T>
void grow(std::vector<T>& values, int64_t most) {
  if (most > static_cast<int64_t>(values.size())) values.resize(most);
}

struct Neighborhood {
  std::vector<int64_t> pair;             // index into the list
  std::vector<double> x, y, z, r, s, slope, s_over_r;  // x, y, z of the unit vector r_ij / r
  int64_t n = 0;

  void reserve(int64_t most) {
    for (auto* v : {&x, &y, &z, &r, &s, &slope, &s_over_r}) grow(*v, most);
    grow(pair, most);
  }
};

// Which pairs of atom i are within the cutoff, their vectors (x, y, z) and squared lengths (r).
INLINE void gather(Neighborhood& near, const Pairs& pairs, int64_t i, double cutoff) {
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

INLINE void switched_by_cosine(Neighborhood& near, const Switch& sw) {
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
INLINE void switched(Neighborhood& near, const Switch& sw) {
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

INLINE void find_near(Neighborhood& near, const Pairs& pairs, const Switch& sw, int64_t i) {
  gather(near, pairs, i, sw.cutoff);
  switched(near, sw);
}

}  // namespace dp_sim
