/** partition.method 'auto': both partitions are tried, and the report says which was taken. */
import test from 'ava'
import { NeuralLSH } from '../lib/index.js'
import { clustered } from './support/vectors.js'

const dimensions = 10
const vectors = clustered(3000, dimensions, 80, 1, 2)
const classifier = { epochs: 3 }
const options = { dimensions, bins: 32, classifier, partition: { method: 'auto' } } as const

test('the report says what was tried and why it was taken; the index is built of that', async (t) => {
  const index = await NeuralLSH.build(vectors, options)
  const choice = index.report.choices.find(({ option }) => option === 'partition.method')
  const { method, largest } = index.options.partition
  t.is(choice?.value, method)
  const [, kahip, kmeans] =
    /took ([\d,]+) candidates with KaHIP's bins and ([\d,]+) with/.exec(choice?.reason ?? '') ?? []
  const [a, b] = [kahip, kmeans].map((figure) => Number(figure?.replaceAll(',', '')))
  t.true((a as number) > 90 && (b as number) > 90, choice?.reason)
  t.is(method, (a as number) <= (b as number) ? 'kahip' : 'kmeans')
  t.is(index.options.assignment, method === 'kahip' ? 'router-bounded' : 'partition')
  // Either way no bin is larger than the imbalance allows.
  t.is(largest, method === 'kahip' ? undefined : 1.03)
  t.true(index.report.balance <= (1.03 * Math.ceil(3000 / 32) * 32) / 3000 + 1e-9)
  const given = { ...options, partition: { method, largest }, classifier }
  const same = await NeuralLSH.build(vectors, given)
  const queries = vectors.slice(0, 50 * dimensions)
  t.deepEqual((await same.searchBatch(queries)).ids, (await index.searchBatch(queries)).ids)
})

test('few vectors are not worth a trial', async (t) => {
  const index = await NeuralLSH.build(vectors.slice(0, 1500 * dimensions), options)
  t.is(index.options.partition.method, 'kahip')
  t.regex(index.report.choices[0]?.reason ?? '', /too few/)
})

test('a trial can be stopped', async (t) => {
  const stop = new AbortController()
  const onProgress = ({ stage, done }: { stage: string; done: number }) => {
    if (stage === 'partition-choice' && done > 0) stop.abort(new Error('enough'))
  }
  const build = NeuralLSH.build(vectors, { ...options, signal: stop.signal, onProgress })
  await t.throwsAsync(build, { message: 'enough' })
})
