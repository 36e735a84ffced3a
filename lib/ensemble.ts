import { asRecord } from './checks/fields.js'
import { Closable } from './closable.js'
import type { Metric, SearchResult } from './engines/engine.js'
import { selectEngine } from './engines/select.js'
import { FileError } from './errors.js'
import { makeFolder, partitionPath, readEnsembleFile, writeEnsembleFile } from './formats/ensemble-file.js'
import { runJob } from './job.js'
import { NeuralLSH } from './neural-lsh.js'
import {
  checkFolder,
  type EnsembleBatchOptions,
  type EnsembleBuildOptions,
  type EnsembleProgress,
  type EnsembleSaveOptions,
  type OpenOptions,
  resolveEnsembleBuild,
  resolveEnsembleSave,
  resolveOpen,
  type SearchOptions
} from './options.js'
import { readRecall } from './search-arguments.js'
import type { BatchResult } from './searchable-index.js'
import { mergeAnswers, mergeBatches } from './stages/merge.js'
import { learnMergedRecall, type MergeCurve, singleRecallFor } from './stages/merged-recall.js'
import { holdOut } from './stages/recall.js'

/**
 * Several independent partitions of the same vectors, the several tables of LSH (Indyk & Motwani, STOC 1998; for Neural
 * LSH: Dong, Indyk, Razenshteyn & Wagner, ICLR 2020): a neighbor that one misses another may find. An index for each, so
 * it takes as many times the memory and the time to build.
 *
 * Errors are those of NeuralLSH.
 */
export class Ensemble {
  /** Number of vectors. */
  readonly size: number
  /** Numbers in a vector. */
  readonly dimensions: number
  readonly metric: Metric
  /** Number of bins of each partition, the empty ones included. */
  readonly bins: number
  /** The indexes, 2 to 16; closing the ensemble closes them. */
  readonly partitions: readonly NeuralLSH[]

  readonly #curve: MergeCurve
  readonly #indexes: Closable<readonly NeuralLSH[]>

  private constructor(indexes: readonly NeuralLSH[], curve: MergeCurve) {
    const { size, dimensions, metric, bins } = indexes[0] as NeuralLSH
    this.size = size
    this.dimensions = dimensions
    this.metric = metric
    this.bins = bins
    this.partitions = Object.freeze([...indexes])
    this.#curve = curve
    this.#indexes = new Closable(this.partitions, closeAll)
  }

  /**
   * Builds the indexes, one after the other, number i with seed + i, and learns what their answers find together. Nothing
   * in a 'kd-tree' is drawn by chance: its partitions are all the same.
   *
   * @param vectors n x dimensions finite numbers, row after row, n >= 2; read in place until the promise settles.
   */
  static async build(vectors: Float32Array, options: EnsembleBuildOptions): Promise<Ensemble> {
    const { partitions, each, engine: choice, device, index, run } = resolveEnsembleBuild(vectors, options)
    const build = (i: number) =>
      NeuralLSH.build(vectors, { ...each, seed: each.seed + i, onProgress: inPartition(i, run.onProgress) })
    return gather(partitions, build, async (indexes) => {
      const engine = await selectEngine(choice, device)
      const curve = await runJob(run, ({ stage }) =>
        stage('recall', async (job) => {
          const quiet = { ...job, onProgress: undefined }
          const prepared = await engine.prepareVectors(vectors, index.dimensions, index.metric, 'vectors', quiet)
          // No row is held out by all: any will do, see learnMergedRecall.
          const asks = await holdOut(engine, prepared, index, new Int32Array(0), quiet)
          return learnMergedRecall(indexes, asks, job)
        })
      )
      return new Ensemble(indexes, curve)
    })
  }

  /** Opens a folder that `save` wrote; rejects with FileError when it is not one, when a file of it is missing, damaged or
   * of another ensemble, or cannot be read. */
  static async open(folder: string, options?: OpenOptions): Promise<Ensemble> {
    checkFolder(folder)
    resolveOpen(options).signal?.throwIfAborted()
    const { count, curve } = await readEnsembleFile(folder)
    const open = (i: number) => NeuralLSH.open(partitionPath(folder, i), options)
    return gather(count, open, async (indexes) => {
      checkAgreement(folder, indexes)
      return new Ensemble(indexes, curve)
    })
  }

  /**
   * The k nearest vectors of those that each partition's index finds, each once. `probes` and `mass` are those of each
   * index, `recall` is that of the merged answer. The result's probes and candidates are the sums over the indexes: a
   * vector that several of them propose is compared, and counted, as often. `query`: dimensions numbers.
   */
  async search(query: Float32Array, options?: SearchOptions): Promise<SearchResult> {
    const asked = this.#forEach(options)
    return this.#indexes.use(async (indexes) =>
      mergeAnswers(await Promise.all(indexes.map((index) => index.search(query, asked))))
    )
  }

  /** As `search`, at once, on the calling thread. */
  searchSync(query: Float32Array, options?: SearchOptions): SearchResult {
    const asked = this.#forEach(options)
    return mergeAnswers(this.#indexes.get().map((index) => index.searchSync(query, asked)))
  }

  /** As `search`, for q x dimensions numbers, row after row; index after index, each on all threads. */
  async searchBatch(queries: Float32Array, options?: EnsembleBatchOptions): Promise<BatchResult> {
    const { onProgress, ...asked } = this.#forEach(options)
    return this.#indexes.use(async (indexes) => {
      const answers: BatchResult[] = []
      for (const [i, index] of indexes.entries())
        answers.push(await index.searchBatch(queries, { ...asked, onProgress: inPartition(i, onProgress) }))
      const { k } = answers[0] as BatchResult
      return { k, ...(await mergeBatches(answers, k, asked.signal)) }
    })
  }

  /** A copy of the vector in row `id` of the array that was given to build; of unit length for cosine. */
  vector(id: number): Float32Array<ArrayBuffer> {
    return (this.#indexes.get()[0] as NeuralLSH).vector(id)
  }

  /** Writes the ensemble into a folder, which is made if it is not there: `0.nlsh` … and, last, `ensemble.json`. Where that
   * is interrupted, an ensemble that was there before is still the old one, or one that `open` refuses. Files of further
   * partitions that it had are left. The same ensemble gives the same bytes. */
  async save(folder: string, options?: EnsembleSaveOptions): Promise<void> {
    const { signal } = resolveEnsembleSave(folder, options)
    return this.#indexes.use(async (indexes) => {
      signal?.throwIfAborted()
      await makeFolder(folder)
      for (const [i, index] of indexes.entries()) await index.save(partitionPath(folder, i), { signal })
      await writeEnsembleFile(folder, indexes.length, this.#curve, signal)
    })
  }

  /** Closes the indexes once the calls that are running have finished; later ones get a ClosedError. */
  close(): void {
    this.#indexes.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** What each index is asked for: where that is a recall, the one that makes the merged answer's. */
  #forEach<T extends SearchOptions>(options: T | undefined): T {
    const given = asRecord(options, 'options') as T
    const recall = readRecall(given)
    return recall === undefined ? given : { ...given, recall: singleRecallFor(this.#curve, recall) }
  }
}

/** Says of each report which partition it is about; what is no function is left for the index to judge. */
function inPartition(partition: number, onProgress: ((progress: EnsembleProgress) => void) | undefined) {
  if (typeof onProgress !== 'function') return onProgress
  return (progress: EnsembleProgress) => onProgress({ ...progress, partition })
}

function closeAll(indexes: readonly NeuralLSH[]): void {
  for (const index of indexes) index.close()
}

/** Makes indexes one after the other, and something of them; where anything fails, they are closed. */
async function gather<T>(
  count: number,
  make: (i: number) => Promise<NeuralLSH>,
  finish: (indexes: readonly NeuralLSH[]) => Promise<T>
): Promise<T> {
  const indexes: NeuralLSH[] = []
  try {
    for (let i = 0; i < count; i++) indexes.push(await make(i))
    return await finish(indexes)
  } catch (error) {
    closeAll(indexes)
    throw error
  }
}

/** Indexes of the same vectors, as far as can be told. */
function checkAgreement(folder: string, indexes: readonly NeuralLSH[]): void {
  for (const name of ['size', 'dimensions', 'metric', 'bins'] as const) {
    const right = indexes[0]?.[name]
    const wrong = indexes.findIndex((index) => index[name] !== right)
    if (wrong < 0) continue
    const found = `${indexes[wrong]?.[name]}, but that of ${partitionPath(folder, 0)} is ${right}`
    throw new FileError(partitionPath(folder, wrong), `is of another ensemble: its ${name} is ${found}`)
  }
}
