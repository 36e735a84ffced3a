/** Vectors go to the bins in which the router would look for them first, as long as there is room. */
import { outputsOf } from '../../../classifier/network.js'
import type { Classifier, JobOptions } from '../../engine.js'
import { Ranking } from '../ranking.js'
import { createRouter, type Router } from '../router.js'
import { runInTurns, type Steps } from '../turns.js'
import { eachLogits } from './batch-router.js'

/** Kept of each row's choices: hardly a row finds all of so many bins full. */
const mostChoices = 8
const assignedOfStep = 256

export function assignToBins(
  classifier: Classifier,
  vectors: Float32Array,
  largest: number,
  job: JobOptions
): Promise<Int32Array<ArrayBuffer>> {
  const rows = vectors.length / classifier.input.mean.length
  return runInTurns(assignmentSteps(classifier, vectors, rows, largest), rows, job)
}

interface Choices {
  /** Of a row. */
  each: number
  /** rows x each, most probable first. */
  bins: Int32Array
  /** Minus the probability of each row's first. */
  doubts: Ranking
}

function* assignmentSteps(
  classifier: Classifier,
  vectors: Float32Array,
  rows: number,
  largest: number
): Steps<Int32Array<ArrayBuffer>> {
  const bins = outputsOf(classifier.network)
  const dimensions = classifier.input.mean.length
  const { each, bins: wanted, doubts } = yield* chooseBins(classifier, vectors, rows, bins)
  const router = createRouter(classifier)
  const room = new Int32Array(bins).fill(largest)
  const labels = new Int32Array(rows)
  // The surest choose first, equally sure ones in their order.
  yield* doubts.startInSteps(rows)
  for (let taken = 0; taken < rows; taken++) {
    const row = doubts.ids[doubts.next()] as number
    const choices = wanted.subarray(row * each, (row + 1) * each)
    const found = choices.find((bin) => (room[bin] as number) > 0)
    const vector = vectors.subarray(row * dimensions, (row + 1) * dimensions)
    const bin = found ?? chooseAnyBin(router, vector, room)
    labels[row] = bin
    room[bin] = (room[bin] as number) - 1
    if (found === undefined || taken % assignedOfStep === 0) yield 0
  }
  return labels
}

function* chooseBins(classifier: Classifier, vectors: Float32Array, rows: number, bins: number): Steps<Choices> {
  const each = Math.min(mostChoices, bins)
  const choices: Choices = { each, bins: new Int32Array(rows * each), doubts: new Ranking() }
  choices.doubts.reserve(rows)
  yield* eachLogits(classifier, vectors, rows, (row, logits, at) => {
    const chosen = choices.bins.subarray(row * each, (row + 1) * each)
    rank(logits, at, bins, chosen)
    choices.doubts.ids[row] = row
    choices.doubts.keys[row] = -sureness(logits, at, bins, logits[at + (chosen[0] as number)] as number)
  })
  return choices
}

/** The bins of the largest logits, largest first, ties to the smaller bin. */
function rank(logits: Float32Array | Float64Array, at: number, bins: number, choices: Int32Array): void {
  let kept = 0
  for (let bin = 0; bin < bins; bin++) {
    const logit = logits[at + bin] as number
    const isLarger = (place: number) => logit > (logits[at + (choices[place] as number)] as number)
    if (kept === choices.length && !isLarger(kept - 1)) continue
    let place = kept < choices.length ? kept++ : kept - 1
    for (; place > 0 && isLarger(place - 1); place--) choices[place] = choices[place - 1] as number
    choices[place] = bin
  }
}

/** The softmax's probability of the largest. */
function sureness(logits: Float32Array | Float64Array, at: number, bins: number, largest: number): number {
  let sum = 0
  for (let i = at; i < at + bins; i++) sum += Math.exp((logits[i] as number) - largest)
  return Math.fround(1 / sum)
}

/** The most probable of all bins with room, for a row whose choices are full. */
function chooseAnyBin(router: Router, vector: Float32Array, room: Int32Array): number {
  const logits = router(vector)
  let best = -1
  for (let bin = 0; bin < room.length; bin++) {
    if ((room[bin] as number) > 0 && (best < 0 || (logits[bin] as number) > (logits[best] as number))) best = bin
  }
  return best
}
