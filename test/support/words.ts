/** Real vectors that are in the repository: GloVe's of the most frequent words. */
import { fileURLToPath } from 'node:url'
import { readVectors } from '../../lib/index.js'

const file = fileURLToPath(new URL('../../demo/words.txt.gz', import.meta.url))

export async function readWords(limit: number): Promise<{ vectors: Float32Array; dimensions: number }> {
  const { vectors, dimensions } = await readVectors(file, { limit })
  return { vectors, dimensions }
}
