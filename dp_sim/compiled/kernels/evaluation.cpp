// Atoms from their neighbours to energies and dE/dr_ij: descriptors, fitting net, and back. A thread takes a few atoms
// of one species all the way, so that what passes between the steps stays in its cache.
#include "evaluation.h"

#include <algorithm>
#include <memory>

#include "threads.h"

namespace dp_sim {
namespace {

// Centres by their species: those of species s are atoms[first[s]] .. atoms[first[s + 1]].
struct BySpecies {
  std::vector<int64_t> atoms, first;

  BySpecies(const int64_t* species, int64_t count, int64_t n_species) : atoms(count), first(n_species + 1, 0) {
    for (int64_t i = 0; i < count; ++i) ++first[species[i] + 1];
    for (int64_t s = 0; s < n_species; ++s) first[s + 1] += first[s];
    std::vector<int64_t> next(first.begin(), first.end() - 1);
    for (int64_t i = 0; i < count; ++i) atoms[next[species[i]]++] = i;
  }
};

// Some atoms of one species.
struct Piece {
  int64_t species;
  const int64_t* atoms;
  int64_t count;
};

// visit(part, T of the part (count, 4, M), where its features begin in a row, what it keeps)
template <typename Real, typename Visit>
void each_part(const Model<Real>& model, int64_t count, Real* total, std::vector<Kept<Real>>& kept, const Visit& visit) {
  int64_t feature = 0;
  for (size_t k = 0; k < model.parts.size(); ++k)
    std::visit(
        [&](const auto& p) {
          visit(p, total, feature, &kept[k]);
          total += count * 4 * p.width, feature += p.contraction.features();
        },
        model.parts[k]);
}

// Energies of the atoms, eV, their last hidden layer where it is asked for, and dE/dr_ij of their pairs (P, 3)
template <typename Real>
void evaluate_piece(const Pairs& pairs, const Model<Real>& model, const Piece& piece, const Outputs& outputs,
                    Real* gradient, Clock& clock) {
  thread_local FittingRoom<Real> room;
  thread_local Lines<Real> total;
  thread_local std::vector<Kept<Real>> kept;
  thread_local std::vector<double> own, hidden;
  const FittingNet<Real>& net = model.fitting.net;
  const int64_t count = piece.count, last = outputs.hidden ? net.layers.back().n_in : 0;
  const int64_t stride = whole_panels<Real>(model.n_features);
  grow(total, count * 4 * model.total_width), grow(own, count), grow(hidden, count * last), grow(kept, model.parts.size());
  int64_t start = clock.now();
  Real* features = room.open(net, count);
  each_part(model, count, total.data(), kept, [&](const auto& part, Real* t, int64_t feature, Kept<Real>* keeps) {
    describe(pairs, part, Block{piece.atoms, count, model.n_features}, keeps, t, features + feature);
  });
  start = clock.lap(Clock::descriptor, start);
  const Real* slope = fit(net, model.fitting.numbers + piece.species * net.size, count, room, own.data(),
                          last ? hidden.data() : nullptr);
  start = clock.lap(Clock::fitting, start);
  for (int64_t k = 0; k < count; ++k) {
    const int64_t i = piece.atoms[k];
    outputs.energies[i] = model.fitting.bias[piece.species] + own[k];
    std::copy_n(hidden.data() + k * last, last, outputs.hidden + i * last);
    std::fill(gradient + 3 * pairs.first[i], gradient + 3 * pairs.first[i + 1], Real(0));
  }
  each_part(model, count, total.data(), kept, [&](const auto& part, const Real* t, int64_t feature, Kept<Real>* keeps) {
    add_gradient(pairs, part, Block{piece.atoms, count, stride}, keeps, t, slope + feature, gradient);
  });
  clock.lap(Clock::derivative, start);
}

// The same for all atoms, each species in pieces of nearly equal size, handed to whichever thread is free.
template <typename Real>
void evaluate_pieces(const Pairs& pairs, const Model<Real>& model, const Outputs& outputs, Real* gradient, Clock& clock) {
  const int64_t most = std::clamp<int64_t>(pairs.centers / (4 * OpenMP::instance().threads()), 8, 48);
  const BySpecies order(pairs.species, pairs.centers, model.n_species);
  std::vector<Piece> pieces;
  for (int64_t s = 0; s < model.n_species; ++s) {
    const int64_t own = order.first[s + 1] - order.first[s], parts = (own + most - 1) / most;
    for (int64_t k = 0; k < parts; ++k)
      pieces.push_back({s, order.atoms.data() + order.first[s] + own * k / parts, own * (k + 1) / parts - own * k / parts});
  }
  in_pieces(static_cast<int64_t>(pieces.size()), 1, [&](int64_t k, int64_t) {
    evaluate_piece(pairs, model, pieces[k], outputs, gradient, clock);
  });
}

// F_i = sum_j (g_ij - g_ji), W = -sum_pairs r_ij (x) g_ij (dp_sim/structures/batch.py) with g_ij = dE/dr_ij. Each share of
// the centres is added up in memory of its own, by whichever thread is free, and shares are added in order: equal numbers
// at every call, however many of the threads asked for there really are.
template <typename Real>
void add_forces(const Pairs& pairs, const Real* g, double* forces, double* virial) {
  const int64_t shares = OpenMP::instance().threads(), share = (pairs.centers + shares - 1) / shares;
  const int64_t of_forces = 3 * pairs.atoms, of_virial = 9 * pairs.systems, length = of_forces + of_virial;
  std::vector<double> sums(shares * length, 0.0);
  in_pieces(shares, 1, [&](int64_t part, int64_t) {
    double *f = sums.data() + part * length, *w = f + of_forces;
    const int64_t end = std::min(pairs.centers, (part + 1) * share);
    for (int64_t i = part * share; i < end; ++i) {
      double* wi = w + 9 * pairs.system[i];
      for (int64_t p = pairs.first[i]; p < pairs.first[i + 1]; ++p) {
        double r[3];
        pair_vector(pairs, i, p, r);
        double *fi = f + 3 * i, *fj = f + 3 * pairs.neighbor[p];
        for (int k = 0; k < 3; ++k) {
          const double value = g[3 * p + k];
          fi[k] += value, fj[k] -= value;
          for (int l = 0; l < 3; ++l) wi[3 * l + k] -= r[l] * value;
        }
      }
    }
  });
  std::fill_n(forces, of_forces, 0.0), std::fill_n(virial, of_virial, 0.0);
  for (int64_t t = 0; t < shares; ++t) {
    for (int64_t k = 0; k < of_forces; ++k) forces[k] += sums[t * length + k];
    for (int64_t k = 0; k < of_virial; ++k) virial[k] += sums[t * length + of_forces + k];
  }
}

template <typename Real>
void evaluate_all(const Pairs& pairs, const Model<Real>& model, const Outputs& outputs) {
  const std::unique_ptr<Real[]> gradient(new Real[3 * pairs.first[pairs.centers]]);  // not set: every pair is written
  Clock clock(outputs.seconds != nullptr);
  evaluate_pieces(pairs, model, outputs, gradient.get(), clock);
  const int64_t start = clock.now();
  add_forces(pairs, gradient.get(), outputs.forces, outputs.virial);
  clock.lap(Clock::derivative, start);
  if (outputs.gradient) std::copy_n(gradient.get(), 3 * pairs.first[pairs.centers], outputs.gradient);
  for (int part = 0; outputs.seconds && part < Clock::parts; ++part) outputs.seconds[part] = clock.seconds(part);
}

}  // namespace

void evaluate(const Pairs& pairs, const Model<double>& model, const Outputs& out) { evaluate_all(pairs, model, out); }
void evaluate(const Pairs& pairs, const Model<float>& model, const Outputs& out) { evaluate_all(pairs, model, out); }

std::vector<int64_t> first_pairs(const int64_t* center, int64_t pairs, int64_t centers) {
  std::vector<int64_t> first(centers + 1, 0);
  for (int64_t p = 0; p < pairs; ++p) ++first[center[p] + 1];
  for (int64_t i = 0; i < centers; ++i) first[i + 1] += first[i];
  return first;
}

}  // namespace dp_sim
