/** nlsh_build: builds an index as the course's program of this name does. */
import type { KahipMode } from '../../index.js'
import { keep, readAndBuild } from '../build.js'
import { defineCommand, required } from '../command.js'
import { apiOptions, type Flag, number, UsageError } from '../flags.js'
import { dataSets, fileFlag, integerFlag, typeFlag } from './flags.js'

/** KaHIP's numbers for them are their places. */
const modes: KahipMode[] = ['fast', 'eco', 'strong', 'fastsocial', 'ecosocial', 'strongsocial']

const defaults = {
  knn: 10,
  m: 100,
  imbalance: 0.03,
  kahip_mode: 'fastsocial',
  layers: 3,
  nodes: 64,
  epochs: 10,
  batch_size: 128,
  lr: 0.001,
  seed: 1
}

const modeFlag: Flag<KahipMode> = {
  valueName: 'MODE',
  meaning: `How hard KaHIP tries, by number or name: ${modes.map((mode, i) => `${i} ${mode}`).join(', ')}. Default: 3, which is made for graphs of neighbors: on these it is faster than 0 and cuts less; 1 cuts a little less still in 10 times the time and more, and 2, the course's, takes far longer again.`,
  path: 'partition.mode',
  parse(value, name) {
    const mode = modes.find((one, i) => value === one || value === String(i))
    if (mode !== undefined) return mode
    const right = modes.map((one, i) => `${i} (${one})`).join(', ')
    throw new UsageError(`--${name} takes ${right}, or such a name, not ${JSON.stringify(value)}`)
  }
}

const flags = {
  d: fileFlag('d', 'The vectors to index.'),
  i: fileFlag('i', 'Where to write the index.'),
  type: typeFlag,
  knn: integerFlag(
    'K',
    { low: 1 },
    `Nearest neighbors of each vector in the graph that is partitioned. Default: ${defaults.knn}.`,
    'graph.neighbors'
  ),
  m: integerFlag('M', { low: 2 }, `Bins to partition into. Default: ${defaults.m}.`, 'bins'),
  imbalance: number(
    'SHARE',
    `How much larger than the mean a bin may be. Default: ${defaults.imbalance}.`,
    'partition.imbalance'
  ),
  kahip_mode: modeFlag,
  layers: integerFlag('L', { low: 0, high: 64 }, `Hidden layers of the network. Default: ${defaults.layers}.`),
  nodes: integerFlag('N', { low: 1 }, `Nodes of each hidden layer. Default: ${defaults.nodes}.`, 'classifier.hidden'),
  epochs: integerFlag('E', { low: 1 }, `Passes over the vectors. Default: ${defaults.epochs}.`, 'classifier.epochs'),
  batch_size: integerFlag(
    'B',
    { low: 1 },
    `Vectors in a mini-batch. Default: ${defaults.batch_size}.`,
    'classifier.batchSize'
  ),
  lr: number('RATE', `The learning rate of Adam. Default: ${defaults.lr}.`, 'classifier.optimizer.learningRate'),
  seed: integerFlag(
    'S',
    { low: 0 },
    `The same seed, options and number of threads give the same index. Default: ${defaults.seed}.`,
    'seed'
  )
}

export const courseBuild = defineCommand({
  name: 'nlsh_build',
  summary: 'build an index with the options of the course',
  usage: `nlsh_build -d DATA -i INDEX -type ${Object.keys(dataSets).join('|')} [options]`,
  explanation: [
    "Builds an index as in the course: the graph of the K nearest neighbors, cut by KaHIP into M bins, and a network that learns each vector's bin: hidden layers of equal width with ReLU, cross-entropy, Adam at a constant rate.",
    'Every option goes with one dash or two. The index is a file like any other of neural-lsh: the command of this name and the API open it, too.'
  ],
  examples: [
    {
      line: 'nlsh_build -d train-images.idx3-ubyte -i mnist.nlsh -type mnist --knn 10 --m 100',
      meaning: 'MNIST, with the defaults.'
    },
    {
      line: 'nlsh_build -d sift_base.fvecs -i sift.nlsh -type sift --m 512 --layers 2 --nodes 128 --epochs 15',
      meaning: 'SIFT, with more bins and a wider network.'
    }
  ],
  flags,
  positionals: 0,
  async run(values, context) {
    const data = required(values.d, 'd', 'the file of the vectors to index')
    const out = required(values.i, 'i', 'where to write the index')
    const type = required(values.type, 'type', `what the data are, ${Object.keys(dataSets).join(' or ')}`)
    const { layers, nodes, ...given } = { ...defaults, ...values }
    const options = apiOptions(flags, given)
    const classifier = { ...(options.classifier as object), hidden: Array<number>(layers).fill(nodes) }
    const course = { ...options, method: 'lecture', classifier }
    const { index } = await readAndBuild(data, { format: dataSets[type].formatOf(data) }, course, context)
    await keep(index, undefined, out, context)
  }
})
