#include "search-queue.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "../core/thread-pool.h"
#include "arguments.h"

namespace neural_lsh::addon {
namespace {

/// Threads leave a core to JavaScript where they can; more than a few bring a service nothing.
constexpr std::size_t mostThreads = 4;
/// How long an idle thread looks out for the next search before it sleeps: being woken takes as long.
constexpr auto patience = std::chrono::microseconds(50);

struct Slot {
  std::array<Napi::ObjectReference, 3> arrays;  // keeps the spans alive
  std::span<Id> ids;
  std::span<float> distances;
  std::span<std::int32_t> visited;
  Handle open;
  std::vector<float> query;
  cpu::SearchRequest request;
  std::exception_ptr error;

  void run() {
    try {
      const cpu::Visited seen =
          cpu::searchOne(open->index, query.data(), request, "query", ids.first(request.k),
                         distances.first(request.k), cpu::threadScratch());
      visited[0] = seen.candidates;
      visited[1] = seen.probes;
    } catch (...) {
      error = std::current_exception();
    }
  }
};

/// What JavaScript's thread and the searching ones share.
class Work {
 public:
  explicit Work(std::size_t most) : most_(most) {}
  ~Work() { stop(); }
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  /// Called from a searching thread when there is something in `takeFinished` again.
  std::function<void()> onFinished;
  /// JavaScript's end of it is gone: touched on JavaScript's thread only.
  bool functionIsGone = false;

  void add(Slot* slot, std::size_t number) {
    {
      const std::lock_guard guard(mutex_);
      waiting_.push_back({slot, number});
      if (idle_ < waiting_.size() && threads_.size() < most_) threads_.emplace_back([this] { loop(); });
    }
    ++added_;
    wakeUp_.notify_one();
  }

  std::vector<std::size_t> takeFinished() {
    const std::lock_guard guard(mutex_);
    return std::exchange(finished_, {});
  }

  void stop() {
    {
      const std::lock_guard guard(mutex_);
      stopped_ = true;
    }
    ++added_;
    wakeUp_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  struct Search {
    Slot* slot;
    std::size_t number;
  };

  void loop() {
    std::unique_lock lock(mutex_);
    while (true) {
      ++idle_;
      if (waiting_.empty() && !stopped_) lookOut(lock);
      wakeUp_.wait(lock, [&] { return stopped_ || !waiting_.empty(); });
      --idle_;
      if (stopped_) return;
      const Search search = waiting_.front();
      waiting_.pop_front();
      lock.unlock();
      search.slot->run();
      lock.lock();
      finished_.push_back(search.number);
      if (finished_.size() > 1) continue;  // they have been told already
      lock.unlock();
      onFinished();
      lock.lock();
    }
  }

  /// Waits for the next search for a moment without going to sleep.
  void lookOut(std::unique_lock<std::mutex>& lock) {
    const std::size_t seen = added_;
    lock.unlock();
    const auto end = std::chrono::steady_clock::now() + patience;
    while (added_ == seen && std::chrono::steady_clock::now() < end) {
#ifdef NEURAL_LSH_X86
      __builtin_ia32_pause();
#endif
    }
    lock.lock();
  }

  const std::size_t most_;
  std::mutex mutex_;
  std::condition_variable wakeUp_;
  std::atomic<std::size_t> added_{0};
  std::deque<Search> waiting_;
  std::vector<std::size_t> finished_;
  std::size_t idle_ = 0;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

class SearchQueue : public Napi::ObjectWrap<SearchQueue> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "SearchQueue",
                       {InstanceMethod<&SearchQueue::setSlot>("setSlot"),
                        InstanceMethod<&SearchQueue::takeError>("takeError")});
  }

  explicit SearchQueue(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<SearchQueue>(info),
        work_(std::make_shared<Work>(std::clamp<std::size_t>(hardwareThreads() - 1, 1, mostThreads))) {
    const Napi::Env env = info.Env();
    auto finished = info[0].As<Napi::Int32Array>();
    finishedReference_ = Napi::Persistent(finished.As<Napi::Object>());
    finished_ = std::span(finished.Data(), finished.ElementLength());
    callback_ = Napi::Persistent(info[1].As<Napi::Function>());
    napi_value name = Napi::String::New(env, "neural_lsh search");
    // Its finalizer runs when the environment ends, while JavaScript's objects may already be gone: the
    // threads are joined there, and only then does the function go.
    auto owner = std::make_unique<std::shared_ptr<Work>>(work_);
    const napi_status status = napi_create_threadsafe_function(
        env, nullptr, nullptr, name, 0, 1, owner.get(),
        [](napi_env, void* data, void*) {
          const std::unique_ptr<std::shared_ptr<Work>> work(static_cast<std::shared_ptr<Work>*>(data));
          (*work)->stop();
          (*work)->functionIsGone = true;
        },
        this, &SearchQueue::onJavaScriptThread, &function_);
    if (status != napi_ok) throw Napi::Error::New(env);
    static_cast<void>(owner.release());
    napi_unref_threadsafe_function(env, function_);  // an index that nobody asks keeps no process alive
    work_->onFinished = [function = function_] {
      napi_call_threadsafe_function(function, nullptr, napi_tsfn_nonblocking);
    };
  }

  ~SearchQueue() override {
    work_->stop();
    if (!work_->functionIsGone) napi_release_threadsafe_function(function_, napi_tsfn_abort);
  }

  void add(Napi::Env env, std::size_t number, Handle open, std::span<const float> query,
           const cpu::SearchRequest& request) {
    require(env, number < slots_.size() && slots_[number]->ids.size() >= request.k, "slot", "must be set");
    Slot& slot = *slots_[number];
    slot.open = std::move(open);
    slot.query.assign(query.begin(), query.end());
    slot.request = request;
    slot.error = nullptr;
    if (underWay_++ == 0) napi_ref_threadsafe_function(env, function_);
    work_->add(&slot, number);
  }

 private:
  void setSlot(const Napi::CallbackInfo& info) {
    const std::size_t number = info[0].As<Napi::Number>().Uint32Value();
    require(info.Env(), number <= slots_.size(), "slot", "must follow the last");
    if (number == slots_.size()) slots_.push_back(std::make_unique<Slot>());
    Slot& slot = *slots_[number];
    auto ids = info[1].As<Napi::Int32Array>();
    auto distances = info[2].As<Napi::Float32Array>();
    auto visited = info[3].As<Napi::Int32Array>();
    require(info.Env(), ids.ElementLength() == distances.ElementLength() && visited.ElementLength() == 2,
            "slot", "must have ids and distances of one length, and two numbers more");
    for (std::size_t i = 0; i < slot.arrays.size(); ++i)
      slot.arrays[i] = Napi::Persistent(info[1 + i].As<Napi::Object>());
    slot.ids = std::span(ids.Data(), ids.ElementLength());
    slot.distances = std::span(distances.Data(), distances.ElementLength());
    slot.visited = std::span(visited.Data(), visited.ElementLength());
  }

  Napi::Value takeError(const Napi::CallbackInfo& info) {
    const std::size_t number = info[0].As<Napi::Number>().Uint32Value();
    require(info.Env(), number < slots_.size(), "slot", "must be set");
    const std::exception_ptr error = std::exchange(slots_[number]->error, nullptr);
    return error ? toError(info.Env(), error).Value() : info.Env().Undefined();
  }

  static void onJavaScriptThread(napi_env rawEnv, napi_value, void* context, void*) {
    if (rawEnv == nullptr) return;
    auto& queue = *static_cast<SearchQueue*>(context);
    const Napi::Env env(rawEnv);
    const Napi::HandleScope scope(env);
    const std::vector<std::size_t> finished = queue.work_->takeFinished();
    queue.underWay_ -= finished.size();
    if (!finished.empty() && queue.underWay_ == 0) napi_unref_threadsafe_function(env, queue.function_);
    for (std::size_t first = 0; first < finished.size(); first += queue.finished_.size()) {
      const std::size_t count = std::min(queue.finished_.size(), finished.size() - first);
      for (std::size_t i = 0; i < count; ++i) {
        Slot& slot = *queue.slots_[finished[first + i]];
        const auto number = static_cast<std::int32_t>(finished[first + i]);
        queue.finished_[i] = slot.error ? ~number : number;
        slot.open.reset();
      }
      try {
        queue.callback_.Call({Napi::Number::New(env, static_cast<double>(count))});
      } catch (const Napi::Error&) {
        // TypeScript hands over a callback that settles promises and throws nothing.
      }
    }
  }

  std::shared_ptr<Work> work_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::span<std::int32_t> finished_;
  Napi::ObjectReference finishedReference_;
  Napi::FunctionReference callback_;
  napi_threadsafe_function function_ = nullptr;
  std::size_t underWay_ = 0;
};

}  // namespace

void exportSearchQueue(Napi::Env env, Napi::Object exports) {
  exports.Set("SearchQueue", SearchQueue::define(env));
}

void enqueue(const Napi::Value& queue, std::size_t slot, Handle open, std::span<const float> query,
             const cpu::SearchRequest& request) {
  SearchQueue::Unwrap(queue.As<Napi::Object>())->add(queue.Env(), slot, std::move(open), query, request);
}

}  // namespace neural_lsh::addon
