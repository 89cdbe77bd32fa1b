// The sum over neighbours with G from a table (dp_sim/descriptors/tabulated.py).
#pragma once

#include "embedding_sum.h"

namespace dp_sim {

// `uniform` segments of width `spacing` from zero on, then wider ones.
struct Knots {
  const double* s;  // (K,) 1/Angstrom, ascending from zero
  int64_t count, uniform;
  double spacing;
};

template <typename Real>
struct Tables : Sum<Real> {
  const Real* values;       // (tables, K, 3, M): G, G', G'' at the knots
  const int64_t* table_of;  // (species, species): the table of a centre's and a neighbour's species
  Knots knots;
};

DECLARE_PART(Tables, double)
DECLARE_PART(Tables, float)
DECLARE_JETS(Tables)

}  // namespace dp_sim
