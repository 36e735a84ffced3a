/** Drawing rows by chance, from a seed. */
import { eachRow, gatherRows } from '../rows.js'

/** Numbers in [0, 1): SplitMix with 32 bits of state. */
function randomNumbers(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x9e3779b9) | 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32
  }
}

/** `count` different rows of `total`, ascending; every such set is equally likely (Floyd's algorithm). */
export function sampleRows(total: number, count: number, seed: number): Int32Array<ArrayBuffer> {
  const random = randomNumbers(seed)
  const chosen = new Set<number>()
  for (let last = total - count; last < total; last++) {
    const row = Math.floor(random() * (last + 1))
    chosen.add(chosen.has(row) ? last : row)
  }
  return Int32Array.from(chosen).sort()
}

/** Takes `count` rows, drawn by chance, out of a matrix. */
export async function holdOutRows(
  vectors: Float32Array,
  dimensions: number,
  count: number,
  { seed, signal }: { seed: number; signal?: AbortSignal | undefined }
) {
  const total = vectors.length / dimensions
  const drawn = sampleRows(total, count, seed)
  const isDrawn = new Set(drawn)
  const rest = new Int32Array(total - count)
  let place = 0
  await eachRow(total, signal, (row) => {
    if (!isDrawn.has(row)) rest[place++] = row
  })
  return {
    vectors: await gatherRows(vectors, dimensions, rest, signal),
    queries: await gatherRows(vectors, dimensions, drawn, signal)
  }
}
