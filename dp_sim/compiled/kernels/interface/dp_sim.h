/* The compiled path of dp-sim for other programs: a model file and neighbour lists in, energies and forces out.

   Plain C, so that the program may be built by any compiler: no exception, no class and no container crosses. Units are
   eV, Angstrom and amu. Objects belong to the caller, who frees each once. Different models and lists may be used by
   different threads at a time; an evaluation itself runs on the threads of OpenMP where the process has a runtime. */
#ifndef DP_SIM_H
#define DP_SIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised with every change of this header; compare it with dp_sim_interface_version(). */
#define DP_SIM_INTERFACE_VERSION 1

typedef struct dp_sim_model dp_sim_model;
typedef struct dp_sim_pairs dp_sim_pairs;

enum dp_sim_status {
  DP_SIM_DONE = 0,
  DP_SIM_FAILED = 1,     /* the message says why */
  DP_SIM_NOT_FINITE = 2, /* a position; culprits[0] is its atom */
  DP_SIM_COINCIDE = 3    /* culprits are nearer to each other than `too_close` */
};

typedef struct {
  const char* const* species; /* (n_species,) symbols, in the order of the model's indices */
  const double* masses;       /* (n_species,) amu, of the elements */
  const int64_t* trained;     /* (n_species,) 1: there were training data of this species */
  int64_t n_species;
  double cutoff;              /* Angstrom */
  int is_float32;
  const char* origin;         /* the model file that was exported */
} dp_sim_description;

/* Atoms as a program with domains has them: its own, and copies ("ghosts") of atoms elsewhere or across a boundary. */
typedef struct {
  int64_t atoms;            /* copies included */
  const double* positions;  /* (atoms, 3) */
  const int* species;       /* (atoms,) index into the model's species; -1: the model does not see this atom */
  int64_t centers;
  const int* center;        /* (centers,) atoms whose energies are computed here, each once */
  const int* counts;        /* (atoms,) entries in the list of an atom */
  const int* const* lists;  /* (atoms,) full neighbour lists of the centres; entries beyond the cutoff do not matter */
  int mask;                 /* the bits of an entry that are the index of an atom */
} dp_sim_atoms;

/* What is null is not computed. Everything else is overwritten. */
typedef struct {
  double energy;            /* of all centres, eV */
  double virial[9];         /* W = sum of r_ij (x) f_ij over the pairs of all centres, eV, positive pushing out */
  double* energies;         /* (centers,) eV; 0 for a centre that the model does not see */
  double* forces;           /* (atoms, 3) eV/Angstrom: -dE/dr of `energy`, on copies too; never null */
  double* halved_virials;   /* (atoms, 9) eV: half of each pair's term to either atom */
  double* centroid_virials; /* (atoms, 9) eV: each pair's term to the neighbour, as the heat flux needs it */
} dp_sim_outputs;

int dp_sim_interface_version(void);

/* How many threads an evaluation takes. */
int dp_sim_threads(void);

/* Null where the file is no whole model of this version; then `message` (`room` bytes) says why. */
dp_sim_model* dp_sim_open(const char* file, char* message, size_t room);
void dp_sim_close(dp_sim_model*);
/* Its pointers are valid until the model is closed. */
dp_sim_description dp_sim_describe(const dp_sim_model*);

/* Null where there is no memory. */
dp_sim_pairs* dp_sim_new_pairs(void);
void dp_sim_free_pairs(dp_sim_pairs*);

/* Find the pairs within the cutoff. Returns a dp_sim_status. */
int dp_sim_find_pairs(dp_sim_pairs*, const dp_sim_atoms*, double cutoff, double too_close, int64_t culprits[2],
                      char* message, size_t room);

/* Evaluate a model for pairs that were found with its cutoff and its species. Returns a dp_sim_status. */
int dp_sim_evaluate(const dp_sim_model*, const dp_sim_pairs*, dp_sim_outputs*, char* message, size_t room);

#ifdef __cplusplus
}
#endif
#endif
