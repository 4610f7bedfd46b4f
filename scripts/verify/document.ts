/** Tells bundles, receipts and other documents apart, and checks each while it is read. */
import { createReadStream } from 'node:fs'
import { ProblemReply } from '#shared/api/problem.ts'
import { BUNDLE_LISTS, BundleHead } from '#shared/audit/bundle.ts'
import type { LogHead } from '#shared/audit/checkpoint.ts'
import { AppError, errorCode, toAppError } from '#shared/base/errors.ts'
import { fileFault } from '#shared/base/file-fault.ts'
import { Bytes32 } from '#shared/base/ids.ts'
import { decodeChunks, readParts, type JsonPart } from '#shared/audit/json-parts.ts'
import { logOrigin } from '#shared/audit/entries.ts'
import { NO_DOMAIN } from '#shared/proof/domain.ts'
import { verifyParts, type BundleOutcome, type BundleSink } from '#shared/verify/bundle.ts'
import { lineAbout } from '#shared/verify/line.ts'
import { readCheckpoint } from '#shared/verify/log.ts'
import { verifyReceipt } from '#shared/verify/receipt.ts'
import type { BundleTrust } from '#shared/verify/trust.ts'
import type { Verdict } from '#shared/verify/verdict.ts'

export interface Source {
  /** As the user named it. */
  readonly name: string
  /** May be opened more than once. */
  open(): AsyncIterable<string> | Iterable<string>
}

export interface DocumentOutcome extends Partial<Omit<BundleOutcome, 'verdict'>> {
  readonly verdict: Verdict
}

/** Where to ask for a receipt by its id. */
export interface ReceiptApi {
  readonly url: string | undefined
  readonly key: string | undefined
}

/** @throws {AppError} invalid_request */
export async function openSource(name: string, { url, key }: ReceiptApi): Promise<Source> {
  const id = Bytes32.safeParse(name.toLowerCase())
  if (!id.success)
    return { name, open: () => decodeChunks(createReadStream(name, { highWaterMark: 1 << 18 })) }
  if (url === undefined)
    throw new AppError('invalid_request', `Give --url and --key to fetch receipt ${name}.`)
  const text = await fetch(new URL(`/v1/receipts/${id.data}`, url), {
    headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
    signal: AbortSignal.timeout(30_000),
  })
    .then((response) => response.text())
    .catch((cause: unknown) => {
      throw new AppError('invalid_request', `${url} does not answer.`, { cause })
    })
  return { name, open: () => [text] }
}

/** @throws {AppError} for unreadable documents and those that are not ours; never for a faulty one of ours */
export async function verifyDocument(
  source: Source,
  trust: BundleTrust,
  sink: BundleSink,
): Promise<DocumentOutcome> {
  try {
    return await verifyStream(partsOf(source), trust, sink)
  } catch (error) {
    if (!(error instanceof DocumentFault)) throw error
    sink.line(lineAbout('document', 'schema', false, error.message))
    const title = `NOT valid: readers could read it differently. ${error.message}`
    return { verdict: { result: 'fails', title, notes: [] } }
  }
}

/** The bundle's checkpoint, if a pinned key signed it; other bundles must agree with it. */
export async function readSignedHead(
  source: Source,
  trust: BundleTrust,
): Promise<LogHead | undefined> {
  try {
    const { members } = await readMembers(partsOf(source))
    const parsed = BundleHead.safeParse(members)
    if (!parsed.success) return undefined
    const { domain, tenant } = parsed.data
    const origin = logOrigin(domain ?? NO_DOMAIN, tenant)
    const { head, line } = await readCheckpoint(parsed.data, { origin, trust })
    return line.result === 'passed' ? head : undefined
  } catch {
    return undefined
  }
}

/** A fault of the document's bytes, not of reading them. */
class DocumentFault extends Error {}

const LISTS: ReadonlySet<string> = new Set(Object.keys(BUNDLE_LISTS))

async function* partsOf(source: Source): AsyncGenerator<JsonPart, void, undefined> {
  try {
    yield* readParts(source.open(), LISTS)
  } catch (cause) {
    if (errorCode(cause) !== undefined) throw new DocumentFault(toAppError(cause).detail, { cause })
    throw new AppError('invalid_request', readFault(source.name, cause), { cause })
  }
}

/** An argument that begins with 0x is meant as a receipt id. */
function readFault(name: string, cause: unknown): string {
  const isId = /^0x/i.test(name)
  return isId
    ? `${name} is neither a receipt id (0x and 64 hex digits) nor a file.`
    : `${name} ${fileFault(cause)}.`
}

/** What the API answers to a request that it refuses. */
const Problem = ProblemReply.pick({ status: true, code: true, detail: true })

async function verifyStream(
  parts: AsyncGenerator<JsonPart, void, undefined>,
  trust: BundleTrust,
  sink: BundleSink,
): Promise<DocumentOutcome> {
  const { members, list } = await readMembers(parts)
  if (list !== undefined || 'checkpoint' in members)
    return verifyParts(resume(members, list, parts), trust, sink)
  refuseProblem(members)
  const { verdict, lines } = await verifyReceipt(members, trust)
  for (const line of lines) sink.line({ ...line, about: 'receipt' })
  return { verdict }
}

/** The members before the first list, and that list. */
async function readMembers(parts: AsyncGenerator<JsonPart, void, undefined>) {
  const members: Record<string, unknown> = {}
  for (;;) {
    const { value: part, done } = await parts.next()
    if (done === true) return { members, list: undefined }
    if (part.kind !== 'member') return { members, list: part }
    members[part.name] = part.value
  }
}

async function* resume(
  members: Readonly<Record<string, unknown>>,
  list: JsonPart | undefined,
  rest: AsyncIterable<JsonPart>,
): AsyncGenerator<JsonPart> {
  for (const [name, value] of Object.entries(members)) yield { kind: 'member', name, value }
  if (list !== undefined) yield list
  yield* rest
}

/** Recognises a saved error answer of the API. */
function refuseProblem(document: unknown): void {
  const problem = Problem.safeParse(document)
  if (!problem.success) return
  const { status, code, detail } = problem.data
  throw new AppError(
    'invalid_request',
    `It is not a bundle but an error answer of the API: ${status} ${code}, ${detail}`,
  )
}
