// Compiled with AVX-512 F, BW, DQ and VL: 24 of the 32 registers hold the tile, so that few rows of A are
// read at once.
#define LANES 16
#define TILE_ROWS 8
#define TILE_VECTORS 3
#define KERNELS_TABLE avx512Kernels
#define KERNELS_NAME "avx512"
#include "kernels.inl"
