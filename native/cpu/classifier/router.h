// A classifier at work: ranks the bins for queries.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "../probing.h"
#include "classifier.h"

namespace neural_lsh::cpu {

/// How a router computes; the defaults are what measured best.
struct RouterOptions {
  /// In 8-bit integers where the network has only linear layers and ReLU, up to the rule of a partition
  /// (quantized-network.h).
  bool bytes = true;
  /// From that many bins on, the bytes of the last layer are looked at in two levels (router-groups.h).
  std::size_t groupsFrom = 2048;
};

class Router {
 public:
  explicit Router(Classifier classifier, const RouterOptions& options = {});
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;
  ~Router();

  const Classifier& classifier() const;
  std::size_t bins() const;

  /// The plain way, in float32: logits / temperature of `rows` input rows into out (rows x bins), on at most
  /// `threads` threads (0: all). What chooseBins is measured against.
  void logits(const float* inputs, std::size_t rows, float* out, std::size_t threads) const;

  /// Lets go of the float32 numbers where chooseBins computes in bytes. Then logits must not be called any
  /// more.
  void dropFloats();

  /// What a thread needs besides the router, kept from call to call.
  class Scratch;
  static std::unique_ptr<Scratch, void (*)(Scratch*)> makeScratch();

  /// For each of `rows` prepared queries the bins to read, most probable first (ties to the smaller bin),
  /// with their probabilities: chosen[i] is overwritten. On the calling thread only. What comes out for a
  /// query does not depend on the other rows. Safe to call from several threads at once, each with its own
  /// scratch.
  void chooseBins(const float* inputs, std::size_t rows, const BinBudget& budget, Scratch& scratch,
                  std::span<std::vector<RankedBin>> chosen) const;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace neural_lsh::cpu
