// The neighbours of one atom that a part of the descriptor sees: r_ij, s(r) and its slope. The sum over neighbours and
// its derivative both call this. The geometry is float64 for models of either precision.
//
// r_ij = r_j - r_i + shift @ cell (dp_sim/structures/batch.py); s(r) = w(u)/(r + protection) with
// u = (r - start)/(cutoff - start) (dp_sim/descriptors/switch.py). R~ is (s, g r_ij/r), scaled; without protection g = s.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "grow.h"
#include "processors.h"

namespace dp_sim {

// Pairs sorted by centre, as dp_sim.structures.batch.NeighborList has them; pairs beyond the cutoff may be among them.
// The first `centers` atoms have energies; atoms after them (copies that another process owns) are neighbours only.
struct Pairs {
  int64_t centers, atoms, systems;
  const double* positions;    // (atoms, 3) Angstrom
  const double* cell;         // (systems, 3, 3)
  const int64_t* system;      // (centers,)
  const int64_t* species;     // (atoms,)
  const int64_t* first;       // (centers + 1,) first pair of each centre
  const int64_t* neighbor;    // (P,)
  const double* shift;        // (P, 3); null: none is shifted
};

INLINE void pair_vector(const Pairs& pairs, int64_t i, int64_t p, double out[3]) {
  const double* a = pairs.positions + 3 * i;
  const double* b = pairs.positions + 3 * pairs.neighbor[p];
  if (!pairs.shift) {  // copies of atoms stand where they are seen
    for (int k = 0; k < 3; ++k) out[k] = b[k] - a[k];
    return;
  }
  const double* s = pairs.shift + 3 * p;
  const double* h = pairs.cell + 9 * pairs.system[i];
  for (int k = 0; k < 3; ++k) out[k] = b[k] - a[k] + s[0] * h[k] + s[1] * h[3 + k] + s[2] * h[6 + k];
}

struct Switch {
  double start, cutoff, protection;  // Angstrom
  bool cosine;
};

// Which pairs of species do not see each other.
struct Exclusion {
  enum Kind : int64_t { none, unseen, takes_place };
  const int64_t* kind;  // (species, species), centre first; null: all see each other
  int64_t n_species;
  double reach;         // within it a neighbour of kind takes_place takes a place, Angstrom
};

struct Neighborhood {
  std::vector<int64_t> pair;                           // index into the list
  std::vector<double> x, y, z, r, s, slope, g_over_r;  // x, y, z of the unit vector r_ij / r; slope = ds/dr
  std::vector<double> protected_g, protected_slope;
  const double *g, *g_slope;                           // g and dg/dr; without protection those of s
  std::vector<double> curvature, g_curvature;          // d2s/dr2 and d2g/dr2, where they are asked for (add_curvatures)
  std::vector<int64_t> blocked;                        // (species,) places that excluded neighbours take
  int64_t n = 0;

  void reserve(int64_t most) {
    for (auto* v : {&x, &y, &z, &r, &s, &slope, &g_over_r}) grow(*v, most);
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

// Removes the excluded neighbours from those that `gather` found, and counts the places that excluded ones take.
INLINE void exclude(Neighborhood& near, const Pairs& pairs, int64_t i, const Exclusion& exclusion) {
  const int64_t* kind = exclusion.kind + pairs.species[i] * exclusion.n_species;
  near.blocked.assign(exclusion.n_species, 0);
  for (int64_t p = pairs.first[i]; p < pairs.first[i + 1]; ++p) {
    const int64_t species = pairs.species[pairs.neighbor[p]];
    if (kind[species] != Exclusion::takes_place) continue;
    double v[3];
    pair_vector(pairs, i, p, v);
    near.blocked[species] += v[0] * v[0] + v[1] * v[1] + v[2] * v[2] < exclusion.reach * exclusion.reach;
  }
  int64_t kept = 0;
  for (int64_t n = 0; n < near.n; ++n) {
    near.pair[kept] = near.pair[n], near.r[kept] = near.r[n];
    near.x[kept] = near.x[n], near.y[kept] = near.y[n], near.z[kept] = near.z[n];
    kept += kind[pairs.species[pairs.neighbor[near.pair[n]]]] == Exclusion::none;
  }
  near.n = kept;
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

// From s = w/r to s = w q and g = w r q^2 with q = 1/(r + protection), and their slopes.
INLINE void protect(Neighborhood& near, double protection) {
  grow(near.protected_g, near.n), grow(near.protected_slope, near.n);
  for (int64_t n = 0; n < near.n; ++n) {
    const double r = near.r[n], w = near.s[n] * r, dw = near.slope[n] * r + near.s[n], q = 1.0 / (r + protection);
    near.s[n] = w * q, near.slope[n] = (dw - w * q) * q;
    near.protected_g[n] = w * r * q * q;
    near.protected_slope[n] = q * q * (dw * r + w - 2.0 * w * r * q);
  }
  near.g = near.protected_g.data(), near.g_slope = near.protected_slope.data();
}

// Lengths, unit vectors, s(r), g(r) and their slopes.
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
  near.g = near.s.data(), near.g_slope = near.slope.data();
  if (sw.protection > 0.0) protect(near, sw.protection);
  for (int64_t n = 0; n < near.n; ++n) near.g_over_r[n] = near.g[n] / near.r[n];
}

// Second derivatives of s and g, after `switched`: s r = w, hence s'' = (w'' - 2 s')/r.
INLINE void add_curvatures(Neighborhood& near, const Switch& sw) {
  grow(near.curvature, near.n), grow(near.g_curvature, near.n);
  const double scale = 1.0 / (sw.cutoff - sw.start), pi = 3.14159265358979323846, p = sw.protection;
  for (int64_t n = 0; n < near.n; ++n) {
    const double r = near.r[n], u = std::fmax((r - sw.start) * scale, 0.0), q = 1.0 / (r + p);
    double w = 1.0 + u * u * u * (u * (15.0 - 6.0 * u) - 10.0);
    double dw = -30.0 * u * u * (1.0 - u) * (1.0 - u) * scale;
    double ddw = -60.0 * u * (1.0 - u) * (1.0 - 2.0 * u) * scale * scale;
    if (sw.cosine) {
      w = 0.5 * std::cos(pi * u) + 0.5, dw = -0.5 * pi * scale * std::sin(pi * u);
      ddw = u > 0.0 ? -0.5 * pi * pi * scale * scale * std::cos(pi * u) : 0.0;
    }
    near.curvature[n] = ((2.0 * w * q - 2.0 * dw) * q + ddw) * q;  // of w q
    const double k = r * q * q, dk = q * q - 2.0 * r * q * q * q, ddk = (6.0 * r * q - 4.0) * q * q * q;
    near.g_curvature[n] = ddw * k + 2.0 * dw * dk + w * ddk;
  }
}

INLINE void find_near(Neighborhood& near, const Pairs& pairs, const Switch& sw, const Exclusion& exclusion, int64_t i) {
  gather(near, pairs, i, sw.cutoff);
  if (exclusion.kind) exclude(near, pairs, i, exclusion);
  switched(near, sw);
}

}  // namespace dp_sim
