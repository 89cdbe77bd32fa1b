// The entry of the compiled path: atoms and their pairs in, energies, forces and virial out. Plain arrays; nothing here
// knows torch or Python.
//
//   const PackedModel<float> packed = ...;                              // arrays.h
//   const Model<float> model = assemble(unpack(packed));
//   evaluate(pairs, model, {energies, forces, virial, nullptr});
#pragma once

#include "clock.h"
#include "model.h"

namespace dp_sim {

// Arrays of the caller, which are overwritten.
struct Outputs {
  double* energies;  // (centers,) eV
  double* forces;    // (atoms, 3) eV/Angstrom
  double* virial;    // (systems, 3, 3) eV
  double* seconds;   // (Clock::parts,) processor's time in each part, all threads together; null: not measured
  double* gradient = nullptr;  // (P, 3) dE/dr_ij of each pair, eV/Angstrom; null: not asked for
  double* hidden = nullptr;    // (centers, width of the last hidden layer of the fitting nets); null: not asked for
};

// Runs on the threads of OpenMP where a runtime is loaded (threads.h). Throws std::exception.
void evaluate(const Pairs&, const Model<double>&, const Outputs&);
void evaluate(const Pairs&, const Model<float>&, const Outputs&);

// Where the pairs of each centre begin, as Pairs::first (centers + 1,): pairs are sorted by their centre (P,).
std::vector<int64_t> first_pairs(const int64_t* center, int64_t pairs, int64_t centers);

}  // namespace dp_sim
