// Long work off the event loop: one thread a job, a promise for its end, progress on the way, and a cancel
// switch.
#pragma once

#include <napi.h>

#include <functional>

#include "../core/job.h"

namespace neural_lsh::addon {

/// What a job does. `work` runs on the job's own thread and must not touch JavaScript; the arrays that it
/// reads and writes are kept alive by `request` and `result`. `finish` runs on the JavaScript thread
/// afterwards, may add to the result, and is left out where there is nothing to add.
struct JobDescription {
  Napi::Object request;
  Napi::Object result;
  std::function<void(const Job&)> work;
  std::function<void(Napi::Env, Napi::Object)> finish;
};

/// Starts it and returns { promise, cancel() } at once. `options` is { threads: number, onProgress?: (done,
/// total) }. The promise fulfils with the result or rejects with a JavaScript error; after cancel() with
/// ERR_NLSH_CANCELLED. When the environment ends (process.exit, a worker thread's end) running jobs are
/// cancelled and waited for.
Napi::Value startJob(const Napi::Object& options, JobDescription description);

}  // namespace neural_lsh::addon
