// A model: the parts of its descriptor, whose features lie side by side, and the fitting nets that read them.
#pragma once

#include <variant>
#include <vector>

#include "arrays.h"
#include "net_sum.h"
#include "networks/fitting_net.h"
#include "table_sum.h"

namespace dp_sim {

template <typename Real>
struct FittingNets {
  FittingNet<Real> net;  // they are all alike
  const Real* numbers;   // (species, size)
  const double* bias;    // (species,) eV
};

// G from embedding nets, or from tables.
template <typename Real>
using Part = std::variant<Nets<Real>, Tables<Real>>;

template <typename Real>
struct Model {
  int64_t n_species, n_features = 0;
  int64_t total_width = 0;  // sum of the widths M of the parts
  std::vector<Part<Real>> parts;
  FittingNets<Real> fitting;
};

// The model that the arrays describe; it points into them. Throws where their sizes contradict each other.
Model<double> assemble(const ModelArrays<double>&);
Model<float> assemble(const ModelArrays<float>&);

}  // namespace dp_sim
