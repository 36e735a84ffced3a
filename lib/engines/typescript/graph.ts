/** Graphs with weights on nodes and edges, as the levels of the partitioner are. */

/** Compressed sparse rows, every edge in both directions, no loops. */
export interface WeightedGraph {
  nodes: number
  /** nodes + 1 */
  offsets: Int32Array
  targets: Int32Array
  edgeWeights: Int32Array
  nodeWeights: Int32Array
  /** Sum of the nodes' weights. */
  weight: number
}

export function sumOf(values: Int32Array): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i] as number
  return sum
}

/** What the nodes of each block weigh together. */
export function blockWeightsOf(graph: WeightedGraph, labels: Int32Array, blocks: number): Float64Array {
  const weights = new Float64Array(blocks)
  for (let node = 0; node < graph.nodes; node++) {
    const label = labels[node] as number
    weights[label] = (weights[label] as number) + (graph.nodeWeights[node] as number)
  }
  return weights
}

/** Weight of the edges between blocks. */
export function edgeCutOf({ nodes, offsets, targets, edgeWeights }: WeightedGraph, labels: Int32Array): number {
  let cut = 0
  for (let node = 0; node < nodes; node++) {
    const end = offsets[node + 1] as number
    for (let e = offsets[node] as number; e < end; e++) {
      if (labels[targets[e] as number] !== labels[node]) cut += edgeWeights[e] as number
    }
  }
  return cut / 2
}

/** Nodes by label: those of label l are members[starts[l]] .. members[starts[l + 1] - 1], ascending. */
export function groupByLabel(labels: Int32Array, count: number): { starts: Int32Array; members: Int32Array } {
  const starts = new Int32Array(count + 1)
  for (let node = 0; node < labels.length; node++) {
    const next = (labels[node] as number) + 1
    starts[next] = (starts[next] as number) + 1
  }
  for (let label = 0; label < count; label++) {
    starts[label + 1] = (starts[label + 1] as number) + (starts[label] as number)
  }
  const next = starts.slice()
  const members = new Int32Array(labels.length)
  for (let node = 0; node < labels.length; node++) {
    const label = labels[node] as number
    const at = next[label] as number
    members[at] = node
    next[label] = at + 1
  }
  return { starts, members }
}
