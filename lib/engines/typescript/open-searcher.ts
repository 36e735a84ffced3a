import type { JobOptions, SearchState } from '../engine.js'
import { TypescriptSearcher } from './searcher.js'
import { checkState } from './state-checks.js'
import { alone, type Pool } from './team.js'

/** Takes hold of a checked state. Rejects with ArgumentError, or the signal's reason. */
export async function openSearcher(
  state: SearchState,
  { signal }: JobOptions,
  pool: Pool = alone
): Promise<TypescriptSearcher> {
  await checkState(state, signal)
  return new TypescriptSearcher(state, pool)
}
