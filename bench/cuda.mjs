/**
 * The engine 'cuda' beside the CPU and beside PyTorch on the same GPU: the exact 10-NN graph in each precision of its matrix
 * products, and batches of 10,000 searches. Medians of three rounds. Ours are the times of calls in JavaScript, with the way to
 * the device and back; PyTorch's are the device's own (CUDA events), of vectors that lie there already.
 *
 *     node bench/cuda.mjs [vectors, default 1000000]
 *
 * SIFT's numbers are bytes, which are multiplied as such in any precision: the same vectors, each number a tenth, are
 * measured as well; generated ones where there is less of SIFT than wanted. Rates count n^2 d multiplications and additions
 * each, the share is that of what cuBLAS reaches in large products of the same type (PyTorch's matmul, 8192^3).
 *
 * PyTorch's graph: a block's products with all vectors (matmul), of which topk takes the nearest, timed on some of the blocks.
 * Its neighbors are not compared again, so that some are wrong: the share of ours that it finds stands beside. Its searches:
 * the vectors of the four bins that our router chose are gathered, multiplied with the query (bmm), topk; routing is not counted.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildKnnGraph, exactSearch, NeuralLSH, readVectors } from 'neural-lsh'
import { selectEngine } from '../dist/engines/select.js'
import { readIndexFile } from '../dist/formats/index-file.js'
import { findFile, printTable } from './data.mjs'

const wanted = Number(process.argv[2] ?? 1_000_000)
const [neighbors, rounds, onCpu] = [10, 3, 60_000]
const precisions = ['fp32', 'tf32', 'bf16', 'fp16']

/** As SIFT's: 128 whole numbers from 0 to 255 a vector, in clusters. */
function generated(rows, seed = 1) {
  const [dimensions, centers] = [128, 1000]
  const vectors = new Float32Array(rows * dimensions)
  let state = 1
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  const middles = Float32Array.from({ length: centers * dimensions }, () => 150 * random() ** 2)
  state = seed
  for (let row = 0; row < rows; row++) {
    const center = Math.floor(random() * centers) * dimensions
    for (let at = 0; at < dimensions; at++)
      vectors[row * dimensions + at] = Math.round(middles[center + at] + 60 * random())
  }
  return { vectors, dimensions, rows }
}

async function measured(work) {
  const seconds = []
  let result
  for (let round = 0; round < rounds; round++) {
    const start = performance.now()
    result = await work()
    seconds.push((performance.now() - start) / 1000)
  }
  return { seconds: seconds.sort((a, b) => a - b)[rounds >> 1], result }
}

/** What cuda.py says of this task with these arrays. */
function pytorch(task, arrays, numbers) {
  const folder = mkdtempSync(join(tmpdir(), 'neural-lsh-bench-'))
  try {
    for (const [name, array] of Object.entries(arrays)) writeFileSync(join(folder, name), array)
    const script = fileURLToPath(new URL('cuda.py', import.meta.url))
    const asked = JSON.stringify({ task, folder, rounds, ...numbers })
    // PyTorch looks for a package `cuda` and must not find cuda.py here.
    const env = { ...process.env, PYTHONSAFEPATH: '1' }
    const stdio = ['ignore', 'pipe', 'inherit']
    return JSON.parse(execFileSync('python3', [script, asked], { encoding: 'utf8', stdio, env }))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Of products with vectors on both sides: in TFLOP/s, and as a share of the `roof`. */
function rate(rows, dimensions, seconds, roof) {
  const perSecond = (2 * rows * rows * dimensions) / seconds / 1e12
  return [perSecond.toFixed(1), roof ? `${Math.round((100 * perSecond) / roof)} %` : '']
}

async function graphs(name, { vectors, dimensions, rows }, precisions) {
  const lines = []
  const add = (who, seconds, roof, found) =>
    lines.push([
      `graph of ${name}, ${rows} x ${dimensions}`,
      who,
      seconds.toFixed(3),
      ...rate(rows, dimensions, seconds, roof),
      found
    ])
  const graph = (engine, precision) =>
    measured(() => buildKnnGraph(vectors, { dimensions, neighbors, method: 'exact', engine, precision }))
  const areSame = (a, b) => (a.every((id, i) => id === b[i]) ? 'all' : 'NOT THE SAME')
  const { result: right } = await graph('cuda', 'fp32')
  const others = pytorch('graph', { vectors, ids: right.ids }, { dimensions, neighbors, precisions })
  for (const precision of precisions) {
    const { seconds, result } = await graph('cuda', precision)
    const other = others[precision]
    add(`cuda, ${precision}`, seconds, other.roof, areSame(result.ids, right.ids))
    add(`PyTorch, ${precision}`, other.seconds, other.roof, other.share.toFixed(5))
  }
  if (rows <= onCpu) {
    const { seconds, result } = await graph('native')
    add('native', seconds, undefined, areSame(result.ids, right.ids))
  }
  return lines
}

/** Where the vectors of each bin are, padded with -1: bins x the largest bin. */
function membersOf({ offsets, ids }) {
  const bins = offsets.length - 1
  const largest = Math.max(...offsets.subarray(1).map((end, bin) => end - offsets[bin]))
  const members = new Int32Array(bins * largest).fill(-1)
  for (let bin = 0; bin < bins; bin++) members.set(ids.subarray(offsets[bin], offsets[bin + 1]), bin * largest)
  return { members, largest }
}

/** Batches of queries for four of 256 bins and for three recalls, on both engines, in the same index. */
async function searches(name, { vectors, dimensions, rows }, queries) {
  const options = { dimensions, bins: 256, partition: { method: 'kmeans' }, classifier: { hidden: [], epochs: 3 } }
  const folder = mkdtempSync(join(tmpdir(), 'neural-lsh-bench-'))
  const file = join(folder, 'vectors.nlsh')
  const lines = []
  try {
    const built = await NeuralLSH.build(vectors, options)
    await built.save(file)
    built.close()
    const probes = 4
    const truth = (await exactSearch(vectors, queries, { dimensions, k: neighbors, engine: 'cuda' })).ids
    const add = (asked, who, seconds, found) => {
      const perSecond = Math.round(queries.length / dimensions / seconds)
      lines.push([`searches, ${asked}, in ${name}, ${rows}`, who, seconds.toFixed(4), `${perSecond} / s`, '', found])
    }
    const asks = [{ probes }, ...[0.9, 0.95, 0.99].map((recall) => ({ recall }))]
    for (const engine of ['cuda', 'native']) {
      const index = await NeuralLSH.open(file, { engine })
      for (const ask of asks) {
        const { seconds, result } = await measured(() => index.searchBatch(queries, { k: neighbors, ...ask }))
        add(Object.entries(ask).join().replace(',', ' '), engine, seconds, share(result.ids, truth).toFixed(3))
      }
      index.close()
    }
    const { state } = await readIndexFile(file, {})
    const searcher = await (await selectEngine('native')).openSearcher(state, { threads: 0 })
    const { bins } = await searcher.route(queries, probes, { threads: 0 })
    searcher.close()
    const { members, largest } = membersOf(state.bins)
    const arrays = { vectors, queries, chosen: bins, members, truth }
    const other = pytorch('search', arrays, { dimensions, neighbors, probes, largest })
    add(`probes ${probes}`, 'PyTorch, routed', other.seconds, other.share.toFixed(3))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return lines
}

function share(ids, truth) {
  let found = 0
  for (let first = 0; first < truth.length; first += neighbors) {
    const own = new Set(ids.subarray(first, first + neighbors))
    for (const id of truth.subarray(first, first + neighbors)) if (own.has(id)) found++
  }
  return found / truth.length
}

console.log((await selectEngine('cuda')).description)
const sift = await readVectors(findFile('sift', 'sift1m_base.bvecs.gz'), { limit: wanted })
const asked = await readVectors(findFile('sift', 'sift1m_query.bvecs.gz'), { limit: 10_000 })
const lines = await graphs('SIFT', sift, ['fp16'])
const [name, large] = sift.rows < wanted ? ['generated vectors', generated(wanted)] : ['SIFT', sift]
if (large !== sift) lines.push(...(await graphs(name, large, ['fp16'])))
lines.push(...(await graphs(`${name} in tenths`, { ...large, vectors: large.vectors.map((x) => x / 10) }, precisions)))
lines.push(...(await searches('SIFT', sift, asked.vectors)))
if (large !== sift) lines.push(...(await searches(name, large, generated(10_000, 2).vectors)))
printTable(['what', 'who', 'seconds', 'TFLOP/s or queries', 'of the roof', 'neighbors found'], lines)
