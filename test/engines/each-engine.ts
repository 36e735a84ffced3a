/** One suite for all engines that train. */
import test, { type ExecutionContext } from 'ava'
import type { Engine } from '../../lib/engines/engine.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { createTypescriptEngine } from '../../lib/engines/typescript/engine.js'
import { nativeParts, type Parts, typescriptParts } from './parts.js'

type Define = (title: string, body: (t: ExecutionContext) => void | Promise<void>) => void

export interface Tested extends Parts {
  engine: Engine
  /** AVA's, with the engine's name before the title. */
  test: Define & { serial: Define }
}

export function eachEngine(define: (tested: Tested) => void): void {
  for (const { engine, parts } of [
    { engine: createNativeEngine(), parts: nativeParts },
    { engine: createTypescriptEngine(), parts: typescriptParts }
  ]) {
    const titled = (title: string) => `${engine.name}: ${title}`
    const named: Define = (title, body) => test(titled(title), body)
    const serial: Define = (title, body) => test.serial(titled(title), body)
    define({ engine, ...parts, test: Object.assign(named, { serial }) })
  }
}
