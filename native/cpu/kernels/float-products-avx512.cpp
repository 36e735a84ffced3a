// Compiled with AVX-512 F, BW, DQ and VL: 24 of the 32 registers hold the tile.
#define LANES 16
#define TILE_ROWS 8
#define TILE_VECTORS 3
#define KERNELS_TABLE avx512FloatPanels
#define KERNELS_NAME "avx512"
#include "panels.inl"
