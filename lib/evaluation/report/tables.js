/** The figures as tables. */

/** An element with attributes and children; strings become text. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.append(...children)
  return made
}

const headings = (cells) => element('tr', {}, ...cells)

const columnHeading = (text, attributes = {}) => element('th', { scope: 'col', ...attributes }, text)

function rowHeading({ method }) {
  const swatch = element('span', { class: 'swatch', 'aria-hidden': 'true' })
  swatch.style.background = `var(${marks[method].color})`
  return element('th', { scope: 'row' }, swatch, comparison.titles[method])
}

function fillTable(id, caption, head, rows) {
  document
    .getElementById(id)
    .replaceChildren(
      element('caption', {}, element('span', {}, caption)),
      element('thead', {}, ...head),
      element('tbody', {}, ...rows)
    )
}

const ways = { probes: 'a fixed number of bins read', recall: 'bins read by their probability' }

function fillNeeded() {
  const shown = shownResults()
  const accuracies = [...new Set(shown.flatMap(({ needed }) => needed.map(({ accuracy }) => accuracy)))]
  const columns = accuracies.flatMap((accuracy) => [
    { accuracy, figure: 'candidatesMean', ratio: 'meanToKmeans', title: 'mean' },
    { accuracy, figure: 'candidatesQ95', ratio: 'q95ToKmeans', title: '0.95-quantile' }
  ])
  const head = [
    headings([
      columnHeading('Method', { rowspan: 2, style: 'text-align: left' }),
      ...accuracies.map((accuracy) =>
        element('th', { scope: 'colgroup', colspan: 2 }, `Acc@${comparison.k} = ${accuracy.toFixed(2)}`)
      )
    ]),
    headings(columns.map(({ title }) => columnHeading(title)))
  ]
  const rows = shown.map((result) =>
    element('tr', {}, rowHeading(result), ...columns.map((column) => neededCell(result, column, shown)))
  )
  const caption = `Candidates a query and, where k-means was measured, their ratio to its own; ${state.bins} bins, ${ways[state.probing]}`
  fillTable('needed-table', caption, head, rows)
}

const neededOf = (result, wanted) =>
  result.needed.find(({ accuracy, probing }) => accuracy === wanted && probing === state.probing)

function neededCell(result, { accuracy, figure, ratio }, all) {
  const needed = neededOf(result, accuracy)
  if (needed === undefined) return element('td', {}, nothing)
  const isBest = all.every((other) => !(neededOf(other, accuracy)?.[figure] < needed[figure]))
  const number = formatCount(needed[figure])
  const cell = element('td', {}, isBest ? element('strong', {}, number) : number)
  if (needed[ratio] !== undefined) cell.append(element('small', {}, `×${needed[ratio].toFixed(2)}`))
  return cell
}

function fillCost() {
  const shown = shownResults()
  const accuracies = [...new Set(shown.flatMap(({ speeds }) => speeds.map(({ wantedAccuracy }) => wantedAccuracy)))]
  const asked = state.probing === 'probes' ? 'bins read' : 'recall asked for'
  const head = [
    headings([
      columnHeading('Method', { rowspan: 2, style: 'text-align: left' }),
      columnHeading('built in', { rowspan: 2 }),
      columnHeading('peak memory', { rowspan: 2 }),
      columnHeading('largest bin / mean', { rowspan: 2 }),
      columnHeading('router, in distances', { rowspan: 2 }),
      ...accuracies.map((accuracy) =>
        element('th', { scope: 'colgroup', colspan: 4 }, `Acc@${comparison.k} ≥ ${accuracy}`)
      )
    ]),
    headings(
      accuracies.flatMap(() => [asked, 'candidates', 'recall', 'queries/s'].map((title) => columnHeading(title)))
    )
  ]
  const rows = shown.map((result) =>
    element('tr', {}, rowHeading(result), ...costCells(result, accuracies).map((text) => element('td', {}, text)))
  )
  fillTable('cost-table', `Of building and of searching; ${state.bins} bins, ${ways[state.probing]}`, head, rows)
}

function costCells(result, accuracies) {
  const peak = Math.max(...result.stages.map(({ peakBytes }) => peakBytes))
  const speeds = accuracies.flatMap((accuracy) => {
    const speed = speedOf(result, accuracy)
    if (speed === undefined) return Array(4).fill(nothing)
    const { probes, askedRecall, candidatesMean, recall, queriesPerSecond } = speed
    const asked = probes === undefined ? formatShare(askedRecall) : formatCount(probes)
    return [asked, formatCount(candidatesMean), formatShare(recall), formatCount(queriesPerSecond)]
  })
  const known = [formatSeconds(buildSeconds(result)), formatBytes(peak), result.balance.toFixed(2)]
  return [...known, formatCount(result.routerDistances), ...speeds]
}
