/** The door for browsers, and for whoever wants to search without a binary: opens an index from the bytes of its file.
 * Nothing of Node.js is imported from here. */
import { checkArray } from './checks/arrays.js'
import { Field, read } from './checks/fields.js'
import { readRecallCurve } from './checks/recall-curve.js'
import { openSearcher } from './engines/typescript/open-searcher.js'
import { ArgumentError, FileError } from './errors.js'
import { readIndexBytes } from './formats/index-bytes.js'
import { searchRun } from './search-options.js'
import { SearchableIndex } from './searchable-index.js'

export type { Metric, RadiusBatchResult, SearchResult } from './engines/engine.js'
export { ArgumentError, ClosedError, type ErrorCode, FileError, NeuralLSHError } from './errors.js'
export type {
  Progress,
  RadiusBatchOptions,
  RadiusOptions,
  RouteOptions,
  SearchBatchOptions,
  SearchOptions
} from './option-types.js'
export type { BatchResult, RadiusResult, Route, SearchableIndex } from './searchable-index.js'

export interface OpenIndexOptions {
  /** What errors call the index, such as where it came from; default 'index'. */
  name?: string | undefined
  signal?: AbortSignal | undefined
}

const table = {
  name: new Field<string>('a string', (value) => typeof value === 'string', 'index'),
  signal: searchRun.signal
}

/**
 * Opens an index from the bytes of a file that `save` wrote. Searches compute on the calling thread and, but for
 * `searchSync`, let the event loop turn about every millisecond; the option `threads` changes nothing.
 *
 * @param bytes read in place, and kept: do not change or transfer them while the index is in use.
 * @throws FileError when they are no index or are damaged, or the signal's reason
 */
export async function openIndex(bytes: Uint8Array | ArrayBuffer, options?: OpenIndexOptions): Promise<SearchableIndex> {
  const view = bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes
  checkArray(view, 'bytes', 'Uint8Array')
  const { name, signal } = read(table, options)
  signal?.throwIfAborted()
  try {
    const { state, description, words } = await readIndexBytes(name, view as Uint8Array<ArrayBuffer>, { signal })
    const searcher = await openSearcher(state, { threads: 1, signal })
    return new SearchableIndex({ searcher, state, curve: readRecallCurve(description.curve) }, words)
  } catch (error) {
    throw error instanceof ArgumentError ? new FileError(name, error.message, undefined, { cause: error }) : error
  }
}
