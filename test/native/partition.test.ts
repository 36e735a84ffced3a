// What stands between KaHIP and the user: the checks before the call, the bound on bins after it, and the child process
// that it runs in.
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { NeuralLSHError, type PartitionGraphOptions, partitionGraph, type SimilarityGraph } from '../../lib/index.js'
import { randomNumbers } from '../engines/brute-force.js'
import { rejectsArgument } from '../support/rejection.js'

/** Each node's edges as [target, weight]. */
type Rows = [number, number][][]

/** Every node draws `degree` others; weight 2 where two have drawn each other. */
function randomGraph(nodes: number, degree: number, seed: number): SimilarityGraph {
  const random = randomNumbers(seed)
  const rows = Array.from({ length: nodes }, () => new Map<number, number>())
  rows.forEach((row, node) => {
    const drawn = new Set(Array.from({ length: degree }, () => Math.floor(random() * nodes)))
    drawn.delete(node)
    for (const other of drawn) {
      row.set(other, (row.get(other) ?? 0) + 1)
      rows[other]?.set(node, (rows[other].get(node) ?? 0) + 1)
    }
  })
  return fromRows(rows.map((row) => [...row].sort(([a], [b]) => a - b)))
}

function fromRows(rows: Rows): SimilarityGraph {
  const ends = [0]
  for (const row of rows) ends.push((ends.at(-1) ?? 0) + row.length)
  const edges = rows.flat()
  return {
    xadj: Int32Array.from(ends),
    adjncy: Int32Array.from(edges, ([target]) => target),
    adjcwgt: Int32Array.from(edges, ([, weight]) => weight)
  }
}

/** To change and put together again with fromRows. */
function toRows({ xadj, adjncy, adjcwgt }: SimilarityGraph): Rows {
  return Array.from({ length: xadj.length - 1 }, (_, node) => {
    const targets = [...adjncy.subarray(xadj[node], xadj[node + 1])]
    return targets.map((target, at) => [target, adjcwgt[(xadj[node] ?? 0) + at] ?? 0])
  })
}

function cutOf(graph: SimilarityGraph, labels: Int32Array): number {
  let cut = 0
  toRows(graph).forEach((row, node) => {
    for (const [target, weight] of row) if (labels[target] !== labels[node]) cut += weight
  })
  return cut / 2
}

const sound = randomGraph(40, 3, 1)

/** Replaces the weight of a node's first edge. */
const reweigh = (rows: Rows, node: number, weight: number) =>
  rows[node]?.splice(0, 1, [rows[node][0]?.[0] ?? 0, weight])

const faults: [string, string, RegExp, (rows: Rows) => unknown][] = [
  ['a self-loop', 'adjncy', /node 0 is its own neighbor/, (rows) => rows[0]?.unshift([0, 1])],
  ['a neighbor too large', 'adjncy', /neighbor 40.*\[0, 40\)/, (rows) => rows[3]?.push([40, 1])],
  ['a negative neighbor', 'adjncy', /neighbor -1/, (rows) => rows[3]?.unshift([-1, 1])],
  ['neighbors that descend', 'adjncy', /ascend/, (rows) => rows[5]?.reverse()],
  ['a neighbor twice', 'adjncy', /ascend/, (rows) => rows[5]?.push(rows[5].at(-1) ?? [0, 0])],
  ['a weight of zero', 'adjcwgt', /positive.*weight 0/, (rows) => reweigh(rows, 7, 0)],
  ['a negative weight', 'adjcwgt', /positive.*weight -3/, (rows) => reweigh(rows, 7, -3)],
  ['two weights of one edge', 'adjcwgt', /same in both directions.*weights 9/, (rows) => reweigh(rows, 0, 9)],
  ['weights that overflow', 'adjcwgt', /below 2\^31/, (rows) => rows.flat().map((edge) => edge.fill(1 << 28, 1))]
]

for (const [what, argument, message, spoil] of faults) {
  test(`refused: ${what}`, async (t) => {
    const rows = toRows(sound)
    spoil(rows)
    await rejectsArgument(t, () => partitionGraph(fromRows(rows), { bins: 4 }), argument, message)
  })
}

test('refused: every edge that stands in one direction only', async (t) => {
  const whole = toRows(sound)
  for (let node = 0; node < whole.length; node++) {
    for (let edge = 0; edge < (whole[node]?.length ?? 0); edge++) {
      const rows = toRows(sound)
      const [target] = rows[node]?.splice(edge, 1)[0] ?? []
      const message = new RegExp(`has ${node} as a neighbor of ${target} and not the reverse`)
      await rejectsArgument(t, () => partitionGraph(fromRows(rows), { bins: 4 }), 'adjncy', message)
    }
  }
})

/** That no bin exceeds the bound and that cut and balance are those of the labels. */
async function keepsBound(
  t: ExecutionContext,
  graph: SimilarityGraph,
  options: PartitionGraphOptions & { imbalance: number }
) {
  const { bins, imbalance } = options
  const nodes = graph.xadj.length - 1
  const { labels, edgeCut, balance } = await partitionGraph(graph, options)
  const sizes = new Array(bins).fill(0)
  for (const label of labels) sizes[label]++
  const largest = Math.max(...sizes)
  t.true(largest <= (1 + imbalance) * Math.ceil(nodes / bins) + 1e-9, `${nodes} nodes, ${bins} bins: ${largest}`)
  t.is(sizes.length, bins)
  t.is(edgeCut, cutOf(graph, labels))
  t.true(Math.abs(balance - (largest * bins) / nodes) < 1e-9)
  return { labels, edgeCut }
}

test('no bin exceeds the bound, however small the bins and the imbalance, and the cut is the real one', async (t) => {
  const random = randomNumbers(2)
  for (let round = 0; round < 60; round++) {
    const nodes = 4 + Math.floor(random() * (round % 4 === 0 ? 800 : 60))
    const graph = randomGraph(nodes, 1 + Math.floor(random() * 8), round + 1)
    const bins = 2 + Math.floor(random() * (round % 2 ? nodes - 1 : 3))
    const imbalance = [0, 0.03, 0.3, 1][round % 4] ?? 0
    await keepsBound(t, graph, { bins, imbalance, seed: round })
  }
})

test('neither does one of many bins, which are cut in parts', async (t) => {
  const random = randomNumbers(3)
  const edgeless = fromRows(Array.from({ length: 1000 }, () => []))
  const clique = Array.from({ length: 300 }, (_, node) => node)
  const cliqueAndOthers = fromRows(
    Array.from({ length: 1000 }, (_, node) =>
      node < 300 ? clique.filter((other) => other !== node).map((other) => [other, 1]) : []
    )
  )
  for (const graph of [edgeless, cliqueAndOthers, randomGraph(1000, 2, 1), randomGraph(1000, 10, 2)]) {
    for (const imbalance of [0, 0.03]) {
      for (const bins of [513, 999, 513 + Math.floor(random() * 480)]) await keepsBound(t, graph, { bins, imbalance })
    }
  }
})

test('nor of a large graph, which is cut in parts for fewer bins', async (t) => {
  const side = 720
  const step = (row: number, column: number) =>
    row >= 0 && row < side && column >= 0 && column < side ? [[row * side + column, 1]] : []
  const grid = fromRows(
    Array.from({ length: side * side }, (_, node) => {
      const [row, column] = [Math.floor(node / side), node % side]
      return [...step(row - 1, column), ...step(row, column - 1), ...step(row, column + 1), ...step(row + 1, column)]
    }) as Rows
  )
  const bins = 100
  const settled: number[] = []
  const { edgeCut } = await keepsBound(t, grid, {
    bins,
    imbalance: 0.03,
    onProgress: ({ done, total }) => total === bins && settled.push(done)
  })
  t.true(settled.length > 1, `bins are settled part by part: ${settled}`)
  const squares = 2 * side * (Math.sqrt(bins) - 1)
  t.true(edgeCut < 1.5 * squares, `${edgeCut} edges are cut, ${squares} between squares`)
})

const long = { bins: 64, mode: 'strongsocial' } as const // seconds for the graph below
const large = randomGraph(20_000, 10, 3)

/** Processes that `parent` has forked and that run no other program, seen through /proc. */
function childrenOf(parent: number): number[] {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return processes.map(Number).filter((pid) => {
    const { state, ppid } = statusOf(pid)
    return ppid === parent && state !== 'Z' && commandOf(pid) === commandOf(parent)
  })
}

function statusOf(pid: number): { state?: string; ppid?: number } {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state = '', ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { state, ppid: Number(ppid) }
  } catch {
    return {}
  }
}

function commandOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return undefined
  }
}

async function childOf(parent: number): Promise<number> {
  for (;;) {
    const [child] = childrenOf(parent)
    if (child !== undefined) return child
    await setTimeout(20)
  }
}

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip

onLinux('cancelling stops it within a tenth of a second and leaves no process behind', async (t) => {
  const milliseconds: number[] = []
  for (let round = 0; round < 3; round++) {
    const controller = new AbortController()
    const running = partitionGraph(large, { ...long, signal: controller.signal })
    await childOf(process.pid)
    await setTimeout(100)
    const reason = new Error('enough')
    const start = performance.now()
    controller.abort(reason)
    t.is(await t.throwsAsync(running), reason)
    milliseconds.push(performance.now() - start)
    t.deepEqual(childrenOf(process.pid), [])
  }
  t.true(Math.min(...milliseconds) < 100, `${milliseconds}`)
})

onLinux('a crash of KaHIP is a typed error; the process lives on and computes the same as before', async (t) => {
  const before = await partitionGraph(sound, { bins: 4 })
  for (const signal of ['SIGSEGV', 'SIGKILL'] as const) {
    const running = partitionGraph(large, long)
    const child = await childOf(process.pid)
    await setTimeout(100)
    t.deepEqual(readdirSync(`/proc/${child}/fd`), [], 'it holds no file or socket of ours')
    process.kill(child, signal)
    const error = await t.throwsAsync(running, {
      instanceOf: NeuralLSHError,
      message: /KaHIP's process was ended by signal/
    })
    t.is((error as NeuralLSHError).code, 'ERR_NLSH_PARTITION')
  }
  t.deepEqual(await partitionGraph(sound, { bins: 4 }).then(({ labels }) => labels), before.labels)
})

onLinux('it does not outlive the process that asked for it', async (t) => {
  const source = `
    import { partitionGraph } from ${JSON.stringify(new URL('../../lib/index.ts', import.meta.url).href)}
    const nodes = 20000
    const rows = Array.from({ length: nodes }, (_, i) => [1, 7, 61, 997].flatMap((d) => [(i + d) % nodes, (i + nodes - d) % nodes]).sort((a, b) => a - b))
    const adjncy = Int32Array.from(rows.flat())
    const xadj = Int32Array.from({ length: nodes + 1 }, (_, i) => 8 * i)
    await partitionGraph({ xadj, adjncy, adjcwgt: new Int32Array(8 * nodes).fill(1) }, { bins: 64, mode: 'strongsocial' })`
  const parent: ChildProcess = spawn(process.execPath, ['--import=tsx', '--input-type=module', '-e', source])
  const kahip = await childOf(parent.pid ?? 0)
  await setTimeout(100)
  t.true(childrenOf(parent.pid ?? 0).includes(kahip))
  parent.kill('SIGKILL')
  const ended = () => !/[^ZX]/.test(statusOf(kahip).state ?? '')
  for (let waited = 0; !ended() && waited < 5000; waited += 20) await setTimeout(20)
  t.true(ended(), 'KaHIP still runs five seconds later')
})
