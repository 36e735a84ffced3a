/**
 * Training the classifier on mini-batches of seeded shuffles: native/cpu/classifier/trainer.h in TypeScript, so that the
 * two engines draw the same random numbers and differ in rounding only.
 *
 * The outputs of the seed's generator are the seeds of further ones, in this order: 1. the split, by which all rows are
 * shuffled, the first of them to be held out; 2. the weights (initialization.ts); 3. and on, one an epoch: it shuffles the
 * rows to be trained, and its further outputs are the batches' seeds, whose first output is that of the input noise, and
 * whose second that of the network (network.ts).
 */
import { bufferCount, parameterCount } from '../../../classifier/network.js'
import { NeuralLSHError } from '../../../errors.js'
import type {
  Calibration,
  EpochReport,
  InputTransform,
  JobOptions,
  StartingPoint,
  TrainedClassifier,
  TrainingRequest,
  TrainingState
} from '../../engine.js'
import { SplitMix } from '../split-mix.js'
import { alone, type Pool, type Task, type Team, withTeam } from '../team.js'
import type { Steps } from '../turns.js'
import { calibrateTo, mostCalibratedNumbers } from './calibration.js'
import { initialWeights } from './initialization.js'
import { fitInputTransform, transformRows } from './input-transform.js'
import { Judge } from './judge.js'
import { guessingLoss, Target, type WeighedLoss, weighedLoss } from './losses.js'
import { MatrixProduct } from './matrix-product.js'
import { multiplicationsOf, TrainingNetwork } from './network.js'
import { Optimizer } from './optimizer.js'
import { bytesTaken, ordinaryRoom, type Room, roomIn } from './reals.js'
import { newPlateau, observe, scheduleFactor } from './schedule.js'
import { Score } from './score.js'
import { placesNeeded, type SharedPlaces, SharedWork } from './shared-work.js'
import { areFinite, checkedCopy, checkRequest } from './training-checks.js'
import { addNoise, fillTarget, partsOf, type Split, splitRows } from './training-rows.js'

/** Progress is counted in mini-batches. */
export function trainClassifier(
  request: TrainingRequest,
  job: JobOptions,
  pool: Pool = alone
): Promise<TrainedClassifier> {
  const { epochs, labels, network } = request
  // Forward, and backward to the weights and to the inputs.
  const multiplications = 3 * epochs * labels.length * multiplicationsOf(network)
  return withTeam(pool, job, { total: epochs * batchesOf(request), multiplications }, (team) => train(team, request))
}

/** A thread leads, and the others help with the matrix products; so what comes out does not depend on threads. */
async function train(team: Team, given: TrainingRequest): Promise<TrainedClassifier> {
  const { threads } = team
  if (threads === 1) return team.run(trainTogether, { request: given, threads }, 1)
  const request = await sharedRequest(team, given)
  const bytes = bytesTaken((room) => new Desk(request, room, undefined))
  const places = {
    memory: team.room(Uint8Array, bytes).buffer,
    control: team.zeros(Int32Array, placesNeeded.control),
    description: team.room(Float64Array, placesNeeded.description)
  }
  return team.run(trainTogether, { request, threads, places }, threads)
}

/** What each step reads, and what could be large, where all threads see it. */
async function sharedRequest(team: Team, request: TrainingRequest): Promise<TrainingRequest> {
  const { vectors, labels, neighbors, heldOut, initial } = request
  return {
    ...request,
    vectors: await team.share(vectors),
    labels: await team.share(labels),
    neighbors: await team.share(neighbors),
    heldOut: heldOut && (await team.share(heldOut)),
    initial: initial && (await sharedStart(team, initial))
  }
}

async function sharedStart(team: Team, start: StartingPoint): Promise<StartingPoint> {
  const { parameters, buffers, state } = start
  return {
    ...start,
    parameters: await team.share(parameters),
    buffers: buffers && (await team.share(buffers)),
    state: state && {
      ...state,
      parameters: await team.share(state.parameters),
      buffers: await team.share(state.buffers),
      slots: await team.share(state.slots)
    }
  }
}

interface Training {
  request: TrainingRequest
  threads: number
  /** Where there are several. */
  places?: SharedPlaces
}

export const trainTogether: Task<Training, TrainedClassifier> = {
  name: 'train-together',
  begin({ request, threads, places }) {
    const work = places && new SharedWork(places)
    return function* (part) {
      if (part < threads - 1) {
        if (work) yield* new MatrixProduct(work).help(work)
        return undefined
      }
      try {
        return yield* trainingSteps(request, work)
      } finally {
        work?.end()
      }
    }
  }
}

function* trainingSteps(request: TrainingRequest, work: SharedWork | undefined): Steps<TrainedClassifier> {
  yield* checkRequest(request)
  const seeds = new SplitMix(BigInt(request.seed))
  const split = yield* splitRows(request, new SplitMix(seeds.seed()))
  const start = yield* startingWeights(request, split, seeds.seed())
  const desk = new Desk(request, work ? roomIn(work.memory) : ordinaryRoom, work)
  const trainer = new Trainer(request, split, start, seeds, desk)
  if (request.initial?.state) yield* trainer.goOn(request.initial.state)
  return yield* trainer.run()
}

/** How many rows are held out, where the request does not name them. */
const heldOutOf = ({ labels, validationFraction, heldOut }: TrainingRequest) =>
  heldOut?.length ?? Math.floor(labels.length * validationFraction)

const batchRowsOf = ({ batchSize, labels }: TrainingRequest) => Math.min(batchSize, labels.length)

const batchesOf = (request: TrainingRequest) =>
  Math.ceil((request.labels.length - heldOutOf(request)) / batchRowsOf(request))

/** Enough rows for the matrix products. */
const mostRowsTogether = 512

/** Batch norm sees the whole batch at once, all other layers may see parts of it. */
const rowsTogetherOf = (request: TrainingRequest) =>
  request.network.layers.some(({ type }) => type === 'batch-norm')
    ? batchRowsOf(request)
    : Math.min(batchRowsOf(request), mostRowsTogether)

interface Weights {
  parameters: Float32Array<ArrayBuffer>
  buffers: Float32Array<ArrayBuffer>
}

const copyOf = ({ parameters, buffers }: Weights): Weights => ({
  parameters: parameters.slice(),
  buffers: buffers.slice()
})

/** What is written in every step: where all threads see it, if there are several. */
class Desk {
  readonly network: TrainingNetwork
  readonly parameters: Float32Array<ArrayBuffer>
  readonly gradient: Float32Array<ArrayBuffer>

  constructor(request: TrainingRequest, room: Room, work: SharedWork | undefined) {
    const { network } = request
    this.network = new TrainingNetwork(network, rowsTogetherOf(request), Float32Array, room, new MatrixProduct(work))
    this.parameters = room(Float32Array, parameterCount(network))
    this.gradient = room(Float32Array, parameterCount(network))
  }
}

interface Start extends Weights {
  input: InputTransform
}

function* startingWeights(request: TrainingRequest, { trained }: Split, seed: bigint): Steps<Start> {
  const { network, initialization, initial, vectors, dimensions } = request
  const fresh = yield* initialWeights(network, initialization, seed)
  if (initial === undefined)
    return { ...fresh, input: yield* fitInputTransform(request.input, vectors, dimensions, trained) }
  const { parameters, buffers } = initial
  const input = initial.input ?? (yield* fitInputTransform(request.input, vectors, dimensions, trained))
  return {
    parameters: yield* checkedCopy(parameters, parameterCount(network), 'initial.parameters'),
    // No buffers: as a network starts.
    buffers: buffers?.length ? yield* checkedCopy(buffers, bufferCount(network), 'initial.buffers') : fresh.buffers,
    input: {
      unitLength: input.unitLength,
      mean: yield* checkedCopy(input.mean, dimensions, 'initial.input.mean'),
      scale: yield* checkedCopy(input.scale, dimensions, 'initial.input.scale')
    }
  }
}

class Trainer {
  readonly #request: TrainingRequest
  readonly #split: Split
  readonly #seeds: SplitMix
  readonly #batches: number
  readonly #rowsTogether: number
  readonly #loss: WeighedLoss
  readonly #judge: Judge
  readonly #network: TrainingNetwork
  readonly #optimizer: Optimizer
  readonly #gradient: Float32Array<ArrayBuffer>
  readonly #input: InputTransform
  readonly #state: Omit<TrainingState, keyof Weights | 'steps' | 'slots'>
  readonly #current: Weights
  #best: Weights
  /** Of the last step. */
  #rate = 0

  constructor(
    request: TrainingRequest,
    split: Split,
    { input, ...weights }: Start,
    seeds: SplitMix,
    { network, parameters, gradient }: Desk
  ) {
    const { labels, bins, optimizer, regularization } = request
    this.#request = request
    this.#split = split
    this.#seeds = seeds
    this.#batches = batchesOf(request)
    this.#rowsTogether = rowsTogetherOf(request)
    this.#loss = weighedLoss(request.loss, labels, bins)
    this.#judge = new Judge(request, this.#loss)
    this.#network = network
    this.#optimizer = new Optimizer(optimizer, regularization, parameters.length, (size) => new Float32Array(size))
    this.#gradient = gradient
    this.#input = input
    this.#current = { parameters, buffers: weights.buffers }
    this.#best = copyOf(weights)
    parameters.set(weights.parameters)
    this.#state = { epochs: 0, plateau: newPlateau(), bestValue: 0, bestEpoch: 0 }
  }

  /** As if it had never stopped. */
  *goOn({ epochs, steps, slots, parameters, buffers, plateau, bestValue, bestEpoch }: TrainingState): Steps<void> {
    this.#optimizer.restore(slots, steps)
    yield* checkedCopy(slots, slots.length, 'initial.state.slots')
    const current = this.#current
    current.parameters.set(yield* checkedCopy(parameters, current.parameters.length, 'initial.state.parameters'))
    current.buffers.set(yield* checkedCopy(buffers, current.buffers.length, 'initial.state.buffers'))
    Object.assign(this.#state, { epochs, plateau: { ...plateau }, bestValue, bestEpoch })
    for (let epoch = 0; epoch < epochs; epoch++) this.#seeds.next()
  }

  *run(): Steps<TrainedClassifier> {
    const { network, epochs, earlyStopping, calibrate } = this.#request
    const state = this.#state
    const history: EpochReport[] = []
    const end = state.epochs + epochs
    while (state.epochs < end && !this.#isStopped()) history.push(yield* this.#epoch())
    const kept = earlyStopping ? this.#best : this.#current
    const { heldOut } = this.#split
    const calibration = calibrate && heldOut.length > 0 ? yield* this.#calibrate(kept) : undefined
    return {
      network,
      ...copyOf(kept),
      input: this.#input,
      temperature: calibration?.temperature ?? 1,
      heldOut,
      history,
      bestEpoch: earlyStopping ? state.bestEpoch : state.epochs,
      ...(calibration && { calibration }),
      state: {
        ...state,
        steps: this.#optimizer.steps,
        slots: this.#optimizer.slots as Float32Array<ArrayBuffer>,
        ...copyOf(this.#current)
      }
    }
  }

  *#epoch(): Steps<EpochReport> {
    const { schedule, earlyStopping } = this.#request
    const state = this.#state
    const start = performance.now()
    const training = yield* this.#trainEpoch()
    state.epochs++
    const validation = yield* this.#validate()
    this.#checkConverging(training.meanLoss)
    this.#checkConverging(validation.meanLoss)
    observe(schedule, state.plateau, this.#split.heldOut.length > 0 ? validation.meanLoss : training.meanLoss)
    if (earlyStopping) this.#keepBest(validation)
    return {
      epoch: state.epochs,
      learningRate: this.#rate,
      trainingLoss: training.meanLoss,
      trainingAccuracy: training.accuracy,
      validationLoss: validation.meanLoss,
      validationAccuracy: validation.accuracy,
      neighborAccuracy: validation.neighborAccuracy,
      seconds: (performance.now() - start) / 1000
    }
  }

  *#trainEpoch(): Steps<Score> {
    const { schedule, optimizer } = this.#request
    const batchRows = batchRowsOf(this.#request)
    const order = this.#split.trained.slice()
    const random = new SplitMix(this.#seeds.seed())
    yield* random.shuffle(order)
    const sum = new Score()
    for (let batch = 0; batch < this.#batches; batch++) {
      const step = this.#state.epochs * this.#batches + batch
      this.#rate = optimizer.learningRate * scheduleFactor(schedule, this.#state.plateau, step, this.#batches)
      yield* this.#trainBatch(order.subarray(batch * batchRows, (batch + 1) * batchRows), random.seed(), sum)
      if (!Number.isFinite(sum.loss)) this.#fail('the loss is not finite', this.#state.epochs + 1)
      yield 1
    }
    // The last step's outcome, which no further batch sees.
    if (!(yield* areFinite(this.#current.parameters)) || !(yield* areFinite(this.#current.buffers)))
      this.#fail('the weights are not finite', this.#state.epochs + 1)
    return sum
  }

  *#trainBatch(batch: Int32Array, seed: bigint, sum: Score): Steps<void> {
    const network = this.#network
    const { parameters } = this.#current
    const random = new SplitMix(seed)
    const noiseSeed = random.seed()
    const networkSeed = random.seed()
    const normalizer = this.#judge.normalizerOf(batch)
    for (const { first, rows } of partsOf(batch, this.#rowsTogether)) {
      const part = { rows: rows.length, first, seed: networkSeed }
      yield* this.#feed(rows)
      yield* this.#addNoise(rows.length, noiseSeed + BigInt(first))
      yield* network.forward(this.#current, part)
      yield* this.#judge.judge(rows, network.outputs, network.outputGradient, normalizer, sum)
      yield* network.backward(parameters, part, this.#gradient)
    }
    sum.normalizer += normalizer
    yield* this.#optimizer.step(this.#rate, parameters, this.#gradient)
  }

  *#validate(): Steps<Score> {
    const network = this.#network
    const sum = new Score()
    for (const { rows } of partsOf(this.#split.heldOut, this.#rowsTogether)) {
      yield* this.#infer(this.#current, rows)
      yield* this.#judge.countNeighbors(rows, network.outputs, sum)
      const normalizer = this.#judge.normalizerOf(rows)
      yield* this.#judge.judge(rows, network.outputs, network.outputGradient, normalizer, sum)
      sum.normalizer += normalizer
    }
    return sum
  }

  *#infer(weights: Weights, rows: Int32Array): Steps<void> {
    yield* this.#feed(rows)
    yield* this.#network.infer(weights, rows.length)
  }

  *#feed(rows: Int32Array): Steps<void> {
    yield* transformRows(this.#input, this.#request.vectors, rows, this.#network.inputs)
  }

  *#addNoise(rows: number, seed: bigint): Steps<void> {
    const { dimensions, regularization } = this.#request
    if (regularization.inputNoise === 0) return
    const values = this.#network.inputs.subarray(0, rows * dimensions) as Float32Array
    yield* addNoise(values, dimensions, regularization.inputNoise, (row) => new SplitMix(seed + BigInt(row)))
  }

  #keepBest(validation: Score): void {
    const state = this.#state
    const watchesLoss = this.#request.earlyStopping?.monitor === 'validation-loss'
    const value = watchesLoss ? -validation.meanLoss : validation.neighborAccuracy
    if (state.bestEpoch > 0 && !(value > state.bestValue)) return
    state.bestValue = value
    state.bestEpoch = state.epochs
    this.#best = copyOf(this.#current)
  }

  #isStopped(): boolean {
    const { earlyStopping } = this.#request
    const { bestEpoch, epochs } = this.#state
    return earlyStopping !== undefined && bestEpoch > 0 && epochs - bestEpoch > earlyStopping.patience
  }

  /** On the held-out rows, or as many of them as make no more logits than there may be. */
  *#calibrate(weights: Weights): Steps<Calibration> {
    const { bins, softLabels } = this.#request
    const { heldOut } = this.#split
    const rows = heldOut.subarray(0, Math.max(1, Math.floor(mostCalibratedNumbers / bins)))
    const logits = new Float32Array(rows.length * bins)
    const shares = new Float32Array(logits.length)
    const target = new Target(softLabels + 1)
    for (const { first, rows: part } of partsOf(rows, this.#rowsTogether)) {
      yield* this.#infer(weights, part)
      logits.set(this.#network.outputs.subarray(0, part.length * bins), first * bins)
      for (let i = 0; i < part.length; i++) {
        fillTarget(this.#request, part[i] as number, target)
        for (let entry = 0; entry < target.count; entry++) {
          const at = (first + i) * bins + (target.bins[entry] as number)
          shares[at] = (shares[at] as number) + (target.shares[entry] as number)
        }
      }
      yield 0
    }
    return yield* calibrateTo({ logits, shares, bins })
  }

  /** Optimizers that bound each step by the learning rate often leave a huge network, not an infinite one. */
  #checkConverging(loss: number): void {
    const guessing = guessingLoss(this.#loss, this.#request.bins)
    if (loss > 100 * guessing) this.#fail(`the loss is ${loss}, that of guessing ${guessing}`, this.#state.epochs)
  }

  #fail(what: string, epoch: number): never {
    const cure = 'lower optimizer.learningRate'
    throw new NeuralLSHError('ERR_NLSH_TRAINING', `training diverged in epoch ${epoch}: ${what}; ${cure}`)
  }
}
