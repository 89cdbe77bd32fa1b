// Embedding nets (dp_sim/networks/dense.py): G of a number s, dG/ds and d2G/ds2.
#pragma once

#include <vector>

#include "activation.h"

namespace dp_sim {

// y = f(x W + b), times a residual step where there is one, plus x or (x, x). Rows of W, b and the step are padded with
// zeros to whole vectors; the last three say where they begin among the numbers of a net.
struct Layer {
  int64_t n_in, stride, repeats;
  bool has_step;
  int64_t weight, bias, step;
};

template <typename Real>
struct Architecture {
  std::vector<Layer> layers;
  Activation activation;
  Real threshold;
  int64_t size = 0, widest = 0;  // numbers of one net; the longest stride

  void add(int64_t n_in, int64_t n_out, int64_t repeats, bool has_step) {
    const int64_t lanes = 64 / sizeof(Real), stride = (n_out + lanes - 1) / lanes * lanes, bias = size + n_in * stride;
    layers.push_back({n_in, stride, repeats, has_step, size, bias, bias + stride});
    size = bias + 2 * stride, widest = stride > widest ? stride : widest;
  }
};

// Some of the neighbours of an atom: those that `order` names among s. The net sees (s - mean)/deviation.
struct Inputs {
  const double* s;
  const int64_t* order;
  int64_t count;
  double mean, deviation;
};

// Row order[k] of out ((1 + derivatives) M numbers) = G of s[order[k]], then dG/ds and d2G/ds2 as far as asked for; the
// net begins at `net`.
void evaluate(const Architecture<double>&, const double* net, const Inputs&, int derivatives, double* out);
void evaluate(const Architecture<float>&, const float* net, const Inputs&, int derivatives, float* out);

}  // namespace dp_sim
