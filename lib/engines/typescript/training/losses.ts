/** What training minimizes, with PyTorch's definitions and reductions. */
import type { Loss } from '../../../classifier/training.js'
import type { Reals } from './reals.js'

/** A row's distribution over the bins: shares that sum to 1, of which a bin may have several. */
export class Target {
  count = 0
  readonly bins: Int32Array
  readonly shares: Float64Array

  constructor(mostEntries: number) {
    this.bins = new Int32Array(mostEntries)
    this.shares = new Float64Array(mostEntries)
  }

  clear(): void {
    this.count = 0
  }

  add(bin: number, share: number): void {
    this.bins[this.count] = bin
    this.shares[this.count] = share
    this.count++
  }
}

/** A loss whose classes' weights are known: none, or one for each bin. */
export type WeighedLoss = Loss & { weights: ArrayLike<number> | undefined }

/** `classWeights` in numbers; 'balanced' as scikit-learn's: rows / (bins * the bin's rows), 0 for empty bins. */
export function weighedLoss(loss: Loss, labels: Int32Array, bins: number): WeighedLoss {
  const { classWeights } = loss
  if (classWeights === 'none') return { ...loss, weights: undefined }
  if (classWeights !== 'balanced') return { ...loss, weights: classWeights }
  const weights = new Float64Array(bins)
  for (const label of labels) weights[label] = (weights[label] as number) + 1
  const mean = labels.length / bins
  return { ...loss, weights: weights.map((size) => (size === 0 ? 0 : mean / size)) }
}

const weightOf = ({ weights }: WeighedLoss, bin: number) => (weights === undefined ? 1 : (weights[bin] as number))

/** A row's part of what the sum of rowLoss over a batch's rows is to be divided by: the rows for the cross-entropy,
 * rows x outputs for the others. Hard labels (targets of one entry) under a weighted cross-entropy count by their weights,
 * as in PyTorch. */
export function rowNormalizer(loss: WeighedLoss, outputs: number, { count, bins }: Target): number {
  if (loss.type !== 'cross-entropy') return outputs
  return count === 1 ? weightOf(loss, bins[0] as number) : 1
}

/** Mean loss of guessing, all bins alike: what divergence is measured against. With class weights every row is taken to
 * lie in the heaviest bin, and this to weigh at least 1. */
export function guessingLoss({ type, weights }: WeighedLoss, outputs: number): number {
  const weight = Array.from(weights ?? []).reduce((most, weight) => Math.max(most, weight), 1)
  switch (type) {
    case 'cross-entropy':
      return weight * Math.log(outputs)
    case 'binary-cross-entropy':
      return weight * Math.log(2)
    case 'mean-squared-error':
      return (weight * (1 - 1 / outputs)) / outputs
    case 'mean-absolute-error':
      return (weight * 2 * (1 - 1 / outputs)) / outputs
  }
}

/** Judges rows of `outputs` numbers. */
export class RowLoss {
  readonly #loss: WeighedLoss
  readonly #outputs: number
  /** The target as a number for each bin. */
  readonly #shares: Float64Array

  constructor(loss: WeighedLoss, outputs: number) {
    this.#loss = loss
    this.#outputs = outputs
    this.#shares = new Float64Array(outputs)
  }

  /** The loss of the row that begins at `at`, before any division; writes its gradient, times `scale`. */
  of(values: Reals, at: number, target: Target, scale: number, gradient: Reals): number {
    switch (this.#loss.type) {
      case 'cross-entropy':
        return this.#crossEntropy(values, at, target, this.#loss.labelSmoothing, scale, gradient)
      case 'binary-cross-entropy':
        return this.#binaryCrossEntropy(values, at, target, scale, gradient)
      default:
        return this.#probabilityError(values, at, target, this.#loss.type === 'mean-squared-error', scale, gradient)
    }
  }

  /** sum_c a_c (-log p_c) with a_c = weight_c ((1 - smoothing) share_c + smoothing / outputs), whose gradient is
   * (sum of a) p - a. */
  #crossEntropy(values: Reals, at: number, target: Target, smoothing: number, scale: number, gradient: Reals): number {
    const largest = this.#largest(values, at)
    const shares = this.#densify(target)
    let total = 0
    let below = 0
    let sum = 0
    for (let bin = 0; bin < this.#outputs; bin++) {
      const down = largest - (values[at + bin] as number)
      const share = (1 - smoothing) * (shares[bin] as number) + smoothing / this.#outputs
      const part = share === 0 ? 0 : weightOf(this.#loss, bin) * share
      total += part
      below += part === 0 ? 0 : part * down
      sum += Math.exp(-down)
      shares[bin] = part
    }
    for (let bin = 0; bin < this.#outputs; bin++) {
      const probability = Math.exp((values[at + bin] as number) - largest) / sum
      gradient[at + bin] = (total * probability - (shares[bin] as number)) * scale
    }
    return total * Math.log(sum) + below
  }

  /** log(1 + exp(x)) of a bin that is not in the target, log(1 + exp(-x)) of one that is. */
  #binaryCrossEntropy(values: Reals, at: number, target: Target, scale: number, gradient: Reals): number {
    const shares = this.#densify(target)
    let sum = 0
    for (let bin = 0; bin < this.#outputs; bin++) {
      const isInTarget = (shares[bin] as number) > 0
      const x = values[at + bin] as number
      const small = Math.exp(-Math.abs(x))
      const probability = (x >= 0 ? 1 : small) / (1 + small)
      const weight = weightOf(this.#loss, bin)
      sum += weight * (Math.max(isInTarget ? -x : x, 0) + Math.log1p(small))
      gradient[at + bin] = weight * (probability - (isInTarget ? 1 : 0)) * scale
    }
    return sum
  }

  /** Distance of the probabilities from the shares, squared or absolute. */
  #probabilityError(
    values: Reals,
    at: number,
    target: Target,
    isSquared: boolean,
    scale: number,
    gradient: Reals
  ): number {
    const shares = this.#densify(target)
    const largest = this.#largest(values, at)
    let powers = 0
    for (let bin = 0; bin < this.#outputs; bin++) powers += Math.exp((values[at + bin] as number) - largest)
    const probabilityOf = (bin: number) => Math.exp((values[at + bin] as number) - largest) / powers
    const slopeOf = (bin: number, difference: number) =>
      weightOf(this.#loss, bin) * (isSquared ? 2 * difference : Math.sign(difference))
    let sum = 0
    let mean = 0 // of the errors' slopes, over the probabilities
    for (let bin = 0; bin < this.#outputs; bin++) {
      const probability = probabilityOf(bin)
      const difference = probability - (shares[bin] as number)
      sum += weightOf(this.#loss, bin) * (isSquared ? difference * difference : Math.abs(difference))
      mean += probability * slopeOf(bin, difference)
    }
    for (let bin = 0; bin < this.#outputs; bin++) {
      const probability = probabilityOf(bin)
      gradient[at + bin] = probability * (slopeOf(bin, probability - (shares[bin] as number)) - mean) * scale
    }
    return sum
  }

  #densify({ count, bins, shares }: Target): Float64Array {
    const dense = this.#shares.fill(0)
    for (let i = 0; i < count; i++) {
      const bin = bins[i] as number
      dense[bin] = (dense[bin] as number) + (shares[i] as number)
    }
    return dense
  }

  #largest(values: Reals, at: number): number {
    let largest = values[at] as number
    for (let i = at + 1; i < at + this.#outputs; i++) largest = Math.max(largest, values[i] as number)
    return largest
  }
}
