/** Who computes: the one place that chooses the engine. */
import { ArgumentError, EngineError } from '../errors.js'
import { createCudaEngine } from './cuda.js'
import type { Engine } from './engine.js'
import { fallbackWarning } from './fallback-warning.js'
import { createNativeEngine } from './native.js'
import { createTypescriptEngine } from './typescript/engine.js'
import { nodeWorkers } from './typescript/threads/node-workers.js'
import { WorkerPool } from './typescript/threads/pool.js'

/** What users may ask for. 'auto' takes the native engine or, where that does not load, 'typescript'; 'cuda' is there for
 * who asks for it by name. */
export const engineChoices = ['auto', 'native', 'typescript', 'cuda'] as const
export type EngineChoice = (typeof engineChoices)[number]

type EngineName = Exclude<EngineChoice, 'auto'>

const factories: Record<EngineName, (device: number) => Engine | Promise<Engine>> = {
  native: createNativeEngine,
  typescript: () => createTypescriptEngine(new WorkerPool(nodeWorkers)),
  cuda: (device) => createCudaEngine({ device })
}

/** Engines that work, by name and device: loading one is done once. One that failed is tried again, as the cause may be
 * cured. */
const created = new Map<string, Promise<Engine>>()

const warn = fallbackWarning('Computing in TypeScript, many times slower')

/**
 * The engine that was asked for. The environment variable NEURAL_LSH_ENGINE, where it is set, overrules `choice`. 'auto'
 * makes do without the native engine where it cannot be had, and warns of that once. `device`: the GPU of 'cuda'.
 * Rejects with EngineError, with reason and cure, when one asked for by name cannot be had here, with ArgumentError when
 * there is none of that name.
 */
export async function selectEngine(choice: EngineChoice, device = 0): Promise<Engine> {
  const name = forcedChoice() ?? choice
  if (name !== 'auto') return engine(name, device)
  try {
    return await engine('native', device)
  } catch (error) {
    if (!(error instanceof EngineError)) throw error
    warn(error)
    return engine('typescript', device)
  }
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

function engine(name: EngineName, device: number): Promise<Engine> {
  const key = name === 'cuda' ? `${name} ${device}` : name
  const existing = created.get(key)
  if (existing) return existing
  const made = make(name, device)
  created.set(key, made)
  made.catch(() => created.delete(key))
  return made
}

const make = async (name: EngineName, device: number) => factories[name](device)
