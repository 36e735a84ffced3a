/**
 * The engine 'cuda' beside the CPU and beside PyTorch on the same GPU: the exact 10-NN graph, in milliseconds with the way
 * to the device and back, and batches of searches in an index. The best of three rounds. Where there is less of SIFT than
 * wanted, generated vectors are measured as well.
 *
 *     node bench/cuda.mjs [vectors, default 300000]
 *
 * PyTorch: a block's products with all vectors (matmul), of which topk takes the nearest; the vectors lie on the device
 * already, so that the time is less than a program's that starts from arrays. In TF32 and FP32; its neighbors are not
 * compared again, so that some are wrong: the share of ours that it finds stands beside.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildKnnGraph, exactSearch, NeuralLSH, readVectors } from 'neural-lsh'
import { selectEngine } from '../dist/engines/select.js'
import { findFile, printTable } from './data.mjs'

const wanted = Number(process.argv[2] ?? 300_000)
const [neighbors, rounds, onCpu] = [10, 3, 60_000]

/** As SIFT's: 128 whole numbers from 0 to 255 a vector, in clusters. */
function generated(rows) {
  const [dimensions, centers] = [128, 1000]
  const vectors = new Float32Array(rows * dimensions)
  let state = 1
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  const middles = Float32Array.from({ length: centers * dimensions }, () => 150 * random() ** 2)
  for (let row = 0; row < rows; row++) {
    const center = Math.floor(random() * centers) * dimensions
    for (let at = 0; at < dimensions; at++)
      vectors[row * dimensions + at] = Math.round(middles[center + at] + 60 * random())
  }
  return { vectors, dimensions, rows }
}

async function best(work) {
  let [seconds, result] = [Number.POSITIVE_INFINITY]
  for (let round = 0; round < rounds; round++) {
    const start = performance.now()
    result = await work()
    seconds = Math.min(seconds, (performance.now() - start) / 1000)
  }
  return { seconds, result }
}

/** { tf32: { seconds, share }, fp32: … } */
function pytorch({ vectors, dimensions }, ids) {
  const folder = mkdtempSync(join(tmpdir(), 'neural-lsh-bench-'))
  try {
    const files = [join(folder, 'vectors.f32'), join(folder, 'ids.i32')]
    writeFileSync(files[0], vectors)
    writeFileSync(files[1], ids)
    const script = fileURLToPath(new URL('cuda.py', import.meta.url))
    const output = execFileSync('python3', [script, ...files, String(dimensions), String(neighbors), String(rounds)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit']
    })
    return JSON.parse(output)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const rate = (rows, dimensions, seconds) => `${((2 * rows * rows * dimensions) / seconds / 1e12).toFixed(1)}`

async function graphs(name, set) {
  const { vectors, dimensions, rows } = set
  const lines = []
  const add = (who, seconds, share) =>
    lines.push([
      `graph of ${name}, ${rows} x ${dimensions}`,
      who,
      seconds.toFixed(3),
      rate(rows, dimensions, seconds),
      share
    ])
  const graph = (engine) => best(() => buildKnnGraph(vectors, { dimensions, neighbors, method: 'exact', engine }))
  const { seconds, result } = await graph('cuda')
  add('cuda', seconds, 'all')
  for (const [precision, { seconds, share }] of Object.entries(pytorch(set, result.ids)))
    add(`PyTorch ${precision}`, seconds, share.toFixed(5))
  if (rows <= onCpu) {
    const cpu = await graph('native')
    add('native', cpu.seconds, cpu.result.ids.every((id, i) => id === result.ids[i]) ? 'all' : 'NOT THE SAME')
  }
  return lines
}

/** Batches of 10,000 queries for three recalls, on both engines, in the same index. */
async function searches({ vectors, dimensions, rows }, queries) {
  const options = { dimensions, bins: 1024, partition: { method: 'kmeans' }, classifier: { hidden: [], epochs: 3 } }
  const file = join(mkdtempSync(join(tmpdir(), 'neural-lsh-bench-')), 'sift.nlsh')
  const built = await NeuralLSH.build(vectors, options)
  await built.save(file)
  built.close()
  const truth = (await exactSearch(vectors, queries, { dimensions, k: neighbors })).ids
  const lines = []
  for (const engine of ['cuda', 'native']) {
    const index = await NeuralLSH.open(file, { engine })
    for (const recall of [0.9, 0.95, 0.99]) {
      const { seconds, result } = await best(() => index.searchBatch(queries, { k: neighbors, recall }))
      const perSecond = queries.length / dimensions / seconds
      const what = `searches for ${recall} in SIFT, ${rows}`
      lines.push([
        what,
        engine,
        seconds.toFixed(3),
        `${Math.round(perSecond)} / s`,
        share(result.ids, truth).toFixed(3)
      ])
    }
    index.close()
  }
  rmSync(join(file, '..'), { recursive: true, force: true })
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
const lines = await graphs('SIFT', sift)
if (sift.rows < wanted) lines.push(...(await graphs('generated vectors', generated(wanted))))
lines.push(...(await searches(sift, asked.vectors)))
printTable(['what', 'who', 'seconds', 'TFLOP/s or queries', 'neighbors found'], lines)
