// All pairs within a cutoff, by linked cells of half the cutoff: any cell, periodic or open along each vector, smaller
// than the cutoff as well, and any empty space between atoms. No state is kept, so threads may search side by side.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace dp_sim {

struct System {
  const double* positions;  // (N, 3) Angstrom, of all systems
  int64_t start, count;     // which of them are this system's
  const double* box;        // (3, 3) Angstrom, rows are vectors; those along open axes do not matter
  const int64_t* periodic;  // (3,) 0: open
};

// Where the pairs of one atom go, numbered among all systems' atoms: r_ij = r_j - r_i + shift @ box.
struct PairTarget {
  int64_t *center, *neighbor;
  double* shift;  // (pairs, 3)
};

// Atoms of one system sorted by cell, wrapped into the box along its periodic vectors.
class Cells {
 public:
  Cells(const System& system, double cutoff);
  int64_t count(int64_t atom) const;                  // neighbours of an atom, numbered among all systems'
  double write(int64_t atom, const PairTarget& to) const;  // them, and the squared distance of the nearest

 private:
  void complete();
  void wrap(const double* positions);
  void close_gaps(int k);
  void divide();
  void sort();
  template <typename Visit>
  void segments(int64_t i, const Visit& visit) const;

  double cutoff_, box_[3][3], inverse_[3][3];
  bool periodic_[3];
  double low_[3], high_[3];           // fractional coordinates of the outermost atoms
  int64_t start_, cells_[3], reach_[3];  // how many cells, and how many of them the cutoff spans
  std::vector<double> wrapped_, turns_;  // (N, 3): fractional coordinates in the box, and what was taken off them
  std::vector<int64_t> cell_, first_, order_;
  std::vector<double> x_, y_, z_;     // Angstrom, in the order of cells
};

}  // namespace dp_sim
