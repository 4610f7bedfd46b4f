/** `/v1/compliance`: documents required by law, derived from the actual state. */
import { Hono } from 'hono'
import { z } from 'zod'
import { callerOf, ownTenant, type AppContext, type AppEnv } from '#worker/gate/context.ts'
import { groupFacts } from '#shared/law/region-notes.ts'
import { homeOf } from '#worker/protocols/durable-objects.ts'
import { parseBody } from '#worker/body/faults.ts'
import { requireScope } from '#worker/gate/auth.ts'
import { takesQuery } from '#worker/http/known-names.ts'
import { recordAsCsv, recordOfProcessing } from './record-of-processing.ts'

/** The reply for the EU Data Act. */
export const JurisdictionsReply = z.object({
  object: z.literal('jurisdictions'),
  article: z.string(),
  deployment: z.enum(['Cloudflare', 'self-hosted']),
  /** The jurisdiction of each service's infrastructure. */
  infrastructure: z.array(z.object({ service: z.string(), jurisdiction: z.string() })),
  /** Measures against unlawful access and transfer by governments of third countries. */
  measures: z.array(
    z.object({
      kind: z.enum(['technical', 'organisational', 'contractual']),
      measure: z.string(),
    }),
  ),
  /** The country groups that policies can name, each dated, with notes on surprising members. */
  groups: z.array(
    z.object({
      name: z.string(),
      asOf: z.string(),
      source: z.string(),
      countries: z.array(z.string()),
      notes: z.array(z.string()),
    }),
  ),
  contact: z.string().nullable(),
})
type JurisdictionsReply = z.infer<typeof JurisdictionsReply>

export const complianceRoutes = new Hono<AppEnv>()
  .get('/v1/compliance/ropa', requireScope('audit'), takesQuery('format'), showRecord)
  .get('/v1/compliance/jurisdictions', showJurisdictions)

const RecordQuery = z.strictObject({ format: z.enum(['json', 'csv']).default('json') })

async function showRecord(c: AppContext): Promise<Response> {
  const { format } = parseBody(RecordQuery, c.req.query())
  const { isolate } = c.var
  const caller = callerOf(c)
  const tenant = ownTenant(c)
  const facts = await tenant.ropaFacts()
  const { logSize } = facts
  await tenant.log.recordExport({ format: 'ropa', from: 0, to: logSize, by: caller.keyId })
  const record = recordOfProcessing(facts, { tenant: caller.tenant, nowMs: isolate.nowMs() })
  if (format === 'json') return c.json(record)
  return new Response(recordAsCsv(record), {
    headers: {
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': 'attachment; filename="record-of-processing.csv"',
    },
  })
}

/** EU Data Act, Regulation (EU) 2023/2854, Art. 28: public, and derived from the configuration to stay current. */
function showJurisdictions(c: AppContext): Response {
  const { config } = c.var
  const isCloudflare = config.deployment === 'cloudflare'
  const reply: JurisdictionsReply = {
    object: 'jurisdictions',
    article: 'Regulation (EU) 2023/2854, Art. 28',
    deployment: isCloudflare ? 'Cloudflare' : 'self-hosted',
    infrastructure: [
      ...config.regions.map(({ name, jurisdiction }) => ({
        service: `hubs of region ${name}: route jobs, keeps receipts until they are delivered`,
        jurisdiction: homeOf(jurisdiction, config),
      })),
      {
        service: 'tenant records, audit logs, policies, keys',
        jurisdiction: isCloudflare
          ? 'by the tenant’s name: eu--…, us--…, else any'
          : config.deployment,
      },
      {
        service: 'ledger: settlement of receipts',
        jurisdiction: isCloudflare ? 'as the hubs' : config.deployment,
      },
      {
        service: 'nodes: compute jobs in memory, keep no payload',
        jurisdiction:
          'the countries that the tenant’s policy allows, with the evidence it requires',
      },
    ],
    measures: [...MEASURES],
    groups: groupFacts().map((group) => ({
      ...group,
      countries: [...group.countries],
      notes: [...group.notes],
    })),
    contact: null,
  }
  return c.json(reply)
}

const MEASURES = [
  {
    kind: 'technical',
    measure:
      'payloads are held in memory while a job runs and are not stored; batches are stored, and erased when acknowledged or when their retention ends',
  },
  {
    kind: 'technical',
    measure:
      'the platform stores data in the required jurisdiction, or the request is refused; no failure path moves data elsewhere',
  },
  {
    kind: 'technical',
    measure:
      'each job’s place and its evidence are signed into the receipt and recorded in a tamper-evident log',
  },
  {
    kind: 'organisational',
    measure:
      'the records of a job hold a pseudonym and salted commitments only: a request for access finds no content',
  },
  {
    kind: 'contractual',
    measure:
      'to be stated by the operator of this deployment: how requests of third-country authorities are examined and challenged',
  },
] as const
