/** The rows of a training: their order, which of them are held out, what is wanted of each. */
import type { TrainingRequest } from '../../engine.js'
import type { SplitMix } from '../split-mix.js'
import type { Steps } from '../turns.js'
import type { Target } from './losses.js'
import { numbersOfStep } from './reals.js'

/** All rows in the order of the split, those to hold out first. */
export interface Split {
  heldOut: Int32Array<ArrayBuffer>
  trained: Int32Array<ArrayBuffer>
}

export function* splitRows({ labels, validationFraction, heldOut }: TrainingRequest, random: SplitMix): Steps<Split> {
  const rows = new Int32Array(labels.length)
  for (let row = 0; row < rows.length; row++) {
    rows[row] = row
    if (row % numbersOfStep === 0) yield 0
  }
  yield* random.shuffle(rows)
  const count = heldOut?.length ?? Math.floor(rows.length * validationFraction)
  if (heldOut) yield* moveToFront(rows, heldOut)
  return { heldOut: rows.slice(0, count), trained: rows.slice(count) }
}

/** The chosen rows, in the order in which they stood, then all others. */
function* moveToFront(rows: Int32Array, chosen: Int32Array): Steps<void> {
  const isChosen = new Uint8Array(rows.length)
  for (const row of chosen) isChosen[row] = 1
  const before = rows.slice()
  let [front, behind] = [0, chosen.length]
  for (let i = 0; i < before.length; i++) {
    const row = before[i] as number
    rows[isChosen[row] === 1 ? front++ : behind++] = row
    if (i % numbersOfStep === 0) yield 0
  }
}

/** The labels of the first softLabels neighbors and of the row itself, in equal shares. */
export function fillTarget(request: TrainingRequest, row: number, target: Target): void {
  const { labels, neighbors, neighborsPerRow, softLabels } = request
  const share = Math.fround(1 / (softLabels + 1))
  target.clear()
  for (let i = row * neighborsPerRow; i < row * neighborsPerRow + softLabels; i++)
    target.add(labels[neighbors[i] as number] as number, share)
  target.add(labels[row] as number, share)
}

/** Divides rows into equal parts of at most `most`: a batch passes through the network part by part, so that what its
 * layers hand on stays in the cache. */
export function partsOf(rows: Int32Array, most: number): { first: number; rows: Int32Array }[] {
  const parts = Math.ceil(rows.length / most)
  return Array.from({ length: parts }, (_, i) => {
    const first = Math.floor((i * rows.length) / parts)
    return { first, rows: rows.subarray(first, Math.floor(((i + 1) * rows.length) / parts)) }
  })
}

/** Adds normal noise to rows of `columns` numbers, with a generator for each. */
export function* addNoise(
  values: Float32Array,
  columns: number,
  deviation: number,
  makeRandom: (row: number) => SplitMix
): Steps<void> {
  const pair = new Float64Array(2)
  let drawn = 0
  for (let first = 0, row = 0; first < values.length; first += columns, row++) {
    const random = makeRandom(row)
    for (let c = 0; c < columns; c += 2) {
      random.normals(pair)
      values[first + c] = (values[first + c] as number) + Math.fround(deviation * (pair[0] as number))
      if (c + 1 < columns)
        values[first + c + 1] = (values[first + c + 1] as number) + Math.fround(deviation * (pair[1] as number))
    }
    drawn += columns
    if (drawn < numbersOfStep / 4) continue
    drawn = 0
    yield 0
  }
}
