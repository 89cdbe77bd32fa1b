// The exact Hessian d2E/dr dr in blocks of 3 x 3, one for every two atoms that are neighbours of, or are, a common atom.
// Plain arrays, like evaluation.h; float64 only.
#pragma once

#include "model.h"

namespace dp_sim {

// Rows of blocks: of all atoms, or of those that are asked for.
struct BlockPattern {
  const int64_t* row_of;  // (atoms,) the row of each atom; -1: not asked for
  int64_t rows;
  const int64_t* first;   // (rows + 1,) where the blocks of each row begin
  const int64_t* column;  // (blocks,) their second atoms, each once in a row
};

// -> blocks (blocks, 3, 3), eV/Angstrom^2. Throws where the pattern lacks a block.
void hessian(const Pairs&, const Model<double>&, const BlockPattern&, double* blocks);

// The Hessian times vectors (count, atoms, 3) -> products (count, atoms, 3), without the Hessian.
void hessian_product(const Pairs&, const Model<double>&, int64_t count, const double* vectors, double* products);

}  // namespace dp_sim
