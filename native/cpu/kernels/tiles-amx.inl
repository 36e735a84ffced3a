// AMX's tiles: two-dimensional registers, which must be shaped before they are used.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace neural_lsh::cpu {
namespace {

/// At most 16 rows of 64 bytes.
constexpr std::size_t tileRows = 16, tileBytes = 64;

/// The thread's tiles while this lives; what is released need not be saved when the system switches threads.
/// Two for sums and two for what they are sums of, 0 and 2 of the first number of rows, 1 and 3 of the
/// second, and 4 of all. Five of eight: as if there were too few registers behind them, a product of bytes
/// took 29 ns at times where eight were in use, 16 with five and 15 with four, and 6 to 7 with any at others.
class Tiles {
 public:
  Tiles(std::size_t first, std::size_t second) {
    struct alignas(64) {
      std::uint8_t palette = 1, startRow = 0, reserved[14] = {};
      std::uint16_t bytes[16] = {};
      std::uint8_t rows[16] = {};
    } shapes;
    static_assert(sizeof(shapes) == 64);
    const std::size_t rows[] = {first, second, first, second, tileRows};
    for (std::size_t tile = 0; tile < 5; ++tile) {
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
