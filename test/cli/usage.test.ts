import test from 'ava'
import { buildFlags } from '../../lib/cli/build-flags.js'
import { apiOptions, evaluateFlags, parseFlags, runFlags, searchFlags, UsageError } from '../../lib/cli/flags.js'
import { resolveIndexOptions } from '../../lib/options.js'
import { packageVersion } from '../../lib/version.js'
import { run, start, temporaryFolder, wordsFile } from './run.js'

const commands = ['build', 'search', 'evaluate', 'info', 'demo']

const wrongUsage: [string, string[], RegExp][] = [
  ['an unknown command', ['bild'], /"bild" is not a command; did you mean build\?/],
  ['an unknown option', ['build', '--bims', '4'], /--bims is not an option of this command; did you mean --bins\?/],
  ['a missing base', ['build', '--out', 'x.nlsh'], /--base is missing/],
  ['a missing output', ['build', '--base', 'x.fvecs'], /--out is missing/],
  [
    'a value that is no number',
    ['build', '--base', 'x', '--out', 'y', '--bins', 'many'],
    /--bins takes a number, not "many"/
  ],
  ['a value that is missing', ['search', '--index'], /--index/],
  [
    'a format that there is not',
    ['build', '--base', 'x', '--out', 'y', '--format', 'csv'],
    /--format takes one of fvecs/
  ],
  ['a file name too many', ['info', 'a.nlsh', 'b.nlsh'], /"b\.nlsh"/],
  ['neither queries nor words', ['search', '--index', 'x.nlsh'], /either --queries or --word/],
  [
    'neighbors and a radius',
    ['search', '--index', 'x', '--queries', 'y', '--k', '5', '--radius', '2'],
    /either --k or --radius/
  ],
  [
    'a file of ids for a radius',
    ['search', '--index', 'x', '--queries', 'y', '--radius', '2', '--out', 'z.ivecs'],
    /--out goes with --k/
  ],
  ['neither base nor index', ['evaluate', '--queries', 'x.fvecs'], /either --base.* or --index/],
  [
    'a build option for a built index',
    ['evaluate', '--index', 'x', '--queries', 'y', '--bins', '4'],
    /--bins belongs to --base/
  ],
  [
    'a method that there is not',
    ['evaluate', '--base', wordsFile, '--limit', '50', '--methods', 'kmeans,neural-lhs'],
    /methods\[1\]: "neural-lhs" is not a method; did you mean 'neural-lsh'\?/
  ],
  [
    'a short name of a method that cannot make so many bins',
    ['evaluate', '--base', wordsFile, '--limit', '50', '--methods', 'cplsh', '--bins', '9'],
    /bins: of 'cross-polytope' must be even/
  ],
  [
    'a router that the methods do not have',
    ['evaluate', '--base', wordsFile, '--limit', '50', '--methods', 'kmeans', '--router', 'classifier'],
    /router: cannot be given/
  ],
  ['a page of one index', ['evaluate', '--base', 'x', '--queries', 'y', '--report', 'z'], /--report needs --methods/],
  ['a table of one index', ['evaluate', '--base', 'x', '--queries', 'y', '--csv', 'z'], /--csv needs --methods/],
  ['several bins of one index', ['evaluate', '--base', 'x', '--queries', 'y', '--bins', '4,8'], /need --methods/],
  ['an index to compare', ['evaluate', '--index', 'x', '--methods', 'kmeans'], /--index cannot be given/],
  ['a truth without queries', ['evaluate', '--base', 'x', '--methods', 'kmeans', '--truth', 't'], /--truth belongs to/],
  [
    'a value that the library refuses',
    ['build', '--base', wordsFile, '--limit', '50', '--out', 'y', '--bins', '51'],
    /bins: must be .*2 to 50/
  ],
  [
    'the same by its long name',
    ['build', '--base', wordsFile, '--limit', '50', '--out', 'y', '--graph.neighbors', '50'],
    /graph\.neighbors: must be/
  ],
  [
    'a layer that does not fit',
    [
      ...['build', '--base', wordsFile, '--limit', '50', '--out', 'y'],
      ...['--layers', '[{"type":"conv2d","channels":2,"kernel":3}]', '--inputShape', '1,2,50']
    ],
    /classifier\.layers\[0\]\.kernel: must fit into 2 x 50/
  ],
  [
    'an option of another optimizer',
    ['build', '--base', wordsFile, '--limit', '50', '--out', 'y', '--momentum', '0.5'],
    /classifier\.optimizer\.momentum: is not an option of adam/
  ],
  [
    'layers that are no JSON',
    ['build', '--base', 'x', '--out', 'y', '--layers', 'relu'],
    /--layers takes JSON, such as/
  ],
  ['a row limit that is none', ['build', '--base', wordsFile, '--limit', '0', '--out', 'y'], /limit/]
]

for (const [what, args, message] of wrongUsage) {
  test(`wrong usage exits with 2 and says why: ${what}`, async (t) => {
    const { code, stdout, stderr } = await run(...args)
    t.is(code, 2, stderr)
    t.is(stdout, '')
    t.regex(stderr, message)
    t.notRegex(stderr, /\n\s+at /, 'no stack')
  })
}

test('a failure exits with 1 and names the file', async (t) => {
  const folder = await temporaryFolder(t)
  const { code, stdout, stderr } = await run('info', `${folder}/missing.nlsh`)
  t.is(code, 1, stderr)
  t.is(stdout, '')
  t.regex(stderr, /^neural-lsh info: .*missing\.nlsh: /m)
  t.notRegex(stderr, /\n\s+at /, 'no stack')
})

for (const command of commands) {
  test(`${command} --help teaches: usage, examples, every option`, async (t) => {
    const { code, stdout, stderr } = await run(command, '--help')
    t.is(code, 0)
    t.is(stderr, '')
    t.true(stdout.startsWith(`Usage: neural-lsh ${command}`))
    t.regex(stdout, /\nExamples:\n/)
    for (const name of ['engine', 'device', 'threads', 'json', 'help']) t.true(stdout.includes(`\n  --${name}`), name)
    t.true(stdout.split('\n').every((line) => line.length <= 100))
  })
}

test('the overview names every command and the version', async (t) => {
  for (const args of [[], ['--help']]) {
    const { code, stdout } = await run(...args)
    t.is(code, 0)
    t.true(stdout.includes(packageVersion()))
    for (const command of commands) t.regex(stdout, new RegExp(`\n  ${command} `))
  }
  t.is((await run('--version')).stdout, `${packageVersion()}\n`)
})

/** { graph: { neighbors: 10 } } -> { 'graph.neighbors': 10 } */
function flatten(options: object, prefix = ''): [string, unknown][] {
  return Object.entries(options).flatMap(([key, value]): [string, unknown][] =>
    typeof value === 'object' && !Array.isArray(value) ? flatten(value, `${prefix}${key}.`) : [[prefix + key, value]]
  )
}

test('every option of a build is an option of the command, and its default is the one that the help states', (t) => {
  const rows = 2500
  const stated = new Map(Object.values(buildFlags).map(({ path, meaning }) => [path as string, meaning]))
  /** What the help says in words. */
  const words: { [path: string]: string } = {
    bins: 'the power of two nearest to the square root',
    'graph.neighbors': 'the square root of the rows, from 10 to 50',
    'graph.method': 'auto',
    'classifier.inputShape': 'd,1,1',
    'classifier.monitoredProbes': 'a 32nd',
    'classifier.softLabels': "the graph's neighbors, at most 15",
    'classifier.optimizer.epsilon': '1e-8',
    'classifier.schedule.epochs': 'as the training'
  }
  for (const [path, value] of flatten(resolveIndexOptions({ dimensions: 3 }, rows))) {
    // The file tells the first; the second has options, but no default.
    if (['dimensions', 'classifier.earlyStopping'].includes(path)) continue
    const meaning = stated.get(path)
    t.truthy(meaning, `${path} is an option of the command`)
    if (value !== undefined) t.true(meaning?.includes(`Default: ${words[path] ?? value}`), `${path}: ${meaning}`)
  }
})

test('no option of the command is unknown to the API', (t) => {
  const classifiers: object[] = [
    { layers: [], initialization: { type: 'constant' }, earlyStopping: {} },
    { optimizer: { type: 'adamw' }, schedule: { type: 'multi-step', milestones: [1] } },
    { optimizer: { type: 'sgd' }, schedule: { type: 'step', every: 1 } },
    { optimizer: { type: 'nadam' }, schedule: { type: 'plateau' } },
    { optimizer: { type: 'rmsprop' } }
  ]
  const known = classifiers.flatMap((classifier) =>
    flatten(resolveIndexOptions({ dimensions: 3, classifier }, 2500)).map(([path]) => path)
  )
  const unknown = Object.values(buildFlags).filter(({ path }) => !known.includes(path ?? ''))
  t.deepEqual(unknown, [])
})

/** What the command line makes of these arguments for the classifier. */
const classifierOf = (...args: string[]) =>
  apiOptions(buildFlags, parseFlags(buildFlags, args).values).classifier as object | undefined

test('values of every kind arrive at their places in the API', (t) => {
  t.deepEqual(classifierOf('--hidden', '', '--batchNorm', '--no-calibrate'), {
    hidden: [],
    batchNorm: true,
    calibrate: false
  })
  t.deepEqual(classifierOf('--layers', '[{"type":"relu"}]', '--inputShape', '1,28,28'), {
    layers: [{ type: 'relu' }],
    inputShape: [1, 28, 28]
  })
  t.deepEqual(classifierOf('--optimizer', 'sgd', '--learningRate', '1e-2', '--nesterov', '--momentum', '0.5'), {
    optimizer: { type: 'sgd', learningRate: 0.01, nesterov: true, momentum: 0.5 }
  })
  t.deepEqual(
    classifierOf('--schedule', 'multi-step', '--schedule.milestones', '3,6', '--warmup', '0.5', '--l2', '1'),
    {
      schedule: { type: 'multi-step', milestones: [3, 6], warmup: 0.5 },
      regularization: { l2: 1 }
    }
  )
  t.deepEqual(classifierOf('--classWeights', 'balanced', '--earlyStopping.patience', '2'), {
    loss: { classWeights: 'balanced' },
    earlyStopping: { patience: 2 }
  })
  t.deepEqual(classifierOf('--classWeights', '1,0.5,2'), { loss: { classWeights: [1, 0.5, 2] } })
  t.throws(() => classifierOf('--classWeights', '1,,2'), { instanceOf: UsageError })
})

test('an option goes by its own name, by its whole one, and by what follows the classifier', (t) => {
  for (const name of ['optimizer', 'optimizer.type', 'classifier.optimizer.type']) {
    t.deepEqual(classifierOf(`--${name}`, 'sgd'), { optimizer: { type: 'sgd' } })
  }
  for (const name of ['l1', 'regularization.l1', 'classifier.regularization.l1']) {
    t.deepEqual(classifierOf(`--${name}`, '3'), { regularization: { l1: 3 } })
  }
})

test('every option of searching and evaluating is an option of its command', (t) => {
  t.deepEqual(Object.keys(searchFlags), ['k', 'probes', 'mass', 'recall'])
  t.deepEqual(Object.keys(evaluateFlags), ['truth', 'k', 'probes', 'mass', 'recall'])
  t.deepEqual(Object.keys(runFlags), ['engine', 'device', 'threads'])
})

test('a reader that goes away is no failure', async (t) => {
  const { child, outcome } = start(['build', '--help'])
  child.stdout.destroy()
  const { code, stderr } = await outcome
  t.is(code, 0)
  t.is(stderr, '')
})
