/** Which bins are read: the most probable first, as many as the probing asks for. */
import type { Bins, Probing } from '../engine.js'
import { Ranking } from './ranking.js'

export class BinChoice {
  /** The bins chosen, most probable first, ties to the smaller bin: as many as `count`. */
  readonly bins: Int32Array<ArrayBuffer>
  readonly probabilities: Float32Array<ArrayBuffer>
  count = 0
  /** Vectors in them. */
  candidates = 0
  readonly #offsets: Int32Array
  readonly #ranking = new Ranking()

  constructor({ offsets }: Pick<Bins, 'offsets'>) {
    const bins = offsets.length - 1
    this.bins = new Int32Array(bins)
    this.probabilities = new Float32Array(bins)
    this.#offsets = offsets
    this.#ranking.reserve(bins)
  }

  /** Chooses by the bins' logits. Whatever the probing says, bins are taken until they hold `fewest` vectors. */
  choose(logits: Float64Array, probing: Probing, fewest: number): void {
    this.count = 0
    this.candidates = 0
    const total = this.#weigh(logits)
    const ranking = this.#ranking
    const largest = ranking.keys[0] as number
    let mass = 0
    while (ranking.size > 0 && !this.#isEnough(probing, mass, fewest)) {
      const at = ranking.next()
      const probability = Math.fround(Math.exp(largest - (ranking.keys[at] as number)) / total)
      if (probability < (probing.probability ?? 0) && this.candidates >= fewest) return
      this.#take(ranking.ids[at] as number, probability)
      mass += probability
    }
  }

  /** Ranks the bins, and returns the sum of their weights beside the largest. */
  #weigh(logits: Float64Array): number {
    const { keys, ids } = this.#ranking
    for (let bin = 0; bin < logits.length; bin++) {
      keys[bin] = -finite(logits[bin] as number)
      ids[bin] = bin
    }
    this.#ranking.start(logits.length)
    const largest = keys[0] as number
    let sum = 0
    for (let place = 0; place < logits.length; place++) sum += Math.exp(largest - (keys[place] as number))
    return sum
  }

  #isEnough(probing: Probing, mass: number, fewest: number): boolean {
    if (this.candidates < fewest) return false
    if (probing.probes !== undefined) return this.count >= probing.probes
    if (probing.mass !== undefined) return mass >= probing.mass
    return this.candidates >= probing.candidates
  }

  #take(bin: number, probability: number): void {
    this.bins[this.count] = bin
    this.probabilities[this.count] = probability
    this.count++
    this.candidates += (this.#offsets[bin + 1] as number) - (this.#offsets[bin] as number)
  }
}

/** What is no number counts as the least that is one. */
const finite = (logit: number) =>
  Number.isNaN(logit) ? -Number.MAX_VALUE : Math.max(-Number.MAX_VALUE, Math.min(logit, Number.MAX_VALUE))
