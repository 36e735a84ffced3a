import type { Steps } from '../../lib/engines/typescript/turns.js'

/** Runs a computation to its end at once. */
export function finish<T>(steps: Steps<T>): T {
  for (let step = steps.next(); ; step = steps.next()) if (step.done) return step.value
}
