// The operators that TorchScript calls: torch.ops.dp_sim.evaluate, which writes into tensors of the caller, and
// .neighbors. All arguments are tensors on the CPU; there is no derivative of an operator.
#include <algorithm>
#include <cmath>
#include <memory>

#include "evaluation.h"
#include "search.h"
#include "torch_abi.h"

namespace dp_sim {
namespace {

constexpr uint64_t GEOMETRY = 7;  // arguments that describe the pairs
constexpr uint64_t SOURCE = GEOMETRY + 2;  // the first argument on where G comes from
constexpr uint64_t FITTING = SOURCE + 3;  // the first on the fitting nets
constexpr uint64_t OUTPUTS = FITTING + 3;
constexpr int64_t PIECE = 8;  // atoms whose neighbours a thread looks for at a time

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

// numbers of all nets, n_in, n_out, repeats, activation, threshold of each layer, and bias of each species
template <typename Real>
FittingNets<Real> fitting_of(const Arguments& a, int64_t n_species, int64_t n_features) {
  FittingNets<Real> nets{};
  const double* shape = a.values<double>(FITTING + 1);
  for (const double* end = shape + a.size(FITTING + 1); shape < end; shape += 5) {
    const auto whole = [&](int k) { return static_cast<int64_t>(shape[k]); };
    nets.net.add(whole(0), whole(1), whole(2), static_cast<Activation>(whole(3)), shape[4]);
  }
  if (nets.net.layers.empty() || nets.net.layers.front().n_in != n_features)
    throw std::runtime_error("dp_sim: the fitting nets do not fit the descriptors");
  nets.numbers = a.values<Real>(FITTING, n_species * nets.net.size);
  nets.bias = a.values<double>(FITTING + 2, n_species);
  return nets;
}

// Where the pairs of each atom begin (N + 1,); they are sorted by their centre.
std::vector<int64_t> first_pairs(const int64_t* center, int64_t pairs, int64_t atoms) {
  std::vector<int64_t> first(atoms + 1, 0);
  for (int64_t p = 0; p < pairs; ++p) ++first[center[p] + 1];
  for (int64_t i = 0; i < atoms; ++i) first[i + 1] += first[i];
  return first;
}

template <typename Source, typename Real>
void evaluate_by(const Arguments& a) {
  const int64_t atoms = a.size(2), count = a.size(5), systems = a.size(1) / 9;
  const std::vector<int64_t> first = first_pairs(a.values<int64_t>(4, count), count, atoms);
  const Pairs pairs{a.values<double>(0, 3 * atoms), a.values<double>(1),  a.values<int64_t>(2), a.values<int64_t>(3, atoms),
                    first.data(), a.values<int64_t>(5), a.values<double>(6, 3 * count)};
  const Source source = source_of(a, static_cast<const Source*>(nullptr));
  const auto nets = fitting_of<Real>(a, source.n_species, source.contraction.features());
  const std::unique_ptr<Real[]> gradient(new Real[3 * count]);  // not set to zero: every pair is written
  const int64_t timed = a.size(OUTPUTS + 3);
  Clock clock(timed > 0);
  evaluate(pairs, atoms, source, nets, a.values<double>(OUTPUTS, atoms), gradient.get(), clock);
  const int64_t start = clock.now();
  add_forces(pairs, atoms, systems, gradient.get(), a.values<double>(OUTPUTS + 1, 3 * atoms),
             a.values<double>(OUTPUTS + 2, 9 * systems));
  clock.lap(Clock::derivative, start);
  double* seconds = a.values<double>(OUTPUTS + 3, timed ? Clock::parts : 0);
  for (int part = 0; timed && part < Clock::parts; ++part) seconds[part] = clock.seconds(part);
}

template <typename Real>
void evaluate(const Arguments& a) {
  const bool by_tables = a.values<double>(GEOMETRY, 6)[5] != 0.0;
  by_tables ? evaluate_by<Tables<Real>, Real>(a) : evaluate_by<Nets<Real>, Real>(a);
}

// positions (N, 3), cell (S, 3, 3), periodic (S, 3), system (N,) rising, cutoff (1,) -> center, neighbor, shift
// (dp_sim/structures/batch.py), and the smallest distance (1,). Pairs are counted before they are written, so that each has its
// place whatever the thread.
void neighbors(uint64_t* stack, uint64_t inputs) {
  Arguments a(stack, inputs);
  const int64_t atoms = a.size(3), systems = a.size(1) / 9;
  const double *positions = a.values<double>(0, 3 * atoms), *cell = a.values<double>(1, 9 * systems);
  const int64_t *periodic = a.values<int64_t>(2, 3 * systems), *system = a.values<int64_t>(3);
  const double cutoff = *a.values<double>(4, 1);
  std::vector<Cells> cells;
  cells.reserve(systems);
  int64_t end = 0;
  for (int64_t s = 0; s < systems; ++s) {
    const int64_t start = end;
    while (end < atoms && system[end] == s) ++end;
    cells.emplace_back(System{positions, start, end - start, cell + 9 * s, periodic + 3 * s}, cutoff);
  }
  if (end < atoms) throw std::runtime_error("dp_sim: the atoms are not sorted by system");
  std::vector<int64_t> first(atoms + 1, 0);
  in_pieces(atoms, PIECE, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) first[i + 1] = cells[system[i]].count(i);
  });
  for (int64_t i = 0; i < atoms; ++i) first[i + 1] += first[i];
  Handle outputs[4];
  const int64_t pairs = first.back();
  int64_t *center = make<int64_t>(outputs[0], pairs, 0), *neighbor = make<int64_t>(outputs[1], pairs, 0);
  double *shift = make<double>(outputs[2], pairs, 3), *closest = make<double>(outputs[3], 1, 0);
  std::vector<double> nearest(atoms + 1, INFINITY);
  in_pieces(atoms, PIECE, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      nearest[i] = cells[system[i]].write(i, {center + first[i], neighbor + first[i], shift + 3 * first[i]});
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

struct Operator {
  const char *name, *schema;
  Boxed function;
};
const Operator OPERATORS[] = {
    {"evaluate",
     "evaluate(Tensor positions, Tensor cell, Tensor system, Tensor species, Tensor center, Tensor neighbor, "
     "Tensor shift, Tensor constants, Tensor scale, Tensor source_of, Tensor numbers, Tensor shape, Tensor fitting, "
     "Tensor fitting_shape, Tensor bias, Tensor(a!) energies, Tensor(b!) forces, Tensor(c!) virial, "
     "Tensor(d!) seconds) -> ()",
     guarded<in_precision<SOURCE + 1, evaluate<double>, evaluate<float>>>},
    {"neighbors",
     "neighbors(Tensor positions, Tensor cell, Tensor periodic, Tensor system, Tensor cutoff) -> "
     "(Tensor, Tensor, Tensor, Tensor)",
     guarded<neighbors>},
};

}  // namespace
}  // namespace dp_sim

// Raised with every change of the operators' arguments; dp_sim/compiled/evaluation.py asks for it.
extern "C" const int dp_sim_operators_version = 8;

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
