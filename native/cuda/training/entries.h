// The training's part of the library's table.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../interface.h"

namespace neural_lsh::cuda {

std::int32_t openTraining(const NlshTrainingRequest* request, NlshTraining** training, const NlshJob* job,
                          NlshFailure* failure) noexcept;
std::size_t optimizerSlots(const NlshTraining* training) noexcept;
std::int32_t trainBatches(NlshTraining* training, const NlshBatches* batches, NlshScore* score,
                          const NlshJob* job, NlshFailure* failure) noexcept;
std::int32_t scoreRows(NlshTraining* training, const std::int32_t* rows, std::size_t count, NlshScore* score,
                       const NlshJob* job, NlshFailure* failure) noexcept;
std::int32_t logitsOf(NlshTraining* training, const std::int32_t* rows, std::size_t count, float* logits,
                      const NlshJob* job, NlshFailure* failure) noexcept;
std::int32_t getTrainingState(NlshTraining* training, NlshTrainingState* state,
                              NlshFailure* failure) noexcept;
std::int32_t setTrainingState(NlshTraining* training, const NlshTrainingState* state,
                              NlshFailure* failure) noexcept;
void closeTraining(NlshTraining* training) noexcept;

}  // namespace neural_lsh::cuda
