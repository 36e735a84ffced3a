/** Colors and marks: a method keeps its own on all figures. The colors come from style.css, where they differ in the dark;
 * they stay apart for the color-blind, and lines have marks besides. */

const marks = {
  'neural-lsh': { color: '--blue', shape: 'circle' },
  lecture: { color: '--sky', shape: 'rectRot', dash: [7, 3] },
  kmeans: { color: '--vermilion', shape: 'triangle' },
  itq: { color: '--green', shape: 'rect' },
  'cross-polytope': { color: '--purple', shape: 'star' },
  'pca-tree': { color: '--orange', shape: 'crossRot' },
  'rp-tree': { color: '--gray', shape: 'cross' },
  'kd-tree': { color: '--brown', shape: 'line' }
}

/** Stages follow each other, and so do their colors (viridis), which are none of the methods'. */
const stageColor = (place) => `--stage-${place % 9}`

const isDark = matchMedia('(prefers-color-scheme: dark)')

const colorOf = (variable) => getComputedStyle(document.documentElement).getPropertyValue(variable).trim()

const methodColor = (method) => colorOf(marks[method].color)

/** Golden angles: bins with numbers next to each other get colors that are far apart. */
function binColor(bin) {
  const hue = (bin * 137.508) % 360
  const lightness = (isDark.matches ? 62 : 46) + [0, 12, -10][bin % 3]
  return `hsl(${hue.toFixed(0)} 65% ${lightness}%)`
}

function applyTheme() {
  Chart.defaults.color = colorOf('--muted')
  Chart.defaults.borderColor = colorOf('--grid')
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily
  Chart.defaults.font.size = 12
  Chart.defaults.animation = false
  Chart.defaults.maintainAspectRatio = false
  Chart.defaults.plugins.legend.display = false
  Object.assign(Chart.defaults.plugins.tooltip, {
    backgroundColor: colorOf('--text'),
    titleColor: colorOf('--page'),
    bodyColor: colorOf('--page'),
    boxPadding: 4
  })
}
