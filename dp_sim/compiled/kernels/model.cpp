#include "model.h"

#include <algorithm>

namespace dp_sim {
namespace {

// How many tables or nets the map (species, species) names.
int64_t count_of(const int64_t* function_of, int64_t n_species) {
  const int64_t *end = function_of + n_species * n_species, most = *std::max_element(function_of, end);
  if (*std::min_element(function_of, end) < 0) throw std::runtime_error("dp_sim: 'function_of' has a negative value");
  return most + 1;
}

// The fields of both kinds of part; returns function_of (species, species).
template <typename Real>
const int64_t* read_sum(const PartArrays<Real>& a, int64_t n_species, Sum<Real>& sum) {
  const int64_t square = n_species * n_species, lanes = Vector<Real>::lanes;
  sum.n_species = n_species;
  sum.contraction = {a.columns.only(), a.axis.only()};
  sum.width = (sum.contraction.columns + lanes - 1) / lanes * lanes;
  sum.scale = a.scale.of(4 * n_species), sum.offset = a.offset.of(n_species);
  sum.sw = {a.start.only(), a.cutoff.only(), a.protection.only(), a.cosine.only() != 0};
  sum.exclusion = {a.exclusion.empty() ? nullptr : a.exclusion.of(square), n_species, a.reach.only()};
  if (a.sel.empty())
    sum.padding = {};
  else
    sum.padding = {a.sel.of(n_species), a.padded.of(square * sum.width), a.blocked.of(square * sum.width)};
  return a.function_of.of(square);
}

template <typename Real>
Tables<Real> tables_of(const PartArrays<Real>& a, int64_t n_species) {
  Tables<Real> t{};
  t.table_of = read_sum(a, n_species, t);
  t.knots = {a.knots.values, a.knots.size, a.uniform.only(), 0.0};
  if (t.knots.uniform < 1 || t.knots.uniform >= t.knots.count)
    throw std::runtime_error("dp_sim: the tables have too few knots");
  t.knots.spacing = t.knots.s[1] - t.knots.s[0];
  t.values = a.values.of(count_of(t.table_of, n_species) * t.knots.count * 3 * t.width);
  return t;
}

template <typename Real>
Nets<Real> nets_of(const PartArrays<Real>& a, int64_t n_species) {
  Nets<Real> t{};
  t.net_of = read_sum(a, n_species, t);
  t.inputs = a.inputs.of(2 * n_species);
  Architecture<Real>& net = t.architecture;
  net.activation = static_cast<Activation>(a.activation.only());
  net.threshold = static_cast<Real>(a.threshold.only());
  for (const int64_t *layer = a.layers.values, *end = layer + a.layers.size; layer < end; layer += 4)
    net.add(layer[0], layer[1], layer[2], layer[3] != 0);
  if (net.layers.empty() || net.layers.back().stride != t.width)
    throw std::runtime_error("dp_sim: the embedding nets do not make the columns of G");
  t.count = count_of(t.net_of, n_species);
  t.numbers = a.values.of(t.count * net.size);
  return t;
}

template <typename Real>
FittingNets<Real> fitting_of(const FittingArrays<Real>& a, int64_t n_species, int64_t n_features) {
  FittingNets<Real> nets{};
  const int64_t layers = a.layers.size / 4;
  const double* thresholds = a.thresholds.of(layers);
  for (int64_t k = 0; k < layers; ++k) {
    const int64_t* layer = a.layers.values + 4 * k;
    nets.net.add(layer[0], layer[1], layer[2], static_cast<Activation>(layer[3]), thresholds[k]);
  }
  if (nets.net.layers.empty() || nets.net.layers.front().n_in != n_features)
    throw std::runtime_error("dp_sim: the fitting nets do not fit the descriptors");
  nets.numbers = a.values.of(n_species * nets.net.size);
  nets.bias = a.bias.of(n_species);
  return nets;
}

template <typename Real>
Model<Real> assembled(const ModelArrays<Real>& arrays) {
  Model<Real> model{};
  model.n_species = arrays.n_species;
  for (const PartArrays<Real>& part : arrays.parts) {
    if (part.tabulated.only())
      model.parts.emplace_back(tables_of(part, model.n_species));
    else
      model.parts.emplace_back(nets_of(part, model.n_species));
    const Sum<Real>& sum = std::visit([](const auto& p) -> const Sum<Real>& { return p; }, model.parts.back());
    model.n_features += sum.contraction.features(), model.total_width += sum.width;
  }
  model.fitting = fitting_of(arrays.fitting, model.n_species, model.n_features);
  return model;
}

}  // namespace

Model<double> assemble(const ModelArrays<double>& arrays) { return assembled(arrays); }
Model<float> assemble(const ModelArrays<float>& arrays) { return assembled(arrays); }

}  // namespace dp_sim
