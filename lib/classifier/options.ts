/** The options of the classifier: what users write, how it is read, and what an engine gets of it. */
import { largestId } from '../checks/arrays.js'
import {
  boolean,
  Field,
  finite,
  integer,
  isIntegerWithin,
  isPositive,
  List,
  nonNegative,
  Optional,
  oneOf,
  positive,
  type Resolved,
  real,
  Section,
  share,
  Variants
} from '../checks/fields.js'
import type { TrainingRequest } from '../engines/engine.js'
import { ArgumentError } from '../errors.js'
import { activationTypes, layer } from './layers.js'
import {
  type ActivationType,
  checkSize,
  type InputShape,
  inputShape,
  isFlat,
  type Layer,
  type Network,
  shapeAfter
} from './network.js'
import {
  type ClassWeights,
  type EarlyStopping,
  type Initialization,
  type InputType,
  type Loss,
  type Optimizer,
  type Regularization,
  type Schedule,
  type TrainingPrecision,
  trainingPrecisions
} from './training.js'

// ---------------------------------------------------------------------------------------------- what users write

type Unsaid<T> = { [K in keyof T]?: T[K] | undefined }

/** Each of the union `T`, of which only the options `Said` must be given. */
type Given<T, Said extends string> = T extends unknown
  ? Pick<T, Extract<keyof T, Said>> & Unsaid<Pick<T, Exclude<keyof T, Said>>>
  : never

/** The one of the union `T` whose type is `Default`, which need not be said. */
type Default<T extends { type: string }, Type extends string> = T extends unknown
  ? Type extends T['type']
    ? { type?: undefined } & Unsaid<Omit<T, 'type'>>
    : never
  : never

export type LayerOptions = Given<Layer, 'type' | 'outputs' | 'channels' | 'kernel'>
export type InitializationOptions = Given<Initialization, 'type'> | Default<Initialization, 'uniform'>
export type LossOptions = Given<Loss, 'type'> | Default<Loss, 'cross-entropy'>
export type OptimizerOptions = Given<Optimizer, 'type'> | Default<Optimizer, 'adam'>
export type ScheduleOptions = Given<Schedule, 'type' | 'every' | 'milestones'> | Default<Schedule, 'cosine'>
export type RegularizationOptions = Unsaid<Regularization>
export type EarlyStoppingOptions = Unsaid<EarlyStopping>

export interface ClassifierOptions {
  /** Widths of the hidden layers, 1 to 65536 each, at most 64 of them; default [512]. [] is a linear classifier. */
  hidden?: readonly number[] | undefined
  /** After each hidden layer, default 'relu'. */
  activation?: Exclude<ActivationType, 'step'> | undefined
  /** Before each activation; default false. */
  batchNorm?: boolean | undefined
  /** Share of each hidden layer's outputs that is dropped in training, 0 to 0.99, default 0. */
  dropout?: number | undefined
  /** Instead of the four above: all layers, at most 256, but the last, which has an output for each bin. Where an image
   * meets a linear layer it is flattened. */
  layers?: readonly LayerOptions[] | undefined
  /** What a vector is to convolutions: channels x height x width numbers; default [dimensions, 1, 1], no image. */
  inputShape?: InputShape | undefined
  /** What a vector goes through before the network, default 'center'. */
  input?: InputType | undefined
  /** Weights before the first step, default { type: 'uniform' }: +-1 / sqrt(inputs). */
  initialization?: InitializationOptions | undefined
  /** Default { type: 'cross-entropy' }. */
  loss?: LossOptions | undefined
  /** S: train on the histogram over the bins of a vector's S nearest neighbors and of itself; 0: on its own bin only.
   * 0 to n - 1; default min(15, the graph's neighbors). */
  softLabels?: number | undefined
  /** Default { type: 'adam', learningRate: 0.003 }. */
  optimizer?: OptimizerOptions | undefined
  /** Default { type: 'cosine' }: the learning rate falls to 0 along half a cosine. */
  schedule?: ScheduleOptions | undefined
  regularization?: RegularizationOptions | undefined
  /** Passes over the vectors, 1 to 10000, default 10. */
  epochs?: number | undefined
  /** Vectors in a mini-batch, from 1; default 512. */
  batchSize?: number | undefined
  /** Share of the vectors that is held out to validate, 0 to 0.5, default 0.05. */
  validationFraction?: number | undefined
  /** Stop when the held-out vectors no longer get better, and keep the best epoch's weights; default: train to the end. */
  earlyStopping?: EarlyStoppingOptions | undefined
  /** Bins in which the neighbors of the held-out vectors are looked for after each epoch, 1 to the number of bins;
   * default max(1, round(bins / 32)). */
  monitoredProbes?: number | undefined
  /** Fit a temperature to the held-out vectors, so that probabilities are what they say; default true. */
  calibrate?: boolean | undefined
  /** How exactly matrices are multiplied: 'fp32'; 'tf32', the default, with factors rounded to 11 bits by the engine 'cuda';
   * 'bf16', mixed precision: what is multiplied takes half the memory and has 8 bits. Sums, weights and losses are FP32 with
   * any of them. But for 'fp32', the native engine rounds factors to 16 bits where the CPU has AMX, in large products only;
   * else it computes in FP32, as the TypeScript engine always does. */
  precision?: TrainingPrecision | undefined
  /** Of the engine 'cuda': the same training gives the same bytes again, and dropout draws the other engines' random
   * numbers; default true. The other engines always do. */
  deterministic?: boolean | undefined
}

// ---------------------------------------------------------------------------------------------------- the defaults

/** What is trained where nothing is said: the best of docs/recipes.md that costs a query no more. */
export const recipe = {
  hidden: [512] as readonly number[],
  activation: 'relu',
  batchNorm: false,
  dropout: 0,
  input: 'center',
  initialization: 'uniform',
  loss: 'cross-entropy',
  labelSmoothing: 0,
  softLabels: 15,
  optimizer: 'adam',
  adamLearningRate: 3e-3,
  schedule: 'cosine',
  warmup: 0,
  epochs: 10,
  batchSize: 512,
  validationFraction: 0.05,
  precision: 'tf32',
  probesOf: (bins: number) => Math.max(1, Math.round(bins / 32))
} as const

// ---------------------------------------------------------------------------------------------------- the tables

/** An index file holds the history of no more. */
export const mostEpochs = 10_000
const mostLayers = 256
const epochs = integer(1, mostEpochs)
const patience = (fallback: number) => integer(0, mostEpochs, fallback)

const adam = (learningRate: number) => ({
  learningRate: positive(learningRate),
  beta1: share(0.9),
  beta2: share(0.999),
  epsilon: positive(1e-8)
})

const optimizers = {
  adam: adam(recipe.adamLearningRate),
  adamw: { ...adam(1e-3), weightDecay: nonNegative(0.01) },
  nadam: { ...adam(2e-3), momentumDecay: nonNegative(4e-3) },
  adamax: adam(2e-3),
  sgd: { learningRate: positive(0.1), momentum: share(0.9), nesterov: boolean(false) },
  adagrad: { learningRate: positive(1e-2), epsilon: positive(1e-10) },
  rmsprop: { learningRate: positive(1e-3), decay: share(0.99), epsilon: positive(1e-8), momentum: share(0) },
  adadelta: { learningRate: positive(1), decay: share(0.9), epsilon: positive(1e-6) }
}

const warmup = real(0, mostEpochs, recipe.warmup)
const factor = (fallback: number) =>
  new Field<number>('a number above 0, at most 1', (value) => isPositive(value) && (value as number) <= 1, fallback)

const isRising = (values: readonly unknown[]) =>
  values.every((value, i) => i === 0 || Number(value) > Number(values[i - 1]))
const milestones = new Field<readonly number[]>(
  `an array of rising integers from 1 to ${mostEpochs}`,
  (value) => Array.isArray(value) && value.length > 0 && value.every(isIntegerWithin(1, mostEpochs)) && isRising(value)
)

const schedules = {
  constant: { warmup },
  step: { factor: factor(0.1), every: epochs, warmup },
  'multi-step': { factor: factor(0.1), milestones, warmup },
  exponential: { factor: factor(0.9), warmup },
  cosine: { minimum: real(0, 1, 0), epochs: new Optional(epochs), warmup },
  plateau: { factor: factor(0.1), patience: patience(2), warmup }
}

const initializations = {
  uniform: {},
  'xavier-uniform': {},
  'xavier-normal': {},
  'he-uniform': {},
  'he-normal': {},
  'lecun-normal': {},
  constant: { value: finite(0) }
}

function losses(bins: number) {
  const classWeights = new Field<ClassWeights>(
    `'none', 'balanced' or an array of ${bins} finite numbers above 0 (one for each bin)`,
    (value) =>
      value === 'none' ||
      value === 'balanced' ||
      (Array.isArray(value) && value.length === bins && value.every(isPositive)),
    'none'
  )
  return {
    'cross-entropy': { labelSmoothing: share(recipe.labelSmoothing), classWeights },
    'binary-cross-entropy': { classWeights },
    'mean-squared-error': { classWeights },
    'mean-absolute-error': { classWeights }
  }
}

const hidden = new Field<readonly number[]>(
  'an array of at most 64 integers from 1 to 65536',
  (value) => Array.isArray(value) && value.length <= 64 && value.every(isIntegerWithin(1, 65536))
)

const earlyStopping = new Section({
  monitor: oneOf<EarlyStopping['monitor']>(['validation-loss', 'neighbor-accuracy'], 'validation-loss'),
  patience: patience(3)
})

/** What the options are judged against. */
export interface Task {
  dimensions: number
  bins: number
  /** 0: the neighbors are not known. */
  neighborsPerRow: number
  /** Where more neighbors than these can be found; default: neighborsPerRow. */
  mostSoftLabels?: number
}

export const classifierTable = ({ bins, neighborsPerRow, mostSoftLabels = neighborsPerRow }: Task) => ({
  hidden: new Optional(hidden),
  activation: new Optional(oneOf(activationTypes)),
  batchNorm: new Optional(boolean()),
  dropout: new Optional(real(0, 0.99)),
  layers: new Optional(new List(layer, mostLayers)),
  inputShape: new Optional(inputShape),
  input: oneOf<InputType>(['none', 'center', 'standardize', 'normalize'], recipe.input),
  initialization: new Variants(initializations, recipe.initialization),
  loss: new Variants(losses(bins), recipe.loss),
  softLabels: integer(
    0,
    mostSoftLabels,
    Math.min(recipe.softLabels, neighborsPerRow),
    'the other vectors, or the neighbors that were given'
  ),
  optimizer: new Variants(optimizers, recipe.optimizer),
  schedule: new Variants(schedules, recipe.schedule),
  regularization: { l1: nonNegative(0), l2: nonNegative(0), inputNoise: nonNegative(0), clipNorm: nonNegative(0) },
  epochs: integer(1, mostEpochs, recipe.epochs, 'an index file holds the history of no more'),
  batchSize: integer(1, largestId, recipe.batchSize),
  validationFraction: real(0, 0.5, recipe.validationFraction),
  earlyStopping: new Optional(earlyStopping),
  monitoredProbes: integer(1, bins, recipe.probesOf(bins), 'the number of bins'),
  calibrate: boolean(true),
  precision: oneOf(trainingPrecisions, recipe.precision),
  deterministic: boolean(true)
})

// ----------------------------------------------------------------------------- what depends on several options at once

type Read = Resolved<ReturnType<typeof classifierTable>>

/** Every option with its value; either the first four or `layers` are undefined. */
export type ClassifierSettings = ReturnType<typeof completeClassifier>

/** Fills in the defaults that follow from other options. `prefix`: what stands before the options' names. */
export function completeClassifier(read: Read, { dimensions }: Task, prefix: string) {
  const { epochs, schedule } = read
  return {
    ...read,
    ...completeNetwork(read, prefix),
    inputShape: completeShape(read.inputShape, dimensions, `${prefix}inputShape`),
    schedule:
      schedule.type === 'cosine'
        ? { ...schedule, epochs: schedule.epochs ?? Math.max(1, Math.ceil(epochs - schedule.warmup)) }
        : schedule
  }
}

function completeNetwork({ hidden, activation, batchNorm, dropout, layers }: Read, prefix: string) {
  const shorthand = { hidden, activation, batchNorm, dropout }
  if (layers === undefined) {
    return {
      hidden: hidden ?? recipe.hidden,
      activation: activation ?? recipe.activation,
      batchNorm: batchNorm ?? recipe.batchNorm,
      dropout: dropout ?? recipe.dropout
    }
  }
  const needless = Object.entries(shorthand).find(([, value]) => value !== undefined)
  if (needless) {
    throw new ArgumentError(prefix + needless[0], 'cannot be given together with layers: choose one of them')
  }
  return shorthand
}

function completeShape(shape: InputShape | undefined, dimensions: number, name: string): InputShape {
  if (shape === undefined) return [dimensions, 1, 1]
  const product = shape.reduce((product, side) => product * side, 1)
  if (product === dimensions) return shape
  const found = `${shape.join(' x ')} = ${product}`
  throw new ArgumentError(name, `its product must be dimensions = ${dimensions}, but is ${found}`)
}

/** So that few vectors are trained in as many steps as many are. */
const fewestSteps = 64
const smallestBatch = 16

/** The batch size for a part of the vectors that are trained by themselves. */
export const batchSizeFor = (rows: number, batchSize: number) =>
  Math.min(batchSize, Math.max(smallestBatch, Math.ceil(rows / fewestSteps)))

/** Judges what only matters to a training of `rows` vectors. Throws ArgumentError. */
export function checkTraining(settings: ClassifierSettings, task: Task, rows: number, prefix: string): void {
  const { activation, layers, optimizer, earlyStopping, validationFraction } = settings
  const step = layers?.findIndex(({ type }) => type === 'step') ?? -1
  if (activation === 'step' || step >= 0) {
    const name = step >= 0 ? `layers[${step}].type` : 'activation'
    throw new ArgumentError(prefix + name, "must not be 'step': its gradient is 0, nothing can be learned through it")
  }
  if (optimizer.type === 'sgd' && optimizer.nesterov && optimizer.momentum === 0) {
    throw new ArgumentError(`${prefix}optimizer.nesterov`, 'needs a momentum above 0')
  }
  if (earlyStopping === undefined) return
  if (Math.floor(rows * validationFraction) === 0) {
    const right = `validationFraction must be at least 1 / ${rows}, but is ${validationFraction}`
    throw new ArgumentError(`${prefix}earlyStopping`, `needs vectors that are held out: ${right}`)
  }
  if (earlyStopping.monitor === 'neighbor-accuracy' && task.neighborsPerRow === 0) {
    throw new ArgumentError(`${prefix}earlyStopping.monitor`, "'neighbor-accuracy' needs the option neighbors")
  }
}

// ----------------------------------------------------------------------------------------------- what an engine gets

/** What an engine is told of the classifier and its training. */
export type TrainingSettings = Pick<TrainingRequest, 'network' | (keyof ClassifierSettings & keyof TrainingRequest)>

export function trainingSettings(settings: ClassifierSettings, bins: number, prefix: string): TrainingSettings {
  const { hidden, activation, batchNorm, dropout, layers, inputShape, ...training } = settings
  return { network: describeNetwork(settings, bins, prefix), ...training }
}

type NetworkSettings = Pick<
  ClassifierSettings,
  'hidden' | 'activation' | 'batchNorm' | 'dropout' | 'layers' | 'inputShape'
>

/** The network with its output layer, flattened where an image meets a linear layer. Throws ArgumentError naming the
 * layer that does not fit. */
export function describeNetwork(settings: NetworkSettings, bins: number, prefix: string): Network {
  const described: Layer[] = []
  const add = (layer: Layer, shape: InputShape, name: string) => {
    described.push(layer)
    return shapeAfter(layer, shape, name)
  }
  let shape = settings.inputShape
  const last: Layer = { type: 'linear', outputs: bins, bias: true }
  for (const [i, layer] of [...(settings.layers ?? hiddenLayers(settings)), last].entries()) {
    const name = `${prefix}layers[${i}]`
    if (layer.type === 'linear' && !isFlat(shape)) shape = add({ type: 'flatten' }, shape, name)
    shape = add(layer, shape, name)
  }
  const network = { inputShape: settings.inputShape, layers: described }
  checkSize(network, `${prefix}${settings.layers ? 'layers' : 'hidden'}`)
  return network
}

function hiddenLayers({ hidden = [], activation = 'identity', batchNorm, dropout = 0 }: NetworkSettings): Layer[] {
  const after: Layer[] = [
    ...(batchNorm ? [layer.read({ type: 'batch-norm' }, 'batchNorm')] : []),
    layer.read({ type: activation }, 'activation'),
    ...(dropout > 0 ? [layer.read({ type: 'dropout', rate: dropout }, 'dropout')] : [])
  ]
  return hidden.flatMap((outputs): Layer[] => [{ type: 'linear', outputs, bias: true }, ...after])
}
