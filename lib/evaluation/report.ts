/** A comparison as one HTML page that needs nothing else: styles, scripts, charts and figures lie inside it. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { titles } from '../methods.js'
import type { Comparison } from './comparison.js'
import type { PointMap } from './map.js'

/** In the order in which they run; they share one scope. */
const ownScripts = ['format.js', 'theme.js', 'charts.js', 'tables.js', 'page.js'] as const

export async function renderReport(comparison: Comparison, map: PointMap): Promise<string> {
  const library = dirname(createRequire(import.meta.url).resolve('chart.js'))
  const folder = new URL('./report/', import.meta.url)
  const own = (name: string) => readFile(new URL(name, folder), 'utf8')
  const ofLibrary = (name: string) => readFile(join(library, name), 'utf8')
  const page = (await Promise.all(ownScripts.map(own))).join('\n')
  const scripts = [
    element('script type="application/json" id="comparison"', asJson({ ...comparison, titles, map })),
    `<!-- Of Chart.js, which follows:\n\n${asComment(await ofLibrary('../LICENSE.md'))}-->`,
    element('script', asScript(await ofLibrary('chart.umd.min.js'))),
    element('script type="module"', asScript(page))
  ]
  const parts: { readonly [name: string]: string } = {
    style: element('style', await own('style.css')),
    verdict: asText(comparison.verdict),
    scripts: scripts.join('\n')
  }
  return (await own('template.html')).replace(/<!-- @(\w+) -->/g, (whole, name: string) => parts[name] ?? whole)
}

const element = (opening: string, content: string) => `<${opening}>\n${content}\n</${opening.split(' ')[0]}>`

const asText = (text: string) => text.replace(/[&<>]/g, (letter) => `&#${letter.charCodeAt(0)};`)
const asComment = (text: string) => text.replaceAll('--', '- -')
/** Nothing inside may end the element. */
const asScript = (source: string) => source.replace(/<\/(script)/gi, '<\\/$1')
const asJson = (value: unknown) => JSON.stringify(value).replaceAll('<', '\\u003c')
