/**
 * What all systems have in common, whatever they are written in: a program that is started as `build` or as `serve`.
 *
 * `build` reads the base vectors, builds an index, writes it to a file and prints one line:
 *     { buildSeconds, buildCpuSeconds, ... }     without reading and writing
 * `serve` reads the queries and the index, asks each query once, prints a line, and from then on answers each line:
 *     { memoryBytes }                            by how much the index made the process grow: its own resident pages,
 *                                                without those of programs and libraries, which processes share
 *     > { passes, ...parameters }                of the search
 *     { ids, nanoseconds, candidates? }          queries x k ids, -1 where there is none, of a pass that is not timed;
 *                                                passes x queries times of a call, one thread, one query a call
 *                                                (nativeNanoseconds: without the language that the call comes from)
 * Here are both sides: how one starts a system, and how a system in JavaScript is one.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'

/** Starts [program, ...arguments] on one core, if that can be had, and returns its first line and a way to ask it. */
export async function startRunner(command, { core } = {}) {
  const [program, ...args] = core === undefined ? command : ['taskset', '-c', String(core), ...command]
  const env = { ...process.env, ...(core === undefined ? {} : { OMP_NUM_THREADS: '1' }) }
  const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = new Promise((resolve) => child.once('close', resolve))
  child.once('error', () => {})
  // A child that ends says so by answering nothing.
  child.stdin.on('error', () => {})
  const lines = createInterface({ input: child.stdout, crlfDelay: Infinity })[Symbol.asyncIterator]()
  const next = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error(`${command.slice(0, 3).join(' ')} ended: ${await ended}`)
    return JSON.parse(value)
  }
  return {
    started: await next(),
    ask(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`)
      return next()
    },
    async stop() {
      child.stdin.end()
      await ended
    }
  }
}

function readNumbers(Numbers, path) {
  const { buffer, byteOffset, byteLength } = readFileSync(path)
  return new Numbers(buffer, byteOffset, byteLength / Numbers.BYTES_PER_ELEMENT)
}

export const readFloats = (path) => readNumbers(Float32Array, path)
export const readIntegers = (path) => readNumbers(Int32Array, path)

/** Of this process and of the children that have ended; the latter on Linux only. */
function cpuSeconds() {
  const { user, system } = process.cpuUsage()
  let children = 0
  try {
    // The fields behind the program's name, which may hold anything: times in hundredths of a second.
    const fields = readFileSync('/proc/self/stat', 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    children = (Number(fields[13]) + Number(fields[14])) / 100
  } catch {}
  return (user + system) / 1e6 + children
}

/** Runs `work`, and says how long it took. */
export async function timeBuild(work) {
  const [start, cpuStart] = [performance.now(), cpuSeconds()]
  const extra = await work()
  return { buildSeconds: (performance.now() - start) / 1000, buildCpuSeconds: cpuSeconds() - cpuStart, ...extra }
}

/** Resident pages that no file stands behind; elsewhere than on Linux all resident ones. */
async function ownBytes() {
  // What a collection frees is let go of by callbacks that come later.
  for (let round = 0; round < 3; round++) {
    globalThis.gc()
    await setTimeout(20)
  }
  try {
    const status = readFileSync('/proc/self/status', 'utf8')
    return 1024 * Number(status.match(/^RssAnon:\s*(\d+) kB$/m)[1])
  } catch {
    return process.memoryUsage.rss()
  }
}

/**
 * A system in JavaScript, which must be started with --expose-gc.
 *
 * `build(job)`: prints what it returns. `open(job)`: the index, as a function from the parameters of a search to
 * { search, idsOf, candidatesOf?, timeNative? }, the first of which is timed; the last one times all queries itself.
 * `prepareQuery`: what a search wants instead of a Float32Array.
 */
export async function runSystem({ build, open, prepareQuery = (query) => query }) {
  const [mode, json] = process.argv.slice(2)
  const job = JSON.parse(json)
  if (mode === 'build') return console.log(JSON.stringify(await build(job)))

  const { dimensions, count, k } = job
  const numbers = readFloats(job.queries)
  const queries = Array.from({ length: count }, (_, i) =>
    prepareQuery(numbers.slice(i * dimensions, (i + 1) * dimensions))
  )
  const before = await ownBytes()
  const prepare = await open(job)
  let current = await prepare(job.first)
  for (const query of queries) current.search(query)
  console.log(JSON.stringify({ memoryBytes: (await ownBytes()) - before }))

  for await (const line of createInterface({ input: process.stdin })) {
    const { passes, ...parameters } = JSON.parse(line)
    current = undefined
    current = await prepare(parameters)
    const reply = measure(current, queries, k, passes)
    if (current.timeNative) {
      reply.nativeNanoseconds = []
      for (let pass = 0; pass < passes; pass++)
        reply.nativeNanoseconds.push(...Array.from(await current.timeNative(), Math.round))
    }
    console.log(JSON.stringify(reply))
  }
}

function measure({ search, idsOf, candidatesOf }, queries, k, passes) {
  const ids = new Int32Array(queries.length * k).fill(-1)
  let candidates = 0
  for (const [i, query] of queries.entries()) {
    const result = search(query)
    ids.set(idsOf(result).slice(0, k), i * k)
    candidates += candidatesOf?.(result) ?? 0
  }
  const nanoseconds = new Float64Array(passes * queries.length)
  let call = 0
  for (let pass = 0; pass < passes; pass++) {
    for (const query of queries) {
      const start = performance.now()
      search(query)
      nanoseconds[call++] = (performance.now() - start) * 1e6
    }
  }
  const reply = { ids: Array.from(ids), nanoseconds: Array.from(nanoseconds, Math.round) }
  return candidatesOf ? { ...reply, candidates: candidates / queries.length } : reply
}
