/** The systems' indexes, built once and kept in .cache/peers/indexes. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { cacheFolder } from '../../scripts/peers-env.mjs'
import { k } from './prepare.mjs'
import { startRunner } from './runner.mjs'

/**
 * { job, report }: what a system is told to serve its index of the set, and what its building said. An index of other
 * data, other parameters or another version of the system is built again, and any if `rebuild`.
 */
export async function ensureIndex(system, prepared, tools, { rebuild = false } = {}) {
  const folder = join(cacheFolder, 'indexes', prepared.set)
  mkdirSync(folder, { recursive: true })
  const index = join(folder, `${system.name}.index`)
  const reportFile = join(folder, `${system.name}.json`)
  const [build, [first]] = [system.build(prepared.set), system.search(prepared.set)]
  const job = { ...prepared, k, build, first, packages: tools.node, index }
  const key = JSON.stringify({ build, version: system.version, checksum: prepared.checksum })
  if (!rebuild && existsSync(index) && existsSync(reportFile)) {
    const { key: found, ...report } = JSON.parse(readFileSync(reportFile, 'utf8'))
    if (found === key) return { job, report }
  }

  const unfinished = `${index}.${process.pid}`
  try {
    const runner = await startRunner(system.command('build', { ...job, index: unfinished }, tools))
    await runner.stop()
    // How busy the machine was: the wall seconds of a build beside others say little, its CPU seconds still do.
    const report = { ...runner.started, load: loadavg()[0] }
    rmSync(reportFile, { force: true })
    renameSync(unfinished, index)
    writeFileSync(reportFile, JSON.stringify({ key, ...report }))
    return { job, report }
  } finally {
    rmSync(unfinished, { force: true })
  }
}
