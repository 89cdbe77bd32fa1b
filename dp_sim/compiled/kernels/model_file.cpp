#include "model_file.h"

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace dp_sim {
namespace {

constexpr uint64_t ALIGNMENT = 64;

uint64_t aligned(uint64_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

// CRC-32 as zip and zlib compute it: the polynomial 0x04c11db7, bits reversed.
uint32_t crc32(const char* bytes, uint64_t count) {
  std::array<uint32_t, 256> table;
  for (uint32_t k = 0; k < 256; ++k) {
    uint32_t value = k;
    for (int bit = 0; bit < 8; ++bit) value = value & 1 ? 0xedb88320u ^ (value >> 1) : value >> 1;
    table[k] = value;
  }
  uint32_t crc = 0xffffffffu;
  for (uint64_t k = 0; k < count; ++k) crc = table[(crc ^ static_cast<unsigned char>(bytes[k])) & 255] ^ (crc >> 8);
  return crc ^ 0xffffffffu;
}

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw std::runtime_error("dp_sim model file " + path + ": " + what);
}

}  // namespace

ModelFile::ModelFile(const std::string& path) : path_(path) {
  struct stat found;
  if (stat(path.c_str(), &found) != 0)
    fail(path, std::string(std::strerror(errno)) + "; give the file that dp-sim export --format lammps wrote");
  if (!S_ISREG(found.st_mode)) fail(path, "it is no regular file");
  const uint64_t bytes = static_cast<uint64_t>(found.st_size);
  lines_.resize((bytes + ALIGNMENT - 1) / ALIGNMENT + sizeof(Header) / ALIGNMENT);  // room for a header in any case
  std::ifstream file(path, std::ios::binary);
  if (!file.read(lines_.data()->bytes, static_cast<std::streamsize>(bytes))) fail(path, "it cannot be read");
  const Header& header = check(bytes);
  cutoff = header.cutoff, is_float32 = header.real == sizeof(float);
  read_text(lines_.data()->bytes + sizeof(Header), header.text);
  try {
    const uint64_t begin = sizeof(Header) + aligned(header.text);
    if (is_float32)
      model = assembled<float>(header, begin);
    else
      model = assembled<double>(header, begin);
  } catch (const std::exception& error) {
    fail(path, std::string("its arrays contradict each other (") + error.what() + "); export the model again");
  }
}

const Header& ModelFile::check(uint64_t bytes) const {
  const char* start = lines_.data()->bytes;
  const Header& header = *reinterpret_cast<const Header*>(start);
  if (bytes < sizeof header || std::memcmp(header.magic, MAGIC, sizeof header.magic) != 0) {
    const bool archive = bytes > 2 && start[0] == 'P' && start[1] == 'K';
    fail(path_, std::string("it is no model for dp-sim's kernels") + (archive ? ", but a .pt of dp-sim or torch" : "") +
                    "; make one with: dp-sim export --format lammps MODEL.pt -o MODEL.dpsim");
  }
  if (header.order != BYTE_ORDER_MARK) fail(path_, "it was written on a machine with another byte order; export it here");
  if (header.version != FILE_VERSION || header.layout != MODEL_VERSION) {
    const bool newer = header.version > FILE_VERSION || header.layout > MODEL_VERSION;
    fail(path_, "it has version " + std::to_string(header.version) + "." + std::to_string(header.layout) +
                    ", and this plugin reads version " + std::to_string(FILE_VERSION) + "." +
                    std::to_string(MODEL_VERSION) +
                    (newer ? "; upgrade dp-sim and run: dp-sim lammps" : "; export the model again with this dp-sim"));
  }
  if (header.bytes != bytes)
    fail(path_, "it has " + std::to_string(bytes) + " bytes, expected " + std::to_string(header.bytes) +
                    ": it was truncated; copy it again");
  constexpr uint64_t covered = offsetof(Header, layout);
  if (crc32(start + covered, bytes - covered) != header.crc)
    fail(path_, "its checksum does not fit its content: it was damaged or edited; copy or export it again");
  return header;
}

void ModelFile::read_text(const char* text, uint64_t length) {
  if (length > lines_.size() * ALIGNMENT - sizeof(Header)) fail(path_, "its text is longer than the file");
  std::istringstream lines(std::string(text, length));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key, word;
    words >> key;
    if (key == "species")
      while (words >> word) species.push_back(word);
    double number;
    if (key == "masses")
      while (words >> number) masses.push_back(number);
    if (key == "trained")
      while (words >> number) trained.push_back(number != 0.0);
    if (key == "origin") std::getline(words >> std::ws, origin);
  }
  if (species.empty() || masses.size() != species.size() || trained.size() != species.size())
    fail(path_, "its text does not name species with their masses; export the model again");
}

template <typename Real>
Model<Real> ModelFile::assembled(const Header& header, uint64_t begin) const {
  const char* start = lines_.data()->bytes;
  uint64_t at = begin;
  const auto take = [&](auto* values, uint64_t count) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(values)>>;
    if (at > header.bytes || count > (header.bytes - at) / sizeof(T)) throw std::runtime_error("an array is cut off");
    const Array<T> array{reinterpret_cast<const T*>(start + at), static_cast<int64_t>(count)};
    at += aligned(count * sizeof(T));
    return array;
  };
  if (header.real != sizeof(float) && header.real != sizeof(double)) throw std::runtime_error("unknown precision");
  PackedModel<Real> packed{};
  packed.sizes = take(static_cast<int64_t*>(nullptr), header.counts[0]);
  packed.integers = take(static_cast<int64_t*>(nullptr), header.counts[1]);
  packed.doubles = take(static_cast<double*>(nullptr), header.counts[2]);
  packed.numbers = take(static_cast<Real*>(nullptr), header.counts[3]);
  Model<Real> built = assemble(unpack(packed));
  if (built.n_species != n_species()) throw std::runtime_error("the text names other species");
  return built;
}

}  // namespace dp_sim
