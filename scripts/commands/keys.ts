/** `npm run keys -- create|list|revoke|quota`: API keys and quotas of a running instance, over its operator API. */
import { CreatedKeyReply, KeyReply, KeysReply, QuotaReply } from '#shared/api/keys.ts'
import { AppError } from '#shared/base/errors.ts'
import { readArguments, readNumber, runCommand } from '#scripts/base/arguments.ts'
import { formatTable } from '#scripts/base/format-table.ts'
import { findInstance } from '#scripts/stack/find-instance.ts'
import { callApi } from '#scripts/stack/operator.ts'

const COMMANDS: readonly string[] = ['create', 'list', 'revoke', 'quota']
/** Of a spending cap. */
const MOST_USD = 1_000_000_000

const OPTIONS = {
  tenant: { type: 'string' },
  scope: { type: 'string', multiple: true },
  name: { type: 'string' },
  expires: { type: 'string' },
  consumer: { type: 'string' },
  'requests-per-minute': { type: 'string' },
  'spend-per-day': { type: 'string' },
  url: { type: 'string' },
  state: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const

type Flags = ReturnType<typeof parseFlags>['values']

function parseFlags() {
  return readArguments({ options: OPTIONS, allowPositionals: true })
}

async function main(): Promise<number> {
  const { values, positionals } = parseFlags()
  const request = toRequest(positionals, values)
  const target = await findInstance(values)
  const answer = await callApi({ ...target, ...request })
  console.log(values.json ? JSON.stringify(answer, null, 2) : describe(positionals[0], answer))
  return 0
}

interface Request {
  readonly method: string
  readonly path: string
  readonly body?: unknown
}

/** @throws {AppError} invalid_request naming what is missing or cannot be read */
function toRequest(
  [command, id]: readonly string[],
  { tenant, scope, name, expires, consumer, ...flags }: Flags,
): Request {
  const path = '/v1/operator/keys'
  if (command === 'revoke' && id !== undefined)
    return { method: 'DELETE', path: `${path}/${encodeURIComponent(id)}` }
  if (command === undefined || !COMMANDS.includes(command) || command === 'revoke')
    throw usage(
      command === 'revoke' ? 'Which key? revoke KEY_ID' : `Do what? ${COMMANDS.join(', ')}`,
    )
  if (tenant === undefined) throw usage('Whose? --tenant NAME')
  if (command === 'quota') return quotaRequest(tenant, flags)
  if (command === 'list')
    return { method: 'GET', path: `${path}?tenant=${encodeURIComponent(tenant)}` }
  const expiresAtMs = expires === undefined ? null : readDay(expires)
  const body = { tenant, scopes: scope ?? ['infer'], name, expiresAtMs, consumer }
  return { method: 'POST', path, body }
}

function usage(what: string): AppError {
  return new AppError('invalid_request', `${what}; npm run keys -- --help says more.`)
}

/** Other spellings of a date mean different days to different people. */
function readDay(text: string): number {
  const atMs = /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(text)
    ? Date.parse(text)
    : Number.NaN
  if (!Number.isNaN(atMs)) return atMs
  throw new AppError(
    'invalid_request',
    `--expires ${text} is neither a day, such as 2027-01-31, nor an RFC 3339 time.`,
  )
}

/** What is left out is not sent, and so it stays as it is. */
function quotaRequest(
  tenant: string,
  flags: Pick<Flags, 'requests-per-minute' | 'spend-per-day'>,
): Request {
  const path = `/v1/operator/quotas/${encodeURIComponent(tenant)}`
  const { 'requests-per-minute': requests, 'spend-per-day': spend } = flags
  if (requests === undefined && spend === undefined) return { method: 'GET', path }
  const body = {
    ...(requests === undefined
      ? {}
      : {
          requestsPerMinute: readNumber('requests-per-minute', requests, {
            least: 1,
            most: 100_000_000,
          }),
        }),
    ...(spend === undefined ? {} : { spendMicroUsdPerDay: readCap(spend) }),
  }
  return { method: 'PUT', path, body }
}

/** In micro-USD; only the word takes the cap away. */
function readCap(text: string): number | 'none' {
  if (text === 'none') return text
  return Math.round(readNumber('spend-per-day', text, { most: MOST_USD, isWhole: false }) * 1e6)
}

function stateOf({
  revokedAtMs,
  expiresAtMs,
}: Pick<KeyReply, 'revokedAtMs' | 'expiresAtMs'>): string {
  if (revokedAtMs !== null) return 'revoked'
  if (expiresAtMs === null) return 'live'
  return expiresAtMs > Date.now() ? `live until ${day(expiresAtMs)}` : 'expired'
}

function day(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10)
}

function describeQuota(answer: unknown): string {
  const quota = QuotaReply.parse(answer)
  const cap = quota.spendMicroUsdPerDay
  return [
    `${quota.requestsPerMinute} requests a minute, ${quota.requestsThisMinute} handed out in this one`,
    cap === null
      ? 'no spending cap'
      : `$${cap / 1e6} a day, $${quota.spentMicroUsdToday / 1e6} handed out today (UTC)`,
  ].join('\n')
}

function describe(command: string | undefined, answer: unknown): string {
  if (command === 'quota') return describeQuota(answer)
  if (command === 'create') {
    const { key, id, scopes } = CreatedKeyReply.parse(answer)
    return `${key}\n\n${id}, scopes ${scopes.join(', ')}. The key is shown this once and kept nowhere.`
  }
  if (command === 'revoke') {
    const { id } = KeyReply.parse(answer)
    return `${id} is revoked; within ten seconds no request passes with it.`
  }
  const { keys } = KeysReply.parse(answer)
  if (keys.length === 0) return 'This tenant has no keys.'
  return formatTable([
    ['id', 'scopes', 'state', 'last used', 'name'],
    ...keys.map(({ id, name, scopes, lastUsedAtMs, ...key }) => [
      id,
      scopes.join(','),
      stateOf(key),
      lastUsedAtMs === null ? 'never' : day(lastUsedAtMs),
      name === '' ? '-' : name,
    ]),
  ])
}

await runCommand(main)
