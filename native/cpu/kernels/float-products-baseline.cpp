// What every CPU of the architecture runs: SSE2 on x86-64 (16 registers), NEON on arm64 (32 registers).
#define LANES 4
#if defined(__aarch64__)
#define TILE_ROWS 8
#define TILE_VECTORS 3
#else
#define TILE_ROWS 4
#define TILE_VECTORS 2
#endif
#define KERNELS_TABLE baselineFloatPanels
#define KERNELS_NAME "baseline"
#include "panels.inl"
