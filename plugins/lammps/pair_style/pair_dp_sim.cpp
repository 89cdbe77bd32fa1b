#include "pair_dp_sim.h"

#include <mpi.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "group.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"

namespace LAMMPS_NS {
namespace {

// Atoms nearer than this (Angstrom) are one atom written twice (dp_sim/structures/checks.py).
constexpr double COINCIDENT = 1e-2;
// kcal/mol in an eV (CODATA 2018: N_A e / 4184).
constexpr double KCAL_PER_MOL = 23.060547830619026;
constexpr size_t ROOM = 1024;  // of a message

}  // namespace

PairDPSim::PairDPSim(LAMMPS* lmp) : Pair(lmp), pairs_(dp_sim_new_pairs()) {
  single_enable = 0;
  restartinfo = 0;
  one_coeff = 1;
  manybody_flag = 1;
  no_virial_fdotr_compute = 1;
  centroidstressflag = CENTROID_AVAIL;
  if (!pairs_) error->one(FLERR, "Pair style dp_sim: there is no memory for its lists");
}

PairDPSim::~PairDPSim() {
  pvector = nullptr;  // it is a vector of this class
  if (copymode || !allocated) return;
  memory->destroy(setflag);
  memory->destroy(cutsq);
}

void PairDPSim::settings(int narg, char** arg) {
  if (narg < 1)
    error->all(FLERR, "Pair style dp_sim needs a model file: pair_style dp_sim MODEL.dpsim [more models]; "
                      "dp-sim export --format lammps writes them");
  models_.clear(), files_.clear();
  for (int k = 0; k < narg; ++k) {
    Model model = open(arg[k]);
    const dp_sim_description found = dp_sim_describe(model.get());
    if (k == 0)
      description_ = found;
    else
      require_alike(arg[k], description_, found);
    models_.push_back(std::move(model)), files_.push_back(arg[k]);
  }
  const int members = static_cast<int>(models_.size());
  comm_reverse = members > 1 ? 3 * members : 0;
  nextra = members > 1 ? 3 : 0;
  extra_.assign(3, 0.0);
  pvector = members > 1 ? extra_.data() : nullptr;
  forces_.assign(members, {}), member_energies_.assign(members, 0.0);
  told_ = false;
  if (allocated) forget_elements();  // an index of the model before may be another element of this one
}

// Every rank reads the file. Where only some cannot, the others must not wait for them.
PairDPSim::Model PairDPSim::open(const char* file) {
  char message[ROOM] = "";
  Model model(dp_sim_open(file, message, ROOM));
  int failed = model == nullptr, failures = 0;
  MPI_Allreduce(&failed, &failures, 1, MPI_INT, MPI_SUM, world);
  if (failures == comm->nprocs) error->all(FLERR, std::string("Pair style dp_sim: ") + message);
  if (failed) error->one(FLERR, std::string("Pair style dp_sim: ") + message);
  if (failures) MPI_Barrier(world);  // LAMMPS ends while this rank waits
  return model;
}

void PairDPSim::require_alike(const char* file, const dp_sim_description& first, const dp_sim_description& other) {
  const auto words = [](const dp_sim_description& d) {
    std::string species;
    for (int64_t k = 0; k < d.n_species; ++k) species += std::string(d.species[k]) + " ";
    return species + "and cutoff " + std::to_string(d.cutoff);
  };
  if (words(first) != words(other))
    error->all(FLERR, "Pair style dp_sim: " + std::string(file) + " cannot join the committee of " + files_[0] +
                          ": it has species " + words(other) + ", expected " + words(first));
}

void PairDPSim::allocate() {
  allocated = 1;
  const int n = atom->ntypes + 1;
  memory->create(setflag, n, n, "pair:setflag");
  memory->create(cutsq, n, n, "pair:cutsq");
  forget_elements();
}

void PairDPSim::forget_elements() {
  species_of_type_.assign(atom->ntypes + 1, -1);
  std::fill_n(&setflag[0][0], species_of_type_.size() * species_of_type_.size(), 0);
}

int PairDPSim::species_of(const char* element) const {
  const dp_sim_description& d = description_;
  for (int64_t k = 0; k < d.n_species; ++k)
    if (std::strcmp(element, d.species[k]) == 0) return static_cast<int>(k);
  return -1;
}

void PairDPSim::coeff(int narg, char** arg) {
  if (!allocated) allocate();
  const int ntypes = atom->ntypes;
  if (narg != 2 + ntypes || std::strcmp(arg[0], "*") != 0 || std::strcmp(arg[1], "*") != 0)
    error->all(FLERR, "Pair style dp_sim wants pair_coeff * * and an element, or NULL, for each of the " +
                          std::to_string(ntypes) + " atom types; got " + std::to_string(narg - 2) + " of them");
  forget_elements();
  for (int type = 1; type <= ntypes; ++type) {
    const char* element = arg[1 + type];
    if (std::strcmp(element, "NULL") == 0) continue;
    const int species = species_of(element);
    if (species < 0) {
      std::string known;
      for (int64_t k = 0; k < description_.n_species; ++k) known += std::string(" ") + description_.species[k];
      error->all(FLERR, "Pair style dp_sim: atom type " + std::to_string(type) + " is '" + element +
                            "', which the model " + files_[0] + " does not know; it knows" + known);
    }
    for (size_t m = 0; m < models_.size(); ++m)
      if (!dp_sim_describe(models_[m].get()).trained[species])
        error->all(FLERR, "Pair style dp_sim: atom type " + std::to_string(type) + " is '" + element +
                              "', of which the model " + files_[m] + " had no training data");
    species_of_type_[type] = species;
  }
  for (int i = 1; i <= ntypes; ++i)
    for (int j = 1; j <= ntypes; ++j) setflag[i][j] = species_of_type_[i] >= 0 && species_of_type_[j] >= 0;
}

void PairDPSim::init_style() {
  if (force->newton_pair != 1)
    error->all(FLERR, "Pair style dp_sim needs newton on: forces on ghost atoms travel back to their owners");
  const std::string units = update->unit_style;
  if (units != "metal" && units != "real")
    error->all(FLERR, "Pair style dp_sim needs units metal or real, got units " + units);
  unit_ = units == "metal" ? 1.0 : KCAL_PER_MOL;
  check_exclusions();
  check_masses();
  checked_ = false;
  neighbor->add_request(this, NeighConst::REQ_FULL);
  if (comm->me != 0 || told_) return;
  for (size_t m = 0; m < models_.size(); ++m) {
    const dp_sim_description d = dp_sim_describe(models_[m].get());
    utils::logmesg(lmp, "dp_sim: {} ({}), {}, cutoff {} Angstrom\n", files_[m], d.origin,
                   d.is_float32 ? "float32" : "float64", d.cutoff);
  }
  utils::logmesg(lmp, "dp_sim: {} thread(s) a rank\n", dp_sim_threads());
  told_ = true;
}

double PairDPSim::init_one(int i, int j) {
  if (!setflag[i][j])
    error->all(FLERR, "Pair style dp_sim: atom types " + std::to_string(i) + " and " + std::to_string(j) +
                          " have no elements; name them in pair_coeff, or use pair_style hybrid/overlay");
  return description_.cutoff;
}

// Atoms of the model in a group, on all ranks.
bigint PairDPSim::mapped_in(int which) const {
  const int group_bit = group->bitmask[which];
  bigint own = 0, all = 0;
  for (int i = 0; i < atom->nlocal; ++i) own += (atom->mask[i] & group_bit) && species_of_type_[atom->type[i]] >= 0;
  MPI_Allreduce(&own, &all, 1, MPI_LMP_BIGINT, MPI_SUM, world);
  return all;
}

void PairDPSim::check_groups(const char* command, int first, int second) {
  if (mapped_in(first) && mapped_in(second))
    error->all(FLERR, std::string("Pair style dp_sim: ") + command +
                          " takes neighbours away that the model must see; exclude atoms of type NULL only");
}

// Whatever leaves atoms out of neighbour lists changes the energy, without a word from LAMMPS. Bits of groups and flags
// of special bonds are set after init_style, so what they are made from is read.
void PairDPSim::check_exclusions() {
  for (int k = 0; k < neighbor->nex_type; ++k)
    if (species_of_type_[neighbor->ex1_type[k]] >= 0 && species_of_type_[neighbor->ex2_type[k]] >= 0)
      error->all(FLERR, "Pair style dp_sim: neigh_modify exclude type takes neighbours away that the model must see");
  for (int k = 0; k < neighbor->nex_group; ++k)
    check_groups("neigh_modify exclude group", neighbor->ex1_group[k], neighbor->ex2_group[k]);
  for (int k = 0; k < neighbor->nex_mol; ++k)
    check_groups("neigh_modify exclude molecule", neighbor->ex_mol_group[k], neighbor->ex_mol_group[k]);
  if (neighbor->includegroup)
    error->all(FLERR, "Pair style dp_sim: neigh_modify include leaves atoms without neighbours; take it out");
  if (atom->molecular == Atom::ATOMIC || atom->nbonds == 0) return;
  for (int k = 1; k < 4; ++k)
    if (force->special_lj[k] == 0.0 && force->special_coul[k] == 0.0)
      error->all(FLERR, "Pair style dp_sim: special_bonds takes bonded neighbours away that the model must see; set "
                        "special_bonds lj/coul 1 1 1, or 1e-50 in place of 0 where another pair style needs them off");
}

// Types in another order than their elements are the commonest mistake, and masses show it.
void PairDPSim::check_masses() {
  if (!atom->mass || comm->me != 0) return;
  const dp_sim_description& d = description_;
  for (int type = 1; type <= atom->ntypes; ++type) {
    const int species = species_of_type_[type];
    if (species < 0 || !atom->mass_setflag[type]) continue;
    const auto off = [&](int64_t k) { return std::abs(d.masses[k] - atom->mass[type]); };
    for (int other : species_of_type_)
      if (other >= 0 && off(other) < off(species)) {
        error->warning(FLERR, "Pair style dp_sim: atom type {} is {} by pair_coeff, and has a mass of {}: is it {}?", type,
                       d.species[species], atom->mass[type], d.species[other]);
        break;
      }
  }
}

std::string PairDPSim::describe(int64_t i) const {
  return "atom " + std::to_string(atom->tag ? atom->tag[i] : i) + " (" + std::to_string(atom->x[i][0]) + ", " +
         std::to_string(atom->x[i][1]) + ", " + std::to_string(atom->x[i][2]) + ")";
}

// Every own atom of an element needs a list; some commands hand pair styles fewer.
void PairDPSim::check_centers() {
  int own = 0, listed = 0;
  for (int i = 0; i < atom->nlocal; ++i) own += species_[i] >= 0;
  for (int k = 0; k < list->inum; ++k) listed += species_[list->ilist[k]] >= 0;
  if (own != listed)
    error->one(FLERR, "Pair style dp_sim: " + std::to_string(own - listed) + " atoms of this rank have no neighbour list");
}

// Groups excluded from all neighbours: fix gcmc puts an atom there to learn the energy without it. It is not there.
int PairDPSim::absent_groups() const {
  int bits = 0;
  for (int k = 0; k < neighbor->nex_group; ++k) {
    if (neighbor->ex2_group[k] == 0) bits |= group->bitmask[neighbor->ex1_group[k]];
    if (neighbor->ex1_group[k] == 0) bits |= group->bitmask[neighbor->ex2_group[k]];
  }
  return bits;
}

void PairDPSim::find_pairs() {
  const int all = atom->nlocal + atom->nghost, absent = absent_groups();
  species_.resize(all);
  for (int i = 0; i < all; ++i) species_[i] = atom->mask[i] & absent ? -1 : species_of_type_[atom->type[i]];
  check_centers();
  dp_sim_atoms given{};
  given.atoms = all, given.positions = all ? atom->x[0] : nullptr, given.species = species_.data();
  given.centers = list->inum, given.center = list->ilist, given.counts = list->numneigh;
  given.lists = list->firstneigh, given.mask = NEIGHMASK;
  int64_t culprits[2] = {0, 0};
  char message[ROOM] = "";
  switch (dp_sim_find_pairs(pairs_.get(), &given, description_.cutoff, COINCIDENT, culprits, message, ROOM)) {
    case DP_SIM_DONE: return;
    case DP_SIM_NOT_FINITE:
      error->one(FLERR, "Pair style dp_sim: the position of " + describe(culprits[0]) +
                            " is not finite; try a smaller time step");
    case DP_SIM_COINCIDE:
      error->one(FLERR, "Pair style dp_sim: " + describe(culprits[0]) + " and " + describe(culprits[1]) +
                            " lie on one spot; remove one of them");
    default: error->one(FLERR, std::string("Pair style dp_sim: ") + message);
  }
}

// LAMMPS sets the reach of ghosts after init_style, and may warn each time that it is asked.
void PairDPSim::check_reach() {
  const double reach = comm->get_comm_cutoff();
  if (reach < description_.cutoff)
    error->all(FLERR, "Pair style dp_sim: ghost atoms reach " + std::to_string(reach) + " Angstrom, and the model needs " +
                          std::to_string(description_.cutoff) + "; raise comm_modify cutoff");
}

// pair_style hybrid takes pairs of types that a later pair_coeff gives to another style out of this list; those that it
// gives to none have no cutoff, and so are in no list at all.
void PairDPSim::check_skipped() {
  const double needed = description_.cutoff * description_.cutoff;
  for (int i = 1; i <= atom->ntypes; ++i)
    for (int j = i; j <= atom->ntypes; ++j) {
      if (species_of_type_[i] < 0 || species_of_type_[j] < 0) continue;
      const bool skipped = list->ijskip && (list->ijskip[i][j] || list->ijskip[j][i]);
      if (skipped || force->pair->cutsq[i][j] < needed)
        error->all(FLERR, "Pair style dp_sim: another pair_coeff takes atom types " + std::to_string(i) + " and " +
                              std::to_string(j) + " away, which the model must see; name the types of the model in its "
                              "own pair_coeff only, or use pair_style hybrid/overlay");
    }
}

void PairDPSim::compute(int eflag, int vflag) {
  ev_init(eflag, vflag);
  if (!checked_) check_reach(), check_skipped();  // once a run
  checked_ = true;
  find_pairs();
  for (size_t m = 0; m < models_.size(); ++m) evaluate(m);
  if (models_.size() > 1) measure_spread();
}

void PairDPSim::evaluate(size_t member) {
  const size_t all = species_.size();
  forces_[member].resize(3 * all + 1);  // one more: there is an address where a rank has no atoms
  energies_.resize(eflag_atom ? list->inum : 0);
  halved_.resize(vflag_atom ? 9 * all : 0), centroid_.resize(cvflag_atom ? 9 * all : 0);
  const auto wanted = [](std::vector<double>& values) { return values.empty() ? nullptr : values.data(); };
  dp_sim_outputs outputs{};
  outputs.forces = forces_[member].data(), outputs.energies = wanted(energies_);
  outputs.halved_virials = wanted(halved_), outputs.centroid_virials = wanted(centroid_);
  char message[ROOM] = "";
  if (dp_sim_evaluate(models_[member].get(), pairs_.get(), &outputs, message, ROOM) != DP_SIM_DONE)
    error->one(FLERR, std::string("Pair style dp_sim: ") + message);
  if (!std::isfinite(outputs.energy))
    error->one(FLERR, "Pair style dp_sim: the energy of " + files_[member] + " is NaN or infinite");
  member_energies_[member] = unit_ * outputs.energy;
  const double share = unit_ / static_cast<double>(models_.size());
  add_to_forces(forces_[member].data(), share);
  tally(outputs, share);
}

void PairDPSim::add_to_forces(const double* forces, double share) {
  double** f = atom->f;
  for (size_t i = 0; i < species_.size(); ++i)
    for (int axis = 0; axis < 3; ++axis) f[i][axis] += share * forces[3 * i + axis];
}

void PairDPSim::tally(const dp_sim_outputs& outputs, double share) {
  // xx, yy, zz, xy, xz, yz; for the centroid then yx, zx, zy: r first, the force second
  static constexpr int row[9] = {0, 1, 2, 0, 0, 1, 1, 2, 2}, column[9] = {0, 1, 2, 1, 2, 2, 0, 0, 1};
  const auto symmetric = [&](const double* w, int k) {
    return 0.5 * (w[3 * row[k] + column[k]] + w[3 * column[k] + row[k]]);
  };
  if (eflag_global) eng_vdwl += share * outputs.energy;
  if (vflag_global)
    for (int k = 0; k < 6; ++k) virial[k] += share * symmetric(outputs.virial, k);
  for (size_t k = 0; k < energies_.size(); ++k) eatom[list->ilist[k]] += share * energies_[k];
  for (size_t i = 0; i < halved_.size() / 9; ++i)
    for (int k = 0; k < 6; ++k) vatom[i][k] += share * symmetric(&halved_[9 * i], k);
  for (size_t i = 0; i < centroid_.size() / 9; ++i)
    for (int k = 0; k < 9; ++k) cvatom[i][k] += share * centroid_[9 * i + 3 * row[k] + column[k]];
}

int PairDPSim::pack_reverse_comm(int n, int first, double* buffer) {
  double* next = buffer;
  for (int i = first; i < first + n; ++i)
    for (const auto& forces : forces_) next = std::copy_n(forces.data() + 3 * i, 3, next);
  return static_cast<int>(next - buffer);
}

void PairDPSim::unpack_reverse_comm(int n, int* list, double* buffer) {
  for (int k = 0; k < n; ++k)
    for (auto& forces : forces_)
      for (int axis = 0; axis < 3; ++axis) forces[3 * list[k] + axis] += *buffer++;
}

// The standard deviation of the members' forces on each atom, sqrt(sum_m |F_m - <F>|^2 / (M - 1)), as in
// dp_sim/model/committee.py; and for compute pair its largest and its mean over the atoms, and that of the energies.
void PairDPSim::measure_spread() {
  comm->reverse_comm(this);
  const double members = static_cast<double>(models_.size());
  spread_.assign(std::max(atom->nlocal, 1), 0.0);
  double largest = 0.0;
  std::vector<double> sums(2 + models_.size(), 0.0), all(sums.size());  // spreads, atoms, energies
  for (int i = 0; i < atom->nlocal; ++i) {
    double squares = 0.0;
    for (int axis = 0; axis < 3; ++axis) {
      double mean = 0.0;
      for (const auto& forces : forces_) mean += forces[3 * i + axis] / members;
      for (const auto& forces : forces_) squares += std::pow(forces[3 * i + axis] - mean, 2);
    }
    spread_[i] = unit_ * std::sqrt(squares / (members - 1.0));
    largest = std::max(largest, spread_[i]), sums[0] += spread_[i], sums[1] += species_[i] >= 0;
  }
  if (!eflag_global) return;  // compute pair asks at steps with an energy only
  double largest_of_all = 0.0;
  std::copy(member_energies_.begin(), member_energies_.end(), sums.begin() + 2);
  MPI_Allreduce(&largest, &largest_of_all, 1, MPI_DOUBLE, MPI_MAX, world);
  MPI_Allreduce(sums.data(), all.data(), static_cast<int>(sums.size()), MPI_DOUBLE, MPI_SUM, world);
  double mean = 0.0, squares = 0.0;
  for (size_t m = 2; m < all.size(); ++m) mean += all[m] / members;
  for (size_t m = 2; m < all.size(); ++m) squares += std::pow(all[m] - mean, 2);
  extra_ = {largest_of_all, all[1] > 0.0 ? all[0] / all[1] : 0.0, std::sqrt(squares / (members - 1.0))};
  if (comm->me != 0) std::fill(extra_.begin(), extra_.end(), 0.0);  // compute pair adds up what the ranks have
  pvector = extra_.data();
}

void* PairDPSim::extract_peratom(const char* name, int& columns) {
  if (std::strcmp(name, "force_spread") != 0 || models_.size() < 2) return nullptr;
  columns = 0;
  spread_.resize(std::max<size_t>(spread_.size(), std::max(atom->nlocal, 1)), 0.0);
  return spread_.data();
}

double PairDPSim::memory_usage() {
  double values = 0.0;
  for (const auto& forces : forces_) values += static_cast<double>(forces.capacity());
  return Pair::memory_usage() + sizeof(double) * (values + static_cast<double>(spread_.capacity()));
}

}  // namespace LAMMPS_NS
