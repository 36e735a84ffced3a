// Between the host's memory and the device's, through pinned memory: while one piece is on its way, another
// is written or read.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "device.h"

namespace neural_lsh::cuda {

class Staging {
 public:
  static constexpr std::size_t pieceBytes = std::size_t{8} << 20;

  /// fill(memory) writes `bytes` (at most pieceBytes) that are then copied to `to`. Returns before they are
  /// there.
  template <typename Fill>
  void copy(void* to, std::size_t bytes, const Fill& fill) {
    Piece& piece = nextPiece();
    fill(piece.memory.require(pieceBytes));
    copyToDevice(static_cast<std::byte*>(to), piece.memory.data(), bytes, stream_);
    piece.copied.record(stream_);
  }

  /// All rows of a matrix, each `rowBytes` long, at the stride `strideBytes`; what is between them is not
  /// written.
  void copyRows(void* to, std::size_t strideBytes, const void* from, std::size_t rowBytes, std::size_t rows) {
    auto* out = static_cast<std::byte*>(to);
    const auto* in = static_cast<const std::byte*>(from);
    if (strideBytes == rowBytes) {
      const std::size_t bytes = rows * rowBytes;
      for (std::size_t done = 0; done < bytes; done += pieceBytes) {
        const std::size_t piece = std::min(pieceBytes, bytes - done);
        copy(out + done, piece, [&](std::byte* memory) { std::copy_n(in + done, piece, memory); });
      }
      return;
    }
    if (strideBytes > pieceBytes) {
      for (std::size_t row = 0; row < rows; ++row)
        copyRows(out + row * strideBytes, rowBytes, in + row * rowBytes, rowBytes, 1);
      return;
    }
    const std::size_t together = pieceBytes / strideBytes;
    for (std::size_t row = 0; row < rows; row += together) {
      const std::size_t count = std::min(together, rows - row);
      copy(out + row * strideBytes, count * strideBytes, [&](std::byte* memory) {
        std::fill_n(memory, count * strideBytes, std::byte{0});
        for (std::size_t i = 0; i < count; ++i)
          std::copy_n(in + (row + i) * rowBytes, rowBytes, memory + i * strideBytes);
      });
    }
  }

  /// Back, after what `after` was told to do; returns when all of it is there.
  void read(void* to, const void* from, std::size_t bytes, const Stream& after) {
    written_.record(after);
    stream_.wait(written_);
    auto* const out = static_cast<std::byte*>(to);
    const auto* const in = static_cast<const std::byte*>(from);
    for (std::size_t done = 0; done < bytes; done += pieceBytes) {
      Piece& piece = nextPiece();
      piece.wantedAt = out + done;
      piece.wantedBytes = std::min(pieceBytes, bytes - done);
      copyToHost(piece.memory.require(pieceBytes), in + done, piece.wantedBytes, stream_);
      piece.copied.record(stream_);
    }
    for (std::size_t i = 0; i < pieces_.size(); ++i) nextPiece();
  }

  const Stream& stream() const { return stream_; }

 private:
  struct Piece {
    PinnedArray<std::byte> memory;
    Event copied;
    std::byte* wantedAt = nullptr;  // where what was read is to go
    std::size_t wantedBytes = 0;
  };

  /// Waits until it is free.
  Piece& nextPiece() {
    Piece& piece = pieces_[next_];
    next_ = (next_ + 1) % pieces_.size();
    piece.copied.synchronize();
    std::copy_n(piece.memory.data(), std::exchange(piece.wantedBytes, 0), piece.wantedAt);
    return piece;
  }

  std::array<Piece, 2> pieces_;
  std::size_t next_ = 0;
  Event written_;
  Stream stream_;
};

}  // namespace neural_lsh::cuda
