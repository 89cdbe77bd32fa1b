// The few functions of torch's C interface (torch/csrc/inductor/aoti_torch/c/shim.h, stable from torch 2.9 on) that an
// operator on tensors needs. They are looked up when the library loads: it is built without torch, and one build serves
// every version.
#pragma once

#include <dlfcn.h>

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <stdexcept>
#include <string>

namespace dp_sim {

using Handle = void*;      // of a tensor, or of a torch::Library
using Boxed = void (*)(uint64_t* stack, uint64_t inputs, uint64_t outputs);

struct Torch {
  int (*data)(Handle, void**);
  int (*numel)(Handle, int64_t*);
  int (*dtype)(Handle, int32_t*);
  int (*contiguous)(Handle, bool*);
  int (*release)(Handle);
  int (*empty)(int64_t dimensions, const int64_t* sizes, const int64_t* strides, int32_t dtype, int32_t device_type,
               int32_t device, Handle*);
  int (*library)(const char* ns, const char* file, uint32_t line, Handle*);
  int (*implementations)(const char* ns, const char* key, const char* file, uint32_t line, Handle*);
  int (*define)(Handle, const char* schema);
  int (*implement)(Handle, const char* name, Boxed);
  int32_t (*float32)();
  int32_t (*float64)();
  int32_t (*int64)();
  int32_t (*cpu)();
  void (*raise_unless)(bool, const char* function, const char* file, uint32_t line, const char* message);

  static const Torch& instance() {
    static const Torch torch;
    return torch;
  }

 private:
  void* home = dlopen("libtorch_cpu.so", RTLD_NOLOAD | RTLD_LAZY);

  template <typename F>
  void find(F& function, const char* name) {
    function = home ? reinterpret_cast<F>(dlsym(home, name)) : nullptr;
    if (!function) throw std::runtime_error(std::string("this torch has no ") + name);
  }
  Torch() {
    find(data, "aoti_torch_get_data_ptr"), find(numel, "aoti_torch_get_numel"), find(dtype, "aoti_torch_get_dtype");
    find(contiguous, "aoti_torch_is_contiguous"), find(release, "aoti_torch_delete_tensor_object");
    find(library, "aoti_torch_library_init_def"), find(implementations, "aoti_torch_library_init_impl");
    find(define, "aoti_torch_library_def"), find(implement, "aoti_torch_library_impl");
    find(float32, "aoti_torch_dtype_float32"), find(float64, "aoti_torch_dtype_float64");
    find(int64, "aoti_torch_dtype_int64"), find(cpu, "aoti_torch_device_type_cpu");
    find(empty, "aoti_torch_empty_strided"), find(raise_unless, "aoti_torch_check");
  }
};

inline void check(int status, const char* what) {
  if (status) throw std::runtime_error(std::string("dp_sim: torch refused to ") + what);
}

inline bool holds(const double*, int32_t dtype) { return dtype == Torch::instance().float64(); }
inline bool holds(const float*, int32_t dtype) { return dtype == Torch::instance().float32(); }
inline bool holds(const int64_t*, int32_t dtype) { return dtype == Torch::instance().int64(); }

inline int32_t dtype_of(const double*) { return Torch::instance().float64(); }
inline int32_t dtype_of(const int64_t*) { return Torch::instance().int64(); }

// A new tensor (rows, columns), or (rows,) where columns is 0, for an operator to return; its values.
template <typename T>
T* make(Handle& tensor, int64_t rows, int64_t columns) {
  const Torch& torch = Torch::instance();
  const int64_t sizes[2] = {rows, columns}, strides[2] = {columns ? columns : 1, 1};
  void* data;
  const int32_t dtype = dtype_of(static_cast<const T*>(nullptr));
  check(torch.empty(columns ? 2 : 1, sizes, strides, dtype, torch.cpu(), 0, &tensor), "make a tensor");
  check(torch.data(tensor, &data), "give values");
  return static_cast<T*>(data);
}

// What went wrong in `work`, or nullptr.
template <void (*work)(uint64_t* stack, uint64_t inputs)>
__attribute__((noinline)) const char* failure(uint64_t* stack, uint64_t inputs) noexcept {
  thread_local char message[512];
  try {
    work(stack, inputs);
    return nullptr;
  } catch (const std::exception& error) {
    std::strncpy(message, error.what(), sizeof message - 1);
    return message;
  }
}

// An operator as torch calls it. Torch raises what went wrong, through a frame that has nothing to clean up: no exception
// crosses between this library and torch, which may have been built with another C++ library.
template <void (*work)(uint64_t* stack, uint64_t inputs)>
void guarded(uint64_t* stack, uint64_t inputs, uint64_t) {
  const char* message = failure<work>(stack, inputs);
  if (message) Torch::instance().raise_unless(false, "dp_sim", __FILE__, __LINE__, message);
}

// The tensors an operator was called with. The callee owns them, so they are given back when this goes out of scope.
class Arguments {
 public:
  Arguments(uint64_t* stack, uint64_t count) : stack_(stack), count_(count) {}
  Arguments(const Arguments&) = delete;
  ~Arguments() {
    for (uint64_t k = 0; k < count_; ++k) Torch::instance().release(handle(k));
  }
  // Tensors to return in place of the arguments, which are not needed from here on.
  void give_back(const Handle* tensors, uint64_t count) {
    for (uint64_t k = 0; k < count_; ++k) Torch::instance().release(handle(k));
    count_ = 0;
    for (uint64_t k = 0; k < count; ++k) stack_[k] = reinterpret_cast<uint64_t>(tensors[k]);
  }
  bool is_float32(uint64_t k) const { return dtype(k) == Torch::instance().float32(); }
  int64_t size(uint64_t k) const {
    int64_t numel;
    check(Torch::instance().numel(handle(k), &numel), "tell a size");
    return numel;
  }
  // Values of argument k, checked: contiguous, of type T, `expected` of them (-1: any number).
  template <typename T>
  T* values(uint64_t k, int64_t expected = -1) const {
    bool contiguous;
    check(Torch::instance().contiguous(handle(k), &contiguous), "tell the layout");
    const bool counted = expected < 0 || size(k) == expected;
    if (!contiguous || !counted || !holds(static_cast<const T*>(nullptr), dtype(k)))
      throw std::runtime_error("dp_sim: argument " + std::to_string(k) + " has a wrong dtype, layout or size (" +
                               std::to_string(size(k)) + ", expected " + std::to_string(expected) + ")");
    void* data;
    check(Torch::instance().data(handle(k), &data), "give values");
    return static_cast<T*>(data);
  }

 private:
  Handle handle(uint64_t k) const { return reinterpret_cast<Handle>(stack_[k]); }
  int32_t dtype(uint64_t k) const {
    int32_t dtype;
    check(Torch::instance().dtype(handle(k), &dtype), "tell a dtype");
    return dtype;
  }
  uint64_t* stack_;
  uint64_t count_;
};

}  // namespace dp_sim
