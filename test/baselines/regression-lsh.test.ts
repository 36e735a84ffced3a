import test from 'ava'
import { NeuralLSH } from '../../lib/index.js'
import { clustered } from '../support/vectors.js'

const dimensions = 10
const vectors = clustered(3000, dimensions, 60, 1, 2)
const queries = clustered(300, dimensions, 60, 1, 2).map((value, i) => value + 0.05 * Math.sin(i))
const build = (method: 'regression-lsh' | 'rp-tree', bins = 16) =>
  NeuralLSH.build(vectors, { dimensions, bins, method })

test('most vectors lie in the leaf that the regressions find most probable, though each cut is decided by itself', async (t) => {
  const index = await build('regression-lsh')
  const { curve } = await index.evaluate(vectors, { k: 1, probes: [1] })
  t.true((curve[0]?.accuracy as number) > 0.8, `${curve[0]?.accuracy}`)
})

test('learned cuts of the graph beat random ones, with as many candidates', async (t) => {
  const [learned, random] = await Promise.all([build('regression-lsh'), build('rp-tree')])
  const at = async (index: NeuralLSH) => (await index.evaluate(queries, { probes: [2, 16] })).curve
  const [[two, all], [other]] = [await at(learned), await at(random)]
  t.true((two?.accuracy as number) > (other?.accuracy as number) + 0.05, `${two?.accuracy} ${other?.accuracy}`)
  t.true((two?.candidatesMean as number) < 1.2 * (other?.candidatesMean as number))
  t.is(all?.accuracy, 1)
})

test('hundreds of leaves of a few vectors, and vectors in one place', async (t) => {
  const fine = await build('regression-lsh', 512)
  t.is((await fine.evaluate(queries, { probes: [512] })).curve[0]?.accuracy, 1)
  const same = await NeuralLSH.build(new Float32Array(100 * 3).fill(2), {
    dimensions: 3,
    bins: 8,
    method: 'regression-lsh'
  })
  t.is(same.searchSync(new Float32Array(3), { k: 5, probes: 8 }).ids.length, 5)
})

test('the build can be stopped', async (t) => {
  const stop = new AbortController()
  const onProgress = ({ stage, done }: { stage: string; done: number }) => {
    if (stage === 'partition' && done > 2) stop.abort(new Error('enough'))
  }
  const options = { dimensions, bins: 64, method: 'regression-lsh', signal: stop.signal, onProgress } as const
  await t.throwsAsync(NeuralLSH.build(vectors, options), { message: 'enough' })
})
