// Vector instructions of whatever processor the library runs on.
#pragma once

// One copy of a function per instruction set, chosen when the library loads. What it calls must be INLINE to follow.
#if defined(__x86_64__) && defined(__linux__)
#define EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EACH_PROCESSOR
#endif
#define INLINE inline __attribute__((always_inline))
