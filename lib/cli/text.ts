/** Numbers as people read them. */

export const formatCount = (value: number) => value.toLocaleString('en-US', { maximumFractionDigits: 0 })

export const formatShare = (value: number) => value.toFixed(3)

export const formatPercent = (value: number) => `${(100 * value).toFixed(1)} %`

export function formatSeconds(seconds: number): string {
  if (seconds < 1) return `${(1000 * seconds).toFixed(seconds < 0.01 ? 1 : 0)} ms`
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const unit = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3))
  const value = bytes / 1000 ** unit
  return `${value.toFixed(unit === 0 || value >= 100 ? 0 : 1)} ${units[unit]}`
}

/** Columns under their titles; numbers to the right, the first column to the left. */
export function table(titles: string[], rows: string[][]): string {
  const lines = [titles, ...rows]
  const widths = titles.map((_, column) => Math.max(...lines.map((line) => (line[column] as string).length)))
  return lines
    .map((line) => line.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join('  '))
    .map((line) => `  ${line}`.trimEnd())
    .join('\n')
}

/** Breaks a text into lines of at most `width` letters, the second and later ones indented. */
export function wrap(paragraph: string, width: number, indent: string): string {
  const lines = ['']
  for (const word of paragraph.split(' ')) {
    const line = lines.at(-1) as string
    if (line !== '' && line.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines.join(`\n${indent}`)
}
