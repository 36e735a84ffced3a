/** What is thought of the network's outputs: their loss, and how often they are right. */
import type { TrainingRequest } from '../../engine.js'
import { Ranking } from '../ranking.js'
import type { Steps } from '../turns.js'
import { RowLoss, rowNormalizer, Target, type WeighedLoss } from './losses.js'
import { type Reals, rowsOfStep } from './reals.js'
import type { Score } from './score.js'
import { fillTarget } from './training-rows.js'

/** Exponentials and heaps take so many times as long as cheap operations. */
const costOfOutput = 8

export class Judge {
  readonly #request: TrainingRequest
  readonly #loss: WeighedLoss
  readonly #rowLoss: RowLoss
  readonly #target: Target
  readonly #ranking = new Ranking()
  readonly #isProbed: Uint8Array

  constructor(request: TrainingRequest, loss: WeighedLoss) {
    this.#request = request
    this.#loss = loss
    this.#rowLoss = new RowLoss(loss, request.bins)
    this.#target = new Target(request.softLabels + 1)
    this.#ranking.reserve(request.bins)
    this.#isProbed = new Uint8Array(request.bins)
  }

  /** What the rows' summed loss is to be divided by. */
  normalizerOf(rows: Int32Array): number {
    if (this.#loss.weights === undefined) return rows.length * this.#normalizerOfRow(rows[0] as number)
    return rows.reduce((sum, row) => sum + this.#normalizerOfRow(row), 0)
  }

  #normalizerOfRow(row: number): number {
    fillTarget(this.#request, row, this.#target)
    return rowNormalizer(this.#loss, this.#request.bins, this.#target)
  }

  /** Writes the gradient of the batch's mean loss; `normalizer` is the batch's, which the score goes without. */
  *judge(rows: Int32Array, outputs: Reals, gradient: Reals, normalizer: number, score: Score): Steps<void> {
    const { bins, labels } = this.#request
    const scale = normalizer > 0 ? 1 / normalizer : 0
    const together = rowsOfStep(bins * costOfOutput)
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i] as number
      fillTarget(this.#request, row, this.#target)
      if (isFirstLargest(outputs, i * bins, bins, labels[row] as number)) score.hits++
      score.loss += this.#rowLoss.of(outputs, i * bins, this.#target, scale, gradient)
      if (i % together === 0) yield 0
    }
    score.rows += rows.length
  }

  /** Counts the neighbors of each row that lie in the bins whose outputs are the largest, ties to the smaller bin. */
  *countNeighbors(rows: Int32Array, outputs: Reals, score: Score): Steps<void> {
    const { bins, neighbors, neighborsPerRow } = this.#request
    if (neighbors.length === 0) return
    const together = rowsOfStep(bins * costOfOutput)
    for (let i = 0; i < rows.length; i++) {
      const first = (rows[i] as number) * neighborsPerRow
      score.neighborsFound += this.#countProbed(outputs, i * bins, neighbors.subarray(first, first + neighborsPerRow))
      if (i % together === 0) yield 0
    }
    score.neighbors += rows.length * neighborsPerRow
  }

  #countProbed(outputs: Reals, at: number, neighbors: Int32Array): number {
    const { bins, labels, monitoredProbes } = this.#request
    const ranking = this.#ranking
    for (let bin = 0; bin < bins; bin++) {
      ranking.keys[bin] = -(outputs[at + bin] as number)
      ranking.ids[bin] = bin
    }
    ranking.start(bins)
    const isProbed = this.#isProbed.fill(0)
    for (let probe = 0; probe < Math.min(monitoredProbes, bins); probe++)
      isProbed[ranking.ids[ranking.next()] as number] = 1
    let found = 0
    for (let i = 0; i < neighbors.length; i++) found += isProbed[labels[neighbors[i] as number] as number] as number
    return found
  }
}

/** Whether the largest of some numbers, the first of equals, is number `index` of them. */
function isFirstLargest(values: Reals, first: number, count: number, index: number): boolean {
  const value = values[first + index] as number
  for (let i = first; i < first + index; i++) if ((values[i] as number) >= value) return false
  for (let i = first + index + 1; i < first + count; i++) if ((values[i] as number) > value) return false
  return true
}
