/** The command line of every command: its options, the numbers in them, and how it ends. */
import { parseArgs, type ParseArgsConfig } from 'node:util'
import { AppError, errorCode, toAppError } from '#shared/base/errors.ts'

/** How a command ends that was told something wrong. */
export const USAGE_EXIT = 2
const NUMBER = /^\d{1,15}(\.\d{1,6})?$/

type Parsed<T extends ParseArgsConfig> = ReturnType<typeof parseArgs<T>>

/** @throws {AppError} invalid_request, in one line, for an option that there is not */
export function readArguments<T extends ParseArgsConfig>(config: T): Parsed<T> {
  try {
    return parseArgs(config)
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause)
    throw new AppError('invalid_request', `${what.split('. ')[0]}; --help says more.`, { cause })
  }
}

/**
 * The options of a command that reads them first of all.
 * @param read makes of the text what it means; where it throws, nothing has been started yet
 */
export function readCommandLine<T extends ParseArgsConfig, R>(
  config: T,
  read: (parsed: Parsed<T>) => R,
): R {
  try {
    return read(readArguments(config))
  } catch (error) {
    console.error(wordsOf(error))
    process.exit(exitCodeOf(error))
  }
}

export interface NumberRange {
  readonly least?: number
  readonly most?: number
  /** @default true */
  readonly isWhole?: boolean
}

/**
 * A number as people write it: digits, and a point where parts are allowed.
 * @throws {AppError} invalid_request naming the option and what was given
 */
export function readNumber(
  option: string,
  text: string,
  { least = 0, most = Number.MAX_SAFE_INTEGER, isWhole = true }: NumberRange = {},
): number {
  const number = NUMBER.test(text) ? Number(text) : Number.NaN
  if (number >= least && number <= most && (!isWhole || Number.isInteger(number))) return number
  const upTo = most === Number.MAX_SAFE_INTEGER ? 'or more' : `to ${most}`
  const kind = isWhole ? 'a whole number' : 'a number such as 2.5'
  throw new AppError('invalid_request', `--${option} ${text} is not ${kind}, ${least} ${upTo}.`)
}

/** @throws {AppError} invalid_request for what is no port; 0 is any that is free */
export function readPort(text: string): number {
  return readNumber('port', text, { most: 65_535 })
}

/** Runs a command to its end; what its caller can mend is one line and exit code 2. */
export async function runCommand(main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main()
  } catch (error) {
    console.error(wordsOf(error))
    process.exitCode = exitCodeOf(error)
  }
}

/** What went wrong, in the words of whoever threw it. */
export function wordsOf(error: unknown): string {
  if (errorCode(error) !== undefined) return toAppError(error).detail
  return error instanceof Error ? error.message : String(error)
}

export function exitCodeOf(error: unknown): number {
  return errorCode(error) === 'invalid_request' ? USAGE_EXIT : 1
}
