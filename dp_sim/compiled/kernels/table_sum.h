// The sum over neighbours with G from a table (dp_sim/descriptors/tabulated.py).
#pragma once

#include "embedding_sum.h"

namespace dp_sim {

// s is piecewise: `uniform` segments of width `spacing` from zero on, wider ones after them.
struct Knots {
  const double* places;  // (K,) 1/Angstrom, ascending from zero
  int64_t count, uniform;
  double spacing;
};

template <typename Real>
struct Tables : Sum {
  const Real* values;       // (tables, K, 3, M): G, G', G'' at the knots
  const int64_t* table_of;  // (species, species): the table of a centre's and a neighbour's species
  Knots knots;
};

void describe(const Pairs&, const Tables<double>&, const Block&, double* total, double* features);
void describe(const Pairs&, const Tables<float>&, const Block&, float* total, float* features);
void describe_gradient(const Pairs&, const Tables<double>&, const Block&, const double* total, const double* slope,
                       double* out);
void describe_gradient(const Pairs&, const Tables<float>&, const Block&, const float* total, const float* slope,
                       float* out);

}  // namespace dp_sim
