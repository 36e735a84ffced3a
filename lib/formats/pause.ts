import { nextTurn } from '../turn.js'

/** Lets the event loop turn between two chunks of work. */
export async function pause(signal: AbortSignal | undefined): Promise<void> {
  await nextTurn()
  signal?.throwIfAborted()
}
