// The sum over neighbours with G from embedding nets (dp_sim/descriptors/embedding.py).
#pragma once

#include "embedding_net.h"
#include "embedding_sum.h"

namespace dp_sim {

template <typename Real>
struct Nets : Sum {
  const Real* numbers;    // (nets, size)
  const int64_t* net_of;  // (species, species): the net of a centre's and a neighbour's species
  const double* inputs;   // (species, 2): mean and deviation of s that a centre's nets see
  int64_t count;
  Architecture<Real> architecture;
};

void describe(const Pairs&, const Nets<double>&, const Block&, double* total, double* features);
void describe(const Pairs&, const Nets<float>&, const Block&, float* total, float* features);
void describe_gradient(const Pairs&, const Nets<double>&, const Block&, const double* total, const double* slope,
                       double* out);
void describe_gradient(const Pairs&, const Nets<float>&, const Block&, const float* total, const float* slope,
                       float* out);

}  // namespace dp_sim
