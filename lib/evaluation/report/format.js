/** Numbers as people read them. */

const formatCount = (value) => value.toLocaleString('en-US', { maximumFractionDigits: 0 })

/** Where an accuracy is not reached there is nothing to say. */
const nothing = '–'

const countOf = (value) => (value === undefined ? nothing : formatCount(value))

const formatShare = (value) => value.toFixed(3)

const formatPercent = (share) => `${Math.round(100 * share)} %`

/** 12,345 -> 12k, for axes. */
const formatShort = (value) => value.toLocaleString('en-US', { notation: 'compact', maximumSignificantDigits: 2 })

function formatSeconds(seconds) {
  if (seconds < 1) return `${Math.round(1000 * seconds)} ms`
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`
}

function formatBytes(bytes) {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`
}
