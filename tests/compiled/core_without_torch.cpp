// Evaluates a model with the core of the compiled path alone, as a program without torch and Python would.
//
//   core_without_torch INPUT OUTPUT
//
// INPUT: int64 centers, atoms, systems, pairs, is_float32 and the lengths of the four packed arrays, then the arrays.
// OUTPUT: energies (centers), forces (atoms, 3), virial (systems, 3, 3) as float64.
#include <cstdio>
#include <fstream>
#include <iostream>

#include "evaluation.h"

using namespace dp_sim;

namespace {

template <typename T>
std::vector<T> read(std::ifstream& file, int64_t count) {
  std::vector<T> values(count);
  file.read(reinterpret_cast<char*>(values.data()), count * sizeof(T));
  if (!file) throw std::runtime_error("the input is too short");
  return values;
}

template <typename T>
Array<T> array(const std::vector<T>& values) {
  return {values.data(), static_cast<int64_t>(values.size())};
}

template <typename Real>
void evaluate_packed(std::ifstream& file, const std::vector<int64_t>& lengths, const Pairs& pairs, const Outputs& out) {
  const auto sizes = read<int64_t>(file, lengths[5]), integers = read<int64_t>(file, lengths[6]);
  const auto doubles = read<double>(file, lengths[7]);
  const auto numbers = read<Real>(file, lengths[8]);
  const ModelArrays<Real> arrays =
      unpack(PackedModel<Real>{array(sizes), array(integers), array(doubles), array(numbers)});
  evaluate(pairs, assemble(arrays), out);
}

}  // namespace

int main(int, char** names) try {
  std::ifstream file(names[1], std::ios::binary);
  const auto n = read<int64_t>(file, 9);
  const int64_t centers = n[0], atoms = n[1], systems = n[2], count = n[3];
  const auto positions = read<double>(file, 3 * atoms), cell = read<double>(file, 9 * systems);
  const auto system = read<int64_t>(file, centers), species = read<int64_t>(file, atoms);
  const auto center = read<int64_t>(file, count), neighbor = read<int64_t>(file, count);
  const auto shift = read<double>(file, 3 * count);
  const auto first = first_pairs(center.data(), count, centers);
  const Pairs pairs{centers,       atoms,          systems,      positions.data(), cell.data(),
                    system.data(), species.data(), first.data(), neighbor.data(),  shift.data()};
  std::vector<double> energies(centers), forces(3 * atoms), virial(9 * systems);
  const Outputs out{energies.data(), forces.data(), virial.data(), nullptr};
  n[4] ? evaluate_packed<float>(file, n, pairs, out) : evaluate_packed<double>(file, n, pairs, out);
  std::ofstream result(names[2], std::ios::binary);
  for (const auto* values : {&energies, &forces, &virial})
    result.write(reinterpret_cast<const char*>(values->data()), values->size() * sizeof(double));
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
