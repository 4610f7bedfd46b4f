/** The command line: a command declares its options once, and each is read by its own rule. */
import { parseArgs } from 'node:util'
import { AppError, errorCode, toAppError } from '#shared/base/errors.ts'

/** Exit code of a command that was called wrongly. */
const USAGE_EXIT = 2
const NUMBER = /^\d{1,15}(\.\d{1,6})?$/

/** Reads one option. `given` has every value on the command line, and is empty where the option was left out. */
export interface Option<T> {
  /** Takes no value. */
  readonly isFlag?: true
  read(name: string, given: readonly string[]): T
}
type Options = Readonly<Record<string, Option<unknown>>>
type Values<O extends Options> = {
  readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never
}

export const flag: Option<boolean> = { isFlag: true, read: (_, given) => given.length > 0 }

/** An option that may be repeated; undefined where it was left out. */
export const texts: Option<readonly string[] | undefined> = {
  read: (_, given) => (given.length === 0 ? undefined : given),
}

export function text(): Option<string | undefined>
export function text(standard: string): Option<string>
export function text(standard?: string): Option<string | undefined> {
  return { read: (_, given) => given.at(-1) ?? standard }
}

export interface NumberRange {
  /** @default 0 */
  readonly least?: number
  readonly most?: number
  /** @default true */
  readonly isWhole?: boolean
}

export function number(standard: undefined, range?: NumberRange): Option<number | undefined>
export function number(standard: number, range?: NumberRange): Option<number>
export function number(standard?: number, range?: NumberRange): Option<number | undefined> {
  const read = (name: string, given: string | undefined) =>
    given === undefined ? standard : readNumber(name, given, range)
  return { read: (name, given) => read(name, given.at(-1)) }
}

/** 0 takes any free port. */
export const port = number(8787, { most: 65_535 })

interface Expected {
  /** Allowed arguments that are no options. @default none */
  readonly words?: 'any' | readonly string[]
  /** @default those of this process */
  readonly args?: readonly string[]
}

/** @throws {AppError} invalid_request in one line, for an argument that the command does not take */
export function readOptions<O extends Options>(options: O, { words = [], args }: Expected = {}) {
  const { values, positionals } = parse(options, args ?? process.argv.slice(2))
  if (words !== 'any') {
    const unknown = positionals.find((word) => !words.includes(word))
    const known = words.length === 0 ? '' : `, not one of ${words.join(', ')}`
    if (unknown !== undefined) throw misuse(`Unexpected argument '${unknown}'${known}`)
  }
  const read = Object.entries(options).map(([name, option]) => {
    const given = values[name]
    return [name, option.read(name, Array.isArray(given) ? given : given === true ? [''] : [])]
  })
  return { values: Object.fromEntries(read) as Values<O>, positionals }
}

function parse(options: Options, args: readonly string[]) {
  const kinds = Object.entries(options).map(([name, { isFlag = false }]) => [
    name,
    isFlag ? { type: 'boolean' as const } : { type: 'string' as const, multiple: true },
  ])
  try {
    const config = { args: [...args], options: Object.fromEntries(kinds), allowPositionals: true }
    return parseArgs(config) as {
      readonly values: Readonly<Record<string, boolean | string[] | undefined>>
      readonly positionals: string[]
    }
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause)
    throw misuse(what.split('. ')[0] ?? what, cause)
  }
}

/** Reads the options of this process, and ends it for an argument that the command does not take. */
export function readCommandLine<O extends Options>(options: O, expected?: Expected) {
  return orExit(() => readOptions(options, expected))
}

/**
 * Reads the options of this process, and the command that is its first argument, with the arguments after it.
 * Ends the process for what the command does not take.
 * @param commands the arguments that each needs: `{ list: [], revoke: ['KEY_ID'] }`; it may get more
 */
export function readCommands<O extends Options, C extends string>(
  options: O,
  commands: Readonly<Record<C, readonly string[]>>,
) {
  return orExit(() => {
    const { values, positionals } = readOptions(options, { words: 'any' })
    const [command, ...rest] = readCommand(commands, positionals)
    return { values, command, rest }
  })
}

function orExit<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    console.error(wordsOf(error))
    process.exit(exitCodeOf(error))
  }
}

/** @throws {AppError} invalid_request naming the commands, or what is missing */
function readCommand<C extends string>(
  commands: Readonly<Record<C, readonly string[]>>,
  [name = '', ...rest]: readonly string[],
): [C, ...string[]] {
  const known = Object.entries<readonly string[]>(commands)
  const [, needs] = known.find(([command]) => command === name) ?? []
  if (needs === undefined) throw misuse(`Give a command: ${known.map(([one]) => one).join(', ')}`)
  if (rest.length < needs.length) throw misuse(`${name} needs ${needs.join(' ')}`)
  return [name as C, ...rest]
}

/** @throws {AppError} invalid_request where the option was left out */
export function need(option: string, value: string | undefined): string {
  if (value === undefined) throw misuse(`--${option} is missing`)
  return value
}

export function misuse(what: string, cause?: unknown): AppError {
  return new AppError('invalid_request', `${what}; --help says more.`, { cause })
}

/** Takes digits, and a decimal point unless `isWhole`. @throws {AppError} invalid_request naming the option and its value */
export function readNumber(
  option: string,
  given: string,
  { least = 0, most = Number.MAX_SAFE_INTEGER, isWhole = true }: NumberRange = {},
): number {
  const value = NUMBER.test(given) ? Number(given) : Number.NaN
  if (value >= least && value <= most && (!isWhole || Number.isInteger(value))) return value
  const upTo = most === Number.MAX_SAFE_INTEGER ? 'or more' : `to ${most}`
  const kind = isWhole ? 'a whole number' : 'a number such as 2.5'
  throw new AppError('invalid_request', `--${option} ${given} is not ${kind}, ${least} ${upTo}.`)
}

/** Runs a command. A wrong call prints one line and exits with 2. */
export async function runCommand(main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main()
  } catch (error) {
    console.error(wordsOf(error))
    process.exitCode = exitCodeOf(error)
  }
}

export function wordsOf(error: unknown): string {
  if (errorCode(error) !== undefined) return toAppError(error).detail
  return error instanceof Error ? error.message : String(error)
}

export function exitCodeOf(error: unknown): number {
  return errorCode(error) === 'invalid_request' ? USAGE_EXIT : 1
}
