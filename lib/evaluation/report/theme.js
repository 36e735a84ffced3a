/** Colors and marks: a method has the same on all figures. The colors come from style.css, where they differ in the dark;
 * they stay apart for the color-blind, and lines have marks besides. */

const colors = ['--blue', '--vermilion', '--green', '--purple', '--orange', '--sky', '--gray', '--brown']
const shapes = ['circle', 'triangle', 'rect', 'rectRot', 'crossRot', 'star', 'cross']

/** Of the method in the given place; where there are more of them than colors, the others are dashed. */
const markAt = (place) => ({
  color: colors[place % colors.length],
  shape: shapes[place % shapes.length],
  dash: place < colors.length ? [] : [7, 3]
})

/** Stages follow each other, and so do their colors (viridis), which are none of the methods'. */
const stageColor = (place) => `--stage-${place % 9}`

const isDark = matchMedia('(prefers-color-scheme: dark)')

const colorOf = (variable) => getComputedStyle(document.documentElement).getPropertyValue(variable).trim()

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
