// What the Hessian and its products with vectors have in common: the energy of one atom expanded to second order.
#pragma once

#include "model.h"
#include "networks/fitting_curves.h"

namespace dp_sim {

INLINE double dot(const double* a, const double* b, int64_t count) {
  double sum = 0.0;
#pragma omp simd reduction(+ : sum)
  for (int64_t k = 0; k < count; ++k) sum += a[k] * b[k];
  return sum;
}

// dR~/dr_n of one neighbour and what follows from it.
struct Tangent {
  double x[4][3], s[3];  // dx_k/dr, ds/dr
};

INLINE Tangent tangent(const Neighborhood& near, const double* scale, int64_t n) {
  const double unit[3] = {near.x[n], near.y[n], near.z[n]};
  Tangent t;
  for (int a = 0; a < 3; ++a) {
    t.s[a] = near.slope[n] * unit[a];
    t.x[0][a] = scale[0] * t.s[a];
    for (int k = 0; k < 3; ++k)
      t.x[k + 1][a] = scale[k + 1] * ((near.g_slope[n] - near.g_over_r[n]) * unit[k] * unit[a] +
                                      (k == a ? near.g_over_r[n] : 0.0));
  }
  return t;
}

// d2/dr dr of sum_ka d_ka x_k G_a (3, 3) of neighbour n; d = dE/dT (4, width) does not vary.
INLINE void own_curvature(const Jets& jets, const double* scale, const double* d, int64_t width, int64_t n,
                          double out[3][3]) {
  const Neighborhood& near = jets.near;
  const double *x = jets.x.data() + 4 * n, *jet = jets.g.data() + 3 * width * n;
  double e[4][3];  // sum_a d_ka (G, dG/ds, d2G/ds2)_a
  for (int k = 0; k < 4; ++k)
    for (int m = 0; m < 3; ++m) e[k][m] = dot(d + k * width, jet + m * width, width);
  const double r = near.r[n], s1 = near.slope[n], s2 = near.curvature[n];
  const double g = near.g[n], g1 = near.g_slope[n], g2 = near.g_curvature[n];
  const double unit[3] = {near.x[n], near.y[n], near.z[n]};
  const auto first = [&](int k) { return e[k][1] * s1; };
  const auto second = [&](int k) { return e[k][2] * s1 * s1 + e[k][1] * s2; };
  // x_0 e_0 depends on r alone
  double along = scale[0] * (s2 * e[0][0] + 2.0 * s1 * first(0)) + x[0] * second(0);
  double across = (scale[0] * s1 * e[0][0] + x[0] * first(0)) / r;
  // sum_k r_k h_k(r) with h = scale g e/r
  double h1[3];
  for (int k = 0; k < 3; ++k) {
    const double c = scale[k + 1], y = c * g * e[k + 1][0], y1 = c * (g1 * e[k + 1][0] + g * first(k + 1));
    const double y2 = c * (g2 * e[k + 1][0] + 2.0 * g1 * first(k + 1) + g * second(k + 1));
    h1[k] = (y1 - y / r) / r;
    along += unit[k] * (y2 - 2.0 * h1[k]), across += unit[k] * h1[k];
  }
  for (int a = 0; a < 3; ++a)
    for (int b = 0; b <= a; ++b)  // symmetric to the bit
      out[a][b] = out[b][a] =
          (along - across) * unit[a] * unit[b] + (a == b ? across : 0.0) + h1[a] * unit[b] + h1[b] * unit[a];
}

inline const Sum<double>& sum_of(const Part<double>& part) {
  return std::visit([](const auto& p) -> const Sum<double>& { return p; }, part);
}

// An atom's T and features, of all parts one after another, and its fitting net.
struct Expansion {
  std::vector<double> total, features;
  FittingCurves net;
};

INLINE void expand_atom(const Pairs& pairs, const Model<double>& model, int64_t i, Expansion& out) {
  grow(out.total, 4 * model.total_width), grow(out.features, model.n_features);
  double *total = out.total.data(), *features = out.features.data();
  for (const Part<double>& part : model.parts) {
    std::visit([&](const auto& p) { describe(pairs, p, Block{&i, 1, model.n_features}, nullptr, total, features); }, part);
    total += 4 * sum_of(part).width, features += sum_of(part).contraction.features();
  }
  const FittingNet<double>& net = model.fitting.net;
  expand(net, model.fitting.numbers + pairs.species[i] * net.size, out.features.data(), out.net);
}

}  // namespace dp_sim
