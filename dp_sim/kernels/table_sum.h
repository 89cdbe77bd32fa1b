// T_i = sum_j R~_ij (x) G(s_ij) (eq. 10) with G from a table, what the fitting net reads of it, and the derivative of the
// energy with respect to r_ij.
//
// M below is the width of G in the table, padded with zeros to whole vectors (64 bytes).
#pragma once

#include "contraction.h"
#include "neighborhood.h"

namespace dp_sim {

template <typename Real>
struct Tables {
  const Real* values;      // (tables, K, 3, M): G, G', G'' at the knots
  const int64_t* table_of; // (species, species): the table of a centre's and a neighbour's species
  const double* scale;     // (species, 4): what the columns of R~ are multiplied by, per species of the centre
  int64_t n_species, width;
  Knots knots;
  Switch sw;
  Contraction contraction;
};

// Atoms begin <= b < end of a block; `atoms` says which they are.
struct Block {
  const int64_t* atoms;
  int64_t begin, end;
};

// total = T (B, 4, M), features = D (B, F) (contraction.h)
void describe(const Pairs&, const Tables<double>&, const Block&, double* total, double* features);
void describe(const Pairs&, const Tables<float>&, const Block&, float* total, float* features);

// total = T (B, 4, M), slope = dE/dD (B, F) -> dE/dr_ij (P, 3), written for every pair of the block's atoms
void describe_gradient(const Pairs&, const Tables<double>&, const Block&, const double* total, const double* slope,
                       double* out);
void describe_gradient(const Pairs&, const Tables<float>&, const Block&, const float* total, const float* slope,
                       float* out);

}  // namespace dp_sim
