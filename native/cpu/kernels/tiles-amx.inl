// AMX's tiles: two-dimensional registers, which must be shaped before they are used.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace neural_lsh::cpu {
namespace {

/// At most 16 rows of 64 bytes.
constexpr std::size_t tileRows = 16, tileBytes = 64;

/// The thread's tiles while this lives; what is released need not be saved when the system switches threads.
/// Tiles 0, 1 and 4 have the first number of rows, 2, 3 and 5 the second, 6 and 7 all.
class Tiles {
 public:
  Tiles(std::size_t first, std::size_t second) {
    struct alignas(64) {
      std::uint8_t palette = 1, startRow = 0, reserved[14] = {};
      std::uint16_t bytes[16] = {};
      std::uint8_t rows[16] = {};
    } shapes;
    static_assert(sizeof(shapes) == 64);
    const std::size_t rows[8] = {first, first, second, second, first, second, tileRows, tileRows};
    for (std::size_t tile = 0; tile < 8; ++tile) {
      shapes.rows[tile] = static_cast<std::uint8_t>(rows[tile]);
      shapes.bytes[tile] = rows[tile] == 0 ? 0 : tileBytes;
    }
    _tile_loadconfig(&shapes);
  }
  ~Tiles() { _tile_release(); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

}  // namespace
}  // namespace neural_lsh::cpu
