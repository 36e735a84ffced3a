#include "job-runner.h"

#include <atomic>
#include <exception>
#include <memory>
#include <thread>

#include "arguments.h"

namespace neural_lsh::addon {
namespace {

/// Lives until the finalizer of its thread-safe function has joined its thread, on the JavaScript thread.
class RunningJob {
 public:
  RunningJob(Napi::Env env, const Napi::Object& options, JobDescription description)
      : deferred_(Napi::Promise::Deferred::New(env)),
        request_(Napi::Persistent(description.request)),
        result_(Napi::Persistent(description.result)),
        work_(std::move(description.work)),
        finish_(std::move(description.finish)) {
    job_.threads = count(options, "threads");
    job_.cancelFlag = cancel_.get();
    if (has(options, "onProgress")) {
      progressCallback_ = Napi::Persistent(options.Get("onProgress").As<Napi::Function>());
      job_.onProgress = [this](std::size_t done, std::size_t total) { reportProgress(done, total); };
    }
  }

  Napi::Promise promise() const { return deferred_.Promise(); }
  std::shared_ptr<std::atomic<bool>> cancelFlag() const { return cancel_; }

  void start(Napi::Env env) {
    const napi_status status =
        napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "neural_lsh job"), 0, 1,
                                        this, finalize, this, onJavaScriptThread, &function_);
    if (status != napi_ok) throw Napi::Error::New(env, "no thread-safe function could be made");
    try {
      thread_ = std::thread([this] { run(); });
    } catch (...) {
      finish(std::current_exception());
    }
  }

 private:
  void run() {
    try {
      job_.check();
      work_(job_);
      finish(nullptr);
    } catch (...) {
      finish(std::current_exception());
    }
  }

  void finish(std::exception_ptr error) {
    error_ = error;
    finished_ = true;
    if (call()) napi_release_threadsafe_function(function_, napi_tsfn_release);
  }

  /// Wakes the JavaScript thread. After it once answered "closing" the function must not be used any more.
  bool call() {
    if (!closing_ && napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking) == napi_closing)
      closing_ = true;
    return !closing_;
  }

  /// At most one wake-up is under way; a later report only overwrites the numbers.
  void reportProgress(std::size_t done, std::size_t total) {
    done_ = done;
    total_ = total;
    if (!progressPending_.exchange(true)) call();
  }

  static void onJavaScriptThread(napi_env rawEnv, napi_value, void* context, void*) {
    if (rawEnv == nullptr) return;
    auto& job = *static_cast<RunningJob*>(context);
    const Napi::Env env(rawEnv);
    const Napi::HandleScope scope(env);
    if (job.progressPending_.exchange(false)) job.showProgress(env);
    if (job.finished_ && !job.settled_) job.settle(env);
  }

  void showProgress(Napi::Env env) {
    try {
      progressCallback_.Call({Napi::Number::New(env, static_cast<double>(done_)),
                              Napi::Number::New(env, static_cast<double>(total_))});
    } catch (const Napi::Error&) {
      // TypeScript hands over a callback that catches; whatever else ends here must not take the process
      // down.
    }
  }

  void settle(Napi::Env env) {
    settled_ = true;
    if (error_) {
      deferred_.Reject(toError(env, error_).Value());
      return;
    }
    try {
      if (finish_) finish_(env, result_.Value());
      deferred_.Resolve(result_.Value());
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    } catch (...) {
      deferred_.Reject(toError(env, std::current_exception()).Value());
    }
  }

  static void finalize(napi_env, void* data, void*) {
    const std::unique_ptr<RunningJob> job(static_cast<RunningJob*>(data));
    *job->cancel_ = true;
    if (job->thread_.joinable()) job->thread_.join();
  }

  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference request_;
  Napi::ObjectReference result_;
  Napi::FunctionReference progressCallback_;
  std::function<void(const Job&)> work_;
  std::function<void(Napi::Env, Napi::Object)> finish_;
  Job job_;
  std::shared_ptr<std::atomic<bool>> cancel_ = std::make_shared<std::atomic<bool>>(false);
  std::atomic<std::size_t> done_{0};
  std::atomic<std::size_t> total_{0};
  std::atomic<bool> progressPending_{false};
  std::atomic<bool> finished_{false};
  std::atomic<bool> closing_{false};
  bool settled_ = false;
  std::exception_ptr error_;
  napi_threadsafe_function function_ = nullptr;
  std::thread thread_;
};

}  // namespace

Napi::Value startJob(const Napi::Object& options, JobDescription description) {
  const Napi::Env env = options.Env();
  auto job = std::make_unique<RunningJob>(env, options, std::move(description));
  Napi::Object handle = Napi::Object::New(env);
  handle.Set("promise", job->promise());
  handle.Set("cancel", Napi::Function::New(
                           env, [flag = job->cancelFlag()](const Napi::CallbackInfo&) { *flag = true; }));
  job->start(env);
  static_cast<void>(job.release());  // now owned by its thread-safe function's finalizer
  return handle;
}

}  // namespace neural_lsh::addon
