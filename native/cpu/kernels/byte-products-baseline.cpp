// What every CPU of the architecture runs: bytes widened to 16 bits, added in pairs (SSE2, NEON).
#define BYTES
#define LANES 4
#if defined(__aarch64__)
#define TILE_ROWS 8
#define TILE_VECTORS 2
#else
#define TILE_ROWS 4
#define TILE_VECTORS 2
#endif
#define KERNELS_TABLE baselineBytePanels
#define KERNELS_NAME "baseline"
#include "panels.inl"
