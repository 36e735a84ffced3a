#include "searcher.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "../core/huge-pages.h"
#include "../core/memory.h"
#include "../cpu/query.h"
#include "arguments.h"
#include "descriptions.h"
#include "externals.h"
#include "job-runner.h"
#include "search-queue.h"

namespace neural_lsh::addon {
namespace {

/// An index file's tensors as JavaScript hands them over. The arrays stay JavaScript's; the classifier's
/// numbers, few and hot, are copied.
struct State {
  cpu::StoredBins bins;
  cpu::Classifier classifier;
  bool scanBytes;
  std::optional<cpu::FourBitCodes> fourBits;
};

void readCodes(const Napi::Object& source, State& state) {
  const Napi::Env env = source.Env();
  const cpu::StoredVectors& vectors = state.bins.vectors;
  const auto codes = bytes(source, "codes");
  const std::size_t parts = (vectors.columns + cpu::fourBitWidth - 1) / cpu::fourBitWidth;
  state.fourBits = {codes, floats(source, "codebooks"), floats(source, "means"), integers(source, "columns")};
  require(env, codes.size() == vectors.rows * ((parts + 1) / 2), "codes.codes", "must have four bits a part");
  require(env, state.fourBits->codebooks.size() == parts * 16 * cpu::fourBitWidth, "codes.codebooks",
          "must have 16 entries a part");
  require(env, state.fourBits->means.size() == (state.bins.offsets.size() - 1) * vectors.columns,
          "codes.means", "must have one row a bin");
  require(env, state.fourBits->columns.size() == vectors.columns, "codes.columns", "must have every column");
}

/// { metric, dimensions, vectors, offsets, ids, classifier, scan, codes? }
State readState(const Napi::Object& source) {
  const Napi::Env env = source.Env();
  const std::size_t dimensions = count(source, "dimensions");
  const Napi::Value classifier = source.Get("classifier");
  require(env, classifier.IsObject(), "classifier", "must be an object");
  State state{readBins(source, dimensions),
              readClassifier(classifier.As<Napi::Object>()),
              text(source, "scan") == "int8",
              {}};
  const cpu::Classifier& router = state.classifier;
  require(env, router.network.inputs() == dimensions, "classifier.network", "must start with the dimensions");
  require(env, state.bins.offsets.size() == router.bins() + 1, "bins.offsets",
          "must have one entry more than there are bins");
  if (has(source, "codes")) readCodes(source.Get("codes").As<Napi::Object>(), state);
  return state;
}

std::unique_ptr<cpu::Scan> makeScan(const State& state, const Job& job) {
  const cpu::StoredVectors& vectors = state.bins.vectors;
  if (state.fourBits) return cpu::makeFourBitScan(state.bins, *state.fourBits, job);
  if (vectors.bytes != nullptr)
    return cpu::makeByteScan(state.bins, {{vectors.bytes, vectors.rows * vectors.columns}}, job);
  if (!state.scanBytes) return cpu::makePlainScan(state.bins);
  std::vector<std::uint8_t> codes(vectors.rows * vectors.columns);
  const cpu::ByteRange range = cpu::encodeBytes(vectors, codes, job);
  return cpu::makeByteScan(state.bins, {codes, range.offset, range.scale}, job);
}

/// Candidates that are ranked exactly lie all over the vectors. Piece by piece, so that it can be stopped.
void useHugePages(const cpu::StoredVectors& vectors, const Job& job) {
  constexpr std::size_t piece = std::size_t{1} << 28;
  const bool areFloats = vectors.floats != nullptr;
  const auto* const first = areFloats ? reinterpret_cast<const std::byte*>(vectors.floats)
                                      : reinterpret_cast<const std::byte*>(vectors.bytes);
  const std::size_t bytes = vectors.rows * vectors.columns * (areFloats ? sizeof(float) : 1);
  for (std::size_t begin = 0; begin < bytes; begin += piece) {
    job.check();
    moveToHugePages(first + begin, std::min(piece, bytes - begin));
  }
}

cpu::SearchIndex makeIndex(State state, const Job& job) {
  cpu::checkBins(state.bins, job);
  cpu::checkClassifier(state.classifier, job);
  if (state.fourBits) cpu::checkCodes(*state.fourBits, job);
  useHugePages(state.bins.vectors, job);
  auto scan = makeScan(state, job);
  cpu::Router router(std::move(state.classifier));
  router.dropFloats();
  return {state.bins, std::move(router), std::move(scan)};
}

struct Request {
  Matrix queries;
  cpu::SearchRequest search;
};

cpu::Probing readProbing(const Napi::Object& request) {
  cpu::Probing probing;
  if (has(request, "probes")) probing.probes = count(request, "probes");
  if (has(request, "mass")) probing.mass = number(request, "mass");
  if (has(request, "probability")) {
    probing.probability = number(request, "probability");
    probing.candidates = count(request, "candidates");
  }
  return probing;
}

Request readRequest(const Napi::Object& request, const cpu::SearchIndex& index) {
  const Napi::Env env = request.Env();
  Request result{matrix(request, "queries", index.dimensions()),
                 {count(request, "k"), readProbing(request), 0}};
  cpu::SearchRequest& search = result.search;
  require(env, search.k >= 1 && search.k <= index.rows(), "k", "must be between 1 and the number of vectors");
  if (has(request, "reranked")) search.reranked = count(request, "reranked");
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

/// What searchRadius found, until gatherMatches takes it.
using Matches = std::shared_ptr<cpu::RadiusMatches>;

/// A single query, told one by one: reading it from an object would take as long as the search.
/// (query, k, reranked, probes, mass, probability, candidates): 0 for what does not count.
struct SingleQuery {
  std::span<const float> query;
  cpu::SearchRequest search;

  SingleQuery(const Napi::CallbackInfo& info, const cpu::SearchIndex& index) {
    const auto values = info[0].As<Napi::Float32Array>();
    query = std::span(values.Data(), values.ElementLength());
    search.k = info[1].As<Napi::Number>().Uint32Value();
    search.reranked = info[2].As<Napi::Number>().Uint32Value();
    search.probing = {info[3].As<Napi::Number>().Uint32Value(), info[4].As<Napi::Number>().DoubleValue(),
                      info[5].As<Napi::Number>().DoubleValue(), info[6].As<Napi::Number>().Uint32Value()};
    require(info.Env(), query.size() == index.dimensions(), "query", "must have the index's dimensions");
    require(info.Env(), search.k >= 1 && search.k <= index.rows(), "k",
            "must be between 1 and the number of vectors");
  }
};

class Searcher : public Napi::ObjectWrap<Searcher> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "Searcher",
        {InstanceMethod<&Searcher::setResults>("setResults"),
         InstanceMethod<&Searcher::searchSync>("searchSync"), InstanceMethod<&Searcher::search>("search"),
         InstanceMethod<&Searcher::searchBatch>("searchBatch"),
         InstanceMethod<&Searcher::searchTimed>("searchTimed"),
         InstanceMethod<&Searcher::searchRadius>("searchRadius"), InstanceMethod<&Searcher::route>("route"),
         InstanceMethod<&Searcher::close>("close")});
  }

  /// new Searcher(what openIndex returned)
  explicit Searcher(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Searcher>(info) {
    open_ = external<Handle>(info[0]);
  }

 private:
  const Handle& open(Napi::Env env) const {
    if (!open_) failClosed(env);
    return open_;
  }

  /// (ids, distances, visited): where searchSync writes from now on. Arrays of its own for each search would
  /// take JavaScript longer to hand over than to copy from these.
  void setResults(const Napi::CallbackInfo& info) {
    auto ids = info[0].As<Napi::Int32Array>();
    auto distances = info[1].As<Napi::Float32Array>();
    auto visited = info[2].As<Napi::Int32Array>();
    require(info.Env(), ids.ElementLength() == distances.ElementLength() && visited.ElementLength() == 2,
            "results", "must be ids and distances of one length, and two numbers more");
    for (std::size_t i = 0; i < results_.size(); ++i)
      results_[i] = Napi::Persistent(info[i].As<Napi::Object>());
    ids_ = std::span(ids.Data(), ids.ElementLength());
    distances_ = std::span(distances.Data(), distances.ElementLength());
    visited_ = std::span(visited.Data(), visited.ElementLength());
  }

  void searchSync(const Napi::CallbackInfo& info) {
    const Handle open = this->open(info.Env());
    const SingleQuery single(info, open->index);
    const std::size_t k = single.search.k;
    require(info.Env(), k <= ids_.size(), "results", "must have room for k");
    try {
      const cpu::Visited seen = cpu::searchOne(open->index, single.query.data(), single.search, "query",
                                               ids_.first(k), distances_.first(k), cpu::threadScratch());
      visited_[0] = seen.candidates;
      visited_[1] = seen.probes;
    } catch (...) {
      throw toError(info.Env(), std::current_exception());
    }
  }

  /// (what a single query is told, queue, slot): see search-queue.h
  void search(const Napi::CallbackInfo& info) {
    const Handle& open = this->open(info.Env());
    const SingleQuery single(info, open->index);
    enqueue(info[7], info[8].As<Napi::Number>().Uint32Value(), open, single.query, single.search);
  }

  Napi::Value searchBatch(const Napi::CallbackInfo& info) {
    const auto open = this->open(info.Env());
    const auto object = info[0].As<Napi::Object>();
    const Request request = readRequest(object, open->index);
    const Answer answer(info.Env(), request.queries.rows, request.search.k);
    return startJob(info[1].As<Napi::Object>(), {object, answer.object,
                                                 [open, request, output = answer.output](const Job& job) {
                                                   cpu::searchBatch(open->index, request.queries,
                                                                    request.search, "queries", output, job);
                                                 },
                                                 nullptr});
  }

  /// As searchBatch, query by query on one thread, with the seconds that each took.
  Napi::Value searchTimed(const Napi::CallbackInfo& info) {
    const auto open = this->open(info.Env());
    const auto object = info[0].As<Napi::Object>();
    const Request request = readRequest(object, open->index);
    const Answer answer(info.Env(), request.queries.rows, request.search.k);
    const auto seconds = output<double>(answer.object, "seconds", request.queries.rows);
    return startJob(info[1].As<Napi::Object>(),
                    {object, answer.object,
                     [open, request, output = answer.output, seconds](const Job& job) {
                       cpu::searchTimed(open->index, request.queries, request.search, output, seconds, job);
                     },
                     nullptr});
  }

  /// How much is found is known afterwards only: `matches` of the result is for gatherMatches.
  Napi::Value searchRadius(const Napi::CallbackInfo& info) {
    const auto open = this->open(info.Env());
    const auto object = info[0].As<Napi::Object>();
    const Matrix queries = matrix(object, "queries", open->index.dimensions());
    const cpu::RadiusRequest request{number(object, "radius"), readProbing(object)};
    Napi::Object result = Napi::Object::New(info.Env());
    const auto candidates = output<std::int32_t>(result, "candidates", queries.rows);
    const auto probes = output<std::int32_t>(result, "probes", queries.rows);
    const auto matches = std::make_shared<cpu::RadiusMatches>();
    return startJob(info[1].As<Napi::Object>(),
                    {object, result,
                     [=, argument = text(object, "argument")](const Job& job) {
                       *matches = cpu::searchRadius(open->index, queries, request, argument.c_str(),
                                                    candidates, probes, job);
                     },
                     [matches](Napi::Env, Napi::Object result) { setExternal(result, "matches", matches); }});
  }

  Napi::Value route(const Napi::CallbackInfo& info) {
    const auto open = this->open(info.Env());
    const auto object = info[0].As<Napi::Object>();
    const Matrix queries = matrix(object, "queries", open->index.dimensions());
    const std::size_t probes = count(object, "probes"), size = queries.rows * probes;
    require(info.Env(), probes >= 1 && probes <= open->index.binCount(), "probes",
            "must be between 1 and the number of bins");
    Napi::Object result = Napi::Object::New(info.Env());
    const auto bins = output<std::int32_t>(result, "bins", size);
    const auto probabilities = output<float>(result, "probabilities", size);
    return startJob(info[1].As<Napi::Object>(),
                    {object, result,
                     [open, queries, probes, bins, probabilities](const Job& job) {
                       cpu::route(open->index, queries, probes, queries.rows == 1 ? "query" : "queries", bins,
                                  probabilities, job);
                     },
                     nullptr});
  }

  void close(const Napi::CallbackInfo&) { open_.reset(); }

  Handle open_;
  std::array<Napi::ObjectReference, 3> results_;
  std::span<Id> ids_;
  std::span<float> distances_;
  std::span<std::int32_t> visited_;
};

/// Checks a state and lays its codes out for the scan; the job's result has the handle that a Searcher is
/// made of.
Napi::Value openIndex(const Napi::CallbackInfo& info) {
  const auto source = info[0].As<Napi::Object>();
  // Two halves: the index is made on the job's thread, what keeps its arrays alive on JavaScript's.
  const auto index = std::make_shared<std::optional<cpu::SearchIndex>>();
  auto kept = std::make_shared<Napi::ObjectReference>(Napi::Persistent(source));
  return startJob(info[1].As<Napi::Object>(),
                  {source, Napi::Object::New(info.Env()),
                   [index, state = std::make_shared<State>(readState(source))](const Job& job) {
                     *index = makeIndex(std::move(*state), job);
                     returnFreedMemory();
                   },
                   [index, kept](Napi::Env, Napi::Object result) {
                     auto open = std::make_shared<OpenIndex>(OpenIndex{std::move(**index), std::move(*kept)});
                     setExternal<Handle>(result, "handle", std::move(open));
                   }});
}

/// { matches } -> { offsets, ids, distances }. The matches can be gathered once; then their memory is free.
Napi::Value gatherMatches(const Napi::CallbackInfo& info) {
  const auto object = info[0].As<Napi::Object>();
  const Matches matches = std::move(external<Matches>(object.Get("matches")));
  require(info.Env(), matches != nullptr, "matches", "were gathered before");
  Napi::Object result = Napi::Object::New(info.Env());
  const auto offsets = output<std::int32_t>(result, "offsets", matches->rows.size() + 1);
  const auto ids = output<std::int32_t>(result, "ids", matches->total);
  const auto distances = output<float>(result, "distances", matches->total);
  return startJob(info[1].As<Napi::Object>(),
                  {object, result,
                   [=](const Job& job) {
                     cpu::gatherMatches(*matches, offsets, ids, distances, job);
                     *matches = {};  // many small pieces: to free them would hold up JavaScript's thread
                   },
                   nullptr});
}

}  // namespace

void exportSearcher(Napi::Env env, Napi::Object exports) {
  exports.Set("Searcher", Searcher::define(env));
  exportSearchQueue(env, exports);
  exports.Set("openIndex", Napi::Function::New(env, openIndex));
  exports.Set("gatherMatches", Napi::Function::New(env, gatherMatches));
}

}  // namespace neural_lsh::addon
