/** A mini-batch as it goes through the backends of a training, the CPU's and the GPU's, against PyTorch, gradient by
 * gradient: see test/fixtures/README.md. The GPU is emulated; where the environment variable NEURAL_LSH_TEST_CUDA is set,
 * the same is asked of this machine's. */
import test from 'ava'
import { outputsOf } from '../../lib/classifier/network.js'
import { cudaPlaces } from '../../lib/engines/cuda-places.js'
import { type BackendPass, type BackendPassRequest, loadAddon, run } from '../../lib/engines/native.js'
import { type PassCase, readConformance, relativeError, rowsOf } from '../support/conformance.js'
import { emulatedTraining, withEnvironment } from '../support/fake-cuda.js'
import { SplitMix } from '../support/split-mix.js'

const addon = loadAddon()
const device = 0

async function cuda(variables: Record<string, string>) {
  const { library } = await withEnvironment(variables, () =>
    run(addon.openCuda, { ...cudaPlaces(), device }, { threads: 1 })
  )
  return (request: BackendPassRequest) => addon.cudaBackendPass({ library, device, ...request })
}

const backends: Record<string, (request: BackendPassRequest) => BackendPass> = {
  native: addon.backendPass,
  emulated: await cuda({ NEURAL_LSH_CUDA_LIBRARY: emulatedTraining() }),
  ...(process.env.NEURAL_LSH_TEST_CUDA ? { cuda: await cuda({}) } : {})
}

type Trained = PassCase & Required<Pick<PassCase, 'training'>>
const cases = readConformance().passes.filter((one): one is Trained => one.training !== undefined)

// ------------------------------------------------------------------------------------------ requests

/** All shares of the fixture are multiples of one in so many. */
const parts = 512

/** The bins of a row's target, each with an equal share. */
function binsOf(shares: readonly number[]): number[] {
  const bins = shares.flatMap((share, bin) => Array<number>(Math.round(share * parts)).fill(bin))
  if (bins.length !== parts) throw new RangeError(`the shares are not of ${parts} equal parts`)
  return bins
}

/** The case's rows as a training set. A row's target is made of the labels of its neighbors: behind the rows lies one of
 * each bin. */
function setOf(one: PassCase, vectors: number[]) {
  const [rows, bins] = [rowsOf(one), outputsOf(one.network)]
  const dimensions = vectors.length / rows
  const targets = one.labels
    ? one.labels.map((label) => [label])
    : Array.from({ length: rows }, (_, row) => binsOf((one.targets ?? []).slice(row * bins, (row + 1) * bins)))
  const softLabels = (targets[0] as number[]).length - 1
  const own = targets.map(([label]) => label as number)
  const others = targets.map(([, ...others]) => others.map((bin) => rows + bin))
  const ofBins = Array.from({ length: bins }, () => Array<number>(softLabels).fill(0))
  return {
    vectors: Float32Array.from([...vectors, ...Array<number>(bins * dimensions).fill(0)]),
    dimensions,
    labels: Int32Array.from([...own, ...Array(bins).keys()]),
    bins,
    neighbors: Int32Array.from([...others, ...ofBins].flat()),
    neighborsPerRow: softLabels,
    softLabels,
    rows: Int32Array.from(Array(rows).keys())
  }
}

/** The seed of a mini-batch whose network draws as Random(seed). */
const batchSeed = (seed: bigint) => SplitMix.seedOf(BigInt.asUintN(64, seed), 1)

function plain(one: PassCase): BackendPassRequest {
  const { network, loss, seed } = one
  return {
    ...setOf(one, one.inputs),
    network,
    loss,
    parameters: Float32Array.from(one.parameters),
    buffers: Float32Array.from(one.buffers),
    seed: batchSeed(BigInt(seed))
  }
}

/** The case behind a convolution whose weights are its rows, each of which it brings forth where one pixel of its own
 * channel is 1: what leads back to those weights is the gradient of the inputs. */
function behindConvolution(one: PassCase) {
  const [channels, height, width] = one.network.inputShape
  const rows = rowsOf(one)
  const padding = Math.max(height, width) - 1
  const kernel = 2 * padding + 1
  const pixels = height * width
  const places = Array.from(one.inputs, (_, i) => {
    const [row, channel] = [Math.floor(i / (channels * pixels)), Math.floor(i / pixels) % channels]
    const [y, x] = [Math.floor((i % pixels) / width), i % width]
    return ((channel * rows + row) * kernel + padding - y) * kernel + padding - x
  })
  const weights = new Float32Array(channels * rows * kernel * kernel)
  for (const [i, place] of places.entries()) weights[place] = one.inputs[i] as number
  const pixel = (row: number) => Array.from({ length: rows * pixels }, (_, i) => (i === row * pixels ? 1 : 0))
  const front = { type: 'conv2d', channels, kernel, stride: 1, padding, bias: false } as const
  const request: BackendPassRequest = {
    ...plain(one),
    ...setOf(one, Array.from({ length: rows }, (_, row) => pixel(row)).flat()),
    network: { inputShape: [rows, height, width], layers: [front, ...one.network.layers] },
    parameters: Float32Array.from([...weights, ...one.parameters]),
    // Layer l draws as output l of Random(seed) says: the layers behind the first one are to draw as they do without it.
    seed: batchSeed(SplitMix.seedOf(new SplitMix(BigInt(one.seed)).next(), 1))
  }
  const split = ({ gradient }: BackendPass) => ({
    inputGradient: places.map((place) => gradient[place] as number),
    gradient: gradient.subarray(weights.length)
  })
  return { request, split }
}

// ------------------------------------------------------------------------------------------ the table

const worst = (cases: Record<string, number>[], figure: string) =>
  Math.max(...cases.map((errors) => errors[figure] ?? 0)).toExponential(1)

for (const [name, backend] of Object.entries(backends)) {
  test(`${name}: a mini-batch's loss and gradients are PyTorch's`, (t) => {
    const found = cases.map((one) => {
      const { use, training } = one
      const pass = backend(plain(one))
      const { request, split } = behindConvolution(one)
      const behind = backend(request)
      const { inputGradient, gradient } = split(behind)
      // Of equal largest numbers cuDNN gives the gradient to one of its choice, where PyTorch's CPU takes the first.
      const isFree = name === 'cuda' && one.part === 'max-pool2d' && one.name === 'ties'
      const errors: Record<string, number> = {
        outputs: relativeError(pass.outputs, use.outputs),
        loss: relativeError([pass.loss, behind.loss], [training.loss, training.loss]),
        gradient: relativeError(pass.gradient, training.gradient),
        'gradient behind a layer': relativeError(gradient, training.gradient),
        inputGradient: isFree ? 0 : relativeError(inputGradient, training.inputGradient),
        buffers: relativeError(pass.buffers, training.buffers)
      }
      return { ...one, errors }
    })
    t.is(found.length, 67)
    for (const figure of Object.keys(found[0]?.errors ?? {}))
      t.log(
        figure,
        worst(
          found.map(({ errors }) => errors),
          figure
        )
      )
    for (const { part, name, errors } of found)
      for (const [figure, error] of Object.entries(errors))
        t.true(error < 1e-4, `${part}, ${name}, ${figure}: ${error}`)
  })
}
