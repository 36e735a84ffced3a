/**
 * The engine on an NVIDIA GPU: the native engine, of which the device takes over what it does best, the exact k-NN graph,
 * exact search, searches in batches and the classifier's training. Single searches stay on the CPU, which has answered before a device has begun.
 */
import type { Layer } from '../classifier/network.js'
import { ArgumentError, DeviceError, EngineError } from '../errors.js'
import { cudaPlaces } from './cuda-places.js'
import type { Classifier, Engine, GraphPrecision, JobOptions, KnnGraph, Searcher, SearchState } from './engine.js'
import { fallbackWarning } from './fallback-warning.js'
import { type CudaDevice, createNativeEngine, loadAddon, type OpenedCuda, run } from './native.js'

/** Pairs times their cost in dimensions for which all are compared even where an approximate graph will do: by the rate
 * of its matrix products a large device is done within a minute, while the CPU takes minutes to approximate. To be
 * selected from costs a pair about as much as so many dimensions. */
const exactGraphWork = 1e15
const selectionWork = 32

/** Of the matrix products that propose neighbors, where nothing else is asked for; what is returned is exact with any. */
const productPrecision: GraphPrecision = 'fp16'

export interface CudaOptions {
  device: number
  /** Tell the device a step of training once, and let it repeat that by itself (a CUDA graph); default true. */
  recordsSteps?: boolean
}

/**
 * Rejects with EngineError, which says why and what cures it, where there is no library, no cuBLAS, no cuDNN, no driver
 * or no device; with ArgumentError where there is no device of that number.
 */
export async function createCudaEngine({ device, recordsSteps = true }: CudaOptions): Promise<Engine> {
  const addon = loadAddon()
  const native = createNativeEngine()
  const { library, versions, devices, device: found } = await open(addon.openCuda, device)
  if (!found) throw new ArgumentError('device', `must be below ${devices}, the devices here, but is ${device}`)
  const place = { library, device }
  const findNeighbors = async (request: object, job: JobOptions, onCpu: () => Promise<Neighbors>) => {
    try {
      return await run(addon.cudaFindNeighbors, { ...place, ...request }, job)
    } catch (error) {
      if (isFull(error) || !canTakeOver(error, warnOfNeighbors)) throw error
      return onCpu()
    }
  }
  return {
    ...native,
    name: 'cuda',
    description: describe(found, versions, native),
    async knnGraph(vectors, dimensions, metric, options, job) {
      const rows = vectors.length / dimensions
      if (options.method === 'approximate' && rows * rows * (dimensions + selectionWork) > exactGraphWork)
        return native.knnGraph(vectors, dimensions, metric, options, job)
      const { neighbors, precision = productPrecision } = options
      const request = { precision, vectors, dimensions, metric, k: neighbors }
      const onCpu = () => native.knnGraph(vectors, dimensions, metric, options, job)
      return { neighbors, ...(await findNeighbors(request, job, onCpu)) }
    },
    exactSearch(vectors, queries, dimensions, metric, k, job) {
      const request = { precision: productPrecision, vectors, queries, dimensions, metric, k }
      return findNeighbors(request, job, () => native.exactSearch(vectors, queries, dimensions, metric, k, job))
    },
    async trainClassifier(request, job) {
      try {
        const trained = await run(addon.cudaTrainClassifier, { library, device, recordsSteps, ...request }, job)
        return { network: request.network, ...trained }
      } catch (error) {
        if (!canTakeOver(error, warnOfTraining)) throw error
        return native.trainClassifier(request, job)
      }
    },
    async openSearcher(state, job) {
      const searcher = await native.openSearcher(state, job)
      const router = deviceRouter(state.classifier)
      if (!router) return searcher
      try {
        const request = { ...place, ...flatState(state), router }
        const { handle } = await run(addon.openCudaIndex, request, job)
        return withBatches(searcher, new addon.CudaIndex(handle))
      } catch (error) {
        if (canTakeOver(error, warnOfSearching)) return searcher
        searcher.close()
        throw error
      }
    }
  }
}

type Neighbors = Pick<KnnGraph, 'ids' | 'distances'>
type OpenCuda = ReturnType<typeof loadAddon>['openCuda']
type CudaIndex = InstanceType<ReturnType<typeof loadAddon>['CudaIndex']>

async function open(openCuda: OpenCuda, device: number): Promise<OpenedCuda> {
  try {
    return await run(openCuda, { ...cudaPlaces(), device }, { threads: 1 })
  } catch (error) {
    if (!(error instanceof EngineError)) throw error
    throw new EngineError(`the engine 'cuda' cannot be had here: ${error.message}`, { cause: error })
  }
}

function describe(device: CudaDevice, { runtime, cublas, cudnn }: OpenedCuda['versions'], native: Engine): string {
  const cuda = `CUDA ${Math.floor(runtime / 1000)}.${Math.floor((runtime % 1000) / 10)}`
  return `cuda (${device.name}, ${cuda}, cuBLAS ${dotted(cublas)}, cuDNN ${dotted(cudnn)}; ${native.description})`
}

/** 91300 is 9.13.0. */
const dotted = (version: number) =>
  [Math.floor(version / 10_000), Math.floor((version % 10_000) / 100), version % 100].join('.')

/** Of codes the device has no need: it compares all candidates exactly. */
const flatState = ({ metric, dimensions, bins, vectors }: SearchState) => ({ metric, dimensions, vectors, ...bins })

const doNothing = new Set<Layer['type']>(['dropout', 'flatten', 'identity'])

/** The router as the library knows it, linear layers with ReLU between them; undefined where it is of another kind. */
function deviceRouter({ network, parameters, input, temperature }: Classifier) {
  const layers = network.layers.filter(({ type }) => !doNothing.has(type))
  const linear = layers.filter((layer) => layer.type === 'linear')
  const alternate = layers.every(({ type }, i) => type === (i % 2 === 0 ? 'linear' : 'relu'))
  if (network.children || layers.length !== 2 * linear.length - 1 || !alternate) return undefined
  const dimensions = network.inputShape.reduce((product, side) => product * side)
  return {
    widths: [dimensions, ...linear.map(({ outputs }) => outputs)],
    hasBias: linear.map(({ bias }) => Number(bias)),
    parameters,
    ...input,
    temperature
  }
}

/** The native searcher, whose batches the device answers, exactly: no codes decide there what is compared. */
function withBatches(searcher: Searcher, index: CudaIndex): Searcher {
  return {
    ...searcher,
    usesCodes: false,
    async searchBatch(queries, { k, probing, reranked }, job: JobOptions) {
      try {
        return await run((request, options) => index.search(request, options), { queries, k, ...probing }, job)
      } catch (error) {
        if (!canTakeOver(error, warnOfSearching)) throw error
        return searcher.searchBatch(queries, { k, probing, reranked }, job)
      }
    },
    close() {
      index.close()
      searcher.close()
    }
  }
}

const warnOfNeighbors = fallbackWarning('Finding neighbors on the CPU')
const warnOfSearching = fallbackWarning('Searching on the CPU')
const warnOfTraining = fallbackWarning('Training on the CPU')

/** Whether not even small tiles fit into the device's memory: of all pairs, which take a CPU long, that is for the caller to
 * decide, and an error. */
const isFull = (error: unknown) => error instanceof DeviceError && error.isFull

/** Whether the native engine can answer in the device's place, which is warned of. */
function canTakeOver(error: unknown, warn: (why: Error) => void): boolean {
  if (!(error instanceof DeviceError)) return false
  warn(error)
  return true
}
