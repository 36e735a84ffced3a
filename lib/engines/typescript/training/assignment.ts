/** Vectors go to the bins in which the router would look for them first, as long as there is room. */
import { outputsOf } from '../../../classifier/network.js'
import type { Classifier, JobOptions } from '../../engine.js'
import { Ranking } from '../ranking.js'
import { createRouter, type Router } from '../router.js'
import { alone, type Pool, type Task, type Team, withTeam } from '../team.js'
import type { Steps } from '../turns.js'
import { rowsRouter, rowsTogether, sharedClassifier } from './batch-router.js'
import { numbersOfStep } from './reals.js'

/** Kept of each row's choices: hardly a row finds all of so many bins full. */
const mostChoices = 8
const assignedOfStep = 256

export function assignToBins(
  classifier: Classifier,
  vectors: Float32Array,
  largest: number,
  job: JobOptions,
  pool: Pool = alone
): Promise<Int32Array<ArrayBuffer>> {
  const rows = vectors.length / classifier.input.mean.length
  const work = { total: rows, multiplications: rows * classifier.parameters.length }
  return withTeam(pool, job, work, (team) => assign(team, classifier, vectors, rows, largest))
}

/** What every row would like; the choice itself is one thread's. */
async function assign(
  team: Team,
  classifier: Classifier,
  given: Float32Array,
  rows: number,
  largest: number
): Promise<Int32Array<ArrayBuffer>> {
  const each = Math.min(mostChoices, outputsOf(classifier.network))
  const choices: Choices = {
    classifier: await sharedClassifier(team, classifier),
    vectors: await team.share(given),
    rows,
    each,
    bins: team.room(Int32Array, rows * each),
    sureness: team.room(Float64Array, rows)
  }
  await team.run(chooseBins, choices, Math.ceil(rows / rowsTogether))
  return team.inTurns(assignmentSteps(choices, largest))
}

interface Choices {
  classifier: Classifier
  vectors: Float32Array
  rows: number
  /** Of a row. */
  each: number
  /** rows x each, most probable first. */
  bins: Int32Array
  /** The probability of each row's first. */
  sureness: Float64Array
}

export const chooseBins: Task<Choices> = {
  name: 'choose-bins',
  begin({ classifier, vectors, rows, each, bins: wanted, sureness }) {
    const bins = outputsOf(classifier.network)
    const route = rowsRouter(classifier)
    return (part) =>
      route(vectors, part * rowsTogether, Math.min(rows, (part + 1) * rowsTogether), (row, logits, at) => {
        const chosen = wanted.subarray(row * each, (row + 1) * each)
        rank(logits, at, bins, chosen)
        sureness[row] = probabilityOf(logits, at, bins, logits[at + (chosen[0] as number)] as number)
      })
  }
}

function* assignmentSteps(
  { classifier, vectors, rows, each, bins: wanted, sureness }: Choices,
  largest: number
): Steps<Int32Array<ArrayBuffer>> {
  const dimensions = classifier.input.mean.length
  const router = createRouter(classifier)
  const room = new Int32Array(outputsOf(classifier.network)).fill(largest)
  const labels = new Int32Array(rows)
  // The surest choose first, equally sure ones in their order.
  const surest = yield* surestFirst(sureness)
  for (let taken = 0; taken < rows; taken++) {
    const row = surest.ids[surest.next()] as number
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

function* surestFirst(sureness: Float64Array): Steps<Ranking> {
  const ranking = new Ranking()
  const rows = sureness.length
  ranking.reserve(rows)
  for (let row = 0; row < rows; row++) {
    ranking.ids[row] = row
    ranking.keys[row] = -(sureness[row] as number)
    if (row % numbersOfStep === 0) yield 0
  }
  yield* ranking.startInSteps(rows)
  return ranking
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
function probabilityOf(logits: Float32Array | Float64Array, at: number, bins: number, largest: number): number {
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
