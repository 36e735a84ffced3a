#pragma once
#include "../../emulator.h"

namespace cub {

template <typename T, int threads>
class BlockScan {
 public:
  struct TempStorage {
    T values[threads];
  };
  explicit BlockScan(TempStorage& storage) : storage_(storage) {}

  void ExclusiveSum(T value, T& before, T& total) {
    storage_.values[threadIdx.x] = value;
    __syncthreads();
    before = total = 0;
    for (int i = 0; i < threads; ++i) {
      if (i < static_cast<int>(threadIdx.x)) before += storage_.values[i];
      total += storage_.values[i];
    }
  }

 private:
  TempStorage& storage_;
};

}  // namespace cub
