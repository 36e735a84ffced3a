// Compiled with AVX2 and FMA: 12 of the 16 registers hold the tile.
#define LANES 8
#define TILE_ROWS 4
#define TILE_VECTORS 3
#define KERNELS_TABLE avx2FloatPanels
#define KERNELS_NAME "avx2"
#include "panels.inl"
