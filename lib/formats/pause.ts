import { setImmediate } from 'node:timers/promises'

/** Lets the event loop turn between two chunks of work. */
export async function pause(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate()
  signal?.throwIfAborted()
}
