#include "entries.h"

#include <memory>

#include "../answer.h"
#include "training.h"

/// The training of the interface is ours.
struct NlshTraining {
  std::unique_ptr<neural_lsh::cuda::Training> training;
};

namespace neural_lsh::cuda {

std::int32_t openTraining(const NlshTrainingRequest* request, NlshTraining** training, const NlshJob* job,
                          NlshFailure* failure) noexcept {
  return answer(failure, [&] {
    Watch(job).check();
    *training = new NlshTraining{Training::open(*request)};
  });
}

std::size_t optimizerSlots(const NlshTraining* training) noexcept {
  return training->training->slots();
}

std::int32_t trainBatches(NlshTraining* training, const NlshBatches* batches, NlshScore* score,
                          const NlshJob* job, NlshFailure* failure) noexcept {
  return answer(failure, [&] { *score = training->training->train(*batches, Watch(job)); });
}

std::int32_t scoreRows(NlshTraining* training, const std::int32_t* rows, std::size_t count, NlshScore* score,
                       const NlshJob* job, NlshFailure* failure) noexcept {
  return answer(failure, [&] { *score = training->training->score({rows, count}, Watch(job)); });
}

std::int32_t logitsOf(NlshTraining* training, const std::int32_t* rows, std::size_t count, float* logits,
                      const NlshJob* job, NlshFailure* failure) noexcept {
  return answer(failure, [&] { training->training->logitsOf({rows, count}, logits, Watch(job)); });
}

std::int32_t getTrainingState(NlshTraining* training, NlshTrainingState* state,
                              NlshFailure* failure) noexcept {
  return answer(failure, [&] { training->training->readState(*state); });
}

std::int32_t setTrainingState(NlshTraining* training, const NlshTrainingState* state,
                              NlshFailure* failure) noexcept {
  return answer(failure, [&] { training->training->writeState(*state); });
}

void closeTraining(NlshTraining* training) noexcept {
  delete training;
}

}  // namespace neural_lsh::cuda
