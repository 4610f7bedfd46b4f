/** `npm run verify -- BUNDLE.json | RECEIPT`: checks what an auditor was handed, and exits 0 only when every check passed. */
import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { AuditBundle } from '#shared/audit-bundle.ts'
import { AppError, errorCode, toAppError } from '#shared/errors.ts'
import { Address, Bytes32 } from '#shared/ids.ts'
import { PublicKey } from '#shared/signature.ts'
import { createChainView, rememberChain, type ChainView } from '#shared/verify/chain-view.ts'
import { readDevInstance, type DevInstance } from '#scripts/lib/dev-instance.ts'
import { createPinnedView, Pins } from '#scripts/lib/pinned-view.ts'
import { pinBundle } from '#scripts/lib/pin-bundle.ts'
import { reportBundles } from '#scripts/lib/report-bundle.ts'
import type { WholeTrust } from '#shared/verify/trust.ts'
import { formatLine } from '#scripts/lib/format-line.ts'
import { verifyReceipt } from '#shared/verify/receipt.ts'

const USAGE = `npm run verify -- FILE.json… | RECEIPT_ID [options]
  FILE.json             bundles of /v1/audit/bundle or /v1/jobs/ID/proof, or one receipt; of several bundles
                        the logs are compared with one another, too
  --log-key KEY         public key of the audit logs; take it from the operator, not from the bundle; may be repeated
  --rpc URL             JSON-RPC endpoint of the chain
  --settlement ADDRESS  the contract; take it from a source that you trust, not from the bundle
  --attester X.Y        public key of an attester (ATTESTERS), for attested nodes; may be repeated
  --pins FILE           instead of these: what was pinned before; nothing is asked of anybody
  --write-pins FILE     pins what the chain says of these bundles, for a later check without it
  --allow-simulated     accept a place that was made up for development
  --verbose             each check of each job
  --url URL, --key KEY  where a receipt is asked for by its id, and the API key for it
Without options, what .littoral/dev.json says of the instance of this working copy.`

const OPTIONS = {
  url: { type: 'string' },
  key: { type: 'string' },
  rpc: { type: 'string' },
  settlement: { type: 'string' },
  'log-key': { type: 'string', multiple: true },
  attester: { type: 'string', multiple: true },
  pins: { type: 'string' },
  'write-pins': { type: 'string' },
  'allow-simulated': { type: 'boolean', default: false },
  verbose: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

/** What the API answers to a request that it refuses. */
const Problem = z.looseObject({ status: z.int(), code: z.string(), detail: z.string() })

type Values = ReturnType<typeof readArguments>['values']

process.exitCode = await main().catch(explain)

async function main(): Promise<number> {
  const { values, positionals } = readArguments()
  const [target] = positionals
  if (target === undefined || values.help) {
    console.log(USAGE)
    return values.help ? 0 : 2
  }
  const instance = await readDevInstance()
  const trust = await readTrust(values, instance)
  if (trust === undefined) {
    console.error(
      `Which chain? No instance has run here, so give --rpc and --settlement, or --pins.\n${USAGE}`,
    )
    return 2
  }
  const documents = await Promise.all(
    positionals.map((name) => readDocument(name, instance, values)),
  )
  documents.forEach((document, at) => refuseProblem(positionals[at] ?? '', document))
  // What is no bundle is read as a receipt: then a bundle that was broken says which it was not.
  if (!documents.every(looksLikeBundle)) return checkReceipt(documents[0], trust)
  if (values['write-pins'] !== undefined) {
    const bundles = documents.map((document) => AuditBundle.parse(document))
    const pins = await pinBundle(bundles, trust)
    await writeFile(values['write-pins'], `${JSON.stringify(pins, null, 2)}\n`)
  }
  const { ok, text } = await reportBundles(documents, { trust, verbose: values.verbose })
  console.log(text)
  return ok ? 0 : 1
}

/** What whoever runs it can mend is one line; anything else is a fault of ours. */
function explain(error: unknown): number {
  const isUsage = error instanceof Error && String(error).includes('Unknown option')
  if (errorCode(error) !== undefined) console.error(toAppError(error).detail)
  else console.error(isUsage ? `${error.message}\n${USAGE}` : error)
  return 2
}

function readArguments() {
  return parseArgs({ options: OPTIONS, allowPositionals: true })
}

async function readTrust(
  values: Values,
  instance: DevInstance | undefined,
): Promise<WholeTrust | undefined> {
  const isDevelopment = values.rpc === undefined && instance?.simulatedPlaces === true
  const allowSimulated = values['allow-simulated'] || isDevelopment
  if (values.pins !== undefined) {
    const pins = Pins.parse(await readJson(values.pins))
    const { logKeys, attesters } = pins
    return { chain: createPinnedView(pins), logKeys, attesters, allowSimulated }
  }
  const chain = await readChain(values, instance)
  if (chain === undefined) return undefined
  const given = (values['log-key'] ?? []).map(parseLogKey)
  const logKeys = given.length > 0 ? given : [instance?.logKey].flatMap((key) => key ?? [])
  const attesters = (values.attester ?? []).map(parseAttester)
  return { chain, logKeys, attesters, allowSimulated }
}

/** As `ATTESTERS` has it. */
function parseAttester(text: string): PublicKey {
  const [x, y] = text.split('.')
  const key = PublicKey.safeParse({ x, y })
  if (key.success) return key.data
  throw new AppError('invalid_request', `--attester ${text} is no key as ATTESTERS has it: 0x….0x…`)
}

function parseLogKey(text: string): Bytes32 {
  const key = Bytes32.safeParse(text)
  if (key.success) return key.data
  throw new AppError('invalid_request', `--log-key ${text} is not 0x and 64 hex digits.`)
}

async function readChain(
  values: Values,
  instance: DevInstance | undefined,
): Promise<ChainView | undefined> {
  const rpc = values.rpc ?? instance?.chain.rpc
  const settlement = values.settlement ?? instance?.chain.settlement
  if (rpc === undefined || settlement === undefined) return undefined
  const contract = Address.safeParse(settlement)
  if (!contract.success)
    throw new AppError('invalid_request', `--settlement ${settlement} is no address.`)
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

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    const why = cause instanceof SyntaxError ? 'is not JSON' : 'cannot be read'
    throw new AppError('invalid_request', `${path} ${why}: ${String(cause)}`, { cause })
  }
}

/** Who saved the answer of a request that was refused has that in the file. */
function refuseProblem(name: string, document: unknown): void {
  const problem = Problem.safeParse(document)
  if (!problem.success) return
  const { status, code, detail } = problem.data
  throw new AppError(
    'invalid_request',
    `${name} is no bundle but an error that the API answered: ${status} ${code}, ${detail}`,
  )
}

function looksLikeBundle(document: unknown): boolean {
  return typeof document === 'object' && document !== null && 'entries' in document
}

async function checkReceipt(document: unknown, trust: WholeTrust): Promise<number> {
  const { ok, lines } = await verifyReceipt(document, trust)
  for (const line of lines) console.log(formatLine(line))
  console.log(ok ? 'The receipt is valid.' : 'The receipt is NOT valid.')
  if (ok && lines.some(({ result }) => result === 'simulated'))
    console.log('Its place is simulated: it says nothing about where the job really ran.')
  return ok ? 0 : 1
}

async function readDocument(
  target: string,
  instance: DevInstance | undefined,
  values: Values,
): Promise<unknown> {
  if (!Bytes32.safeParse(target).success) return readJson(target)
  const url = values.url ?? instance?.url
  const key = values.key ?? instance?.apiKey
  if (url === undefined) throw new Error(`Where is receipt ${target}? Give --url and --key.`)
  const response = await fetch(new URL(`/v1/receipts/${target}`, url), {
    headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
    signal: AbortSignal.timeout(30_000),
  })
  const body: unknown = await response.json()
  if (!response.ok)
    throw new Error(`${url} answered ${response.status}: ${JSON.stringify(body).slice(0, 500)}`)
  return body
}
