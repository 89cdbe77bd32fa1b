// pair_style dp_sim MODEL.dpsim [more models]: a Deep Potential of dp-sim, or the mean of a committee.
//
// The kernels (dp_sim/compiled/kernels) evaluate the atoms of this rank with LAMMPS's full neighbour list; forces on
// ghost atoms travel back in LAMMPS's reverse communication, so Newton's third law must be on.
#ifndef LMP_PAIR_DP_SIM_H
#define LMP_PAIR_DP_SIM_H

#include <memory>
#include <string>
#include <vector>

#include "dp_sim.h"
#include "pair.h"

namespace LAMMPS_NS {

class PairDPSim : public Pair {
 public:
  explicit PairDPSim(LAMMPS* lmp);
  ~PairDPSim() override;

  void settings(int narg, char** arg) override;
  void coeff(int narg, char** arg) override;
  void init_style() override;
  double init_one(int i, int j) override;
  void compute(int eflag, int vflag) override;
  void* extract_peratom(const char* name, int& columns) override;
  int pack_reverse_comm(int n, int first, double* buffer) override;
  void unpack_reverse_comm(int n, int* list, double* buffer) override;
  double memory_usage() override;

 private:
  struct Closing {
    void operator()(dp_sim_model* model) const { dp_sim_close(model); }
    void operator()(dp_sim_pairs* pairs) const { dp_sim_free_pairs(pairs); }
  };
  using Model = std::unique_ptr<dp_sim_model, Closing>;

  // reading
  Model open(const char* file);
  void require_alike(const char* file, const dp_sim_description& first, const dp_sim_description& other);
  void allocate();
  void forget_elements();
  int species_of(const char* element) const;

  // checks of what other commands set, each of which would give wrong numbers
  void check_exclusions();
  void check_groups(const char* command, int first, int second);
  void check_masses();
  bigint mapped_in(int which) const;

  // a step
  void check_reach();
  void check_skipped();
  void check_centers();
  int absent_groups() const;
  void find_pairs();
  void evaluate(size_t member);
  void add_to_forces(const double* forces, double share);
  void tally(const dp_sim_outputs& outputs, double share);
  void measure_spread();
  std::string describe(int64_t atom) const;

  std::vector<Model> models_;
  std::vector<std::string> files_;
  dp_sim_description description_{};  // of the first model; the others have the same species and cutoff
  std::unique_ptr<dp_sim_pairs, Closing> pairs_;
  std::vector<int> species_of_type_;  // (ntypes + 1,) index into the model's species; -1: NULL
  double unit_ = 1.0;                 // LAMMPS's unit of energy in eV, inverse
  bool told_ = false, checked_ = false;

  // of the atoms of this rank and its ghosts, in eV and Angstrom
  std::vector<int> species_;
  std::vector<std::vector<double>> forces_;  // one a member
  std::vector<double> energies_, halved_, centroid_;
  std::vector<double> member_energies_;  // of this rank
  std::vector<double> spread_;           // (nlocal,) in LAMMPS's units
  std::vector<double> extra_;            // what compute pair shows: pvector points here
};

}  // namespace LAMMPS_NS

#endif
