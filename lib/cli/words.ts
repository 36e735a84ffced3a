import { ArgumentError } from '../errors.js'
import type { NeuralLSH, SearchOptions } from '../index.js'
import { formatCount, formatPercent } from './text.js'

/** What lies near a word. */
export interface WordNeighbors {
  word: string
  neighbors: { word: string; distance: number }[]
  candidates: number
  probes: number
}

/** The k stored words nearest to `vector`, the word itself left out. */
export async function neighborsOfWord(
  index: NeuralLSH,
  words: readonly string[],
  word: string,
  vector: Float32Array,
  { k = 10, ...probing }: SearchOptions
): Promise<WordNeighbors> {
  const { ids, distances, candidates, probes } = await index.search(vector, {
    k: Math.min(k + 1, index.size),
    ...probing
  })
  const neighbors = Array.from(ids, (id, place) => ({
    word: words[id] as string,
    distance: distances[place] as number
  }))
  return { word, neighbors: neighbors.filter((one) => one.word !== word).slice(0, k), candidates, probes }
}

/** The row of a word as it was asked for or, failing that, in small letters; -1 where there is none. */
export function findWord(words: readonly string[], asked: string): number {
  const row = words.indexOf(asked)
  return row >= 0 ? row : words.indexOf(asked.toLowerCase())
}

export function unknownWord(asked: string, size: number): ArgumentError {
  return new ArgumentError('word', `${JSON.stringify(asked)} is not among the ${formatCount(size)} words of this index`)
}

/** `1,234 of 40,000 looked at (3.1 %)` */
export const lookedAt = (candidates: number, size: number) =>
  `${formatCount(candidates)} of ${formatCount(size)} looked at (${formatPercent(candidates / size)})`
