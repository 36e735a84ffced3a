#include "searcher.h"

#include <memory>

#include "../cpu/query.h"
#include "arguments.h"
#include "descriptions.h"
#include "job-runner.h"

namespace neural_lsh::addon {
namespace {

/// { metric, dimensions, vectors, offsets, ids, classifier } -> the core's index. The arrays stay
/// JavaScript's; the classifier's numbers, few and hot, are copied.
cpu::SearchIndex readState(const Napi::Object& state) {
  const Napi::Env env = state.Env();
  const std::size_t dimensions = count(state, "dimensions");
  const Napi::Value classifier = state.Get("classifier");
  require(env, classifier.IsObject(), "classifier", "must be an object");
  cpu::SearchIndex index{metric(state), matrix(state, "vectors", dimensions), integers(state, "offsets"),
                         integers(state, "ids"), cpu::Router(readClassifier(classifier.As<Napi::Object>()))};
  const cpu::NetworkDescription& network = index.router.classifier().network;
  require(env, network.inputs() == dimensions, "classifier.network", "must start with the dimensions");
  require(env, index.offsets.size() == network.outputs() + 1, "bins.offsets",
          "must have one entry more than there are bins");
  require(env, index.ids.size() == index.vectors.rows && !index.ids.empty(), "bins.ids",
          "must have one entry a vector");
  return index;
}

/// The index and what keeps its arrays alive; released on the JavaScript thread only.
struct OpenIndex {
  cpu::SearchIndex index;
  Napi::ObjectReference state;
};

struct Request {
  Matrix queries;
  std::size_t k = 0;
  cpu::Probing probing;
};

Request readRequest(const Napi::Object& request, const cpu::SearchIndex& index) {
  const Napi::Env env = request.Env();
  Request result{matrix(request, "queries", index.vectors.columns), count(request, "k"), {}};
  require(env, result.k >= 1 && result.k <= index.vectors.rows, "k",
          "must be between 1 and the number of vectors");
  if (has(request, "mass")) {
    result.probing.mass = number(request, "mass");
  } else {
    result.probing.probes = count(request, "probes");
    require(env, result.probing.probes >= 1, "probes", "must be at least 1");
  }
  return result;
}

/// The result arrays, made by JavaScript so that it owns them, and the core's view of them.
struct Answer {
  Napi::Object object;
  cpu::SearchOutput output;

  Answer(Napi::Env env, std::size_t queries, std::size_t k) : object(Napi::Object::New(env)) {
    output.ids = addon::output<std::int32_t>(object, "ids", queries * k);
    output.distances = addon::output<float>(object, "distances", queries * k);
    output.candidates = addon::output<std::int32_t>(object, "candidates", queries);
    output.probes = addon::output<std::int32_t>(object, "probes", queries);
  }
};

Job oneThread() {
  Job job;
  job.threads = 1;
  return job;
}

/// One query is short work: libuv's pool answers it without a thread of its own.
class SearchWorker : public Napi::AsyncWorker {
 public:
  SearchWorker(Napi::Env env, std::shared_ptr<OpenIndex> open, const Request& request, const Answer& answer)
      : Napi::AsyncWorker(env, "neural_lsh search"),
        deferred_(Napi::Promise::Deferred::New(env)),
        open_(std::move(open)),
        query_(request.queries.data, request.queries.data + request.queries.rows * request.queries.columns),
        request_(request),
        output_(answer.output),
        result_(Napi::Persistent(answer.object)) {
    request_.queries.data = query_.data();  // a copy: the caller may change its own at once
  }

  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    try {
      cpu::search(open_->index, request_.queries, request_.k, request_.probing, "query", output_,
                  oneThread());
    } catch (...) {
      error_ = std::current_exception();
    }
  }

  void OnOK() override {
    if (error_) {
      deferred_.Reject(toError(Env(), error_).Value());
    } else {
      deferred_.Resolve(result_.Value());
    }
  }

 private:
  Napi::Promise::Deferred deferred_;
  std::shared_ptr<OpenIndex> open_;
  std::vector<float> query_;
  Request request_;
  cpu::SearchOutput output_;
  Napi::ObjectReference result_;
  std::exception_ptr error_;
};

class Searcher : public Napi::ObjectWrap<Searcher> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "Searcher",
        {InstanceMethod<&Searcher::searchSync>("searchSync"), InstanceMethod<&Searcher::search>("search"),
         InstanceMethod<&Searcher::searchBatch>("searchBatch"), InstanceMethod<&Searcher::route>("route"),
         InstanceMethod<&Searcher::close>("close")});
  }

  /// new Searcher(state): the state must have passed checkSearchState.
  explicit Searcher(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Searcher>(info) {
    const auto state = info[0].As<Napi::Object>();
    open_ = std::make_shared<OpenIndex>(OpenIndex{readState(state), Napi::Persistent(state)});
  }

 private:
  const std::shared_ptr<OpenIndex>& open(Napi::Env env) const {
    if (!open_) {
      Napi::Error error = Napi::Error::New(env, "the index is closed");
      error.Set("code", Napi::String::New(env, "ERR_NLSH_CLOSED"));
      throw error;
    }
    return open_;
  }

  Napi::Value searchSync(const Napi::CallbackInfo& info) {
    const auto open = this->open(info.Env());
    const Request request = readRequest(info[0].As<Napi::Object>(), open->index);
    const Answer answer(info.Env(), request.queries.rows, request.k);
    try {
      cpu::search(open->index, request.queries, request.k, request.probing, "query", answer.output,
                  oneThread());
    } catch (...) {
      throw toError(info.Env(), std::current_exception());
    }
    return answer.object;
  }

  Napi::Value search(const Napi::CallbackInfo& info) {
    const auto open = this->open(info.Env());
    const Request request = readRequest(info[0].As<Napi::Object>(), open->index);
    const Answer answer(info.Env(), request.queries.rows, request.k);
    auto worker = std::make_unique<SearchWorker>(info.Env(), open, request, answer);
    const Napi::Promise promise = worker->promise();
    worker->Queue();
    static_cast<void>(worker.release());  // deletes itself when it is done
    return promise;
  }

  Napi::Value searchBatch(const Napi::CallbackInfo& info) {
    const auto open = this->open(info.Env());
    const auto object = info[0].As<Napi::Object>();
    const Request request = readRequest(object, open->index);
    const Answer answer(info.Env(), request.queries.rows, request.k);
    return startJob(info[1].As<Napi::Object>(), {object, answer.object,
                                                 [open, request, output = answer.output](const Job& job) {
                                                   cpu::search(open->index, request.queries, request.k,
                                                               request.probing, "queries", output, job);
                                                 },
                                                 nullptr});
  }

  Napi::Value route(const Napi::CallbackInfo& info) {
    const auto open = this->open(info.Env());
    const auto object = info[0].As<Napi::Object>();
    const Matrix queries = matrix(object, "queries", open->index.vectors.columns);
    const std::size_t probes = count(object, "probes"), size = queries.rows * probes;
    require(info.Env(), probes >= 1 && probes <= open->index.bins(), "probes",
            "must be between 1 and the number of bins");
    Napi::Object result = Napi::Object::New(info.Env());
    const auto bins = output<std::int32_t>(result, "bins", size);
    const auto probabilities = output<float>(result, "probabilities", size);
    return startJob(info[1].As<Napi::Object>(),
                    {object, result,
                     [open, queries, probes, bins, probabilities](const Job& job) {
                       cpu::route(open->index, queries, probes, "queries", bins, probabilities, job);
                     },
                     nullptr});
  }

  void close(const Napi::CallbackInfo&) { open_.reset(); }

  std::shared_ptr<OpenIndex> open_;
};

Napi::Value checkSearchState(const Napi::CallbackInfo& info) {
  const auto state = info[0].As<Napi::Object>();
  return startJob(info[1].As<Napi::Object>(), {state, Napi::Object::New(info.Env()),
                                               [index = std::make_shared<cpu::SearchIndex>(readState(state))](
                                                   const Job& job) { cpu::checkSearchIndex(*index, job); },
                                               nullptr});
}

}  // namespace

void exportSearcher(Napi::Env env, Napi::Object exports) {
  exports.Set("Searcher", Searcher::define(env));
  exports.Set("checkSearchState", Napi::Function::New(env, checkSearchState));
}

}  // namespace neural_lsh::addon
