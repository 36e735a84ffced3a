/** Probabilities that mean what they say: temperature scaling (Guo, Pleiss, Sun & Weinberger, "On Calibration of Modern
 * Neural Networks", ICML 2017). */
import type { Calibration } from '../../engine.js'
import type { Steps } from '../turns.js'
import { rowsOfStep } from './reals.js'

/** At least one row: finite logits, and as many shares of the row's target distribution, which sum to 1. */
export interface CalibrationSet {
  logits: Float32Array
  shares: Float32Array
  bins: number
}

/** Rows of logits are no more than this many numbers. */
export const mostCalibratedNumbers = 2 ** 24

/** Exponentials take so many times as long as cheap operations. */
const exponentialCost = 8

/** The temperature that fits, as the index file keeps it. */
export function* calibrateTo(set: CalibrationSet): Steps<Calibration> {
  const temperature = Math.fround(yield* fitTemperature(set))
  const errorBefore = yield* expectedCalibrationError(set, 1)
  return { temperature, errorBefore, errorAfter: yield* expectedCalibrationError(set, temperature) }
}

/**
 * The temperature in [1e-9, 1e9] at which the mean cross-entropy of softmax(logits / temperature) against the shares is
 * lowest (section 4.2), to within 1e-4 relative. The cross-entropy is convex in the inverse temperature: Newton's method
 * for the slope's root, with a bisection (of the logarithm) wherever a step leaves the bracket or is not half as long as the
 * last one.
 */
export function* fitTemperature(set: CalibrationSet): Steps<number> {
  let low = 1e-9
  let high = 1e9
  let inverse = 1
  let step = high
  while (step > 1e-5 * inverse) {
    const { slope, curvature } = yield* derivatives(set, inverse)
    if (slope === 0) break
    if (slope > 0) high = inverse
    else low = inverse
    let next = inverse - slope / curvature
    const isGood = next > low && next < high && Math.abs(next - inverse) <= step / 2
    if (!isGood) next = Math.sqrt(low * high)
    step = Math.abs(next - inverse)
    inverse = next
  }
  return 1 / inverse
}

/** Of the summed cross-entropy by the inverse temperature: with p = softmax(inverse * logits), p's mean of the logits less
 * the shares', and p's variance of the logits, all counted from each row's largest logit. */
function* derivatives({ logits, shares, bins }: CalibrationSet, inverse: number) {
  const together = rowsOfStep(bins * exponentialCost)
  let slope = 0
  let curvature = 0
  for (let row = 0; row < logits.length / bins; row++) {
    const first = row * bins
    const largest = logits[largestIn(logits, first, bins)] as number
    let [sum, linear, square, total, target] = [0, 0, 0, 0, 0]
    for (let i = first; i < first + bins; i++) {
      const x = (logits[i] as number) - largest
      const power = Math.exp(inverse * x)
      sum += power
      linear += power * x
      square += power * x * x
      total += shares[i] as number
      target += (shares[i] as number) * x
    }
    const mean = linear / sum
    slope += total * mean - target
    curvature += total * (square / sum - mean * mean)
    if (row % together === 0) yield 0
  }
  return { slope, curvature }
}

/** Guo et al., equation 3: the most probable bin's probability against its share of the target, in 15 equal intervals of
 * probability. */
export function* expectedCalibrationError(
  { logits, shares, bins }: CalibrationSet,
  temperature: number
): Steps<number> {
  const gaps = new Float64Array(15) // summed accuracy - confidence
  const together = rowsOfStep(bins * exponentialCost)
  const rows = logits.length / bins
  for (let row = 0; row < rows; row++) {
    const best = largestIn(logits, row * bins, bins)
    let sum = 0
    for (let i = row * bins; i < (row + 1) * bins; i++)
      sum += Math.exp(((logits[i] as number) - (logits[best] as number)) / temperature)
    const interval = Math.min(Math.ceil(gaps.length / sum), gaps.length) - 1
    gaps[interval] = (gaps[interval] as number) + (shares[best] as number) - 1 / sum
    if (row % together === 0) yield 0
  }
  return gaps.reduce((error, gap) => error + Math.abs(gap), 0) / rows
}

/** Where the largest of some numbers is, the first of equals. */
function largestIn(values: Float32Array, first: number, count: number): number {
  let best = first
  for (let i = first + 1; i < first + count; i++) if ((values[i] as number) > (values[best] as number)) best = i
  return best
}
