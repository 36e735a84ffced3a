/** Every chart: what it shows, and the words for those who cannot see it. */

const charts = new Map()

/** Draws on the canvas `id`, in place of what was there; `summary` is what a reader of the screen says. */
function draw(id, summary, config) {
  charts.get(id)?.destroy()
  const canvas = document.getElementById(id)
  canvas.setAttribute('aria-label', summary)
  charts.set(id, new Chart(canvas, config))
}

const axisTitle = (text) => ({ display: true, text })

/** What has room on a logarithmic axis: of an axis of few numbers more of them. */
function logarithmicTick(value) {
  const digit = value / 10 ** Math.floor(Math.log10(value) + 1e-9)
  const digits = this.max / this.min > 20 ? [1, 2, 5] : [1, 2, 3, 4, 6, 8]
  return digits.some((one) => Math.abs(one - digit) < 1e-6) ? formatShort(value) : ''
}

function lineOf({ method }, data, extra) {
  const { color, shape, dash } = marks[method]
  return {
    label: comparison.titles[method],
    data,
    borderColor: colorOf(color),
    backgroundColor: colorOf(color),
    pointStyle: shape,
    borderWidth: 2,
    borderDash: dash,
    showLine: true,
    ...extra
  }
}

/** Marks at some points only: all of them would hide the line. */
const marksAt = (places) => ({
  pointRadius: ({ dataIndex }) => (places.includes(dataIndex) ? 4 : 0),
  pointHitRadius: 6
})

const evenly = (count) => Array.from({ length: 9 }, (_, i) => Math.round((i * (count - 1)) / 8))

// ------------------------------------------------------------------------------------------------- accuracy

const lowestAccuracy = 0.5
const markedAccuracies = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
/** Beyond it lines only creep to the right. */
const highestMarked = 0.99

function drawCurve(id, which, name) {
  const shown = shownResults()
  const lines = shown.map((result) => {
    const points = curveOf(result).points.filter((point, i, all) => (all[i + 1] ?? point).accuracy >= lowestAccuracy)
    const data = points.map((point) => ({ x: point[which], y: point.accuracy, asked: point.asked }))
    const marked = markedAccuracies.map((accuracy) => data.findIndex(({ y }) => y >= accuracy))
    return lineOf(result, data, marksAt(marked))
  })
  const shownPoints = lines.flatMap(({ data }) => data.filter(({ y }) => y >= lowestAccuracy))
  const lowest = Math.min(...shownPoints.map(({ y }) => y))
  const interesting = lines.map(({ data }) => (data.find(({ y }) => y >= highestMarked) ?? data.at(-1)).x)
  draw(id, curveSummary(shown, which, name), {
    type: 'scatter',
    data: { datasets: lines },
    options: {
      interaction: { mode: 'nearest', intersect: false },
      scales: {
        x: {
          type: 'logarithmic',
          min: Math.min(...shownPoints.map(({ x }) => x)),
          max: Math.max(...interesting),
          title: axisTitle('candidates a query'),
          ticks: { callback: logarithmicTick, autoSkip: false, maxRotation: 0 }
        },
        y: { min: Math.floor(20 * lowest) / 20, max: 1, title: axisTitle(`Acc@${comparison.k}`) }
      },
      plugins: { tooltip: { callbacks: { label: curveLabel } } }
    }
  })
}

function curveLabel({ dataset, raw }) {
  const asked = state.probing === 'probes' ? `${formatCount(raw.asked)} bins` : `recall ${formatShare(raw.asked)}`
  return `${dataset.label}: Acc ${formatShare(raw.y)} with ${formatCount(raw.x)} candidates (${asked})`
}

function curveSummary(shown, which, name) {
  const parts = shown.map((result) => `${comparison.titles[result.method]} ${countOf(neededOf(result, 0.9)?.[which])}`)
  return `Lines of accuracy against candidates, ${name}, with ${state.bins} bins. Candidates for an accuracy of 0.9: ${parts.join(', ')}. The table below has more.`
}

// ---------------------------------------------------------------------------------------------- sizes of bins

function drawSizes() {
  const shown = shownResults()
  const mean = comparison.rows / state.bins
  const lines = shown.map((result) => {
    const sorted = [...result.binSizes].sort((a, b) => b - a)
    const data = sorted.map((size, i) => ({ x: i + 1, y: size }))
    return lineOf(result, data, marksAt(evenly(data.length)))
  })
  const level = {
    label: 'mean',
    data: [1, state.bins].map((x) => ({ x, y: mean })),
    borderColor: colorOf('--muted'),
    borderDash: [4, 4],
    borderWidth: 1,
    pointRadius: 0,
    showLine: true
  }
  const balances = shown.map(({ method, balance }) => `${comparison.titles[method]} ${balance.toFixed(2)}`)
  draw('size-curve', `Sizes of ${state.bins} bins, sorted. Largest bin divided by the mean: ${balances.join(', ')}.`, {
    type: 'scatter',
    data: { datasets: [...lines, level] },
    options: {
      interaction: { mode: 'nearest', intersect: false },
      scales: {
        x: { min: 1, max: Number(state.bins), title: axisTitle('bins, the largest first'), ticks: { precision: 0 } },
        y: { min: 0, title: axisTitle('vectors'), ticks: { callback: formatShort } }
      },
      plugins: {
        tooltip: {
          callbacks: { label: ({ dataset, raw }) => `${dataset.label}: ${formatCount(raw.y)} vectors in bin ${raw.x}` }
        }
      }
    }
  })
}

// ------------------------------------------------------------------------------------------------------- maps

/** One scale for both directions and all maps, so that they can be laid over each other. */
function squareOf(points) {
  const [xs, ys] = [0, 1].map((axis) => points.map((point) => point[axis]))
  const [left, right, bottom, top] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)]
  const half = 0.53 * Math.max(right - left, top - bottom)
  const axis = (middle) => ({ min: middle - half, max: middle + half, display: false })
  return { x: axis((left + right) / 2), y: axis((bottom + top) / 2) }
}

/** A small map needs small points. */
const pointRadius = ({ chart }) => Math.max(0.8, chart.width / 140)

function drawMap(result) {
  const points = comparison.map[state.map]
  const { method, sampleBins } = result
  const colors = sampleBins.map(binColor)
  const summary = `${state.map === 'tsne' ? 't-SNE' : 'PCA'} map of ${formatCount(points.length)} vectors in the bins of ${comparison.titles[method]}.`
  draw(`map-${method}`, summary, {
    type: 'scatter',
    data: {
      datasets: [
        {
          data: points.map(([x, y]) => ({ x, y })),
          backgroundColor: colors,
          borderWidth: 0,
          radius: 2.2,
          hoverRadius: 5
        }
      ]
    },
    options: {
      scales: squareOf(points),
      plugins: {
        tooltip: {
          callbacks: {
            label: ({ dataIndex }) => `row ${formatCount(comparison.sample[dataIndex])}, bin ${sampleBins[dataIndex]}`
          }
        }
      }
    }
  })
}

// ------------------------------------------------------------------------------------------------------- cost

const barHeight = 34
/** Bars of the same thickness, however many there are. */
function fitBars(frame, bars, others) {
  document.getElementById(frame).style.height = `${bars * barHeight + others}px`
}

const barOptions = (unit, format) => ({
  indexAxis: 'y',
  scales: {
    x: { beginAtZero: true, title: axisTitle(unit), ticks: { callback: formatShort } },
    y: { grid: { display: false } }
  },
  plugins: {
    legend: { display: true, position: 'bottom', labels: { boxWidth: 12, boxHeight: 12 } },
    tooltip: { callbacks: { label: ({ dataset, raw }) => `${dataset.label}: ${format(raw)}` } }
  }
})

function drawBuild() {
  const shown = shownResults()
  const names = [...new Set(shown.flatMap(({ stages }) => stages.map(({ name }) => name)))]
  const datasets = names.map((name, i) => ({
    label: name,
    data: shown.map(({ stages }) => stages.find((stage) => stage.name === name)?.seconds ?? 0),
    backgroundColor: colorOf(stageColor(i)),
    borderColor: colorOf('--card'),
    borderWidth: { right: 1 }
  }))
  const totals = shown.map((result) => `${comparison.titles[result.method]} ${formatSeconds(buildSeconds(result))}`)
  const options = barOptions('seconds', formatSeconds)
  options.scales.x.stacked = true
  options.scales.y.stacked = true
  fitBars('build-frame', shown.length, 140)
  draw('build-bars', `Time to build ${state.bins} bins: ${totals.join(', ')}.`, {
    type: 'bar',
    data: { labels: shown.map(({ method }) => comparison.titles[method]), datasets },
    options
  })
}

function drawSpeed() {
  const shown = shownResults()
  const wanted = [...new Set(shown.flatMap(({ speeds }) => speeds.map(({ wantedAccuracy }) => wantedAccuracy)))]
  const datasets = wanted.map((accuracy, i) => ({
    label: `Acc@${comparison.k} of ${accuracy} or more`,
    data: shown.map((result) => speedOf(result, accuracy)?.queriesPerSecond),
    backgroundColor: colorOf(i % 2 === 0 ? '--faint' : '--accent')
  }))
  const parts = shown.map(
    (result) => `${comparison.titles[result.method]} ${countOf(speedOf(result, wanted[0])?.queriesPerSecond)}`
  )
  fitBars('speed-frame', shown.length, 140)
  draw('speed-bars', `Queries a second at an accuracy of ${wanted[0]}, ${state.bins} bins: ${parts.join(', ')}.`, {
    type: 'bar',
    data: { labels: shown.map(({ method }) => comparison.titles[method]), datasets },
    options: barOptions('queries a second', formatCount)
  })
}

// ---------------------------------------------------------------------------------------------------- training

function drawTraining() {
  const trained = shownResults().filter(({ history }) => history.length > 0)
  document.getElementById('training').hidden = trained.length === 0
  if (trained.length === 0) return
  const line = (result, figure, extra) =>
    lineOf(
      result,
      result.history.map((epoch) => ({ x: epoch.epoch, y: epoch[figure] })),
      { pointRadius: 3, ...extra }
    )
  const losses = trained.flatMap((result) => [
    line(result, 'trainingLoss', { borderDash: [] }),
    line(result, 'validationLoss', { borderDash: [5, 4] })
  ])
  const found = trained.map((result) => line(result, 'neighborAccuracy', { borderDash: [] }))
  const last = trained.map(({ method, history }) => ({ name: comparison.titles[method], ...history.at(-1) }))
  const say = (figure) => last.map((one) => `${one.name} ${one[figure]?.toFixed(3) ?? nothing}`).join(', ')
  drawEpochs('loss-curve', `Loss by epoch. Training loss at the end: ${say('trainingLoss')}.`, 'loss', losses)
  drawEpochs(
    'neighbor-curve',
    `Share of neighbors found by epoch. At the end: ${say('neighborAccuracy')}.`,
    'share',
    found
  )
}

function drawEpochs(id, summary, unit, datasets) {
  draw(id, summary, {
    type: 'scatter',
    data: { datasets },
    options: {
      interaction: { mode: 'nearest', intersect: false },
      scales: { x: { min: 1, title: axisTitle('epoch'), ticks: { precision: 0 } }, y: { title: axisTitle(unit) } },
      plugins: {
        tooltip: { callbacks: { label: ({ dataset, raw }) => `${dataset.label}, epoch ${raw.x}: ${raw.y.toFixed(3)}` } }
      }
    }
  })
}
