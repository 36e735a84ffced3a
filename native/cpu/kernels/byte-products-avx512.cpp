// Compiled with AVX-512 BW, without VNNI: bytes widened to 16 bits, added in pairs.
#define BYTES
#define LANES 16
#define TILE_ROWS 8
#define TILE_VECTORS 3
#define KERNELS_TABLE avx512BytePanels
#define KERNELS_NAME "avx512"
#include "panels.inl"
