/** Every option of NeuralLSH.build as an option of the commands; `dimensions` comes from the file. */

import { ruleMethods } from '../baselines/rules.js'
import { activationTypes } from '../classifier/layers.js'
import { recipe } from '../classifier/options.js'
import { methodNames } from '../methods.js'
import { type Flag, inSection, number, numbers, parseNumber, text, toggle, UsageError } from './flags.js'

const groups: Flag<string | number> = {
  valueName: 'G',
  meaning:
    'Two levels: so many groups of bins, each with a router of its own; auto: about the square root of the bins. Default: 1, one level.',
  path: 'groups',
  parse: (value, name) => (value === 'auto' ? value : parseNumber(value, name))
}

const indexFlags = {
  method: text(
    'NAME',
    `What the other options are where they are not given: ${methodNames.join(', ')}. Default: neural-lsh.`,
    'method'
  ),
  bins: number(
    'M',
    'Bins to partition into. Default: the power of two nearest to the square root of the rows.',
    'bins'
  ),
  groups,
  metric: text('NAME', 'euclidean, cosine or inner-product. Default: euclidean.', 'metric'),
  neighbors: number(
    'K',
    'Nearest neighbors of each vector in the graph that is partitioned. Default: the square root of the rows, from 10 to 50, and 20 beyond 250,000 rows.',
    'graph.neighbors'
  ),
  'graph.method': text('NAME', 'How the graph is found: exact, approximate or auto. Default: auto.', 'graph.method'),
  'graph.precision': text(
    'NAME',
    'How far the engine cuda rounds what it multiplies for the graph: fp32, tf32, bf16 or fp16; the neighbors are the same with any. Default: fp16.',
    'graph.precision'
  ),
  mode: text(
    'NAME',
    'How hard KaHIP tries: fast, eco, strong, or fastsocial, ecosocial, strongsocial, which suit k-NN graphs. Default: fastsocial.',
    'partition.mode'
  ),
  imbalance: number('SHARE', 'How much larger than the mean a bin may be. Default: 0.03.', 'partition.imbalance'),
  seeds: number('N', 'KaHIP: keep the best of partitions with so many seeds. Default: 1.', 'partition.seeds'),
  'partition.method': text(
    'NAME',
    `Who partitions: kahip, kmeans, ${ruleMethods.join(', ')}, or auto, the better of the first two on a sample. Default: auto.`,
    'partition.method'
  ),
  iterations: number('N', 'k-means: rounds over its sample; itq: rotations (50). Default: 10.', 'partition.iterations'),
  largest: number(
    'X',
    'k-means: a bin holds at most so many times the mean. Default: any number.',
    'partition.largest'
  ),
  router: text(
    'NAME',
    'Who ranks the bins: classifier, or, with no training, centroids, or own, the rule of a partition by projections. Default: classifier.',
    'router'
  ),
  assignment: text(
    'NAME',
    "Who has the last word on a vector's bin: partition, router or router-bounded. Default: auto, router-bounded with kahip and a trained router.",
    'assignment'
  ),
  scan: text('NAME', 'How vectors are compared: exact, int8, pq4 or auto. Default: auto.', 'scan'),
  seed: number('N', 'The same seed, options, engine and threads give the same index. Default: 1.', 'seed')
}

const layers: Flag<unknown> = {
  valueName: 'JSON',
  meaning: 'All layers but the last as JSON, instead of the four options above: [{"type":"linear","outputs":64}, …].',
  path: 'classifier.layers',
  parse(value, name) {
    try {
      return JSON.parse(value) as unknown
    } catch (error) {
      throw new UsageError(`--${name} takes JSON, such as [{"type":"relu"}]: ${(error as Error).message}`)
    }
  }
}

const networkFlags = {
  hidden: numbers(
    'WIDTHS',
    `Widths of the hidden layers, e.g. 512,512. Default: ${recipe.hidden.join()}.`,
    'classifier.hidden'
  ),
  activation: text(
    'NAME',
    `After each hidden layer: ${activationTypes.filter((type) => type !== 'step').join(', ')}. Default: ${recipe.activation}.`,
    'classifier.activation'
  ),
  batchNorm: toggle(`Batch norm before each activation. Default: ${recipe.batchNorm}.`, 'classifier.batchNorm'),
  dropout: number(
    'SHARE',
    `Share of the hidden outputs dropped in training. Default: ${recipe.dropout}.`,
    'classifier.dropout'
  ),
  layers,
  inputShape: numbers(
    'C,H,W',
    'What a vector is to convolutions, e.g. 1,28,28. Default: d,1,1.',
    'classifier.inputShape'
  ),
  input: text(
    'NAME',
    `What a vector goes through first: none, center, standardize or normalize. Default: ${recipe.input}.`,
    'classifier.input'
  ),
  'initialization.type': text(
    'NAME',
    `uniform, xavier-uniform, xavier-normal, he-uniform, he-normal, lecun-normal or constant. Default: ${recipe.initialization}.`,
    'classifier.initialization.type'
  ),
  'initialization.value': number('X', 'Of constant. Default: 0.', 'classifier.initialization.value')
}

const classWeights: Flag<string | number[]> = {
  valueName: 'WEIGHTS',
  meaning: 'none, balanced, or a weight for each bin. Default: none.',
  path: 'classifier.loss.classWeights',
  parse: (value, name) => (/^[a-z]/i.test(value) ? value : value.split(',').map((weight) => parseNumber(weight, name)))
}

const trainingFlags = {
  epochs: number('N', `Passes over the vectors. Default: ${recipe.epochs}.`, 'classifier.epochs'),
  batchSize: number('N', `Vectors in a mini-batch. Default: ${recipe.batchSize}.`, 'classifier.batchSize'),
  softLabels: number(
    'S',
    `Train on the bins of the S nearest neighbors, not only on the own bin; 0: on the own bin only. Default: the graph's neighbors, at most ${recipe.softLabels}.`,
    'classifier.softLabels'
  ),
  loss: text(
    'NAME',
    `cross-entropy, binary-cross-entropy, mean-squared-error or mean-absolute-error. Default: ${recipe.loss}.`,
    'classifier.loss.type'
  ),
  labelSmoothing: number(
    'SHARE',
    `Of cross-entropy: spread over all bins. Default: ${recipe.labelSmoothing}.`,
    'classifier.loss.labelSmoothing'
  ),
  classWeights,
  l1: number('X', 'Penalty on the size of the weights. Default: 0.', 'classifier.regularization.l1'),
  l2: number('X', 'Penalty on the squares of the weights. Default: 0.', 'classifier.regularization.l2'),
  inputNoise: number(
    'X',
    "Deviation of noise on the network's input. Default: 0.",
    'classifier.regularization.inputNoise'
  ),
  clipNorm: number('X', 'Largest norm of a gradient; 0: any. Default: 0.', 'classifier.regularization.clipNorm'),
  validationFraction: number(
    'SHARE',
    `Share held out to measure the training. Default: ${recipe.validationFraction}.`,
    'classifier.validationFraction'
  ),
  'earlyStopping.monitor': text(
    'NAME',
    'Stop when this no longer gets better, and keep the best epoch: validation-loss or neighbor-accuracy.',
    'classifier.earlyStopping.monitor'
  ),
  'earlyStopping.patience': number(
    'N',
    'Epochs without a better value that are borne. With any of the two, default: 3.',
    'classifier.earlyStopping.patience'
  ),
  monitoredProbes: number(
    'T',
    'Bins in which neighbor-accuracy looks for neighbors. Default: a 32nd of them.',
    'classifier.monitoredProbes'
  ),
  calibrate: toggle(
    'Make the probabilities mean what they say, by a temperature; --no-calibrate: leave them. Default: true.',
    'classifier.calibrate'
  ),
  precision: text(
    'NAME',
    `How exactly matrices are multiplied in training, by the engine cuda and with AMX: fp32, tf32 or bf16, mixed precision. Default: ${recipe.precision}.`,
    'classifier.precision'
  ),
  deterministic: toggle(
    'Of the engine cuda: the same training gives the same bytes again; --no-deterministic: it need not. Default: true.',
    'classifier.deterministic'
  )
}

const optimizerFlags = {
  optimizer: text(
    'NAME',
    `adam, adamw, nadam, adamax, sgd, adagrad, rmsprop or adadelta. Default: ${recipe.optimizer}.`,
    'classifier.optimizer.type'
  ),
  learningRate: number(
    'RATE',
    "The optimizer's first step. Default: 0.003 for adam.",
    'classifier.optimizer.learningRate'
  ),
  momentum: number('X', 'Of sgd (0.9) and rmsprop (0).', 'classifier.optimizer.momentum'),
  nesterov: toggle("Of sgd: Nesterov's momentum.", 'classifier.optimizer.nesterov'),
  beta1: number('X', 'Of adam and its kin. Default: 0.9.', 'classifier.optimizer.beta1'),
  beta2: number('X', 'Of adam and its kin. Default: 0.999.', 'classifier.optimizer.beta2'),
  decay: number('X', 'Of rmsprop (0.99) and adadelta (0.9).', 'classifier.optimizer.decay'),
  epsilon: number('X', 'Of all but sgd. Default: 1e-8 for adam.', 'classifier.optimizer.epsilon'),
  weightDecay: number('X', 'Of adamw (0.01).', 'classifier.optimizer.weightDecay'),
  momentumDecay: number('X', 'Of nadam (0.004).', 'classifier.optimizer.momentumDecay')
}

const scheduleFlags = {
  schedule: text(
    'NAME',
    `How the rate goes on: constant, step, multi-step, exponential, cosine or plateau. Default: ${recipe.schedule}.`,
    'classifier.schedule.type'
  ),
  warmup: number('EPOCHS', `Linear rise before the schedule. Default: ${recipe.warmup}.`, 'classifier.schedule.warmup'),
  'schedule.factor': number(
    'X',
    'Of step, multi-step and plateau (0.1), exponential (0.9).',
    'classifier.schedule.factor'
  ),
  'schedule.every': number('EPOCHS', 'Of step.', 'classifier.schedule.every'),
  'schedule.milestones': numbers('EPOCHS', 'Of multi-step, e.g. 5,8.', 'classifier.schedule.milestones'),
  'schedule.minimum': number(
    'SHARE',
    'Of cosine: where it ends, of the learning rate. Default: 0.',
    'classifier.schedule.minimum'
  ),
  'schedule.epochs': number('EPOCHS', 'Of cosine. Default: as the training.', 'classifier.schedule.epochs'),
  'schedule.patience': number('EPOCHS', 'Of plateau (2).', 'classifier.schedule.patience')
}

export const buildFlags = {
  ...indexFlags,
  ...inSection({ heading: 'The router', root: 'classifier' }, { ...networkFlags, ...trainingFlags }),
  ...inSection({ heading: "The router's optimizer", root: 'classifier.optimizer' }, optimizerFlags),
  ...inSection({ heading: 'Its learning rate', root: 'classifier.schedule' }, scheduleFlags)
}
