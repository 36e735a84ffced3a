// A job as its caller watches it.
#pragma once

#include <cstddef>

#include "status.h"

namespace neural_lsh::cuda {

class Watch {
 public:
  explicit Watch(const NlshJob* job) : job_(job) {}

  void check() const {
    if (job_ != nullptr && job_->is_cancelled != nullptr && job_->is_cancelled(job_->context) != 0)
      throw Failure(NLSH_CANCELLED, "cancelled");
  }
  void progress(std::size_t done, std::size_t total) const {
    if (job_ != nullptr && job_->progress != nullptr) job_->progress(job_->context, done, total);
  }

 private:
  const NlshJob* job_;
};

}  // namespace neural_lsh::cuda
