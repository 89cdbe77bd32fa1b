// The Hessian times vectors without the Hessian: tangents of T, of the features and of the fitting net along a vector,
// then the tangent of the gradient on its way back. It costs a few evaluations of the forces, and their memory.
#include <algorithm>

#include "hessian.h"
#include "second_order.h"
#include "threads.h"

namespace dp_sim {
namespace {

struct PartRoom {
  Jets jets;
  std::vector<double> slope, tangent, own;  // dE/dT and dT (4, M); curvatures of single neighbours (n, 3, 3)
};

struct ProductRoom {
  Expansion at;
  std::vector<PartRoom> parts;
  std::vector<double> features, changed, back, row;  // dD, d(dE/dD), d(dE/dT); a row of the net
  std::vector<std::vector<double>> inward;           // dz of each layer
};

// dT along the vector v (atoms, 3)
INLINE void along(const Pairs& pairs, const Sum<double>& sum, int64_t i, const double* v, PartRoom& part) {
  const Neighborhood& near = part.jets.near;
  const int64_t width = sum.width;
  const double* scale = sum.scale + 4 * pairs.species[i];
  part.tangent.assign(4 * width, 0.0);
  for (int64_t n = 0; n < near.n; ++n) {
    const double *x = part.jets.x.data() + 4 * n, *g = part.jets.g.data() + 3 * width * n;
    const double* vj = v + 3 * pairs.neighbor[near.pair[n]];
    const Tangent tan = tangent(near, scale, n);
    double d[3], ds = 0.0;
    for (int a = 0; a < 3; ++a) d[a] = vj[a] - v[3 * i + a], ds += tan.s[a] * d[a];
    for (int k = 0; k < 4; ++k) {
      const double dx = tan.x[k][0] * d[0] + tan.x[k][1] * d[1] + tan.x[k][2] * d[2], xs = x[k] * ds;
      double* t = part.tangent.data() + k * width;
      for (int64_t a = 0; a < width; ++a) t[a] += dx * g[a] + xs * g[width + a];
    }
  }
}

// dD (features) from T and dT (4, stride): contract() is quadratic
INLINE void contract_tangent(const double* t, const double* dt, int64_t stride, const Contraction& c, double* d) {
  if (!c.axis) std::copy(dt, dt + c.columns, d);
  for (int64_t b = 0; b < c.axis; d += c.columns - b, ++b)
    for (int64_t a = b; a < c.columns; ++a) {
      double sum = 0.0;
      for (int k = 0; k < 4; ++k) sum += dt[k * stride + a] * t[k * stride + b] + t[k * stride + a] * dt[k * stride + b];
      d[a - b] = sum;
    }
}

// dD -> d(dE/dD), through the net and back
INLINE void through_net(const FittingNet<double>& net, const double* numbers, ProductRoom& room) {
  const auto& layers = net.layers;
  std::vector<double>&x = room.row, &y = room.changed;
  room.inward.resize(layers.size());
  grow(x, net.widest), grow(y, net.widest);
  std::copy(room.features.begin(), room.features.begin() + layers.front().n_in, x.begin());
  for (size_t l = 0; l < layers.size(); ++l) {
    const int64_t width = whole_panels<double>(layers[l].n_out);
    std::vector<double>& z = room.inward[l];
    grow(z, width);
    product<double>({x.data(), 0}, 1, layers[l].n_in, numbers + layers[l].weight, layers[l].n_out, {z.data(), 0});
    for (int64_t h = 0; h < width; ++h) y[h] = room.at.net.layers[l].slope[h] * z[h];
    for (int64_t part = 0; part < layers[l].repeats; ++part)
      for (int64_t h = 0; h < layers[l].n_in; ++h) y[part * layers[l].n_in + h] += x[h];
    x.swap(y);
  }
  std::fill(x.begin(), x.end(), 0.0);  // d(dE/dE)
  for (size_t l = layers.size(); l-- > 0;) {
    const FittingLayer& layer = layers[l];
    const LayerCurves& curves = room.at.net.layers[l];
    std::vector<double>& z = room.inward[l];
    for (int64_t h = 0; h < layer.n_out; ++h) z[h] = curves.slope[h] * x[h] + curves.curvature[h] * z[h];
    product<double>({z.data(), 0}, 1, layer.n_out, numbers + layer.transposed, layer.n_in, {y.data(), 0});
    for (int64_t part = 0; part < layer.repeats; ++part)
      for (int64_t h = 0; h < layer.n_in; ++h) y[h] += x[part * layer.n_in + h];
    x.swap(y);
  }
  room.changed.swap(room.row);  // the result was in x
}

// Adds the derivative of the gradient along v to `out` (atoms, 3), from dT, T, dE/dD (slope) and d(dE/dD) (changed).
INLINE void back(const Pairs& pairs, const Sum<double>& sum, int64_t i, const double* v, const double* t,
                 const double* slope, const double* changed, PartRoom& part, std::vector<double>& room, double* out) {
  const Neighborhood& near = part.jets.near;
  const int64_t width = sum.width;
  const double* scale = sum.scale + 4 * pairs.species[i];
  grow(room, 8 * width);
  double *d = room.data(), *other = d + 4 * width;
  contract_gradient(t, width, sum.contraction, changed, d);
  if (sum.contraction.axis) {
    contract_gradient(part.tangent.data(), width, sum.contraction, slope, other);
    for (int64_t k = 0; k < 4 * width; ++k) d[k] += other[k];
  }
  for (int64_t n = 0; n < near.n; ++n) {
    const double *x = part.jets.x.data() + 4 * n, *g = part.jets.g.data() + 3 * width * n;
    const double* own = part.own.data() + 9 * n;
    const int64_t j = pairs.neighbor[near.pair[n]];
    const Tangent tan = tangent(near, scale, n);
    double of_x[4], of_s = 0.0;
    for (int k = 0; k < 4; ++k) {
      of_x[k] = dot(d + k * width, g, width);
      of_s += x[k] * dot(d + k * width, g + width, width);
    }
    for (int a = 0; a < 3; ++a) {
      double value = tan.s[a] * of_s;
      for (int k = 0; k < 4; ++k) value += tan.x[k][a] * of_x[k];
      for (int b = 0; b < 3; ++b) value += own[3 * a + b] * (v[3 * j + b] - v[3 * i + b]);
      out[3 * j + a] += value, out[3 * i + a] -= value;
    }
  }
}

EACH_PROCESSOR void multiply_atom(const Pairs& pairs, const Model<double>& model, int64_t i, int64_t count,
                                  const double* vectors, double* products) {
  thread_local ProductRoom room;
  expand_atom(pairs, model, i, room.at);
  room.parts.resize(std::max(room.parts.size(), model.parts.size()));
  const double *total = room.at.total.data(), *slope = room.at.net.of_features.data();
  for (size_t k = 0; k < model.parts.size(); ++k) {
    PartRoom& part = room.parts[k];
    std::visit([&](const auto& p) { find_jets(pairs, p, i, part.jets); }, model.parts[k]);
    const Sum<double>& sum = sum_of(model.parts[k]);
    grow(part.slope, 4 * sum.width), grow(part.own, 9 * part.jets.near.n);
    contract_gradient(total, sum.width, sum.contraction, slope, part.slope.data());
    for (int64_t n = 0; n < part.jets.near.n; ++n) {
      double own[3][3];
      own_curvature(part.jets, sum.scale + 4 * pairs.species[i], part.slope.data(), sum.width, n, own);
      std::copy(&own[0][0], &own[0][0] + 9, part.own.data() + 9 * n);
    }
    total += 4 * sum.width, slope += sum.contraction.features();
  }
  const FittingNet<double>& net = model.fitting.net;
  grow(room.features, model.n_features);
  for (int64_t m = 0; m < count; ++m) {
    const double* v = vectors + 3 * pairs.atoms * m;
    double* features = room.features.data();
    total = room.at.total.data();
    for (size_t k = 0; k < model.parts.size(); ++k) {
      const Sum<double>& sum = sum_of(model.parts[k]);
      along(pairs, sum, i, v, room.parts[k]);
      contract_tangent(total, room.parts[k].tangent.data(), sum.width, sum.contraction, features);
      total += 4 * sum.width, features += sum.contraction.features();
    }
    through_net(net, model.fitting.numbers + pairs.species[i] * net.size, room);
    total = room.at.total.data(), slope = room.at.net.of_features.data();
    const double* changed = room.changed.data();
    for (size_t k = 0; k < model.parts.size(); ++k) {
      const Sum<double>& sum = sum_of(model.parts[k]);
      back(pairs, sum, i, v, total, slope, changed, room.parts[k], room.back, products + 3 * pairs.atoms * m);
      total += 4 * sum.width, slope += sum.contraction.features(), changed += sum.contraction.features();
    }
  }
}

}  // namespace

void hessian_product(const Pairs& pairs, const Model<double>& model, int64_t count, const double* vectors,
                     double* products) {
  const int64_t shares = OpenMP::instance().threads(), length = 3 * pairs.atoms * count;
  const int64_t share = (pairs.centers + shares - 1) / shares;
  std::vector<double> sums(shares * length, 0.0);
  in_pieces(shares, 1, [&](int64_t part, int64_t) {
    for (int64_t i = part * share; i < std::min(pairs.centers, (part + 1) * share); ++i)
      multiply_atom(pairs, model, i, count, vectors, sums.data() + part * length);
  });
  std::fill_n(products, length, 0.0);
  for (int64_t part = 0; part < shares; ++part)
    for (int64_t k = 0; k < length; ++k) products[k] += sums[part * length + k];
}

}  // namespace dp_sim
