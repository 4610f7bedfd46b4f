/** Sends fuzzed requests to a running Worker and checks every answer. */
import fc from 'fast-check'
import { ProblemReply } from '#shared/api/problem.ts'
import { ERRORS, type ErrorCode } from '#shared/base/errors.ts'
import { createRequests, type FuzzRequest } from './requests.ts'

export interface FuzzTarget {
  readonly url: string
  readonly keys: Readonly<Record<'own' | 'other' | 'operator', string>>
  /** False once the Worker's process that was started has ended. */
  readonly isAlive: () => boolean
}

export interface FuzzOptions {
  readonly requests: number
  readonly seed: number
  /** @default 16 */
  readonly concurrency?: number
  readonly onProgress?: (done: number, faults: number) => void
}

export interface FuzzReport {
  readonly requests: number
  /** Number of answers by status. */
  readonly statuses: Readonly<Record<string, number>>
  /** Number of answers below 400 by route. */
  readonly accepted: Readonly<Record<string, number>>
  /** Number of answers of 500 and above by error code. */
  readonly named: Readonly<Record<string, number>>
  /** Each fault names the seed that reproduces it. */
  readonly faults: readonly string[]
}

/** Errors of 500 and above that a client may legitimately get. */
const EXPECTED: readonly ErrorCode[] = [
  'no_capacity',
  'node_lost',
  'node_timeout',
  'deadline_unmeetable',
]
const CHUNK = 500
const FAULTS_KEPT = 20
const TIMEOUT_MS = 90_000

export async function fuzzRoutes(
  description: unknown,
  target: FuzzTarget,
  options: FuzzOptions,
): Promise<FuzzReport> {
  const arbitrary = createRequests(description)
  const counts: Counts = { statuses: {}, accepted: {}, named: {} }
  const faults: string[] = []
  let done = 0
  for (let chunk = 0; done < options.requests && faults.length < FAULTS_KEPT; chunk += 1) {
    const seed = options.seed + chunk
    const size = Math.min(CHUNK, options.requests - done)
    const queue = fc.sample(arbitrary, { seed, numRuns: size }).entries()
    const work = async () => {
      for (const [index, request] of queue) {
        const fault = await send(request, target, counts)
        if (fault !== undefined && faults.length < FAULTS_KEPT) {
          faults.push(`seed ${seed}, request ${index}: ${describe(request)}: ${fault}`)
        }
      }
    }
    await Promise.all(Array.from({ length: options.concurrency ?? 16 }, work))
    done += size
    options.onProgress?.(done, faults.length)
  }
  return { requests: done, ...counts, faults }
}

interface Counts {
  readonly statuses: Record<string, number>
  readonly accepted: Record<string, number>
  readonly named: Record<string, number>
}

/** @returns what was wrong with the answer, if anything */
async function send(
  request: FuzzRequest,
  target: FuzzTarget,
  counts: Counts,
): Promise<string | undefined> {
  let response: Response
  let text: string
  try {
    response = await fetch(`${target.url}${request.path}`, {
      method: request.method,
      headers: headersOf(request, target),
      ...(request.body === undefined ? {} : { body: new Uint8Array(Buffer.from(request.body)) }),
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    text = await response.text()
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
    return `${target.isAlive() ? 'no answer' : 'the Worker has died'}: ${String(cause)}`
  }
  const { status } = response
  count(counts.statuses, String(status))
  if (status >= 400) return judgeProblem({ status, text }, counts.named)
  count(counts.accepted, `${request.method} ${request.route}`)
  return undefined
}

function judgeProblem(
  { status, text }: { readonly status: number; readonly text: string },
  named: Record<string, number>,
): string | undefined {
  const problem = ProblemReply.safeParse(parse(text))
  if (!problem.success) return `status ${status} without a problem: ${text.slice(0, 200)}`
  const { code, detail } = problem.data
  if (problem.data.status !== status || ERRORS[code].status !== status) {
    return `status ${status} with a problem of ${code}`
  }
  if (status < 500) return undefined
  count(named, code)
  return EXPECTED.includes(code) ? undefined : `${status} ${code}: ${detail}`
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}

function headersOf({ headers, key, body }: FuzzRequest, { keys }: FuzzTarget): Headers {
  const all = new Headers(body === undefined ? {} : { 'content-type': 'application/json' })
  for (const [name, value] of Object.entries(headers)) all.set(name, value)
  if (key === 'wrong') all.set('authorization', 'Bearer lit_acme_0')
  else if (key !== 'none') all.set('authorization', `Bearer ${keys[key]}`)
  return all
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function describe({ method, path, headers, body }: FuzzRequest): string {
  const shown = body === undefined ? '' : Buffer.from(body).toString('utf8').slice(0, 400)
  return `${method} ${path.slice(0, 120)} ${JSON.stringify(headers).slice(0, 200)} ${shown}`
}
