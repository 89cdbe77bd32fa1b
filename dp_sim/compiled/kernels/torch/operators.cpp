// The operators that torch calls: torch.ops.dp_sim.evaluate, .evaluate_with_hidden, .hessian and .hessian_product, which
// write into tensors of the caller, and .neighbors. All arguments are tensors on the CPU; the operators have no derivative.
#include <algorithm>
#include <cmath>

#include "abi.h"
#include "evaluation.h"
#include "hessian.h"
#include "search/search.h"
#include "threads.h"

namespace dp_sim {
namespace {

constexpr int64_t PIECE = 8;  // atoms whose neighbours a thread looks for at a time

#define ARGUMENT(name, type) name,
enum EvaluateArgument : uint64_t {
#include "evaluate_arguments.inc"
#include "hidden_argument.inc"
};
#undef ARGUMENT

template <typename T>
Array<T> array(const Arguments& a, uint64_t k) {
  return {a.values<T>(k), a.size(k)};
}

template <typename Real>
void evaluate_in(const Arguments& a, bool with_hidden) {
  const int64_t atoms = a.size(species), count = a.size(neighbor), systems = a.size(cell) / 9;
  const std::vector<int64_t> first = first_pairs(a.values<int64_t>(center, count), count, atoms);
  const Pairs pairs{atoms, atoms, systems, a.values<double>(positions, 3 * atoms), a.values<double>(cell, 9 * systems),
                    a.values<int64_t>(system, atoms), a.values<int64_t>(species), first.data(),
                    a.values<int64_t>(neighbor), a.values<double>(shift, 3 * count)};
  const ModelArrays<Real> arrays = unpack(PackedModel<Real>{
      array<int64_t>(a, sizes), array<int64_t>(a, integers), array<double>(a, doubles), array<Real>(a, numbers)});
  const bool timed = a.size(seconds) > 0;
  const Model<Real> model = assemble(arrays);
  const int64_t width = model.fitting.net.layers.back().n_in;
  evaluate(pairs, model,
           Outputs{a.values<double>(energies, atoms), a.values<double>(forces, 3 * atoms),
                   a.values<double>(virial, 9 * systems), timed ? a.values<double>(seconds, Clock::parts) : nullptr, nullptr,
                   with_hidden ? a.values<double>(hidden, atoms * width) : nullptr});
}

void evaluate_operator(uint64_t* stack, uint64_t inputs) {
  const Arguments a(stack, inputs);
  a.is_float32(numbers) ? evaluate_in<float>(a, false) : evaluate_in<double>(a, false);
}

void evaluate_with_hidden_operator(uint64_t* stack, uint64_t inputs) {
  const Arguments a(stack, inputs);
  const bool asked = a.size(hidden) > 0;
  a.is_float32(numbers) ? evaluate_in<float>(a, asked) : evaluate_in<double>(a, asked);
}

#define ARGUMENT(name, type) name,
struct SystemAndModel {  // what hessian and hessian_product begin with
  enum : uint64_t {
#include "system_and_model.inc"
    count
  };
  std::vector<int64_t> first;
  Pairs pairs;
  ModelArrays<double> arrays;

  explicit SystemAndModel(const Arguments& a) : first(first_pairs(a.values<int64_t>(center, a.size(neighbor)),
                                                                  a.size(neighbor), a.size(species))) {
    const int64_t atoms = a.size(species), systems = a.size(cell) / 9;
    pairs = {atoms, atoms, systems, a.values<double>(positions, 3 * atoms), a.values<double>(cell, 9 * systems),
             a.values<int64_t>(system, atoms), a.values<int64_t>(species), first.data(), a.values<int64_t>(neighbor),
             a.values<double>(shift, 3 * a.size(neighbor))};
    arrays = unpack(PackedModel<double>{array<int64_t>(a, sizes), array<int64_t>(a, integers),
                                        array<double>(a, doubles), array<double>(a, numbers)});
  }
};

void hessian_operator(uint64_t* stack, uint64_t inputs) {
  enum : uint64_t {
    before = SystemAndModel::count - 1,
#include "hessian_arguments.inc"
  };
  const Arguments a(stack, inputs);
  const SystemAndModel given(a);
  const int64_t rows = a.size(first) - 1, count = a.size(column);
  const BlockPattern pattern{a.values<int64_t>(row_of, given.pairs.atoms), rows, a.values<int64_t>(first),
                             a.values<int64_t>(column)};
  if (rows < 0 || pattern.first[rows] != count)
    throw std::runtime_error("dp_sim: the pattern of the Hessian is not whole");
  hessian(given.pairs, assemble(given.arrays), pattern, a.values<double>(blocks, 9 * count));
}

void hessian_product_operator(uint64_t* stack, uint64_t inputs) {
  enum : uint64_t {
    before = SystemAndModel::count - 1,
#include "hessian_product_arguments.inc"
  };
  const Arguments a(stack, inputs);
  const SystemAndModel given(a);
  const int64_t length = 3 * given.pairs.atoms, count = length ? a.size(vectors) / length : 0;
  hessian_product(given.pairs, assemble(given.arrays), count, a.values<double>(vectors, count * length),
                  a.values<double>(products, count * length));
}
#undef ARGUMENT

#define ARGUMENT(name, type) name,
// -> center, neighbor, shift (dp_sim/structures/batch.py), and the smallest distance (1,). Pairs are counted before they
// are written, so that the order does not depend on the threads.
void neighbors_operator(uint64_t* stack, uint64_t inputs) {
  enum : uint64_t {
#include "neighbors_arguments.inc"
  };
  Arguments a(stack, inputs);
  const int64_t atoms = a.size(system), systems = a.size(cell) / 9;
  const double *xyz = a.values<double>(positions, 3 * atoms), *lattice = a.values<double>(cell, 9 * systems);
  const int64_t *axes = a.values<int64_t>(periodic, 3 * systems), *system_of = a.values<int64_t>(system);
  const double reach = *a.values<double>(cutoff, 1);
  std::vector<Cells> cells;
  cells.reserve(systems);
  int64_t end = 0;
  for (int64_t s = 0; s < systems; ++s) {
    const int64_t start = end;
    while (end < atoms && system_of[end] == s) ++end;
    cells.emplace_back(System{xyz, start, end - start, lattice + 9 * s, axes + 3 * s}, reach);
  }
  if (end < atoms) throw std::runtime_error("dp_sim: the atoms are not sorted by system");
  std::vector<int64_t> first(atoms + 1, 0);
  in_pieces(atoms, PIECE, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) first[i + 1] = cells[system_of[i]].count(i);
  });
  for (int64_t i = 0; i < atoms; ++i) first[i + 1] += first[i];
  Handle outputs[4];
  const int64_t pairs = first.back();
  int64_t *center = make<int64_t>(outputs[0], pairs, 0), *neighbor = make<int64_t>(outputs[1], pairs, 0);
  double *shift = make<double>(outputs[2], pairs, 3), *closest = make<double>(outputs[3], 1, 0);
  std::vector<double> nearest(atoms + 1, INFINITY);
  in_pieces(atoms, PIECE, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      nearest[i] = cells[system_of[i]].write(i, {center + first[i], neighbor + first[i], shift + 3 * first[i]});
  });
  *closest = std::sqrt(*std::min_element(nearest.begin(), nearest.end()));
  a.give_back(outputs, 4);
}
#undef ARGUMENT

struct Operator {
  const char *name, *schema;
  Boxed function;
};
// Every argument but the first is preceded by a comma.
#define ARGUMENT(name, type) ", " type " " #name
constexpr const char* EVALUATE_ARGUMENTS =
#include "evaluate_arguments.inc"
    ;
constexpr const char* HIDDEN_ARGUMENT =
#include "hidden_argument.inc"
    ;
#undef ARGUMENT

#define ARGUMENT(name, type) ", " type " " #name
constexpr const char* NEIGHBORS_ARGUMENTS =
#include "neighbors_arguments.inc"
    ;
constexpr const char* HESSIAN_ARGUMENTS =
#include "system_and_model.inc"
#include "hessian_arguments.inc"
    ;
constexpr const char* HESSIAN_PRODUCT_ARGUMENTS =
#include "system_and_model.inc"
#include "hessian_product_arguments.inc"
    ;
#undef ARGUMENT

const std::string NEIGHBORS_SCHEMA =
    std::string("neighbors(") + (NEIGHBORS_ARGUMENTS + 2) + ") -> (Tensor, Tensor, Tensor, Tensor)";
const std::string HESSIAN_SCHEMA = std::string("hessian(") + (HESSIAN_ARGUMENTS + 2) + ") -> ()";
const std::string HESSIAN_PRODUCT_SCHEMA = std::string("hessian_product(") + (HESSIAN_PRODUCT_ARGUMENTS + 2) + ") -> ()";
const std::string EVALUATE_SCHEMA = std::string("evaluate(") + (EVALUATE_ARGUMENTS + 2) + ") -> ()";
const std::string WITH_HIDDEN_SCHEMA =
    std::string("evaluate_with_hidden(") + (EVALUATE_ARGUMENTS + 2) + HIDDEN_ARGUMENT + ") -> ()";
const Operator OPERATORS[] = {
    {"evaluate", EVALUATE_SCHEMA.c_str(), guarded<evaluate_operator>},
    {"evaluate_with_hidden", WITH_HIDDEN_SCHEMA.c_str(), guarded<evaluate_with_hidden_operator>},
    {"hessian", HESSIAN_SCHEMA.c_str(), guarded<hessian_operator>},
    {"hessian_product", HESSIAN_PRODUCT_SCHEMA.c_str(), guarded<hessian_product_operator>},
    {"neighbors", NEIGHBORS_SCHEMA.c_str(), guarded<neighbors_operator>},
};

}  // namespace
}  // namespace dp_sim

// What Python asks for before it uses the library (dp_sim/compiled/library.py).
extern "C" const int dp_sim_operators_version = 11;
extern "C" const char* dp_sim_part_fields() { return dp_sim::PART_FIELDS; }
extern "C" const char* dp_sim_fitting_fields() { return dp_sim::FITTING_FIELDS; }

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
