// What LAMMPS wants of a plugin (its manual, "Writing plugins"; src/lammpsplugin.h, which not every installation has).
#pragma once

extern "C" {
typedef void*(lammpsplugin_factory1)(void* lammps);

typedef struct {
  const char* version;  // of the LAMMPS that the plugin was compiled for; LAMMPS warns where it is another
  const char* style;
  const char* name;
  const char* info;
  const char* author;
  union {
    lammpsplugin_factory1* v1;
    void* (*v2)(void* lammps, int narg, char** arg);
  } creator;
  void* handle;
} lammpsplugin_t;

typedef void (*lammpsplugin_regfunc)(lammpsplugin_t*, void* lammps);
}
