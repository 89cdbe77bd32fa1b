// Pairs from neighbour lists that another program keeps: lists with a skin, over its own atoms and copies of atoms that
// other processes own or that lie across a periodic boundary. Copies have positions of their own, so nothing is shifted.
#pragma once

#include "neighborhood.h"

namespace dp_sim {

// Arrays of the caller. An atom of species -1 is not seen by the model: neither as a centre nor as a neighbour.
struct GivenAtoms {
  int64_t atoms;            // all of them, copies included
  const double* positions;  // (atoms, 3) Angstrom
  const int* species;       // (atoms,)
  int64_t centers;
  const int* center;        // (centers,) atoms that have energies here, each once
  const int* counts;        // (atoms,) entries in the list of an atom
  const int* const* lists;  // (atoms,) neighbours of an atom, each direction of a pair in the list of its own centre
  int mask;                 // the bits of an entry that are the index of an atom
};

// Two atoms, by the caller's indices, and their distance.
struct Closest {
  int64_t first, second;
  double distance;  // Angstrom; infinite where there is no pair
};

// The pairs within a cutoff, made anew each time in memory that is kept. Atoms are numbered as Pairs wants them: those
// that are seen, centres first.
class GivenPairs {
 public:
  // Whether all positions are finite; else `culprit` is an atom whose position is not, and there are no pairs.
  bool find(const GivenAtoms& given, double cutoff, int64_t& culprit);

  Pairs pairs() const;
  int64_t centers() const { return centers_; }
  int64_t atoms() const { return static_cast<int64_t>(atom_.size()); }
  int64_t atom(int64_t k) const { return atom_[k]; }                        // the caller's index of atom k
  int64_t entry(int64_t k) const { return entry_[k]; }                      // the caller's index of centre k
  const Closest& closest() const { return closest_; }

 private:
  bool number(const GivenAtoms& given, int64_t& culprit);

  int64_t centers_ = 0;
  std::vector<int64_t> atom_, entry_, species_, system_, first_, neighbor_;
  std::vector<int> place_;  // (atoms,) from the caller's indices to ours; -1: not seen
  std::vector<double> positions_;
  Closest closest_;
};

}  // namespace dp_sim
