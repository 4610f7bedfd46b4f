/** The verifier's options: the documents, and what to take as true. */
import { readFile } from 'node:fs/promises'
import { AppError, toAppError } from '#shared/base/errors.ts'
import { fileFault } from '#shared/base/file-fault.ts'
import { Address, Bytes32 } from '#shared/base/ids.ts'
import { RegionList } from '#shared/law/policy.ts'
import { countrySet } from '#shared/law/region.ts'
import { PublicKey } from '#shared/proof/signature.ts'
import { parseStrict } from '#shared/base/strict-json.ts'
import { createChainView, rememberChain, type ChainAccess } from '#shared/verify/chain-view.ts'
import type { BundleTrust, Within } from '#shared/verify/trust.ts'
import type { DevInstance } from '#scripts/stack/dev-instance.ts'
import { flag, readOptions, text, texts } from '#scripts/base/arguments.ts'
import { createPinnedView, Pins } from './pins.ts'

const OPTIONS = {
  url: text(),
  key: text(),
  rpc: text(),
  settlement: text(),
  'log-key': texts,
  'hub-key': texts,
  attester: texts,
  within: text(),
  'allow-gaps': flag,
  pins: text(),
  'write-pins': text(),
  'allow-simulated': flag,
  verbose: flag,
}

export type Values = ReturnType<typeof readArguments>['values']

/** @throws {AppError} invalid_request for an unknown option */
export function readArguments(args: readonly string[]) {
  return readOptions(OPTIONS, { words: 'any', args })
}

/** @throws {AppError} invalid_request for unreadable options, or when they give nothing to check against */
export async function readTrust(
  values: Values,
  instance: DevInstance | undefined,
): Promise<BundleTrust> {
  const isDevelopment = values.rpc === undefined && instance?.simulatedPlaces === true
  const asked = {
    allowSimulated: values['allow-simulated'] || isDevelopment,
    allowGaps: values['allow-gaps'],
    within: parseWithin(values.within),
  }
  if (values.pins !== undefined) {
    const pins = await readPins(values.pins)
    const { logKeys, attesters, heads } = pins
    return { ...asked, chain: createPinnedView(pins), logKeys, attesters, seenHeads: heads }
  }
  const given = (values['log-key'] ?? []).map(parseLogKey)
  const logKeys = given.length > 0 ? given : [instance?.logKey].flatMap((key) => key ?? [])
  const attesters = (values.attester ?? []).map((text) => parseKey('--attester', text))
  const chain = await readChain(values, instance)
  if (logKeys.length === 0 && chain.domain === null)
    throw new AppError(
      'invalid_request',
      'There is nothing to check against. Give --pins, or --log-key, or --rpc and --settlement; see --help.',
    )
  return { ...asked, chain, logKeys, attesters }
}

function parseWithin(text: string | undefined): Within | undefined {
  if (text === undefined) return undefined
  const names = RegionList.safeParse(text.split(',').map((name) => name.trim()))
  if (names.success) return { names: names.data, countries: countrySet(names.data) }
  throw new AppError('invalid_request', `--within: ${names.error.issues[0]?.message ?? text}.`)
}

/** Parses a key in the form of `ATTESTERS`. */
function parseKey(option: string, text: string): PublicKey {
  const [x, y] = text.split('.')
  const key = PublicKey.safeParse({ x, y })
  if (key.success) return key.data
  throw new AppError('invalid_request', `${option} ${text} is not a key of the form 0x….0x….`)
}

function parseLogKey(text: string): Bytes32 {
  const key = Bytes32.safeParse(text)
  if (key.success) return key.data
  throw new AppError('invalid_request', `--log-key ${text} is not 0x and 64 hex digits.`)
}

async function readPins(path: string): Promise<Pins> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new AppError('invalid_request', `--pins ${path} ${fileFault(cause)}.`, { cause })
  })
  try {
    return Pins.parse(parseStrict(text))
  } catch (cause) {
    const detail =
      cause instanceof AppError ? toAppError(cause).detail : 'it does not fit the schema'
    throw new AppError('invalid_request', `--pins ${path} is not a file of pins: ${detail}`, {
      cause,
    })
  }
}

async function readChain(values: Values, instance: DevInstance | undefined): Promise<ChainAccess> {
  // A log key alone means a deployment without a chain, even where an instance has run here.
  const isOwn = values['log-key'] === undefined
  const rpc = values.rpc ?? (isOwn ? instance?.chain.rpc : undefined)
  const settlement = values.settlement ?? (isOwn ? instance?.chain.settlement : undefined)
  if (rpc === undefined && settlement === undefined) {
    const hubKeys = values['hub-key']?.map((text) => parseKey('--hub-key', text)) ?? null
    return { domain: null, hubKeys }
  }
  if (rpc === undefined || settlement === undefined)
    throw new AppError('invalid_request', '--rpc and --settlement are given together.')
  const contract = Address.safeParse(settlement)
  if (!contract.success)
    throw new AppError('invalid_request', `--settlement ${settlement} is not an address.`)
  try {
    return rememberChain(await createChainView(rpc, contract.data))
  } catch (cause) {
    throw new AppError(
      'invalid_request',
      `The chain at ${rpc} does not answer. Give another by --rpc and --settlement, or --pins FILE with what was pinned before.`,
      { cause },
    )
  }
}
