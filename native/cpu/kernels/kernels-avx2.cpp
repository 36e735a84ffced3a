// Compiled with AVX2 and FMA: 12 of the 16 registers hold the tile.
#define LANES 8
#define TILE_ROWS 6
#define TILE_VECTORS 2
#define KERNELS_TABLE avx2Kernels
#define KERNELS_NAME "avx2"
#include "kernels.inl"
