/**
 * The folder of an ensemble: an index file for each partition, `0.nlsh`, `1.nlsh` …, and `ensemble.json`, which is written
 * last. It names size and checksum of each, so that files of two ensembles, or of one that was half written over another,
 * are not taken for one:
 *
 *     {
 *       "format": "neural-lsh-ensemble",
 *       "version": "1",
 *       "partitions": [{ "bytes": 123456, "checksum": "0123abcd" }, …],
 *       "curve": { "single": […], "merged": […] },     as in MergeCurve
 *       "checksum": "4567cdef"                         CRC-32 of the JSON of all the others, without spaces
 *     }
 */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { asRecord, Field, integer, List, oneOf, read, Section } from '../checks/fields.js'
import { risingShares } from '../checks/recall-curve.js'
import { ArgumentError, FileError } from '../errors.js'
import { partitionCount } from '../options.js'
import type { MergeCurve } from '../stages/merged-recall.js'
import { regularFileSize } from './byte-reader.js'
import { asFileError } from './file-error.js'
import { identifyIndexFile } from './index-file.js'
import { hexadecimal } from './index-layout.js'
import { replaceFile } from './replace-file.js'

const format = 'neural-lsh-ensemble'
const version = '1'
/** It takes a few kilobytes. */
const largestFile = 1 << 16

const checksum = new Field<string>('8 hexadecimal digits', (value) => /^[0-9a-f]{8}$/.test(String(value)))
const table = {
  format: oneOf([format]),
  version: oneOf([version]),
  partitions: new List(new Section({ bytes: integer(1, Number.MAX_SAFE_INTEGER), checksum }), 1000),
  curve: { single: risingShares, merged: risingShares }
}

/** The file of partition number `i`. */
export const partitionPath = (folder: string, i: number) => join(folder, `${i}.nlsh`)

const descriptionPath = (folder: string) => join(folder, 'ensemble.json')

const checksumOf = (description: object) => hexadecimal(crc32(JSON.stringify(description)))

/** Makes the folder, unless it is there. Rejects with FileError. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true })
  } catch (error) {
    throw asFileError(folder, error)
  }
}

/** Describes the ensemble whose `count` index files are in the folder; from now on they are one. Rejects with FileError. */
export async function writeEnsembleFile(
  folder: string,
  count: number,
  curve: MergeCurve,
  signal: AbortSignal | undefined
): Promise<void> {
  const partitions = await identify(folder, count)
  const description = { format, version, partitions, curve }
  const text = JSON.stringify({ ...description, checksum: checksumOf(description) })
  await replaceFile(descriptionPath(folder), [Buffer.from(text)], signal)
}

/** Reads the description and sees to it that the index files beside it are its own. Rejects with FileError. */
export async function readEnsembleFile(folder: string): Promise<{ count: number; curve: MergeCurve }> {
  const path = descriptionPath(folder)
  try {
    const { partitions, curve } = judge(await readDescription(path))
    const found = await identify(folder, partitions.length)
    const stranger = found.findIndex(
      (one, i) => one.bytes !== partitions[i]?.bytes || one.checksum !== partitions[i]?.checksum
    )
    if (stranger < 0) return { count: partitions.length, curve }
    throw new FileError(partitionPath(folder, stranger), `is not the file that ${path} was written for`)
  } catch (error) {
    if (error instanceof ArgumentError) throw new FileError(path, error.message, undefined, { cause: error })
    throw asFileError(path, error)
  }
}

async function identify(folder: string, count: number) {
  return Promise.all(Array.from({ length: count }, (_, i) => identifyIndexFile(partitionPath(folder, i))))
}

async function readDescription(path: string): Promise<unknown> {
  const size = await regularFileSize(path)
  if (size > largestFile)
    throw new FileError(path, `is no ensemble: it takes ${size} bytes, at most ${largestFile} are right`)
  const text = await readFile(path, 'utf8')
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new FileError(path, `is not JSON: ${(cause as Error).message}`, undefined, { cause })
  }
}

/** Throws ArgumentError. */
function judge(value: unknown) {
  const { checksum: stated, ...description } = asRecord(value, 'ensemble')
  const known = read(table, description)
  if (stated !== checksumOf(description)) throw new ArgumentError('checksum', 'is wrong: the file is damaged')
  partitionCount().read(known.partitions.length, 'partitions.length')
  const { single, merged } = known.curve
  const isWhole = single.length === merged.length && single.at(-1) === 1 && merged.at(-1) === 1
  if (!isWhole || merged.some((one, i) => one > 0 && single[i] === 0))
    throw new ArgumentError(
      'curve',
      'must be two lists of the same length that end with 1, and merged 0 where single is'
    )
  return known
}
