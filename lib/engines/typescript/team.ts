/**
 * Who does a job's work: the event loop in turns or, where that pays, worker threads over shared memory. What is computed is
 * the same: a task is cut into the same parts for any number of threads, and each writes where no other does.
 */
import type { JobOptions } from '../engine.js'
import type { SharedMemory } from './shared-memory.js'
import { Progress, type Steps } from './turns.js'

const numbersOfStep = 1 << 17

/** What several threads can do at once. Workers know it by its name (tasks.ts). */
export interface Task<Given, Result = void> {
  readonly name: string
  /** Called once in each thread, of which `slot` is the number in the job; returns what to do for a part. What is given
   * are plain objects and arrays, which lie in shared memory where threads write or much is read. The result is what the
   * last part returns. */
  begin(given: Given, slot: number): (part: number) => Steps<Result | undefined>
}

/** Threads that are at a job's disposal until they are released. */
export interface Crew {
  readonly threads: number
  /** For the job. */
  readonly memory: SharedMemory
  /** Does all parts of a task. Rejects with the signal's reason, what onProgress throws, or the error of the first part that
   * has failed. */
  run<Given, Result>(
    task: Task<Given, Result>,
    given: Given,
    parts: number,
    progress: Progress,
    signal: AbortSignal | undefined
  ): Promise<Result>
  release(): void
}

/** Where threads come from. */
export interface Pool {
  /** How many work at once. */
  readonly threads: number
  /** How many multiplications a job must take to be worth waking them. */
  readonly worthwhile: number
  /** So many threads (0: all); undefined where they are busy with another job or cannot start. */
  gather(threads: number): Promise<Crew | undefined>
}

/** No threads but this one. */
export const alone: Pool = { threads: 1, worthwhile: Number.POSITIVE_INFINITY, gather: async () => undefined }

export interface Work {
  /** Units in which progress is counted. */
  total: number
  /** About how many, in all. */
  multiplications: number
}

/** Runs a job's body with as many threads as it may have and deserves. */
export async function withTeam<T>(
  pool: Pool,
  job: JobOptions,
  { total, multiplications }: Work,
  body: (team: Team) => Promise<T>
): Promise<T> {
  job.signal?.throwIfAborted()
  const deserved = job.threads !== 1 && multiplications >= pool.worthwhile
  const crew = deserved ? await pool.gather(job.threads) : undefined
  try {
    const progress = new Progress(total, job)
    const result = await body(new Team(crew, progress, job.signal))
    progress.report()
    return result
  } finally {
    crew?.release()
  }
}

type Numbers = Float32Array | Float64Array | Int32Array | Uint8Array
type Kind<Array extends Numbers> = new (memory: ArrayBufferLike, offset: number, length: number) => Array

export class Team {
  readonly threads: number
  private readonly crew: Crew | undefined
  private readonly progress: Progress
  private readonly signal: AbortSignal | undefined

  constructor(crew: Crew | undefined, progress: Progress, signal: AbortSignal | undefined) {
    this.crew = crew
    this.progress = progress
    this.signal = signal
    this.threads = crew?.threads ?? 1
  }

  /** The same threads, whose work does not count. */
  get uncounted(): Team {
    return new Team(this.crew, new Progress(0, { signal: this.signal }), this.signal)
  }

  advance(work: number): void {
    this.progress.advance(work)
  }

  /** On this thread. */
  inTurns<T>(steps: Steps<T>): Promise<T> {
    return this.progress.inTurns(steps)
  }

  /** On all threads. */
  run<Given, Result>(task: Task<Given, Result>, given: Given, parts: number): Promise<Result> {
    if (!this.crew) return this.inTurns(allParts(task, given, parts))
    return this.crew.run(task, given, parts, this.progress, this.signal)
  }

  /** Room for numbers, which now have any value, where all threads see them; it is gone when the job is over. */
  room<Array extends Numbers>(kind: Kind<Array> & { BYTES_PER_ELEMENT: number }, length: number): Array {
    const bytes = length * kind.BYTES_PER_ELEMENT
    return new kind(this.crew ? this.crew.memory.take(bytes) : new ArrayBuffer(bytes), 0, length)
  }

  /** The same for numbers that are few, all 0. */
  zeros<Array extends Numbers>(kind: Kind<Array> & { BYTES_PER_ELEMENT: number }, length: number): Array {
    const numbers = this.room(kind, length)
    numbers.fill(0)
    return numbers
  }

  /** The array where all threads see it until the job is over: a copy, unless it lies there already. */
  async share<Array extends Numbers>(array: Array): Promise<Array> {
    if (!this.crew || array.buffer instanceof SharedArrayBuffer) return array
    return this.inTurns(copied(array, this.crew.memory.take(array.byteLength)))
  }

  /** A copy that all threads see for as long as it is used. */
  shareForLong<Array extends Numbers>(array: Array): Promise<Array> {
    return this.inTurns(copied(array, new SharedArrayBuffer(array.byteLength)))
  }

  /** A result that outlives the job, out of the threads' sight. */
  async keep<Array extends Numbers>(array: Array): Promise<Array> {
    if (!this.crew) return array
    return this.inTurns(copied(array, new ArrayBuffer(array.byteLength)))
  }

  /** What the body takes of the shared memory is free again after it. */
  async scoped<T>(body: () => Promise<T>): Promise<T> {
    const mark = this.crew?.memory.mark ?? 0
    try {
      return await body()
    } finally {
      this.crew?.memory.giveBack(mark)
    }
  }
}

function* allParts<Given, Result>(task: Task<Given, Result>, given: Given, parts: number): Steps<Result> {
  const work = task.begin(given, 0)
  let result: Result | undefined
  for (let part = 0; part < parts; part++) result = yield* work(part)
  return result as Result
}

function* copied<Array extends Numbers>(from: Array, memory: ArrayBufferLike): Steps<Array> {
  const to = new (from.constructor as Kind<Array>)(memory, 0, from.length)
  for (let first = 0; first < from.length; first += numbersOfStep) {
    to.set(from.subarray(first, first + numbersOfStep), first)
    yield 0
  }
  return to
}
