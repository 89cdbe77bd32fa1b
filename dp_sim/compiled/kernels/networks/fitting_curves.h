// A fitting net at one atom, expanded to second order: what tangents are multiplied by on their way through its layers.
#pragma once

#include "fitting_net.h"

namespace dp_sim {

// z = x W + b of a layer with its output y. All rows are whole_panels of n_out long, zero beyond it.
struct LayerCurves {
  std::vector<double> slope;      // dy/dz without the skip connection
  std::vector<double> gradient;   // dE/dy
  std::vector<double> curvature;  // dE/dy d2y/dz2
};

struct FittingCurves {
  std::vector<LayerCurves> layers;
  std::vector<double> of_features;  // dE/dD, whole_panels of the features
};

// features (n_in of the first layer) -> curves
INLINE void expand(const FittingNet<double>& net, const double* numbers, const double* features, FittingCurves& out) {
  thread_local std::vector<double> x, y, second;
  out.layers.resize(net.layers.size());
  grow(x, net.widest), grow(y, net.widest), grow(second, net.widest);
  std::copy(features, features + net.layers.front().n_in, x.begin());
  for (size_t k = 0; k < net.layers.size(); ++k) {
    const FittingLayer& layer = net.layers[k];
    const int64_t width = whole_panels<double>(layer.n_out);
    LayerCurves& curves = out.layers[k];
    curves.slope.assign(width, 1.0), curves.curvature.assign(width, 0.0), curves.gradient.assign(width, 0.0);
    product<double>({x.data(), 0}, 1, layer.n_in, numbers + layer.weight, layer.n_out, {y.data(), 0});
    activate_curved(layer.activation, layer.threshold,
                    CurvedRows<double>{y.data(), curves.slope.data(), curves.curvature.data(), 1, width, width,
                                       numbers + layer.bias, numbers + layer.step});
    for (int64_t part = 0; part < layer.repeats; ++part)
      for (int64_t h = 0; h < layer.n_in; ++h) y[part * layer.n_in + h] += x[h];
    x.swap(y);
  }
  out.layers.back().gradient[0] = 1.0;  // dE/dE
  out.of_features.assign(whole_panels<double>(net.layers.front().n_in), 0.0);
  for (size_t k = net.layers.size(); k-- > 0;) {
    const FittingLayer& layer = net.layers[k];
    LayerCurves& curves = out.layers[k];
    for (int64_t h = 0; h < layer.n_out; ++h) {
      curves.curvature[h] *= curves.gradient[h];
      x[h] = curves.slope[h] * curves.gradient[h];
    }
    std::vector<double>& before = k ? out.layers[k - 1].gradient : out.of_features;
    product<double>({x.data(), 0}, 1, layer.n_out, numbers + layer.transposed, layer.n_in, {before.data(), 0});
    for (int64_t part = 0; part < layer.repeats; ++part)
      for (int64_t h = 0; h < layer.n_in; ++h) before[h] += curves.gradient[part * layer.n_in + h];
  }
}

}  // namespace dp_sim
