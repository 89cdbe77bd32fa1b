// The operators that TorchScript calls: torch.ops.dp_sim.describe, .describe_gradient, .pair_forces, .neighbors. All
// arguments are tensors on the CPU; there is no derivative of an operator. Those on pairs write into tensors of the caller.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "search.h"
#include "table_sum.h"
#include "threads.h"
#include "torch_abi.h"

namespace dp_sim {
namespace {

constexpr uint64_t GEOMETRY = 7;  // arguments that describe the pairs
constexpr uint64_t TABLES = 5;    // arguments that describe the tables
constexpr uint64_t ATOMS = GEOMETRY + TABLES;
constexpr int64_t PIECE = 8;      // atoms that a thread takes at a time

Pairs pairs_of(const Arguments& a) {
  const int64_t atoms = a.size(2), count = a.size(5);
  return {a.values<double>(0, 3 * atoms), a.values<double>(1),           a.values<int64_t>(2), a.values<int64_t>(3, atoms),
          a.values<int64_t>(4, atoms + 1), a.values<int64_t>(5), a.values<double>(6, 3 * count)};
}

// values, table_of, scale, places, constants (spacing, uniform, start, cutoff, cosine, columns, axis)
template <typename Real>
Tables<Real> tables_of(const Arguments& a) {
  const double* constants = a.values<double>(GEOMETRY + 4, 7);
  Tables<Real> t;
  t.n_species = a.size(GEOMETRY + 2) / 4;
  t.table_of = a.values<int64_t>(GEOMETRY + 1, t.n_species * t.n_species);
  t.scale = a.values<double>(GEOMETRY + 2);
  t.knots = {a.values<double>(GEOMETRY + 3), a.size(GEOMETRY + 3), static_cast<int64_t>(constants[1]), constants[0]};
  int64_t count = 0;
  for (int64_t k = 0; k < t.n_species * t.n_species; ++k) count = t.table_of[k] >= count ? t.table_of[k] + 1 : count;
  t.width = a.size(GEOMETRY) / (count * t.knots.count * 3);
  t.values = a.values<Real>(GEOMETRY, count * t.knots.count * 3 * t.width);
  t.sw = {constants[2], constants[3], constants[4] != 0.0};
  t.contraction = {static_cast<int64_t>(constants[5]), static_cast<int64_t>(constants[6])};
  return t;
}

template <typename Real>
void describe(const Arguments& a) {
  const Pairs pairs = pairs_of(a);
  const Tables<Real> tables = tables_of<Real>(a);
  const int64_t* atoms = a.values<int64_t>(ATOMS);
  const int64_t count = a.size(ATOMS);
  Real* total = a.values<Real>(ATOMS + 1, count * 4 * tables.width);
  Real* features = a.values<Real>(ATOMS + 2, count * tables.contraction.features());
  in_pieces(count, PIECE, [&](int64_t begin, int64_t end) {
    dp_sim::describe(pairs, tables, {atoms, begin, end}, total, features);
  });
}

template <typename Real>
void describe_gradient(const Arguments& a) {
  const Pairs pairs = pairs_of(a);
  const Tables<Real> tables = tables_of<Real>(a);
  const int64_t* atoms = a.values<int64_t>(ATOMS);
  const int64_t count = a.size(ATOMS);
  const Real* total = a.values<Real>(ATOMS + 1, count * 4 * tables.width);
  const Real* slope = a.values<Real>(ATOMS + 2, count * tables.contraction.features());
  Real* out = a.values<Real>(ATOMS + 3, 3 * a.size(5));
  in_pieces(count, PIECE, [&](int64_t begin, int64_t end) {
    dp_sim::describe_gradient(pairs, tables, {atoms, begin, end}, total, slope, out);
  });
}

// F_i = sum_j (g_ij - g_ji), W = -sum_pairs r_ij (x) g_ij (dp_sim/batch.py) with g_ij = dE/dr_ij. Each thread adds up
// its own share of the atoms in its own memory, and shares are added in order: equal numbers at every call.
template <typename Real>
void forces(const Arguments& a) {
  const Pairs pairs = pairs_of(a);
  const int64_t atoms = a.size(2), systems = a.size(1) / 9;
  const Real* g = a.values<Real>(GEOMETRY, 3 * a.size(5));
  double* out = a.values<double>(GEOMETRY + 1, 3 * atoms);
  double* virial = a.values<double>(GEOMETRY + 2, 9 * systems);
  const int threads = OpenMP::instance().threads();
  const int64_t length = 3 * atoms + 9 * systems, share = (atoms + threads - 1) / threads;
  std::vector<double> sums(threads * length, 0.0);
  in_threads(threads, [&](int thread) {
    double *f = sums.data() + thread * length, *w = f + 3 * atoms;
    const int64_t end = std::min(atoms, (thread + 1) * share);
    for (int64_t i = thread * share; i < end; ++i) {
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
  std::memset(out, 0, 3 * atoms * sizeof(double)), std::memset(virial, 0, 9 * systems * sizeof(double));
  for (int t = 0; t < threads; ++t) {
    for (int64_t k = 0; k < 3 * atoms; ++k) out[k] += sums[t * length + k];
    for (int64_t k = 0; k < 9 * systems; ++k) virial[k] += sums[t * length + 3 * atoms + k];
  }
}

// positions (N, 3), box (3, 3), periodic (3,) and cutoff (1,) -> center, neighbor, shift (dp_sim/batch.py), and the
// smallest distance (1,). Pairs are counted before they are written, so that each has its place whatever the thread.
void neighbors(uint64_t* stack, uint64_t inputs) {
  Arguments a(stack, inputs);
  System system{a.values<double>(0), a.size(0) / 3, {}, {}};
  const double* box = a.values<double>(1, 9);
  const int64_t* periodic = a.values<int64_t>(2, 3);
  for (int k = 0; k < 3; ++k) {
    system.periodic[k] = periodic[k] != 0;
    for (int c = 0; c < 3; ++c) system.box[k][c] = box[3 * k + c];
  }
  const Cells cells(system, *a.values<double>(3, 1));
  std::vector<int64_t> first(system.count + 1, 0);
  in_pieces(system.count, PIECE, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) first[i + 1] = cells.count(i);
  });
  for (int64_t i = 0; i < system.count; ++i) first[i + 1] += first[i];
  Handle outputs[4];
  const int64_t pairs = first.back();
  int64_t *center = make<int64_t>(outputs[0], pairs, 0), *neighbor = make<int64_t>(outputs[1], pairs, 0);
  double *shift = make<double>(outputs[2], pairs, 3), *closest = make<double>(outputs[3], 1, 0);
  std::vector<double> nearest(system.count + 1, INFINITY);
  in_pieces(system.count, PIECE, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      nearest[i] = cells.write(i, {center + first[i], neighbor + first[i], shift + 3 * first[i]});
  });
  *closest = std::sqrt(*std::min_element(nearest.begin(), nearest.end()));
  a.give_back(outputs, 4);
}

template <void (*in_double)(const Arguments&), void (*in_float)(const Arguments&)>
void on_pairs(uint64_t* stack, uint64_t inputs) {
  const Arguments arguments(stack, inputs);
  arguments.is_float32(GEOMETRY) ? in_float(arguments) : in_double(arguments);
}

#define PAIRS_SCHEMA \
  "Tensor positions, Tensor cell, Tensor system, Tensor species, Tensor first, Tensor neighbor, Tensor shift, "
#define TABLES_SCHEMA "Tensor values, Tensor table_of, Tensor scale, Tensor places, Tensor constants, "

struct Operator {
  const char *name, *schema;
  Boxed function;
};
const Operator OPERATORS[] = {
    {"describe",
     "describe(" PAIRS_SCHEMA TABLES_SCHEMA "Tensor atoms, Tensor(a!) total, Tensor(b!) features) -> ()",
     guarded<on_pairs<describe<double>, describe<float>>>},
    {"describe_gradient",
     "describe_gradient(" PAIRS_SCHEMA TABLES_SCHEMA
     "Tensor atoms, Tensor total, Tensor slope, Tensor(a!) out) -> ()",
     guarded<on_pairs<describe_gradient<double>, describe_gradient<float>>>},
    {"pair_forces",
     "pair_forces(" PAIRS_SCHEMA "Tensor gradient, Tensor(a!) forces, Tensor(b!) virial) -> ()",
     guarded<on_pairs<forces<double>, forces<float>>>},
    {"neighbors",
     "neighbors(Tensor positions, Tensor box, Tensor periodic, Tensor cutoff) -> (Tensor, Tensor, Tensor, Tensor)",
     guarded<neighbors>},
};

}  // namespace
}  // namespace dp_sim

// Raised with every change of the operators' arguments; dp_sim/fused.py asks for it.
extern "C" const int dp_sim_operators_version = 3;

// Called once from Python: nullptr, or what is wrong.
extern "C" const char* dp_sim_register_operators() {
  static std::string message;
  try {
    using namespace dp_sim;
    const Torch& torch = Torch::instance();
    Handle definitions, implementations;  // kept for the life of the process
    check(torch.library("dp_sim", __FILE__, __LINE__, &definitions), "make a library");
    check(torch.implementations("dp_sim", "CPU", __FILE__, __LINE__, &implementations), "make a library");
    for (const Operator& op : OPERATORS) {
      check(torch.define(definitions, op.schema), "define an operator");
      check(torch.implement(implementations, op.name, op.function), "implement an operator");
    }
    return nullptr;
  } catch (const std::exception& error) {
    message = error.what();
    return message.c_str();
  }
}
