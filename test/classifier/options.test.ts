/** The classifier's options, as they are resolved for a build of 1000 vectors of 4 numbers in 64 bins. */
import test from 'ava'
import {
  ArgumentError,
  type BuildOptions,
  type ClassifierOptions,
  type TrainClassifierOptions
} from '../../lib/index.js'
import { resolveBuild, resolveIndexOptions, resolveTrainClassifier, trainingOf } from '../../lib/options.js'

const rows = 1000
const vectors = new Float32Array(rows * 4)
const resolve = (classifier: object) =>
  resolveBuild(vectors, { dimensions: 4, bins: 64, classifier } as BuildOptions).index
const layersOf = (classifier: object) => trainingOf(resolve(classifier)).network.layers
const types = (classifier: object) => layersOf(classifier).map(({ type }) => type)

// ------------------------------------------------------------------------------------------------- defaults of types

const optimizers = {
  adam: { learningRate: 3e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  adamw: { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 },
  nadam: { learningRate: 2e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, momentumDecay: 4e-3 },
  adamax: { learningRate: 2e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  sgd: { learningRate: 0.1, momentum: 0.9, nesterov: false },
  adagrad: { learningRate: 0.01, epsilon: 1e-10 },
  rmsprop: { learningRate: 1e-3, decay: 0.99, epsilon: 1e-8, momentum: 0 },
  adadelta: { learningRate: 1, decay: 0.9, epsilon: 1e-6 }
}
for (const [type, numbers] of Object.entries(optimizers)) {
  test(`optimizer ${type}`, (t) => {
    t.deepEqual(resolve({ optimizer: { type } }).classifier.optimizer as object, { type, ...numbers })
    const { learningRate } = resolve({ optimizer: { type, learningRate: 0.5 } }).classifier.optimizer
    t.is(learningRate, 0.5)
  })
}

const schedules: [object, object][] = [
  [{ type: 'constant' }, {}],
  [{ type: 'step', every: 3 }, { factor: 0.1 }],
  [{ type: 'multi-step', milestones: [2, 7] }, { factor: 0.1 }],
  [{ type: 'exponential' }, { factor: 0.9 }],
  [{ type: 'cosine' }, { minimum: 0, epochs: 10 }],
  [{ type: 'plateau' }, { factor: 0.1, patience: 2 }]
]
for (const [given, numbers] of schedules) {
  test(`schedule ${JSON.stringify(given)}`, (t) => {
    const schedule: object = resolve({ schedule: given }).classifier.schedule
    t.deepEqual(schedule, { ...given, ...numbers, warmup: 0 })
  })
}

test('the cosine ends with the training, the warm-up before it, unless it is told when', (t) => {
  const schedule = (classifier: object): object => resolve(classifier).classifier.schedule
  t.like(schedule({ epochs: 7 }), { epochs: 7 })
  t.like(schedule({ epochs: 7, schedule: { warmup: 2 } }), { epochs: 5, warmup: 2 })
  t.like(schedule({ epochs: 7, schedule: { warmup: 0.5 } }), { epochs: 7, warmup: 0.5 })
  t.like(schedule({ epochs: 2, schedule: { warmup: 5 } }), { epochs: 1 })
  t.like(schedule({ epochs: 5, schedule: { epochs: 10 } }), { epochs: 10 })
})

test('losses, initializations, early stopping', (t) => {
  const { classifier } = resolve({
    loss: { type: 'mean-absolute-error' },
    initialization: { type: 'constant' },
    earlyStopping: {}
  })
  t.deepEqual(classifier.loss, { type: 'mean-absolute-error', classWeights: 'none' })
  t.deepEqual(classifier.initialization, { type: 'constant', value: 0 })
  t.deepEqual(classifier.earlyStopping, { monitor: 'validation-loss', patience: 3 })
  const classWeights = Array.from({ length: 64 }, (_, bin) => bin + 1)
  const loss = { type: 'cross-entropy', classWeights } as const
  t.deepEqual(resolve({ loss }).classifier.loss, { ...loss, labelSmoothing: 0 })
})

test('a 32nd of the bins is monitored', (t) => {
  const monitored = (bins: number) => resolveBuild(vectors, { dimensions: 4, bins }).index.classifier.monitoredProbes
  t.deepEqual([2, 32, 64, 112, 256].map(monitored), [1, 1, 2, 4, 8])
})

// -------------------------------------------------------------------------------------------------------- the network

test('the shorthand: for each width linear, batch norm, activation, dropout; then the bins', (t) => {
  t.deepEqual(types({}), ['linear', 'relu', 'linear'])
  t.deepEqual(types({ hidden: [] }), ['linear'])
  const classifier = { hidden: [8, 16], activation: 'elu', batchNorm: true, dropout: 0.25 }
  t.deepEqual(layersOf(classifier), [
    { type: 'linear', outputs: 8, bias: true },
    { type: 'batch-norm', momentum: 0.1, epsilon: 1e-5 },
    { type: 'elu', alpha: 1 },
    { type: 'dropout', rate: 0.25 },
    { type: 'linear', outputs: 16, bias: true },
    { type: 'batch-norm', momentum: 0.1, epsilon: 1e-5 },
    { type: 'elu', alpha: 1 },
    { type: 'dropout', rate: 0.25 },
    { type: 'linear', outputs: 64, bias: true }
  ])
})

test('layers take the place of the shorthand; images are flattened where they meet a linear layer', (t) => {
  const inputShape = [1, 2, 2]
  const convolution = { type: 'conv2d', channels: 3, kernel: 2, padding: 1 }
  t.deepEqual(types({ layers: [] }), ['linear'])
  t.deepEqual(types({ inputShape }), ['flatten', 'linear', 'relu', 'linear'])
  t.deepEqual(types({ inputShape, layers: [convolution] }), ['conv2d', 'flatten', 'linear'])
  t.deepEqual(types({ inputShape, layers: [convolution, { type: 'flatten' }] }), ['conv2d', 'flatten', 'linear'])
  const two = { inputShape, layers: [convolution, { type: 'linear', outputs: 5 }, { type: 'relu' }] }
  t.deepEqual(types(two), ['conv2d', 'flatten', 'linear', 'relu', 'linear'])
  t.like(resolve(two).classifier, { hidden: undefined, activation: undefined, inputShape })
  t.deepEqual(resolve(two).classifier.layers?.[0] as object, { ...convolution, stride: 1, bias: true })
})

const given: ClassifierOptions[] = [
  {},
  { hidden: [3], activation: 'leaky-relu', batchNorm: true, dropout: 0.5, earlyStopping: { patience: 0 } },
  { layers: [{ type: 'conv2d', channels: 2, kernel: 2 }, { type: 'relu' }], inputShape: [1, 2, 2], softLabels: 3 },
  { optimizer: { type: 'sgd', nesterov: true }, schedule: { type: 'multi-step', milestones: [1, 2] }, input: 'none' },
  { loss: { classWeights: Array(64).fill(0.5) }, schedule: { warmup: 1.5 }, calibrate: false, monitoredProbes: 64 },
  { precision: 'bf16', deterministic: false }
]
for (const [i, classifier] of given.entries()) {
  test(`what was resolved survives JSON and stays what it is (${i})`, (t) => {
    const resolved = resolve(classifier)
    t.deepEqual(resolveIndexOptions(JSON.parse(JSON.stringify(resolved)), rows), resolved)
  })
}

// ------------------------------------------------------------------------------------------------------------ refused

const conv = { type: 'conv2d', channels: 2, kernel: 2 }
const image = { inputShape: [1, 2, 2] }
const wrong: [object, string, RegExp][] = [
  [{ hiden: [3] }, 'hiden', /is not an option; did you mean classifier\.hidden\?/],
  [{ activation: 'rellu' }, 'activation', /'identity' or .*'relu' or .*, but is "rellu"/],
  [{ activation: 'step' }, 'activation', /its gradient is 0/],
  [{ batchNorm: 1 }, 'batchNorm', /true or false, but is 1/],
  [{ dropout: 1 }, 'dropout', /0 to 0\.99, but is 1/],
  [{ dropout: Number.NaN }, 'dropout', /NaN/],
  [{ hidden: [1], layers: [] }, 'hidden', /cannot be given together with layers/],
  [{ batchNorm: false, layers: [] }, 'batchNorm', /cannot be given together with layers/],
  [{ hidden: Array(5).fill(65_536) }, 'hidden', /fewer than 2\^31/],
  [{ inputShape: [4, 1] }, 'inputShape', /\[channels, height, width\], but has 2/],
  [{ inputShape: '4,1,1' }, 'inputShape', /an array/],
  [{ inputShape: [1, 2, 3] }, 'inputShape', /dimensions = 4, but is 1 x 2 x 3 = 6/],
  [{ inputShape: [1, 2.5, 2] }, 'inputShape[1]', /2\.5/],
  [{ input: 'whiten' }, 'input', /'none' or 'center' or 'standardize' or 'normalize'/],
  [{ layers: {} }, 'layers', /an array of at most 256 entries, but is an object/],
  [{ layers: Array(257).fill({ type: 'relu' }) }, 'layers', /at most 256 entries, but is an array of 257/],
  [{ layers: ['relu'] }, 'layers[0]', /an object such as \{ type: "relu" \}/],
  [{ layers: [{ type: 'dense' }] }, 'layers[0].type', /'linear' or .*but is "dense"/],
  [{ layers: [{ type: 'linear' }] }, 'layers[0].outputs', /is required: an integer from 1 to 65536/],
  [{ layers: [{ type: 'linear', outputs: 65_537 }] }, 'layers[0].outputs', /1 to 65536/],
  [{ layers: [{ type: 'linear', outputs: Number.NaN }] }, 'layers[0].outputs', /NaN/],
  [{ layers: [{ type: 'linear', outputs: 3, width: 3 }] }, 'layers[0].width', /is not an option of linear; there are/],
  [{ layers: [{ type: 'linear', output: 3 }] }, 'layers[0].output', /did you mean classifier\.layers\[0\]\.outputs\?/],
  [{ layers: [{ type: 'linear', outputs: 3, bias: 0 }] }, 'layers[0].bias', /true or false/],
  [{ layers: [{ type: 'relu', slope: 0.1 }] }, 'layers[0].slope', /is not an option of relu/],
  [{ layers: [{ type: 'leaky-relu', slope: -0.1 }] }, 'layers[0].slope', /0 to 1/],
  [{ layers: [{ type: 'elu', alpha: -1 }] }, 'layers[0].alpha', /a finite number from 0/],
  [{ layers: [{ type: 'dropout', rate: 1 }] }, 'layers[0].rate', /0 to 0\.99/],
  [{ layers: [{ type: 'batch-norm', epsilon: 0 }] }, 'layers[0].epsilon', /above 0/],
  [{ layers: [{ type: 'batch-norm', momentum: 1.1 }] }, 'layers[0].momentum', /0 to 1/],
  [{ layers: [{ type: 'relu' }, { type: 'step' }] }, 'layers[1].type', /its gradient is 0/],
  [{ layers: [conv] }, 'layers[0].kernel', /must fit into 1 x 1: at most 1, but is 2/],
  [{ ...image, layers: [conv, conv] }, 'layers[1].kernel', /must fit into 1 x 1/],
  [{ ...image, layers: [{ type: 'linear', outputs: 4 }, conv] }, 'layers[1].kernel', /must fit into 1 x 1/],
  [{ ...image, layers: [{ type: 'softmax' }] }, 'layers[0]', /softmax takes flat rows/],
  [{ ...image, layers: [{ ...conv, stride: 0 }] }, 'layers[0].stride', /1 to 65536/],
  [{ ...image, layers: [{ ...conv, padding: -1 }] }, 'layers[0].padding', /0 to 65536/],
  [{ ...image, layers: [{ type: 'max-pool2d', kernel: 2, padding: 2 }] }, 'layers[0].padding', /half the kernel/],
  [{ initialization: { type: 'he' } }, 'initialization.type', /'he-uniform' or 'he-normal'/],
  [{ initialization: { value: 1 } }, 'initialization.value', /not an option of uniform; there are type$/],
  [{ initialization: { type: 'constant', value: Number.POSITIVE_INFINITY } }, 'initialization.value', /finite/],
  [{ loss: 'cross-entropy' }, 'loss', /an object such as \{ type: "cross-entropy" \}/],
  [{ loss: { type: 'hinge' } }, 'loss.type', /'cross-entropy' or 'binary-cross-entropy' or/],
  [{ loss: { labelSmoothing: 1 } }, 'loss.labelSmoothing', /0 to below 1/],
  [{ loss: { type: 'mean-squared-error', labelSmoothing: 0.1 } }, 'loss.labelSmoothing', /mean-squared-error; there/],
  [{ loss: { classWeights: 'equal' } }, 'loss.classWeights', /'none', 'balanced' or an array of 64 /],
  [{ loss: { classWeights: Array(63).fill(1) } }, 'loss.classWeights', /64 .*but is an array of 63/],
  [{ loss: { classWeights: Array(64).fill(0) } }, 'loss.classWeights', /above 0/],
  [{ optimizer: [] }, 'optimizer', /must be an object/],
  [{ optimizer: { type: 'sgd', momentum: 1 } }, 'optimizer.momentum', /0 to below 1/],
  [{ optimizer: { type: 'sgd', momentun: 0.5 } }, 'optimizer.momentun', /of sgd; did you mean .*\.momentum\?/],
  [{ optimizer: { type: 'sgd', momentum: 0, nesterov: true } }, 'optimizer.nesterov', /needs a momentum above 0/],
  [{ optimizer: { type: 'sgd', beta1: 0.9 } }, 'optimizer.beta1', /sgd; there are type, learningRate, momentum, nest/],
  [{ optimizer: { beta2: 1 } }, 'optimizer.beta2', /0 to below 1/],
  [{ optimizer: { epsilon: 0 } }, 'optimizer.epsilon', /above 0/],
  [{ optimizer: { type: 'adamw', weightDecay: -1 } }, 'optimizer.weightDecay', /from 0/],
  [{ schedule: { type: 'linear' } }, 'schedule.type', /'constant' or 'step' or/],
  [{ schedule: { type: 'step' } }, 'schedule.every', /is required: an integer from 1/],
  [{ schedule: { type: 'step', every: 0 } }, 'schedule.every', /1 to 10000/],
  [{ schedule: { type: 'multi-step' } }, 'schedule.milestones', /is required: an array of rising integers/],
  [{ schedule: { type: 'multi-step', milestones: [3, 3] } }, 'schedule.milestones', /rising .*but is \[3, 3\]/],
  [{ schedule: { type: 'multi-step', milestones: [] } }, 'schedule.milestones', /but is \[\]/],
  [{ schedule: { type: 'exponential', factor: 0 } }, 'schedule.factor', /above 0, at most 1/],
  [{ schedule: { type: 'plateau', factor: 1.1 } }, 'schedule.factor', /above 0, at most 1/],
  [{ schedule: { type: 'plateau', patience: -1 } }, 'schedule.patience', /0 to 10000/],
  [{ schedule: { minimum: 2 } }, 'schedule.minimum', /0 to 1/],
  [{ schedule: { epochs: 0 } }, 'schedule.epochs', /1 to 10000/],
  [{ schedule: { warmup: -1 } }, 'schedule.warmup', /0 to 10000/],
  [{ schedule: { warmup: Number.NaN } }, 'schedule.warmup', /NaN/],
  [{ regularization: { L2: 1 } }, 'regularization.L2', /did you mean classifier\.regularization\.l2\?/],
  [{ regularization: { l1: -1 } }, 'regularization.l1', /from 0/],
  [{ regularization: { inputNoise: Number.POSITIVE_INFINITY } }, 'regularization.inputNoise', /finite/],
  [{ regularization: { clipNorm: Number.NaN } }, 'regularization.clipNorm', /NaN/],
  [{ earlyStopping: true }, 'earlyStopping', /must be an object, but is true/],
  [{ earlyStopping: { monitor: 'accuracy' } }, 'earlyStopping.monitor', /'validation-loss' or 'neighbor-accuracy'/],
  [{ earlyStopping: { patience: 0.5 } }, 'earlyStopping.patience', /0 to 10000/],
  [{ earlyStopping: {}, validationFraction: 0 }, 'earlyStopping', /at least 1 \/ 1000, but is 0$/],
  [{ earlyStopping: {}, validationFraction: 0.0009 }, 'earlyStopping', /needs vectors that are held out/],
  [{ monitoredProbes: 0 }, 'monitoredProbes', /1 to 64 \(the number of bins\)/],
  [{ monitoredProbes: 65 }, 'monitoredProbes', /1 to 64/],
  [{ calibrate: 'yes' }, 'calibrate', /true or false/],
  [{ precision: 'fp16' }, 'precision', /'fp32' or 'tf32' or 'bf16', but is "fp16"/],
  [{ deterministic: 1 }, 'deterministic', /true or false/]
]

for (const [i, [classifier, option, message]] of wrong.entries()) {
  test(`wrong (${i}): ${option}, ${message}`, (t) => {
    const error = t.throws(() => resolve(classifier), { instanceOf: ArgumentError })
    t.is((error as ArgumentError | undefined)?.argument, `classifier.${option}`)
    t.regex(error?.message ?? '', message)
  })
}

test('a network that is only used, not trained, may have steps', (t) => {
  const options = { dimensions: 4, classifier: { layers: [{ type: 'linear', outputs: 3 }, { type: 'step' }] } }
  t.is(trainingOf(resolveIndexOptions(options, rows)).network.layers[1]?.type, 'step')
})

// ------------------------------------------------------------------------------------------------------ trainClassifier

const task = { dimensions: 4, bins: 3, labels: new Int32Array(rows) }
const train = (options: object) =>
  resolveTrainClassifier(vectors, { ...task, ...options } as TrainClassifierOptions).request

test('in a training by itself the options have no prefix', (t) => {
  const names: [object, string][] = [
    [{ layers: [{ type: 'conv2d', channels: 1, kernel: 3 }] }, 'layers[0].kernel'],
    [{ inputShape: [1, 1, 1] }, 'inputShape'],
    [{ optimizer: { momentum: 1 } }, 'optimizer.momentum'],
    [{ earlyStopping: { monitor: 'neighbor-accuracy' } }, 'earlyStopping.monitor']
  ]
  for (const [options, argument] of names) {
    const error = t.throws(() => train(options), { instanceOf: ArgumentError })
    t.is((error as ArgumentError | undefined)?.argument, argument)
  }
})

const network = { hidden: [5], batchNorm: true }
const parameters = new Float32Array(5 * 4 + 5 + 5 + 5 + 3 * 5 + 3)
const buffers = new Float32Array(10)
const input = { unitLength: false, mean: new Float32Array(4), scale: new Float32Array(4) }
const plateau = { lowestLoss: Number.POSITIVE_INFINITY, staleEpochs: 0, factor: 1 }
const state = {
  epochs: 3,
  steps: 12,
  slots: new Float32Array(2 * parameters.length),
  parameters,
  buffers,
  plateau,
  bestValue: 0,
  bestEpoch: 0
}

test('a training starts from weights, from a state, or from all that another returned', (t) => {
  const initial = { parameters, buffers, input, state }
  t.is(train(network).initial, undefined)
  t.is(train({ ...network, initial: { parameters } }).initial?.parameters, parameters)
  t.deepEqual(train({ ...network, initial }).initial, initial)
  const { network: described } = train(network)
  const trained = {
    ...initial,
    network: described,
    temperature: 1.5,
    history: [],
    bestEpoch: 3,
    calibration: undefined
  }
  t.deepEqual(train({ ...network, initial: trained }).initial, initial)
})

const short = new Float32Array(2)
const wrongStarts: [unknown, string, RegExp][] = [
  [null, '', /must be an object, but is null/],
  [parameters, '', /must be an object, but is of type Float32Array/],
  [{}, '.parameters', /must be a Float32Array, but is undefined/],
  [{ parameters: short }, '.parameters', /the number of weights and biases = 53, but is 2/],
  [{ parameters: Array.from(parameters) }, '.parameters', /Float32Array\.from\(values\)/],
  [{ parameters, buffers: short }, '.buffers', /batch norm's means and variances = 10, but is 2/],
  [{ parameters, weights: parameters }, '.weights', /is not an option; there are parameters, buffers/],
  [{ parameters, input: { ...input, mean: short } }, '.input.mean', /dimensions = 4, but is 2/],
  [{ parameters, input: { ...input, scale: 1 } }, '.input.scale', /a Float32Array, but is 1/],
  [{ parameters, input: { ...input, unitLength: undefined } }, '.input.unitLength', /is required: true or false/],
  [{ parameters, state: { ...state, epochs: -1 } }, '.state.epochs', /from 0/],
  [{ parameters, state: { ...state, steps: 0.5 } }, '.state.steps', /an integer/],
  [{ parameters, state: { ...state, slots: [0] } }, '.state.slots', /a Float32Array, but is an array/],
  [{ parameters, state: { ...state, parameters: short } }, '.state.parameters', /= 53, but is 2/],
  [{ parameters, state: { ...state, bestValue: Number.NaN } }, '.state.bestValue', /NaN/],
  [{ parameters, state: { ...state, plateau: undefined } }, '.state.plateau.lowestLoss', /is required/],
  [{ parameters, network: {} }, '.network.inputShape', /is required/]
]

for (const [i, [initial, place, message]] of wrongStarts.entries()) {
  test(`wrong start (${i}): initial${place}, ${message}`, (t) => {
    const error = t.throws(() => train({ ...network, initial }), { instanceOf: ArgumentError })
    t.is((error as ArgumentError | undefined)?.argument, `initial${place}`)
    t.regex(error?.message ?? '', message)
  })
}

test('the network of the start must be the one that is trained', (t) => {
  const other = train({ ...network, activation: 'tanh' }).network
  const error = t.throws(() => train({ ...network, initial: { parameters, network: other } }))
  t.regex(error?.message ?? '', /^initial\.network: must be the network that the other options describe/)
})
