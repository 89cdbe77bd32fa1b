// A model as arrays. It arrives in four of them: `sizes`, and one array for each type of value, in which the fields of
// all parts and of the fitting nets lie one after another, in the order of part_fields.inc and fitting_fields.inc.
// `sizes` (int64) holds MODEL_VERSION, the number of species, the number of parts, then how many values each field has.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace dp_sim {

// Raised with every change of the fields or of what they mean; dp_sim/compiled/library.py has the same number.
constexpr int64_t MODEL_VERSION = 10;

// Values that someone else owns.
template <typename T>
struct Array {
  const T* values;
  int64_t size;
  const char* name = "";

  // The values, if there are `expected` of them.
  const T* of(int64_t expected) const {
    if (size != expected)
      throw std::runtime_error("dp_sim: the model's array '" + std::string(name) + "' has " + std::to_string(size) +
                               " values, expected " + std::to_string(expected));
    return values;
  }
  T only() const { return *of(1); }
  bool empty() const { return size == 0; }
};

template <typename Real>
struct PackedModel {
  Array<int64_t> sizes, integers;
  Array<double> doubles;
  Array<Real> numbers;
};

#define FIELD(name, stream) decltype(PackedModel<Real>::stream) name;
template <typename Real>
struct PartArrays {
#include "part_fields.inc"
};
template <typename Real>
struct FittingArrays {
#include "fitting_fields.inc"
};
#undef FIELD

template <typename Real>
struct ModelArrays {
  int64_t n_species;
  std::vector<PartArrays<Real>> parts;
  FittingArrays<Real> fitting;
};

// The fields of a packed model. Throws where it was packed for another version of this library, or is not whole.
template <typename Real>
ModelArrays<Real> unpack(PackedModel<Real> packed) {
  const auto next_size = [&packed] {
    if (packed.sizes.empty()) throw std::runtime_error("dp_sim: the model's array of sizes is too short");
    return --packed.sizes.size, *packed.sizes.values++;
  };
  const auto take = [&](auto& stream, const char* name) {
    auto field = stream;
    field.size = next_size(), field.name = name;
    if (field.size < 0 || field.size > stream.size)
      throw std::runtime_error("dp_sim: the model's array '" + std::string(name) + "' is not whole");
    stream.values += field.size, stream.size -= field.size;
    return field;
  };
  if (next_size() != MODEL_VERSION)
    throw std::runtime_error("dp_sim: the model was laid out by another version of dp-sim; make the force again");
  ModelArrays<Real> arrays{};
  arrays.n_species = next_size();
  arrays.parts.resize(next_size());
#define FIELD(name, stream) part.name = take(packed.stream, #name);
  for (PartArrays<Real>& part : arrays.parts) {
#include "part_fields.inc"
  }
#undef FIELD
#define FIELD(name, stream) arrays.fitting.name = take(packed.stream, #name);
#include "fitting_fields.inc"
#undef FIELD
  if (packed.sizes.size || packed.integers.size || packed.doubles.size || packed.numbers.size)
    throw std::runtime_error("dp_sim: the model's arrays hold more values than its fields");
  return arrays;
}

// "name:stream;" of every field, for Python.
#define FIELD(name, stream) #name ":" #stream ";"
constexpr const char* PART_FIELDS =
#include "part_fields.inc"
    ;
constexpr const char* FITTING_FIELDS =
#include "fitting_fields.inc"
    ;
#undef FIELD

}  // namespace dp_sim
