// Compiled with AVX2: bytes widened to 16 bits, added in pairs.
#define BYTES
#define LANES 8
#define TILE_ROWS 4
#define TILE_VECTORS 2
#define KERNELS_TABLE avx2BytePanels
#define KERNELS_NAME "avx2"
#include "panels.inl"
