/** Words as the index file keeps them: their UTF-8 bytes one after the other, and where each begins. */
import { ArgumentError, FileError } from '../errors.js'
import { pause } from './pause.js'

const wordsPerTurn = 1 << 10
const largestSize = 2 ** 31 - 1

export interface WordList {
  /** words + 1: word i is bytes offsets[i] .. offsets[i + 1]. */
  offsets: Int32Array<ArrayBuffer>
  bytes: Uint8Array<ArrayBuffer>
}

/** @throws ArgumentError for words that UTF-8 cannot hold */
export async function encodeWords(words: readonly string[], signal: AbortSignal | undefined): Promise<WordList> {
  const offsets = new Int32Array(words.length + 1)
  const encoder = new TextEncoder()
  let size = 0
  for (const [i, word] of words.entries()) {
    if (i % wordsPerTurn === 0) await pause(signal)
    if (/\p{Surrogate}/u.test(word))
      throw new ArgumentError(`words[${i}]`, 'has half a surrogate pair, which UTF-8 cannot hold')
    size += encoder.encode(word).length
    if (size > largestSize) throw new ArgumentError('words', `take more than ${largestSize} bytes`)
    offsets[i + 1] = size
  }
  const bytes = new Uint8Array(size)
  for (const [i, word] of words.entries()) {
    if (i % wordsPerTurn === 0) await pause(signal)
    encoder.encodeInto(word, bytes.subarray(offsets[i]))
  }
  return { offsets, bytes }
}

/** @throws FileError for offsets that are out of order or beyond the bytes, or bytes that are not UTF-8 */
export async function decodeWords(
  path: string,
  { offsets, bytes }: WordList,
  signal: AbortSignal | undefined
): Promise<string[]> {
  if (offsets[0] !== 0 || offsets.at(-1) !== bytes.length)
    throw new FileError(path, 'has word offsets that do not span the bytes of the words')
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const words: string[] = []
  for (let i = 0; i + 1 < offsets.length; i++) {
    if (i % wordsPerTurn === 0) await pause(signal)
    const [begin = 0, end = 0] = offsets.subarray(i, i + 2)
    if (begin > end || end > bytes.length)
      throw new FileError(path, `word ${i} is bytes ${begin} to ${end} of ${bytes.length}`)
    try {
      words.push(decoder.decode(bytes.subarray(begin, end)))
    } catch (cause) {
      throw new FileError(path, `word ${i} is not UTF-8`, undefined, { cause })
    }
  }
  return words
}
