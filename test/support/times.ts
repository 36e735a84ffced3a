/** What tests measure in time: how late timers are, how soon something ends. Other work of the machine must not count. */

/** By how many ms each tick of a 10 ms timer is late while `work` runs, the latest last. */
async function delays(work: () => Promise<unknown>): Promise<number[]> {
  let last = performance.now()
  const late: number[] = []
  const timer = setInterval(() => {
    const now = performance.now()
    late.push(now - last - 10)
    last = now
  }, 10)
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
  return late.sort((a, b) => a - b)
}

// The computation uses every core, and on a busy machine the system lets a thread wait for some tens of milliseconds. A
// stage that ran on the event loop would hold it for hundreds, in each attempt; bad luck does not strike five times.
export async function bestDelays(work: () => Promise<unknown>, enough = 50): Promise<number[]> {
  let best = await delays(work)
  for (let attempt = 1; attempt < 5 && (best.at(-1) ?? 0) > enough; attempt++) {
    const late = await delays(work)
    if ((late.at(-1) ?? 0) < (best.at(-1) ?? 0)) best = late
  }
  return best
}

/** The milliseconds that `attempt` takes or tells: the first below `limit`, or the least of five. */
export async function leastMilliseconds(limit: number, attempt: () => Promise<number>): Promise<number> {
  let least = await attempt()
  for (let again = 1; again < 5 && least >= limit; again++) least = Math.min(least, await attempt())
  return least
}

/** The milliseconds from now until `work` has ended. */
export async function millisecondsOf(work: PromiseLike<unknown>): Promise<number> {
  const start = performance.now()
  await work
  return performance.now() - start
}
