/** Codes of four bits: the native engine's, and what they are to be. */
import test from 'ava'
import type { SearchState } from '../../lib/engines/engine.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { createTypescriptEngine } from '../../lib/engines/typescript/engine.js'
import { leastMilliseconds } from '../support/times.js'
import { clustered } from '../support/vectors.js'
import { readWords } from '../support/words.js'
import { randomNumbers } from './brute-force.js'

const native = createNativeEngine()
const typescript = createTypescriptEngine()
const job = { threads: 1 }

type Stored = Pick<SearchState, 'metric' | 'dimensions' | 'bins' | 'vectors'>

/** Vectors in bins by chance, of which the last one is empty. */
async function inBins(vectors: Float32Array, dimensions: number, bins: number, areBytes = false): Promise<Stored> {
  const random = randomNumbers(2)
  const labels = Int32Array.from({ length: vectors.length / dimensions }, () => Math.floor(random() * (bins - 1)))
  const to = areBytes ? new Uint8Array(vectors.length) : new Float32Array(vectors.length)
  const grouped = await native.groupIntoBins(labels, bins, { from: vectors, to, dimensions }, job)
  return { metric: 'euclidean', dimensions, bins: grouped, vectors: to }
}

const bytes = (vectors: Float32Array) => vectors.map((x) => Math.max(0, Math.min(255, Math.round(128 + 30 * x))))

const samples: [string, () => Promise<Stored>][] = [
  [
    "words' vectors",
    async () => {
      const { vectors, dimensions } = await readWords(4000)
      return inBins(vectors, dimensions, 20)
    }
  ],
  ['more rows than are sampled', () => inBins(clustered(20_000, 3, 30), 3, 12)],
  ['bytes of an odd dimension', () => inBins(bytes(clustered(3000, 17, 30)), 17, 9, true)],
  ['one dimension', () => inBins(clustered(100, 1, 30), 1, 3)],
  ['fewer different vectors than entries', () => inBins(bytes(clustered(5, 6)).slice(), 6, 2, true)],
  ['equal vectors', () => inBins(new Float32Array(300).fill(4), 5, 4)]
]

for (const [name, make] of samples) {
  test(`${name}: the codes are the native engine's`, async (t) => {
    const stored = await make()
    for (const seed of [1, 77]) {
      const found = await typescript.encodeFourBits(stored, seed, job)
      t.deepEqual(found, await native.encodeFourBits(stored, seed, job))
    }
  })
}

test('a code is the nearest entry, and the means are those of the bins', async (t) => {
  const stored = await inBins(clustered(500, 7, 20), 7, 6)
  const { dimensions, bins, vectors } = stored
  const { codes, codebooks, means, columns } = await typescript.encodeFourBits(stored, 1, job)
  t.deepEqual(Array.from(columns).sort(), [0, 1, 2, 3, 4, 5, 6])
  for (let bin = 0; bin + 1 < bins.offsets.length; bin++) {
    const [begin, end] = [bins.offsets[bin] as number, bins.offsets[bin + 1] as number]
    for (let c = 0; c < dimensions; c++) {
      let sum = 0
      for (let row = begin; row < end; row++) sum += vectors[row * dimensions + c] as number
      t.true(Math.abs((means[bin * dimensions + c] as number) - (end > begin ? sum / (end - begin) : 0)) < 1e-6)
    }
    for (let row = begin; row < end; row++) {
      for (let part = 0; part < 4; part++) {
        const squared = Array.from({ length: 16 }, (_, entry) =>
          [0, 1].reduce((sum, i) => {
            const column = columns[2 * part + i]
            const own = column === undefined ? 0 : (vectors[row * dimensions + column] as number)
            const mean = column === undefined ? 0 : (means[bin * dimensions + column] as number)
            return sum + (own - mean - (codebooks[(part * 16 + entry) * 2 + i] as number)) ** 2
          }, 0)
        )
        const code = ((codes[row * 2 + (part >> 1)] as number) >> (4 * (part & 1))) & 15
        // The means that codes are counted from have 16 bits.
        t.true(Math.sqrt(squared[code] as number) <= Math.sqrt(Math.min(...squared)) + 0.02)
      }
    }
  }
})

test.serial('it lets go when told, and counts rows', async (t) => {
  const stored = await inBins(clustered(20_000, 64, 30), 64, 20)
  const reason = new Error('enough')
  const milliseconds = await leastMilliseconds(1000, async () => {
    const controller = new AbortController()
    let aborted = 0
    setTimeout(() => {
      aborted = performance.now()
      controller.abort(reason)
    }, 30)
    const running = typescript.encodeFourBits(stored, 1, { threads: 1, signal: controller.signal })
    await t.throwsAsync(running, { is: reason })
    return performance.now() - aborted
  })
  t.true(milliseconds < 1000, `${milliseconds} ms`)
  const shares: number[] = []
  const onProgress = (done: number, total: number) => shares.push(done / total)
  await typescript.encodeFourBits(await inBins(clustered(3000, 20), 20, 9), 1, { threads: 1, onProgress })
  t.is(shares.at(-1), 1)
  t.true(shares.length > 1)
})
