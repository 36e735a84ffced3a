/** How long work lets the event loop turn, in Node.js and in browsers: the one place that knows the difference. */

/** Node.js: the quickest way to a later turn. Browsers have none. */
const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => void }

/** Resolves in a later turn of the event loop, after what waited for this one. */
export const nextTurn: () => Promise<void> = setImmediate
  ? () => new Promise((resolve) => setImmediate(resolve))
  : throughChannel()

/** In browsers a message comes at once, where a timer would wait for four milliseconds. */
function throughChannel(): () => Promise<void> {
  const { port1, port2 } = new MessageChannel()
  const waiting: (() => void)[] = []
  Object.assign(port1, { onmessage: () => waiting.shift()?.() })
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve)
      port2.postMessage(undefined)
    })
}
