/** Worker threads that are started when a job first deserves them and kept for some time, with the memory that they share, for
 * the next one. They keep no process alive. */
import type { Worker } from 'node:worker_threads'
import { SharedMemory } from '../shared-memory.js'
import type { Crew, Pool, Task } from '../team.js'
import type { Progress } from '../turns.js'
import { type Answer, errorOf, type Order, shared, threadError } from './messages.js'

const mostPerCore = 2 // threads: more gain nothing
const whileStarting = 2e8 // multiplications: one thread does about so many until workers are there

/** Where workers come from. */
export interface WorkerSource {
  readonly cores: number
  start(): Worker
}

export class WorkerPool implements Pool {
  readonly worthwhile: number
  private readonly source: WorkerSource
  private readonly longestIdle: number
  private workers: Worker[] = []
  private readonly memory = new SharedMemory()
  private isBusy = false
  private idle: NodeJS.Timeout | undefined
  private cannotStart = false

  /** `longestIdle`: milliseconds after which workers without a job end. */
  constructor(source: WorkerSource, { worthwhile = whileStarting, longestIdle = 10_000 } = {}) {
    this.source = source
    this.worthwhile = worthwhile
    this.longestIdle = longestIdle
  }

  get threads(): number {
    return this.cannotStart ? 1 : this.source.cores
  }

  async gather(wanted: number): Promise<Crew | undefined> {
    const threads = Math.min(wanted || this.source.cores, mostPerCore * this.source.cores)
    if (threads < 2 || this.isBusy || this.cannotStart) return undefined
    this.isBusy = true
    clearTimeout(this.idle)
    try {
      const missing = Math.max(0, threads - this.workers.length)
      await Promise.all(Array.from({ length: missing }, () => this.start()))
    } catch {
      this.cannotStart = true
      this.isBusy = false
      this.end()
      return undefined
    }
    const crew = this.workers.slice(0, threads)
    for (const worker of crew) worker.ref()
    return new WorkerCrew(crew, this.memory, () => {
      for (const worker of crew) worker.unref()
      this.memory.giveBack(0)
      this.isBusy = false
      this.idle = setTimeout(() => this.end(), this.longestIdle).unref()
    })
  }

  private end(): void {
    for (const worker of this.workers) void worker.terminate()
    this.workers = []
    this.memory.clear()
  }

  private async start(): Promise<void> {
    const worker = this.source.start()
    this.workers.push(worker)
    const forget = () => {
      this.workers = this.workers.filter((one) => one !== worker)
    }
    worker.on('error', forget).on('exit', forget)
    await new Promise<void>((resolve, reject) => {
      worker.once('message', () => resolve())
      worker.once('error', reject)
      worker.once('exit', () => reject(new Error('it ended')))
    })
    worker.unref()
  }
}

class WorkerCrew implements Crew {
  readonly memory: SharedMemory
  readonly release: () => void
  private readonly workers: readonly Worker[]

  constructor(workers: readonly Worker[], memory: SharedMemory, release: () => void) {
    this.workers = workers
    this.memory = memory
    this.release = release
  }

  get threads(): number {
    return this.workers.length
  }

  async run<Given, Result>(
    { name }: Task<Given, Result>,
    given: Given,
    parts: number,
    progress: Progress,
    signal: AbortSignal | undefined
  ): Promise<Result> {
    signal?.throwIfAborted()
    const control = new Int32Array(new SharedArrayBuffer(4 * Object.keys(shared).length))
    const stop = () => Atomics.store(control, shared.stopped, 1)
    const before = progress.done
    const failures: { part: number; error: unknown }[] = []
    const report = () => {
      try {
        progress.done = before + Atomics.load(control, shared.done)
        if (failures.length === 0 && !signal?.aborted) progress.report()
      } catch (error) {
        failures.push({ part: -1, error })
        stop()
      }
    }
    let result: unknown
    signal?.addEventListener('abort', stop, { once: true })
    try {
      const order = { task: name, given, parts, control }
      const answers = this.workers.map((worker, slot) => obey(worker, { ...order, slot }, report, stop))
      const results = await Promise.all(answers.map((one) => one.catch((failure) => void failures.push(failure))))
      result = results.find((one) => one !== undefined)
    } finally {
      signal?.removeEventListener('abort', stop)
    }
    signal?.throwIfAborted()
    report()
    const [first] = failures.sort((a, b) => a.part - b.part)
    if (first) throw first.error
    return result as Result
  }
}

/** Resolves to the result, where there is one, when the worker has done with the order; rejects with the part that failed and
 * its error. */
function obey(worker: Worker, order: Order, onWorking: () => void, onLost: () => void): Promise<unknown> {
  worker.postMessage(order)
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => {
      worker.off('message', onMessage)
      worker.off('error', onError)
      worker.off('exit', onExit)
      settle()
    }
    const onMessage = (answer: Answer) => {
      if (answer.type === 'working') onWorking()
      if (answer.type === 'finished') end(() => resolve(answer.result))
      if (answer.type === 'failed') end(() => reject({ part: answer.part, error: errorOf(answer.failure) }))
    }
    const onError = (error: unknown) => {
      onLost()
      end(() => reject({ part: order.parts, error: threadError(error) }))
    }
    const onExit = () => onError('it ended')
    worker.on('message', onMessage)
    worker.on('error', onError)
    worker.on('exit', onExit)
  })
}
