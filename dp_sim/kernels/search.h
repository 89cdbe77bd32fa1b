// All pairs within a cutoff, by linked cells of half the cutoff: any cell, periodic or open along each vector, smaller
// than the cutoff as well. No state is kept, so threads may search side by side.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace dp_sim {

struct System {
  const double* positions;  // (N, 3) Angstrom
  int64_t count;
  double box[3][3];         // three independent vectors; along an open axis of any length, normal to the others
  bool periodic[3];
};

// Where the pairs of one atom go: r_ij = r_j - r_i + shift @ box.
struct Place {
  int64_t *center, *neighbor;
  double* shift;  // (pairs, 3)
};

// Atoms sorted by cell, wrapped into the box along its periodic vectors.
class Cells {
 public:
  Cells(const System& system, double cutoff);
  int64_t count(int64_t i) const;                // neighbours of atom i
  double write(int64_t i, const Place& to) const;  // them, and the squared distance of the nearest

 private:
  void place(const System& system);
  void sort();
  template <typename Visit>
  void segments(int64_t i, const Visit& visit) const;

  double cutoff_, box_[3][3], inverse_[3][3];
  bool periodic_[3];
  int64_t cells_[3], reach_[3];       // how many, and how many of them the cutoff spans
  std::vector<double> wrapped_, turns_;  // (N, 3): fractional places in the box, and what was taken off them
  std::vector<int64_t> cell_, first_, order_;
  std::vector<double> x_, y_, z_;     // Angstrom, in the order of cells
};

}  // namespace dp_sim
