/** `npm run keys -- create|list|revoke|quota`: API keys and quotas of a running instance, over its operator API. */
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { toAppError } from '#shared/base/errors.ts'
import { findInstance } from '#scripts/stack/find-instance.ts'
import { callApi } from '#scripts/stack/operator.ts'

const USAGE = `npm run keys -- create --tenant NAME [--scope infer]… [--name TEXT] [--expires 2027-01-31] [--consumer 0x…]
npm run keys -- list --tenant NAME
npm run keys -- revoke KEY_ID
npm run keys -- quota --tenant NAME [--requests-per-minute N] [--spend-per-day USD|none]

  --scope     infer (default), policy, audit, admin, node; may be repeated
  --name      what its owner calls it
  --expires   a day or an RFC 3339 time (UTC) from which on it is not taken
  --consumer  the on-chain account that pays for the tenant's jobs
  --requests-per-minute, --spend-per-day
              set both: what is left out goes back to its default (600,000; none); without either the quota is shown
  --url       the instance; default: the one that npm start runs here
  --state     state folder of npm run serve, for its secrets and address
  --json      the answer as JSON only
The operator key is read from OPERATOR_KEY, from --state, or from what npm start wrote.`

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
  return parseArgs({ options: OPTIONS, allowPositionals: true })
}

/** Undefined for an option that does not exist, once that has been said. */
function tryParseFlags(): ReturnType<typeof parseFlags> | undefined {
  try {
    return parseFlags()
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`)
    return undefined
  }
}

async function main(): Promise<number> {
  const flags = tryParseFlags()
  if (flags === undefined) return 2
  const { values, positionals } = flags
  const request = toRequest(positionals, values)
  if (request === undefined) {
    console.error(USAGE)
    return 2
  }
  const target = await findInstance(values)
  if (target === undefined) {
    console.error('No instance: give --url and OPERATOR_KEY, or --state, or run npm start first.')
    return 2
  }
  const answer = await callApi({ ...target, ...request })
  console.log(values.json ? JSON.stringify(answer, null, 2) : describe(positionals[0], answer))
  return 0
}

function toRequest(
  [command, id]: readonly string[],
  { tenant, scope, name, expires, consumer, ...flags }: Flags,
): { method: string; path: string; body?: unknown } | undefined {
  const path = '/v1/operator/keys'
  if (command === 'create' && tenant !== undefined) {
    const expiresAtMs = expires === undefined ? null : Date.parse(expires)
    if (Number.isNaN(expiresAtMs)) return undefined
    return {
      method: 'POST',
      path,
      body: { tenant, scopes: scope ?? ['infer'], name, expiresAtMs, consumer },
    }
  }
  if (command === 'list' && tenant !== undefined) {
    return { method: 'GET', path: `${path}?tenant=${encodeURIComponent(tenant)}` }
  }
  if (command === 'quota' && tenant !== undefined) return quotaRequest(tenant, flags)
  if (command === 'revoke' && id !== undefined) {
    return { method: 'DELETE', path: `${path}/${encodeURIComponent(id)}` }
  }
  return undefined
}

function quotaRequest(
  tenant: string,
  flags: Pick<Flags, 'requests-per-minute' | 'spend-per-day'>,
): { method: string; path: string; body?: unknown } {
  const path = `/v1/operator/quotas/${encodeURIComponent(tenant)}`
  const { 'requests-per-minute': requests, 'spend-per-day': spend } = flags
  if (requests === undefined && spend === undefined) return { method: 'GET', path }
  const isCapped = spend !== undefined && spend !== 'none'
  const body = {
    ...(requests === undefined ? {} : { requestsPerMinute: Number(requests) }),
    spendMicroUsdPerDay: isCapped ? Math.round(Number(spend) * 1e6) : null,
  }
  return { method: 'PUT', path, body }
}

const Key = z.looseObject({
  id: z.string(),
  name: z.string(),
  scopes: z.array(z.string()),
  expiresAtMs: z.number().nullable(),
  revokedAtMs: z.number().nullable(),
  lastUsedAtMs: z.number().nullable(),
})

function stateOf({
  revokedAtMs,
  expiresAtMs,
}: Pick<z.infer<typeof Key>, 'revokedAtMs' | 'expiresAtMs'>): string {
  if (revokedAtMs !== null) return 'revoked'
  if (expiresAtMs === null) return 'live'
  return expiresAtMs > Date.now() ? `live until ${day(expiresAtMs)}` : 'expired'
}

function day(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10)
}

const QuotaAnswer = z.looseObject({
  requestsPerMinute: z.number(),
  spendMicroUsdPerDay: z.number().nullable(),
  requestsThisMinute: z.number(),
  spentMicroUsdToday: z.number(),
})

function describeQuota(answer: unknown): string {
  const quota = QuotaAnswer.parse(answer)
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
    const { key, id, scopes } = Key.extend({ key: z.string() }).parse(answer)
    return `${key}\n\n${id}, scopes ${scopes.join(', ')}. The key is shown this once and kept nowhere.`
  }
  if (command === 'revoke') {
    const { id } = Key.parse(answer)
    return `${id} is revoked; within ten seconds no request passes with it.`
  }
  const { keys } = z.looseObject({ keys: z.array(Key) }).parse(answer)
  if (keys.length === 0) return 'This tenant has no keys.'
  return keys
    .map(({ id, name, scopes, lastUsedAtMs, ...key }) =>
      [
        id,
        scopes.join(','),
        stateOf(key),
        lastUsedAtMs === null ? 'never used' : `last used ${day(lastUsedAtMs)}`,
        name,
      ].join('  '),
    )
    .join('\n')
}

try {
  process.exitCode = await main()
} catch (error) {
  const { code, detail } = toAppError(error)
  console.error(code === 'internal' ? String(error) : detail)
  process.exitCode = 1
}
