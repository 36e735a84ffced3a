import { type BuildReport, buildIndex } from './build.js'
import { readBuildReport } from './checks/build-report.js'
import { readRecallCurve } from './checks/recall-curve.js'
import type { Engine, SearchState } from './engines/engine.js'
import { selectEngine } from './engines/select.js'
import { ArgumentError, FileError } from './errors.js'
import { type Evaluation, evaluate } from './evaluation/evaluate.js'
import { readIndexFile, writeIndexFile } from './formats/index-file.js'
import { runJob } from './job.js'
import {
  type BuildOptions,
  checkPath,
  type EvaluateOptions,
  type IndexOptions,
  type OpenOptions,
  resolveBuild,
  resolveIndexOptions,
  resolveOpen,
  resolveSave,
  routerOf,
  type SaveOptions
} from './options.js'
import { type Contents, SearchableIndex } from './searchable-index.js'

/**
 * An approximate nearest-neighbor index that learned how to partition its vectors (Dong, Indyk, Razenshteyn & Wagner,
 * "Learning Space Partitions for Nearest Neighbor Search", ICLR 2020).
 *
 * Wrong arguments give an ArgumentError; asynchronous methods reject with it and never throw. An array that is passed
 * to an asynchronous method is read in place: do not change or transfer it until the promise settles.
 */
export class NeuralLSH extends SearchableIndex {
  /** Name of the engine that computes. */
  readonly engine: Engine['name']
  /** How the index was built: every option with its value. */
  readonly options: IndexOptions
  /** What happened when it was built. */
  readonly report: BuildReport
  readonly #engine: Engine

  private constructor(
    engine: Engine,
    contents: Contents,
    options: IndexOptions,
    report: BuildReport,
    words?: readonly string[]
  ) {
    super(contents, words)
    this.#engine = engine
    this.engine = engine.name
    this.options = options
    this.report = report
  }

  /**
   * Builds an index of n vectors: the k-NN graph, its partition into bins, the classifier that finds a query's bins.
   *
   * @param vectors n x dimensions finite numbers, row after row, n >= 2; read in place until the promise settles.
   */
  static async build(vectors: Float32Array, options: BuildOptions): Promise<NeuralLSH> {
    const { engine: choice, device, run, index } = resolveBuild(vectors, options)
    const engine = await selectEngine(choice, device)
    return runJob(run, async ({ stage }) => {
      const { options, report, ...built } = await buildIndex(engine, vectors, index, stage)
      return new NeuralLSH(engine, built, options, report)
    })
  }

  /** Opens a file that `save` wrote; rejects with FileError when it is not one, is damaged, or cannot be read. */
  static async open(path: string, options?: OpenOptions): Promise<NeuralLSH> {
    checkPath(path)
    const { engine: choice, device, ...run } = resolveOpen(options)
    const engine = await selectEngine(choice, device)
    return runJob({ ...run, onProgress: undefined }, async ({ threads, signal }) => {
      const { state, description, words } = await readIndexFile(path, { signal })
      try {
        const searcher = await engine.openSearcher(state, { threads, signal })
        const index = resolveIndexOptions(description.options, state.bins.ids.length)
        checkAgreement(index, state)
        const report = readBuildReport(description.report)
        const curve = readRecallCurve(description.curve)
        return new NeuralLSH(engine, { searcher, state, curve }, index, report, words)
      } catch (error) {
        throw error instanceof ArgumentError ? new FileError(path, error.message, undefined, { cause: error }) : error
      }
    })
  }

  /** Measures accuracy, recall, candidates and speed over q x dimensions query numbers, for several probings. */
  async evaluate(queries: Float32Array, options?: EvaluateOptions): Promise<Evaluation> {
    const { request, run } = this.arguments.forEvaluate(queries, options)
    return this.contents.use(({ searcher, state }) =>
      runJob(run, ({ threads, signal, onProgress }) =>
        evaluate({ engine: this.#engine, searcher, state }, queries, { ...request, threads, signal, onProgress })
      )
    )
  }

  /** Writes the index to a file, which appears whole or not at all. The same index gives the same bytes. */
  async save(path: string, options?: SaveOptions): Promise<void> {
    const { signal, words = this.words } = resolveSave(path, options, this.size)
    const { stages, ...report } = this.report
    return this.contents.use(({ state, curve }) => {
      const description = { options: this.options, report, curve }
      return runJob({ threads: 0, signal, onProgress: undefined }, (job) =>
        writeIndexFile(path, { state, description, words }, { signal: job.signal })
      )
    })
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/** What a file says of the index must be what the index is. */
function checkAgreement(options: IndexOptions, state: SearchState): void {
  const found = { metric: state.metric, dimensions: state.dimensions, bins: state.bins.offsets.length - 1 }
  for (const name of Object.keys(found) as (keyof typeof found)[]) {
    if (options[name] === found[name]) continue
    throw new ArgumentError(`options.${name}`, `the options say ${options[name]}, but the index has ${found[name]}`)
  }
  if (JSON.stringify(routerOf(options)) === JSON.stringify(state.classifier.network)) return
  throw new ArgumentError('options.classifier', 'the options describe another network than the index has')
}
