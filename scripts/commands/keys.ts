/** `npm run keys -- create|list|revoke|quota`: manages API keys and quotas of a running instance through its operator API. */
import { CreatedKeyReply, KeyReply, KeysReply, QuotaReply } from '#shared/api/keys.ts'
import { AppError } from '#shared/base/errors.ts'
import {
  flag,
  need,
  number,
  readCommands,
  readNumber,
  runCommand,
  text,
  texts,
} from '#scripts/base/arguments.ts'
import { formatTable } from '#scripts/base/format-table.ts'
import { findInstance } from '#scripts/stack/find-instance.ts'
import { callApi } from '#scripts/stack/operator.ts'

const COMMANDS = { create: [], list: [], revoke: ['KEY_ID'], quota: [] }
/** The largest spending cap. */
const MOST_USD = 1_000_000_000

const OPTIONS = {
  tenant: text(),
  scope: texts,
  name: text(),
  expires: text(),
  consumer: text(),
  'requests-per-minute': number(undefined, { least: 1, most: 100_000_000 }),
  'spend-per-day': text(),
  url: text(),
  state: text(),
  json: flag,
}

const { values, command, rest } = readCommands(OPTIONS, COMMANDS)

async function main(): Promise<number> {
  const request = toRequest(command, rest[0] ?? '')
  const answer = await callApi({ ...(await findInstance(values)), ...request })
  console.log(values.json ? JSON.stringify(answer, null, 2) : describe(command, answer))
  return 0
}

interface Request {
  readonly method: string
  readonly path: string
  readonly body?: unknown
}

/** @throws {AppError} invalid_request naming what is missing or cannot be read */
function toRequest(command: keyof typeof COMMANDS, id: string): Request {
  const path = '/v1/operator/keys'
  if (command === 'revoke') return { method: 'DELETE', path: `${path}/${encodeURIComponent(id)}` }
  const tenant = need('tenant', values.tenant)
  if (command === 'quota') return quotaRequest(tenant)
  if (command === 'list')
    return { method: 'GET', path: `${path}?tenant=${encodeURIComponent(tenant)}` }
  const { scope, name, expires, consumer } = values
  const expiresAtMs = expires === undefined ? null : readDay(expires)
  const body = { tenant, scopes: scope ?? ['infer'], name, expiresAtMs, consumer }
  return { method: 'POST', path, body }
}

/** Takes ISO dates only: others, such as 01/02/2027, are ambiguous. */
function readDay(given: string): number {
  const atMs = /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(given)
    ? Date.parse(given)
    : Number.NaN
  if (!Number.isNaN(atMs)) return atMs
  throw new AppError(
    'invalid_request',
    `--expires ${given} is neither a day, such as 2027-01-31, nor an RFC 3339 time.`,
  )
}

/** A limit that was left out is not sent, so it stays as it is. */
function quotaRequest(tenant: string): Request {
  const path = `/v1/operator/quotas/${encodeURIComponent(tenant)}`
  const { 'requests-per-minute': requestsPerMinute, 'spend-per-day': spend } = values
  if (requestsPerMinute === undefined && spend === undefined) return { method: 'GET', path }
  const spendMicroUsdPerDay = spend === undefined ? undefined : readCap(spend)
  return { method: 'PUT', path, body: { requestsPerMinute, spendMicroUsdPerDay } }
}

/** In micro-USD; the word `none` takes the cap away. */
function readCap(given: string): number | 'none' {
  if (given === 'none') return given
  return Math.round(readNumber('spend-per-day', given, { most: MOST_USD, isWhole: false }) * 1e6)
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
    `${quota.requestsPerMinute} requests a minute, ${quota.requestsThisMinute} taken this minute`,
    cap === null
      ? 'no spending cap'
      : `$${cap / 1e6} a day, $${quota.spentMicroUsdToday / 1e6} taken today (UTC)`,
  ].join('\n')
}

function describe(command: keyof typeof COMMANDS, answer: unknown): string {
  if (command === 'quota') return describeQuota(answer)
  if (command === 'create') {
    const { key, id, scopes } = CreatedKeyReply.parse(answer)
    return `${key}\n\n${id}, scopes ${scopes.join(', ')}. The key is shown only once and stored nowhere.`
  }
  if (command === 'revoke') {
    const { id } = KeyReply.parse(answer)
    return `${id} is revoked; within ten seconds it is refused everywhere.`
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
