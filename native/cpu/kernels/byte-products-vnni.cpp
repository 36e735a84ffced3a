// Compiled with AVX-512 VNNI: 24 of the 32 registers hold the tile, 64 products an instruction.
#define BYTES
#define LANES 16
#define TILE_ROWS 8
#define TILE_VECTORS 3
#define KERNELS_TABLE vnniBytePanels
#define KERNELS_NAME "vnni"
#include "panels.inl"
