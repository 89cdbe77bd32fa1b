// The sum over neighbours with G from embedding nets (dp_sim/descriptors/embedding.py).
#pragma once

#include "embedding_sum.h"
#include "networks/embedding_net.h"

namespace dp_sim {

template <typename Real>
struct Nets : Sum<Real> {
  const Real* numbers;    // (nets, size)
  const int64_t* net_of;  // (species, species): the net of a centre's and a neighbour's species
  const double* inputs;   // (species, 2): mean and deviation of s that a centre's nets see
  int64_t count;
  Architecture<Real> architecture;
};

DECLARE_PART(Nets, double)
DECLARE_PART(Nets, float)
DECLARE_JETS(Nets)

}  // namespace dp_sim
