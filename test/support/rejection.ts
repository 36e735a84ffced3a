import type { ExecutionContext } from 'ava'
import { ArgumentError } from '../../lib/index.js'

/** The call must reject (ava fails one that throws) with an ArgumentError that names `argument` and says `message`. */
export async function rejectsArgument(
  t: ExecutionContext,
  call: () => Promise<unknown>,
  argument: string,
  message: RegExp = /./
): Promise<void> {
  const error = await t.throwsAsync(call, { instanceOf: ArgumentError, code: 'ERR_NLSH_ARGUMENT' }, argument)
  t.is((error as ArgumentError | undefined)?.argument, argument)
  t.regex(error?.message ?? '', message)
}
