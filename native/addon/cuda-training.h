// The classifier's training, of which the CUDA library does what a mini-batch goes through.
#pragma once

#include <cstdint>
#include <memory>

#include "../core/job.h"
#include "../cpu/classifier/training-backend.h"
#include "../cuda/interface.h"

namespace neural_lsh::addon {

struct CudaTraining {
  std::int32_t device;
  std::int32_t precision;
  bool deterministic;
  bool recordsSteps;
  std::uint64_t seed;
};

/// Throws as checkStatus does, here and in the backend's functions.
std::unique_ptr<cpu::TrainingBackend> makeCudaBackend(const NlshCudaTable* table,
                                                      const CudaTraining& training,
                                                      const cpu::TrainingTask& task, const Job& job);

}  // namespace neural_lsh::addon
