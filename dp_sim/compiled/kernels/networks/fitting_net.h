// Fitting nets (dp_sim/networks/fitting.py): the energies of atoms of one species from their features, and dE/dfeatures.
#pragma once

#include <algorithm>
#include <vector>

#include "activation.h"
#include "grow.h"
#include "product.h"

namespace dp_sim {

// Weights lie in panels (product.h, dp_sim/compiled/fitting_layout.py). Rows of numbers are as long as the panels are
// wide together.
//
// y = f(x W + b) times a residual step, plus x or (x, x). The last four say where W, its transpose, b and the step begin
// among the numbers of a net.
struct FittingLayer {
  int64_t n_in, n_out, repeats;
  Activation activation;
  double threshold;
  int64_t weight, transposed, bias, step;
};

// The last layer has one column: the energy.
template <typename Real>
struct FittingNet {
  std::vector<FittingLayer> layers;
  int64_t size = 0, widest = 0, together = 0;  // numbers of one net; the longest row; rows of all layers' outputs

  void add(int64_t n_in, int64_t n_out, int64_t repeats, Activation activation, double threshold) {
    const int64_t in = whole_panels<Real>(n_in), out = whole_panels<Real>(n_out);
    const int64_t transposed = size + n_in * out, bias = transposed + n_out * in;
    layers.push_back({n_in, n_out, repeats, activation, threshold, size, transposed, bias, bias + out});
    size = bias + 2 * out, widest = std::max({widest, in, out}), together += out;
  }
};

// Memory of a thread for one call, kept for the next.
template <typename Real>
struct FittingRoom {
  Lines<Real> x, z, slopes;

  // For so many rows; where their features (rows, n_in of the first layer) belong.
  Real* open(const FittingNet<Real>& net, int64_t rows) {
    grow(x, rows * net.widest), grow(z, rows * net.widest), grow(slopes, rows * net.together);
    return x.data();
  }
};

// The features in `room`, which are overwritten -> energies (rows), and dE/dfeatures, in rows of whole_panels numbers,
// which it returns. `hidden` (rows, n_in of the last layer) is what the last layer gets; null: not asked for.
const double* fit(const FittingNet<double>&, const double* net, int64_t rows, FittingRoom<double>&, double* energies,
                  double* hidden);
const float* fit(const FittingNet<float>&, const float* net, int64_t rows, FittingRoom<float>&, double* energies,
                 double* hidden);

}  // namespace dp_sim
