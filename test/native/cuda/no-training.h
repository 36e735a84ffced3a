// In place of native/cuda/training/entries.cpp where a program has the library's table and trains nothing:
// trainings are tested over an emulation of their own.
#pragma once

#include "../../../native/cuda/training/entries.h"

namespace neural_lsh::cuda {

std::int32_t openTraining(const NlshTrainingRequest*, NlshTraining**, const NlshJob*, NlshFailure*) noexcept {
  return NLSH_FAILED;
}
std::size_t optimizerSlots(const NlshTraining*) noexcept {
  return 0;
}
std::int32_t trainBatches(NlshTraining*, const NlshBatches*, NlshScore*, const NlshJob*,
                          NlshFailure*) noexcept {
  return NLSH_FAILED;
}
std::int32_t scoreRows(NlshTraining*, const std::int32_t*, std::size_t, NlshScore*, const NlshJob*,
                       NlshFailure*) noexcept {
  return NLSH_FAILED;
}
std::int32_t logitsOf(NlshTraining*, const std::int32_t*, std::size_t, float*, const NlshJob*,
                      NlshFailure*) noexcept {
  return NLSH_FAILED;
}
std::int32_t getTrainingState(NlshTraining*, NlshTrainingState*, NlshFailure*) noexcept {
  return NLSH_FAILED;
}
std::int32_t setTrainingState(NlshTraining*, const NlshTrainingState*, NlshFailure*) noexcept {
  return NLSH_FAILED;
}
void closeTraining(NlshTraining*) noexcept {}

}  // namespace neural_lsh::cuda
