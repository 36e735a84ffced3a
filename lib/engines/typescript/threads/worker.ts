/** A worker thread: takes one part of its order's task after the other until none is left. */
import { parentPort } from 'node:worker_threads'
import type { Steps } from '../turns.js'
import { type Answer, failureOf, type Order, shared } from './messages.js'
import { tasks } from './tasks.js'

const reportEvery = 50 // milliseconds

const answer = (message: Answer, moved: readonly ArrayBuffer[] = []) => parentPort?.postMessage(message, moved)

parentPort?.on('message', (order: Order) => {
  let part = -1
  let result: unknown
  try {
    const work = begin(order)
    const keepResult = function* (steps: Steps<unknown>): Steps<void> {
      result = yield* steps
    }
    for (part = nextOf(order); part < order.parts; part = nextOf(order)) if (!runs(keepResult(work(part)), order)) break
    answer({ type: 'finished', result }, [...buffersOf(result)])
  } catch (error) {
    // Those before this part have been begun by others; none after it need be. Where this thread could not even begin, others
    // may wait for it.
    Atomics.store(order.control, shared.next, order.parts)
    if (part < 0) Atomics.store(order.control, shared.stopped, 1)
    answer({ type: 'failed', part, failure: failureOf(error) })
  }
})

answer({ type: 'ready' })

function begin({ task, given, slot }: Order): (part: number) => Steps<unknown> {
  const known = tasks.get(task)
  if (!known) throw new Error(`there is no task ${task}`)
  return known.begin(given, slot)
}

const nextOf = ({ control }: Order) => Atomics.add(control, shared.next, 1)

let reported = performance.now()

/** Returns whether it came to its end: it stops when told. */
function runs(steps: Steps<void>, { control }: Order): boolean {
  for (const done of steps) {
    if (Atomics.load(control, shared.stopped) !== 0) return false
    if (done > 0) Atomics.add(control, shared.done, done)
    if (performance.now() - reported < reportEvery) continue
    reported = performance.now()
    answer({ type: 'working' })
  }
  return true
}

/** The memory of a result, which its receiver gets without a copy. */
function buffersOf(value: unknown): Set<ArrayBuffer> {
  if (ArrayBuffer.isView(value)) return new Set(value.buffer instanceof ArrayBuffer ? [value.buffer] : [])
  if (typeof value !== 'object' || value === null) return new Set()
  return new Set(Object.values(value).flatMap((inner) => [...buffersOf(inner)]))
}
