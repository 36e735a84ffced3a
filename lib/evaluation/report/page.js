/** Puts the page together, and again whenever the reader chooses otherwise. */

const comparison = JSON.parse(document.getElementById('comparison').textContent)

const unique = (figure) => [...new Set(comparison.results.map((result) => result[figure]))]
const binCounts = unique('bins').sort((a, b) => a - b)
const methods = unique('method')
const marks = Object.fromEntries(methods.map((method, place) => [method, markAt(place)]))

const state = { bins: String(binCounts.at(-1)), probing: 'probes', map: 'tsne', hidden: new Set() }

const resultsOfBins = () => comparison.results.filter(({ bins }) => String(bins) === state.bins)
/** Those of the chosen methods; of all, where none of them is left. */
function shownResults() {
  const chosen = resultsOfBins().filter(({ method }) => !state.hidden.has(method))
  return chosen.length > 0 ? chosen : resultsOfBins()
}
const curveOf = ({ curves }) => curves.find(({ probing }) => probing === state.probing)
const speedOf = ({ speeds }, accuracy) =>
  speeds.find(({ wantedAccuracy, probing }) => wantedAccuracy === accuracy && probing === state.probing)
const buildSeconds = ({ stages }) => stages.reduce((sum, { seconds }) => sum + seconds, 0)

// --------------------------------------------------------------------------------------------------- choices

function offerChoices(id, name, choices) {
  const fieldset = document.getElementById(id)
  for (const [value, title] of choices) {
    const input = element('input', { type: 'radio', name, value })
    input.checked = state[name] === value
    input.addEventListener('change', () => {
      state[name] = value
      show()
    })
    fieldset.append(element('label', { class: 'choice' }, input, title))
  }
}

function offerMethods() {
  const fieldset = document.getElementById('methods-choice')
  for (const method of methods) {
    const input = element('input', { type: 'checkbox', value: method })
    input.checked = true
    input.addEventListener('change', () => {
      if (input.checked) state.hidden.delete(method)
      else state.hidden.add(method)
      show()
    })
    const swatch = element('span', { class: 'swatch', 'aria-hidden': 'true' })
    swatch.style.background = `var(${marks[method].color})`
    fieldset.append(element('label', { class: 'choice method' }, input, swatch, comparison.titles[method]))
  }
}

// ------------------------------------------------------------------------------------------------------ facts

function describeList(id, facts) {
  const pairs = facts.map(([term, value]) => element('div', {}, element('dt', {}, term), element('dd', {}, value)))
  document.getElementById(id).append(...pairs)
}

function tellFacts() {
  const { rows, dimensions, metric, queries, k, version, engine, machine, threads, seed, sample } = comparison
  const failures = comparison.failures.map(({ method, bins, message }) =>
    element('li', {}, `${comparison.titles[method]} with ${formatCount(bins)} bins is left out: ${message}.`)
  )
  document.getElementById('failures').append(...failures)
  describeList('facts', [
    ['vectors', formatCount(rows)],
    ['numbers in each', formatCount(dimensions)],
    ['metric', metric],
    ['queries', formatCount(queries)],
    ['neighbors asked for', formatCount(k)]
  ])
  describeList('measured', [
    ['neural-lsh', version],
    ['engine', engine],
    ['machine', machine],
    ['threads of the builds', String(threads)],
    ['threads of the searches', '1'],
    ['seed', String(seed)]
  ])
  for (const place of document.querySelectorAll('.k')) place.textContent = String(k)
  document.getElementById('sample-size').textContent = formatCount(sample.length)
  document.getElementById('version').textContent = version
}

function optionsOf({ method, bins, options }) {
  const title = element('summary', {}, `Options of ${comparison.titles[method]}, ${formatCount(bins)} bins`)
  const text = element('pre', { tabindex: '0' }, JSON.stringify(options, undefined, 2))
  return element('details', {}, title, text)
}

// ------------------------------------------------------------------------------------------------------- show

function frameMaps() {
  const frames = shownResults().map(({ method, balance }) => {
    const note = element('small', {}, `largest bin ${balance.toFixed(2)} × the mean`)
    const canvas = element('canvas', { id: `map-${method}`, role: 'img' })
    const caption = element('figcaption', {}, comparison.titles[method], note)
    return element('figure', {}, caption, element('div', { class: 'chart' }, canvas))
  })
  document.getElementById('maps').replaceChildren(...frames)
}

function show() {
  applyTheme()
  drawCurve('mean-curve', 'candidatesMean', 'on average')
  drawCurve('tail-curve', 'candidatesQ95', 'their 0.95-quantile')
  drawSizes()
  frameMaps()
  for (const result of shownResults()) drawMap(result)
  drawBuild()
  drawSpeed()
  drawTraining()
  fillNeeded()
  fillCost()
  document.getElementById('options').replaceChildren(...shownResults().map(optionsOf))
}

offerChoices(
  'bins-choice',
  'bins',
  binCounts.map((bins) => [String(bins), formatCount(bins)])
)
offerChoices('probing-choice', 'probing', [
  ['probes', 'a fixed number'],
  ['recall', 'by their probability']
])
offerChoices('map-choice', 'map', [
  ['tsne', 't-SNE'],
  ['pca', 'PCA']
])
offerMethods()
tellFacts()
show()
isDark.addEventListener('change', show)
