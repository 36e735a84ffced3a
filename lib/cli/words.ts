import { ArgumentError } from '../errors.js'
import type { NeuralLSH, RadiusOptions, SearchOptions, SearchResult } from '../index.js'
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
  const found = await index.search(vector, { k: Math.min(k + 1, index.size), ...probing })
  const { neighbors, ...rest } = inWords(words, word, found)
  return { ...rest, neighbors: neighbors.slice(0, k) }
}

/** The stored words within a radius of `vector`, the word itself left out. */
export async function wordsWithin(
  index: NeuralLSH,
  words: readonly string[],
  word: string,
  vector: Float32Array,
  options: RadiusOptions
): Promise<WordNeighbors> {
  return inWords(words, word, await index.searchRadius(vector, options))
}

function inWords(words: readonly string[], word: string, { ids, distances, ...visited }: SearchResult): WordNeighbors {
  const neighbors = Array.from(ids, (id, place) => ({
    word: words[id] as string,
    distance: distances[place] as number
  }))
  return { word, neighbors: neighbors.filter((one) => one.word !== word), ...visited }
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
