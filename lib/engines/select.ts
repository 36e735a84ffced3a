/** Who computes: the one place that chooses the engine. */
import { ArgumentError, EngineError } from '../errors.js'
import type { Engine } from './engine.js'
import { createNativeEngine } from './native.js'
import { createTypescriptEngine } from './typescript/engine.js'
import { nodeWorkers } from './typescript/threads/node-workers.js'
import { WorkerPool } from './typescript/threads/pool.js'

/** What users may ask for. 'auto' takes the native engine; to open an index where that does not load, 'typescript', which
 * cannot build yet. */
export const engineChoices = ['auto', 'native', 'typescript'] as const
export type EngineChoice = (typeof engineChoices)[number]

const factories = {
  native: createNativeEngine,
  typescript: () => createTypescriptEngine(new WorkerPool(nodeWorkers))
}

/** Engines that work, by name: loading one is done once. One that failed is tried again, as the cause may be cured. */
const created = new Map<string, Engine>()

/**
 * The engine that was asked for. The environment variable NEURAL_LSH_ENGINE, where it is set, overrules `choice`.
 * Throws EngineError, with reason and cure, when it cannot be had here, ArgumentError when there is none of that name.
 */
export function selectEngine(choice: EngineChoice): Engine {
  const name = forcedChoice() ?? choice
  return engine(name === 'auto' ? 'native' : name)
}

let hasWarned = false

/** The engine for opening an index and searching it: as `selectEngine`, but 'auto' makes do without the native engine where
 * it cannot be had, and warns of that once. */
export function selectSearchEngine(choice: EngineChoice): Engine {
  try {
    return selectEngine(choice)
  } catch (error) {
    const wanted = forcedChoice() ?? choice
    if (!(error instanceof EngineError) || wanted !== 'auto') throw error
    if (!hasWarned) process.emitWarning(`Searching in TypeScript, many times slower: ${error.message}`, fallback)
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
