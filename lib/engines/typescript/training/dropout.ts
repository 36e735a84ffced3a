import type { Layer } from '../../../classifier/network.js'
import { SplitMix } from '../split-mix.js'
import type { Steps } from '../turns.js'
import type { Gradients, LayerWeights, Pass, TrainingLayer } from './layer.js'
import { numbersOfStep, type Reals } from './reals.js'

/** A number's lot is 16 bits; one output of the generator has those of four, the lowest bits first. */
const lots = 65_536
const lanes = 4

/** Srivastava et al., JMLR 2014. The mask is drawn again for the backward pass: cheaper than to keep it. */
export class Dropout implements TrainingLayer {
  readonly #columns: number
  /** Lots below it are dropped. */
  readonly #threshold: number

  constructor({ rate }: Extract<Layer, { type: 'dropout' }>, columns: number) {
    this.#columns = columns
    this.#threshold = Math.min(Math.round(rate * lots), lots - 1)
  }

  *forward(pass: Pass, _: LayerWeights, from: Reals, to: Reals): Steps<void> {
    if (pass.isTraining) yield* this.#drop(pass, from, to)
    else to.set(from.subarray(0, pass.rows * this.#columns))
  }

  *backward(pass: Pass, { outGradient, inGradient }: Gradients): Steps<void> {
    if (inGradient !== undefined) yield* this.#drop(pass, outGradient, inGradient)
  }

  *#drop({ rows, first, seed }: Pass, from: Reals, to: Reals): Steps<void> {
    const count = rows * this.#columns
    const before = first * this.#columns
    for (let i = 0; i < count; i += numbersOfStep) {
      this.#dropSome(seed, before, from, to, i, Math.min(i + numbersOfStep, count))
      yield 0
    }
  }

  /** Of the numbers [begin, end), `before` of which lie before the first in the batch. */
  #dropSome(seed: bigint, before: number, from: Reals, to: Reals, begin: number, end: number): void {
    const threshold = this.#threshold
    const scale = lots / (lots - threshold)
    const random = new SplitMix(seed, Math.floor((before + begin) / lanes))
    random.next()
    for (let i = begin, lane = (before + begin) % lanes; i < end; i++, lane++) {
      if (lane === lanes) {
        random.next()
        lane = 0
      }
      const half = lane < 2 ? random.low : random.high
      const lot = lane % 2 === 0 ? half & 0xffff : half >>> 16
      to[i] = lot < threshold ? 0 : (from[i] as number) * scale
    }
  }
}
