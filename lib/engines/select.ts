/** Who computes: the one place that chooses the engine. */
import { ArgumentError, EngineError } from '../errors.js'
import type { Engine } from './engine.js'
import { createNativeEngine } from './native.js'
import { createTypescriptEngine } from './typescript/engine.js'
import { nodeWorkers } from './typescript/threads/node-workers.js'
import { WorkerPool } from './typescript/threads/pool.js'

/** What users may ask for. 'auto' takes the native engine or, where that does not load, 'typescript'. */
export const engineChoices = ['auto', 'native', 'typescript'] as const
export type EngineChoice = (typeof engineChoices)[number]

const factories = {
  native: createNativeEngine,
  typescript: () => createTypescriptEngine(new WorkerPool(nodeWorkers))
}

/** Engines that work, by name: loading one is done once. One that failed is tried again, as the cause may be cured. */
const created = new Map<string, Engine>()

let hasWarned = false

/**
 * The engine that was asked for. The environment variable NEURAL_LSH_ENGINE, where it is set, overrules `choice`. 'auto'
 * makes do without the native engine where it cannot be had, and warns of that once.
 * Throws EngineError, with reason and cure, when one asked for by name cannot be had here, ArgumentError when there is none
 * of that name.
 */
export function selectEngine(choice: EngineChoice): Engine {
  const name = forcedChoice() ?? choice
  if (name !== 'auto') return engine(name)
  try {
    return engine('native')
  } catch (error) {
    if (!(error instanceof EngineError)) throw error
    if (!hasWarned) process.emitWarning(`Computing in TypeScript, many times slower: ${error.message}`, fallback)
    hasWarned = true
    return engine('typescript')
  }
}

const fallback = { type: 'NeuralLSHWarning', code: 'NEURAL_LSH_FALLBACK' }

function forcedChoice(): EngineChoice | undefined {
  const forced = process.env.NEURAL_LSH_ENGINE
  if (!forced) return undefined
  const known = engineChoices.find((name) => name === forced)
  if (known) return known
  const names = engineChoices.map((name) => `'${name}'`).join(' or ')
  throw new ArgumentError(
    'NEURAL_LSH_ENGINE',
    `this environment variable must be ${names}, but is ${JSON.stringify(forced)}`
  )
}

function engine(name: keyof typeof factories): Engine {
  const existing = created.get(name)
  if (existing) return existing
  const engine = factories[name]()
  created.set(name, engine)
  return engine
}
