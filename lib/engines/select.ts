/** Who computes: the one place that chooses the engine. */
import { ArgumentError } from '../errors.js'
import type { Engine } from './engine.js'
import { createNativeEngine } from './native.js'

/** What users may ask for. 'auto' takes the first engine that works. */
export const engineChoices = ['auto', 'native'] as const
export type EngineChoice = (typeof engineChoices)[number]

/** In the order in which 'auto' tries them. */
const factories = { native: createNativeEngine }

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
