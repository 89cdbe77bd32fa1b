// The operators that TorchScript calls: torch.ops.dp_sim.describe, .describe_gradient, .pair_forces, .activate and
// .neighbors. All arguments are tensors on the CPU; there is no derivative of an operator. All but the last write into
// tensors of the caller.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "net_sum.h"
#include "search.h"
#include "table_sum.h"
#include "threads.h"
#include "torch_abi.h"

namespace dp_sim {
namespace {

constexpr uint64_t GEOMETRY = 7;  // arguments that describe the pairs
constexpr uint64_t SOURCE = GEOMETRY + 2;  // the first argument on where G comes from
constexpr uint64_t ATOMS = SOURCE + 3;
constexpr int64_t PIECE = 8;      // atoms that a thread takes at a time
constexpr int64_t ROWS = 32;      // rows of a matrix likewise

Pairs pairs_of(const Arguments& a) {
  const int64_t atoms = a.size(2), count = a.size(5);
  return {a.values<double>(0, 3 * atoms), a.values<double>(1),           a.values<int64_t>(2), a.values<int64_t>(3, atoms),
          a.values<int64_t>(4, atoms + 1), a.values<int64_t>(5), a.values<double>(6, 3 * count)};
}

// How many tables or nets the map (species, species) names.
int64_t kinds(const int64_t* source_of, int64_t n_species) {
  return *std::max_element(source_of, source_of + n_species * n_species) + 1;
}

// What both sources of G begin with: constants (start, cutoff, cosine, columns, axis, by tables), scale.
Sum sum_of(const Arguments& a, int64_t lanes) {
  const double* constants = a.values<double>(GEOMETRY, 6);
  const auto whole = [&](int k) { return static_cast<int64_t>(constants[k]); };
  return {a.values<double>(GEOMETRY + 1), a.size(GEOMETRY + 1) / 4, (whole(3) + lanes - 1) / lanes * lanes,
          {constants[0], constants[1], constants[2] != 0.0}, {whole(3), whole(4)}};
}

// source_of, the numbers of all tables, and places (spacing and how many equal segments before them)
template <typename Real>
Tables<Real> source_of(const Arguments& a, const Tables<Real>*) {
  Tables<Real> t{};
  static_cast<Sum&>(t) = sum_of(a, Vector<Real>::lanes);
  const int64_t knots = a.size(SOURCE + 2) - 2;
  const double* places = a.values<double>(SOURCE + 2);
  t.table_of = a.values<int64_t>(SOURCE, t.n_species * t.n_species);
  t.knots = {places + 2, knots, static_cast<int64_t>(places[1]), places[0]};
  t.values = a.values<Real>(SOURCE + 1, kinds(t.table_of, t.n_species) * knots * 3 * t.width);
  return t;
}

// source_of, the numbers of all nets, and inputs (species, 2), activation, threshold, then n_in, n_out, repeats,
// has_step of each layer.
template <typename Real>
Nets<Real> source_of(const Arguments& a, const Nets<Real>*) {
  Nets<Real> t{};
  static_cast<Sum&>(t) = sum_of(a, Vector<Real>::lanes);
  const double* shape = a.values<double>(SOURCE + 2);
  t.net_of = a.values<int64_t>(SOURCE, t.n_species * t.n_species);
  t.inputs = shape, shape += 2 * t.n_species;
  Architecture<Real>& net = t.architecture;
  net.activation = static_cast<Activation>(static_cast<int64_t>(shape[0])), net.threshold = static_cast<Real>(shape[1]);
  const double* end = shape + a.size(SOURCE + 2) - 2 * t.n_species;
  for (shape += 2; shape < end; shape += 4) {
    const auto whole = [&](int k) { return static_cast<int64_t>(shape[k]); };
    net.add(whole(0), whole(1), whole(2), shape[3] != 0.0);
  }
  t.count = kinds(t.net_of, t.n_species);
  t.numbers = a.values<Real>(SOURCE + 1, t.count * net.size);
  return t;
}

template <typename Source, typename Real>
void describe_by(const Arguments& a) {
  const Pairs pairs = pairs_of(a);
  const Source source = source_of(a, static_cast<const Source*>(nullptr));
  const int64_t* atoms = a.values<int64_t>(ATOMS);
  const int64_t count = a.size(ATOMS);
  Real* total = a.values<Real>(ATOMS + 1, count * 4 * source.width);
  Real* features = a.values<Real>(ATOMS + 2, count * source.contraction.features());
  in_pieces(count, PIECE, [&](int64_t begin, int64_t end) {
    dp_sim::describe(pairs, source, {atoms, begin, end}, total, features);
  });
}

template <typename Source, typename Real>
void gradient_by(const Arguments& a) {
  const Pairs pairs = pairs_of(a);
  const Source source = source_of(a, static_cast<const Source*>(nullptr));
  const int64_t* atoms = a.values<int64_t>(ATOMS);
  const int64_t count = a.size(ATOMS);
  const Real* total = a.values<Real>(ATOMS + 1, count * 4 * source.width);
  const Real* slope = a.values<Real>(ATOMS + 2, count * source.contraction.features());
  Real* out = a.values<Real>(ATOMS + 3, 3 * a.size(5));
  in_pieces(count, PIECE, [&](int64_t begin, int64_t end) {
    dp_sim::describe_gradient(pairs, source, {atoms, begin, end}, total, slope, out);
  });
}

bool by_tables(const Arguments& a) { return a.values<double>(GEOMETRY, 6)[5] != 0.0; }

template <typename Real>
void describe(const Arguments& a) {
  by_tables(a) ? describe_by<Tables<Real>, Real>(a) : describe_by<Nets<Real>, Real>(a);
}

template <typename Real>
void describe_gradient(const Arguments& a) {
  by_tables(a) ? gradient_by<Tables<Real>, Real>(a) : gradient_by<Nets<Real>, Real>(a);
}

// F_i = sum_j (g_ij - g_ji), W = -sum_pairs r_ij (x) g_ij (dp_sim/batch.py) with g_ij = dE/dr_ij. Each share of the
// atoms is added up in memory of its own, by whichever thread is free, and shares are added in order: equal numbers at
// every call, however many of the threads asked for there really are.
template <typename Real>
void forces(const Arguments& a) {
  const Pairs pairs = pairs_of(a);
  const int64_t atoms = a.size(2), systems = a.size(1) / 9;
  const Real* g = a.values<Real>(GEOMETRY, 3 * a.size(5));
  double* out = a.values<double>(GEOMETRY + 1, 3 * atoms);
  double* virial = a.values<double>(GEOMETRY + 2, 9 * systems);
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
  std::memset(out, 0, 3 * atoms * sizeof(double)), std::memset(virial, 0, 9 * systems * sizeof(double));
  for (int64_t t = 0; t < shares; ++t) {
    for (int64_t k = 0; k < 3 * atoms; ++k) out[k] += sums[t * length + k];
    for (int64_t k = 0; k < 9 * systems; ++k) virial[k] += sums[t * length + 3 * atoms + k];
  }
}

// z (n, columns) -> f(z + bias), times step (columns, or none at all), and its slope (n, columns); kind: number of the
// activation (activation.h), threshold. For the fitting nets.
template <typename Real>
void activate(const Arguments& a) {
  const int64_t columns = a.size(1), rows = columns ? a.size(0) / columns : 0;
  Real *z = a.values<Real>(0, rows * columns), *slope = a.values<Real>(4, rows * columns);
  const Real *bias = a.values<Real>(1, columns), *step = a.size(2) ? a.values<Real>(2, columns) : nullptr;
  const double* kind = a.values<double>(3, 2);
  in_pieces(rows, ROWS, [&](int64_t begin, int64_t end) {
    const int64_t first = begin * columns;
    dp_sim::activate(static_cast<Activation>(static_cast<int64_t>(kind[0])), static_cast<Real>(kind[1]),
                     Rows<Real>{z + first, slope + first, end - begin, columns, columns, bias, step, false});
  });
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

// Real: as in argument `k`.
template <uint64_t k, void (*in_double)(const Arguments&), void (*in_float)(const Arguments&)>
void in_precision(uint64_t* stack, uint64_t inputs) {
  const Arguments arguments(stack, inputs);
  arguments.is_float32(k) ? in_float(arguments) : in_double(arguments);
}

#define PAIRS_SCHEMA \
  "Tensor positions, Tensor cell, Tensor system, Tensor species, Tensor first, Tensor neighbor, Tensor shift, "
#define SUM_SCHEMA PAIRS_SCHEMA "Tensor constants, Tensor scale, Tensor source_of, Tensor numbers, Tensor shape, "
#define DESCRIBE_SCHEMA SUM_SCHEMA "Tensor atoms, Tensor(a!) total, Tensor(b!) features) -> ()"
#define GRADIENT_SCHEMA SUM_SCHEMA "Tensor atoms, Tensor total, Tensor slope, Tensor(a!) out) -> ()"

struct Operator {
  const char *name, *schema;
  Boxed function;
};
const Operator OPERATORS[] = {
    {"describe", "describe(" DESCRIBE_SCHEMA,
     guarded<in_precision<SOURCE + 1, describe<double>, describe<float>>>},
    {"describe_gradient", "describe_gradient(" GRADIENT_SCHEMA,
     guarded<in_precision<SOURCE + 1, describe_gradient<double>, describe_gradient<float>>>},
    {"pair_forces",
     "pair_forces(" PAIRS_SCHEMA "Tensor gradient, Tensor(a!) forces, Tensor(b!) virial) -> ()",
     guarded<in_precision<GEOMETRY, forces<double>, forces<float>>>},
    {"activate",
     "activate(Tensor(a!) z, Tensor bias, Tensor step, Tensor kind, Tensor(b!) slope) -> ()",
     guarded<in_precision<0, activate<double>, activate<float>>>},
    {"neighbors",
     "neighbors(Tensor positions, Tensor box, Tensor periodic, Tensor cutoff) -> (Tensor, Tensor, Tensor, Tensor)",
     guarded<neighbors>},
};

}  // namespace
}  // namespace dp_sim

// Raised with every change of the operators' arguments; dp_sim/fused.py asks for it.
extern "C" const int dp_sim_operators_version = 6;

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
