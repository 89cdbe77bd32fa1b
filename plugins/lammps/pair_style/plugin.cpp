// The entry point of the plugin. It registers `pair_style dp_sim` only where LAMMPS is the one that it was compiled for:
// classes of another version have another layout, and would crash. Until that is known, nothing but LAMMPS's C interface
// is called, which is looked up by name.
#include <dlfcn.h>

#include <cstdio>
#include <string>

#include "dp_sim.h"
#include "lammps_plugin.h"
#include "pair_dp_sim.h"

namespace {

template <typename F>
F* find(const char* name) {
  return reinterpret_cast<F*>(dlsym(RTLD_DEFAULT, name));
}

void* make_pair_style(void* lammps) { return new LAMMPS_NS::PairDPSim(static_cast<LAMMPS_NS::LAMMPS*>(lammps)); }

// Why the plugin cannot be used in this LAMMPS; empty if it can.
std::string misfit(void* lammps) {
  if (dp_sim_interface_version() != DP_SIM_INTERFACE_VERSION)
    return "its library of kernels is of another version of dp-sim";
  if (auto* version = find<int(void*)>("lammps_version")) {
    const int found = version(lammps);
    if (found != DP_SIM_LAMMPS_VERSION)
      return "it was compiled for LAMMPS " + std::to_string(DP_SIM_LAMMPS_VERSION) + ", and this is LAMMPS " +
             std::to_string(found);
  }
  if (auto* setting = find<int(void*, const char*)>("lammps_extract_setting")) {
    for (const auto& [name, bytes] : {std::pair<const char*, size_t>{"tagint", sizeof(LAMMPS_NS::tagint)},
                                      {"bigint", sizeof(LAMMPS_NS::bigint)},
                                      {"imageint", sizeof(LAMMPS_NS::imageint)}}) {
      const int found = setting(lammps, name);
      if (found != static_cast<int>(bytes))
        return std::string("its ") + name + " has " + std::to_string(8 * bytes) + " bits, and that of this LAMMPS " +
               std::to_string(8 * found) + " (-DLAMMPS_SMALLBIG or -DLAMMPS_BIGBIG)";
    }
  }
  return "";
}

}  // namespace

extern "C" void lammpsplugin_init(void* lammps, void* handle, void* registration) {
  const std::string reason = misfit(lammps);
  if (!reason.empty()) {
    const std::string message = "The plugin with pair_style dp_sim is not used: " + reason +
                                ". Compile it for this LAMMPS: dp-sim lammps";
    if (auto* tell = find<void(void*, int, const char*)>("lammps_error"))
      tell(lammps, 0, message.c_str());  // 0: a warning, which is in the log too
    else
      std::fprintf(stderr, "WARNING: %s\n", message.c_str());
    return;
  }
  lammpsplugin_t plugin{};
  plugin.version = DP_SIM_LAMMPS_DATE;
  plugin.style = "pair", plugin.name = "dp_sim";
  plugin.info = "Deep Potentials of dp-sim by its compiled kernels", plugin.author = "dp-sim";
  plugin.creator.v1 = make_pair_style, plugin.handle = handle;
  reinterpret_cast<lammpsplugin_regfunc>(registration)(&plugin, lammps);
}
