// Atoms from their neighbours to energies and dE/dr_ij: descriptors, fitting net, and back. A thread takes a few atoms
// of one species all the way, so that what passes between the parts stays in its cache.
#pragma once

#include <time.h>

#include <atomic>

#include "fitting_net.h"
#include "net_sum.h"
#include "table_sum.h"
#include "threads.h"

namespace dp_sim {

// The processor's time in each part, all threads together; only where somebody asks, as it costs a little.
class Clock {
 public:
  enum Part { descriptor, fitting, derivative, parts };

  explicit Clock(bool on) : on_(on) {}

  // From one call of this to the next in the same thread.
  int64_t now() const {
    if (!on_) return 0;
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1000000000 * static_cast<int64_t>(t.tv_sec) + t.tv_nsec;
  }
  // Adds the time since `start` to a part; the new start.
  int64_t lap(Part part, int64_t start) {
    const int64_t end = now();
    if (on_) nanoseconds_[part] += end - start;
    return end;
  }
  double seconds(int part) const { return 1e-9 * static_cast<double>(nanoseconds_[part]); }

 private:
  bool on_;
  std::atomic<int64_t> nanoseconds_[parts] = {};
};

template <typename Real>
struct FittingNets {
  FittingNet<Real> net;  // they are all alike
  const Real* numbers;   // (species, size)
  const double* bias;    // (species,) eV
};

// Atoms by their species: those of species s are atoms[first[s]] .. atoms[first[s + 1]].
struct BySpecies {
  std::vector<int64_t> atoms, first;

  BySpecies(const int64_t* species, int64_t count, int64_t n_species) : atoms(count), first(n_species + 1, 0) {
    for (int64_t i = 0; i < count; ++i) ++first[species[i] + 1];
    for (int64_t s = 0; s < n_species; ++s) first[s + 1] += first[s];
    std::vector<int64_t> next(first.begin(), first.end() - 1);
    for (int64_t i = 0; i < count; ++i) atoms[next[species[i]]++] = i;
  }
};

// Energies of atoms (N,), eV, and dE/dr_ij (P, 3)
template <typename Source, typename Real>
void evaluate_atoms(const Pairs& pairs, const Source& source, const FittingNets<Real>& nets, int64_t species,
                    const int64_t* atoms, int64_t count, double* energies, Real* gradient, Clock& clock) {
  thread_local FittingRoom<Real> room;
  thread_local std::vector<Real> total;
  thread_local std::vector<double> own;
  const int64_t n_features = source.contraction.features();
  grow(total, count * 4 * source.width), grow(own, count);
  int64_t start = clock.now();
  Real* features = room.open(nets.net, count);
  describe(pairs, source, Block{atoms, count, n_features}, total.data(), features);
  start = clock.lap(Clock::descriptor, start);
  const Real* slope = fit(nets.net, nets.numbers + species * nets.net.size, count, room, own.data());
  start = clock.lap(Clock::fitting, start);
  describe_gradient(pairs, source, Block{atoms, count, whole_panels<Real>(n_features)}, total.data(), slope, gradient);
  for (int64_t k = 0; k < count; ++k) energies[atoms[k]] = nets.bias[species] + own[k];
  clock.lap(Clock::derivative, start);
}

// The same for all atoms, each species in pieces of nearly equal size, handed to whichever thread is free.
template <typename Source, typename Real>
void evaluate(const Pairs& pairs, int64_t count, const Source& source, const FittingNets<Real>& nets, double* energies,
              Real* gradient, Clock& clock) {
  const int64_t most = std::clamp<int64_t>(count / (4 * OpenMP::instance().threads()), 8, 32);
  struct Piece {
    int64_t species, begin, end;
  };
  const BySpecies order(pairs.species, count, source.n_species);
  std::vector<Piece> pieces;
  for (int64_t s = 0; s < source.n_species; ++s) {
    const int64_t own = order.first[s + 1] - order.first[s], parts = (own + most - 1) / most;
    for (int64_t k = 0; k < parts; ++k)
      pieces.push_back({s, order.first[s] + own * k / parts, order.first[s] + own * (k + 1) / parts});
  }
  in_pieces(static_cast<int64_t>(pieces.size()), 1, [&](int64_t k, int64_t) {
    const Piece& p = pieces[k];
    evaluate_atoms(pairs, source, nets, p.species, order.atoms.data() + p.begin, p.end - p.begin, energies, gradient,
                   clock);
  });
}

// F_i = sum_j (g_ij - g_ji), W = -sum_pairs r_ij (x) g_ij (dp_sim/structures/batch.py) with g_ij = dE/dr_ij. Each share of the
// atoms is added up in memory of its own, by whichever thread is free, and shares are added in order: equal numbers at
// every call, however many of the threads asked for there really are.
template <typename Real>
void add_forces(const Pairs& pairs, int64_t atoms, int64_t systems, const Real* g, double* forces, double* virial) {
  const int64_t shares = OpenMP::instance().threads();
  const int64_t length = 3 * atoms + 9 * systems, share = (atoms + shares - 1) / shares;
  std::vector<double> sums(shares * length, 0.0);
  in_pieces(shares, 1, [&](int64_t part, int64_t) {
    double *f = sums.data() + part * length, *w = f + 3 * atoms;
    const int64_t end = std::min(atoms, (part + 1) * share);
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
  std::fill_n(forces, 3 * atoms, 0.0), std::fill_n(virial, 9 * systems, 0.0);
  for (int64_t t = 0; t < shares; ++t) {
    for (int64_t k = 0; k < 3 * atoms; ++k) forces[k] += sums[t * length + k];
    for (int64_t k = 0; k < 9 * systems; ++k) virial[k] += sums[t * length + 3 * atoms + k];
  }
}

}  // namespace dp_sim
