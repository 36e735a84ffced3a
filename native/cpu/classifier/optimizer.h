// The optimizers, step for step as torch.optim has them. Sources: momentum, Polyak 1964; Nesterov 1983 in the
// form of Sutskever et al., ICML 2013; AdaGrad, Duchi et al., JMLR 2011; RMSProp, Tieleman & Hinton 2012;
// Adadelta, Zeiler 2012; Adam and Adamax, Kingma & Ba, ICLR 2015; AdamW, Loshchilov & Hutter, ICLR 2019;
// NAdam, Dozat 2016.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace neural_lsh::cpu {

enum class OptimizerType { sgd, adagrad, rmsprop, adadelta, adam, adamw, adamax, nadam };

/// Which fields mean something depends on the type.
struct OptimizerOptions {
  OptimizerType type = OptimizerType::adam;
  double momentum = 0;          // of sgd and rmsprop
  bool nesterov = false;        // of sgd
  double beta1 = 0.9;           // of the Adam family
  double beta2 = 0.999;         // likewise
  double decay = 0.99;          // of the running squares: rmsprop's alpha, adadelta's rho
  double epsilon = 1e-8;        // keeps from dividing by 0
  double weightDecay = 0;       // of adamw, decoupled; an L2 penalty is `l2` below
  double momentumDecay = 4e-3;  // of nadam
  double l1 = 0;                // penalties on all parameters, added to the gradient: l1 sign(w) ...
  double l2 = 0;                // ... + l2 w, which is torch.optim's weight_decay but for AdamW
  double clipNorm = 0;          // above 0: gradients of a larger norm are scaled down to it, before penalties
};

/// Throws Error ERR_NLSH_ARGUMENT when a state has another number of running values than are needed.
void checkSlots(std::size_t given, std::size_t needed);

template <typename Real>
class Optimizer {
 public:
  Optimizer(const OptimizerOptions& options, std::size_t parameters);

  /// One step with this learning rate; the gradient may be changed.
  void step(double learningRate, Real* parameters, Real* gradient, std::size_t threads);

  /// The same in parts, where each parameter's step depends on nothing but its own gradient: after `begin` an
  /// `update` of each part, in any order and from any thread. `parameters` and `gradient` are those of the
  /// `count` parameters from number `first` on.
  bool worksInParts() const { return options_.clipNorm == 0; }
  void begin(double learningRate);
  void update(std::size_t first, std::size_t count, Real* parameters, Real* gradient);

  /// The running values, slot after slot, each as long as the parameters, and the steps so far: with both an
  /// optimizer goes on where another stopped, bit for bit.
  std::span<const Real> slots() const { return slots_; }
  std::size_t steps() const { return steps_; }
  /// Throws as checkSlots does.
  void restore(std::span<const Real> slots, std::size_t steps);

 private:
  void update(std::size_t first, std::size_t count, Real* parameters, Real* gradient, double clip);

  OptimizerOptions options_;
  std::size_t parameters_;
  std::vector<Real> slots_;
  std::size_t steps_ = 0;
  double learningRate_ = 0;     // of the step that was begun last
  double momentumProduct_ = 1;  // of nadam: the product of its momenta so far
};

}  // namespace neural_lsh::cpu
