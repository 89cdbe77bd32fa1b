#include "dp_sim.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "evaluation.h"
#include "given_pairs.h"
#include "model_file.h"
#include "threads.h"

struct dp_sim_model {
  explicit dp_sim_model(const char* path) : file(path) {
    for (const std::string& symbol : file.species) symbols.push_back(symbol.c_str());
  }
  const dp_sim::ModelFile file;
  std::vector<const char*> symbols;
};

struct dp_sim_pairs {
  dp_sim::GivenPairs found;
  int64_t atoms = 0, entries = 0;  // of the caller
};

namespace dp_sim {
namespace {

void tell(const char* what, char* message, size_t room) {
  if (message && room) std::strncpy(message, what, room - 1), message[room - 1] = 0;
}

// Runs `work`, whose exceptions become messages: none may cross into a program built by another compiler.
template <typename Result, typename Work>
Result guarded(Result failed, char* message, size_t room, const Work& work) noexcept {
  try {
    return work();
  } catch (const std::exception& error) {
    tell(error.what(), message, room);
  } catch (...) {
    tell("dp_sim: unknown failure", message, room);
  }
  return failed;
}

// Terms r_ij (x) f_ij of each pair, to its two atoms by halves, or to the neighbour as a whole (Z. Fan et al., Phys.
// Rev. B 92, 094301 (2015), eq. 22: W_i = sum_j r_ij (x) dU_j/dr_ji).
void add_atom_virials(const Pairs& pairs, const GivenPairs& found, const double* gradient, const dp_sim_outputs& out) {
  for (int64_t i = 0; i < pairs.centers; ++i) {
    for (int64_t p = pairs.first[i]; p < pairs.first[i + 1]; ++p) {
      double r[3];
      pair_vector(pairs, i, p, r);
      const int64_t own = 9 * found.atom(i), other = 9 * found.atom(pairs.neighbor[p]);
      for (int k = 0; k < 9; ++k) {
        const double term = -r[k / 3] * gradient[3 * p + k % 3];
        if (out.halved_virials) out.halved_virials[own + k] += 0.5 * term, out.halved_virials[other + k] += 0.5 * term;
        if (out.centroid_virials) out.centroid_virials[other + k] += term;
      }
    }
  }
}

void evaluate_given(const dp_sim_model& model, const dp_sim_pairs& given, dp_sim_outputs& out) {
  const GivenPairs& found = given.found;
  const Pairs pairs = found.pairs();
  const bool by_atom = out.halved_virials || out.centroid_virials;
  std::vector<double> energies(pairs.centers), forces(3 * pairs.atoms);
  std::vector<double> gradient(by_atom ? 3 * pairs.first[pairs.centers] : 0);
  const Outputs outputs{energies.data(), forces.data(), out.virial, nullptr, by_atom ? gradient.data() : nullptr};
  std::visit([&](const auto& one) { evaluate(pairs, one, outputs); }, model.file.model);
  std::fill_n(out.forces, 3 * given.atoms, 0.0);
  for (int64_t k = 0; k < pairs.atoms; ++k) std::copy_n(forces.data() + 3 * k, 3, out.forces + 3 * found.atom(k));
  if (out.energies) std::fill_n(out.energies, given.entries, 0.0);
  out.energy = 0.0;
  for (int64_t k = 0; k < pairs.centers; ++k) {
    out.energy += energies[k];
    if (out.energies) out.energies[found.entry(k)] = energies[k];
  }
  for (double* virials : {out.halved_virials, out.centroid_virials})
    if (virials) std::fill_n(virials, 9 * given.atoms, 0.0);
  if (by_atom) add_atom_virials(pairs, found, gradient.data(), out);
}

}  // namespace
}  // namespace dp_sim

extern "C" {

int dp_sim_interface_version(void) { return DP_SIM_INTERFACE_VERSION; }

int dp_sim_threads(void) { return dp_sim::OpenMP::instance().threads(); }

dp_sim_model* dp_sim_open(const char* file, char* message, size_t room) {
  return dp_sim::guarded<dp_sim_model*>(nullptr, message, room, [&] { return new dp_sim_model(file); });
}

void dp_sim_close(dp_sim_model* model) { delete model; }

dp_sim_description dp_sim_describe(const dp_sim_model* model) {
  const dp_sim::ModelFile& file = model->file;
  return {model->symbols.data(), file.masses.data(), file.trained.data(), file.n_species(),
          file.cutoff,           file.is_float32,    file.origin.c_str()};
}

dp_sim_pairs* dp_sim_new_pairs(void) {
  return dp_sim::guarded<dp_sim_pairs*>(nullptr, nullptr, 0, [] { return new dp_sim_pairs; });
}

void dp_sim_free_pairs(dp_sim_pairs* pairs) { delete pairs; }

int dp_sim_find_pairs(dp_sim_pairs* pairs, const dp_sim_atoms* atoms, double cutoff, double too_close,
                      int64_t culprits[2], char* message, size_t room) {
  return dp_sim::guarded<int>(DP_SIM_FAILED, message, room, [&] {
    const dp_sim::GivenAtoms given{atoms->atoms,  atoms->positions, atoms->species, atoms->centers,
                                   atoms->center, atoms->counts,    atoms->lists,   atoms->mask};
    pairs->atoms = given.atoms, pairs->entries = given.centers;
    if (!pairs->found.find(given, cutoff, culprits[0])) return static_cast<int>(DP_SIM_NOT_FINITE);
    const dp_sim::Closest& closest = pairs->found.closest();
    if (closest.distance >= too_close) return static_cast<int>(DP_SIM_DONE);
    culprits[0] = closest.first, culprits[1] = closest.second;
    return static_cast<int>(DP_SIM_COINCIDE);
  });
}

int dp_sim_evaluate(const dp_sim_model* model, const dp_sim_pairs* pairs, dp_sim_outputs* outputs, char* message,
                    size_t room) {
  return dp_sim::guarded<int>(DP_SIM_FAILED, message, room, [&] {
    dp_sim::evaluate_given(*model, *pairs, *outputs);
    return static_cast<int>(DP_SIM_DONE);
  });
}
}
