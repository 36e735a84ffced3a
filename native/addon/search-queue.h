// Single searches off the event loop: a few standing threads, since starting one, or libuv's pool, would take
// longer than the search.
#pragma once

#include <napi.h>

#include <memory>

#include "../cpu/query.h"

namespace neural_lsh::addon {

/// The index and what keeps its arrays alive; the last owner lets go of it on the JavaScript thread.
struct OpenIndex {
  cpu::SearchIndex index;
  Napi::ObjectReference state;
};
using Handle = std::shared_ptr<OpenIndex>;

/// Adds class SearchQueue to the exports:
///   new SearchQueue(finished: Int32Array, onFinished: (count) => void)
///     onFinished is called when searches have ended; the first `count` entries of `finished` are their
///     slots, or ~slot where there is an error to take.
///   setSlot(slot, ids, distances, visited)   where the results of a slot's searches are written from now on;
///   slots
///     are numbered from 0 on, a new one follows the last.
///   takeError(slot)   what went wrong with its last search.
void exportSearchQueue(Napi::Env env, Napi::Object exports);

/// Puts a search into a slot of `queue` (a SearchQueue) that has none under way. The query is copied.
void enqueue(const Napi::Value& queue, std::size_t slot, Handle open, std::span<const float> query,
             const cpu::SearchRequest& request);

}  // namespace neural_lsh::addon
