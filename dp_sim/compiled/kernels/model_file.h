// A model as a file of flat arrays, which `dp-sim export --format lammps` writes (dp_sim/compiled/kernel_file.py has the
// same layout). Reading it takes neither torch nor Python. Numbers lie in the byte order of the machine that wrote them.
//
//   bytes 0..127   Header
//   then           `text` bytes of lines "key value value ...": species, masses, trained, and where the model comes from
//   then           the four arrays of a packed model (arrays.h): sizes, integers, doubles, numbers
//
// Text and arrays each begin at a multiple of 64 bytes.
#pragma once

#include <string>
#include <variant>

#include "model.h"

namespace dp_sim {

struct Header {
  char magic[8];       // MAGIC
  uint32_t order;      // BYTE_ORDER_MARK; else another machine's byte order
  uint32_t version;    // FILE_VERSION of the writer
  uint64_t bytes;      // of the whole file
  uint32_t crc;        // CRC-32 (that of zip) of all bytes behind this field
  uint32_t layout;     // MODEL_VERSION of the writer
  uint64_t text;       // bytes of text
  uint64_t counts[4];  // values of each array
  uint32_t real;       // bytes of a value of `numbers`: 8 or 4
  uint32_t reserved;
  double cutoff;       // Angstrom, the largest of all parts
  char unused[40];
};
static_assert(sizeof(Header) == 128);

constexpr char MAGIC[] = "DPSIMKRN";
constexpr uint32_t BYTE_ORDER_MARK = 0x01020304;
constexpr uint32_t FILE_VERSION = 1;

// An opened file: the model points into its bytes, so it cannot be copied.
class ModelFile {
 public:
  // Throws std::runtime_error, whose message names the file, where it is no whole model of this version.
  explicit ModelFile(const std::string& path);
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;

  int64_t n_species() const { return static_cast<int64_t>(species.size()); }

  std::vector<std::string> species;
  std::vector<double> masses;    // amu, of the elements
  std::vector<int64_t> trained;  // 1: there were training data of this species
  double cutoff = 0.0;           // Angstrom
  bool is_float32 = false;
  std::string origin;            // the model file that was exported, and its checksum
  std::variant<Model<double>, Model<float>> model;

 private:
  struct alignas(64) Line {
    char bytes[64];
  };
  const Header& check(uint64_t bytes) const;
  void read_text(const char* text, uint64_t length);
  template <typename Real>
  Model<Real> assembled(const Header& header, uint64_t begin) const;

  std::string path_;
  std::vector<Line> lines_;
};

}  // namespace dp_sim
