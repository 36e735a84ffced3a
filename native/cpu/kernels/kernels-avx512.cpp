// Compiled with AVX-512 F, BW, DQ and VL: 28 of the 32 registers hold the tile.
#define LANES 16
#define TILE_ROWS 14
#define TILE_VECTORS 2
#define KERNELS_TABLE avx512Kernels
#define KERNELS_NAME "avx512"
#include "kernels.inl"
