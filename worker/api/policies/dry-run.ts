/** `POST /v1/policies/dry-run`: shows what would happen to a job under a policy, node by node. */
import { Hono } from 'hono'
import { z } from 'zod'
import { compilePolicy, effectiveCompute } from '#shared/law/compile-policy.ts'
import { countryLabel } from '#shared/law/country-names.ts'
import { nameCountries } from '#shared/law/country-words.ts'
import { decide, decideIngress } from '#shared/law/decide.ts'
import {
  explainVerdict,
  nearestRefusal,
  neededIngress,
  neededNode,
  unsatisfied,
  type JobPlaces,
} from '#shared/law/explain.ts'
import { PolicyDraft, PolicyId, RegionList, type CompiledPolicy } from '#shared/law/policy.ts'
import { countryCode, listCountries, NO_COUNTRY } from '#shared/law/region.ts'
import type { DryRunReply } from '#shared/api/policies.ts'
import { callerOf, type AppContext, type AppEnv } from '#worker/gate/context.ts'
import { deploymentOf, hubsToday, knownHubs } from '#worker/dispatch/hubs.ts'
import { canStore, homeOf, openHub } from '#worker/protocols/durable-objects.ts'
import type { HubName } from '#worker/summary/hub-region.ts'
import { invalidAt, parseBody } from '#worker/body/faults.ts'
import type { NodeStanding } from '#worker/protocols/hub.ts'
import { requireScope } from '#worker/gate/auth.ts'
import { readJson } from '#worker/gate/body.ts'
import { findPolicy } from '#worker/gate/residency.ts'
import { observeIngress } from '#worker/edge/place.ts'
import { findVersion, parsePolicy, POLICY_BODY_BYTES } from './policies.ts'

/** Names a published policy (its newest version by default) or carries a draft; neither means the default policy. */
export const DryRunRequest = z.strictObject({
  policy: PolicyId.optional(),
  version: z.int().min(1).optional(),
  /** A draft; its `id` may be left out. */
  draft: PolicyDraft.partial({ id: true }).optional(),
  /** A narrowing, as in a job's request. */
  residency: z.strictObject({ allow: RegionList }).optional(),
})

/** Parsed first, so that the draft is then judged like a policy that is published. */
export const DryRunQuestion = DryRunRequest.extend({ draft: z.looseObject({}).optional() })
type DryRunQuestion = z.infer<typeof DryRunQuestion>

export const dryRunRoutes = new Hono<AppEnv>().post(
  '/v1/policies/dry-run',
  requireScope('infer', 'policy', 'audit'),
  dryRun,
)

async function dryRun(c: AppContext): Promise<Response> {
  const question = parseBody(DryRunQuestion, await readJson(c, POLICY_BODY_BYTES))
  const policy = await choosePolicy(c, question)
  const job: JobPlaces = { policy, allowed: effectiveCompute(policy, question.residency?.allow) }
  const ingress = await judgeIngress(c, policy)
  const hubs = await askHubs(c, policy)
  const nodes = hubs.flatMap(({ hub, standings }) =>
    (standings ?? []).map((standing) => judgeNode(hub.name, standing, job)),
  )
  const facts = hubs.flatMap(({ standings }) => (standings ?? []).map((node) => node.facts))
  const reply: DryRunReply = {
    policy: {
      id: policy.id,
      version: question.draft === undefined ? policy.version : null,
      hash: question.draft === undefined ? policy.hash : null,
    },
    computeCountries: listCountries(job.allowed),
    ingress,
    hubs: hubs.map(({ hub, isEligible, standings }) => ({
      hub: hub.name,
      jurisdiction: homeOf(hub.jurisdiction, c.var.config),
      verdict: isEligible ? 'allow' : 'storage.jurisdiction',
      isLive: standings !== undefined,
    })),
    nodes,
    outcome: outcomeOf(job, ingress, { facts, hasHub: hubs.some((hub) => hub.isEligible) }),
  }
  return c.json(reply)
}

async function choosePolicy(c: AppContext, question: DryRunQuestion): Promise<CompiledPolicy> {
  const { policy: id, version, draft } = question
  const caller = callerOf(c)
  if (draft !== undefined) {
    if (id !== undefined || version !== undefined) {
      throw invalidAt('/draft', 'excludes a published policy; send one of the two')
    }
    const drafted = parsePolicy(c, { id: 'draft', ...draft }, '/draft')
    return compilePolicy(drafted, { tenant: caller.tenant, version: 1 })
  }
  const named = id ?? caller.snapshot.defaultPolicyId
  if (version === undefined) return findPolicy(caller, named)
  return (await findVersion(c, named, version)).compiled
}

async function judgeIngress(
  c: AppContext,
  policy: CompiledPolicy,
): Promise<DryRunReply['ingress']> {
  const seen = await observeIngress(c.req.raw, c.var.config)
  const verdict = decideIngress(policy, seen.country)
  const country = countryCode(seen.country)
  const sentence =
    verdict === 'allow'
      ? `This request entered in ${countryLabel(country)}, which the policy allows.`
      : `This request entered in ${countryLabel(country)}; the policy needs ${neededIngress(policy)}.`
  return { country, source: seen.source, verdict, sentence }
}

interface AskedHub {
  readonly hub: HubName
  readonly isEligible: boolean
  /** Undefined when the hub was not asked or did not answer. */
  readonly standings: readonly NodeStanding[] | undefined
}

/** Hubs that one dry run asks for their nodes. */
const HUBS_ASKED = 16

/** Asks allowed hubs for their nodes, the first of each region first. Other hubs are only listed. */
async function askHubs(c: AppContext, policy: CompiledPolicy): Promise<AskedHub[]> {
  const { config } = c.var
  const hubs = knownHubs(await hubsToday(deploymentOf(c)))
  const isAllowed = ({ jurisdiction }: HubName) => canStore(policy.storage, jurisdiction, config)
  const chosen = new Set(hubs.filter(isAllowed).slice(0, HUBS_ASKED))
  const asked = hubs.map(async (hub): Promise<AskedHub> => {
    const isEligible = isAllowed(hub)
    if (!chosen.has(hub)) return { hub, isEligible, standings: undefined }
    try {
      return { hub, isEligible, standings: await openHub(c.env, hub, config).standings() }
    } catch (cause) {
      c.var.log.error('hub.failed', { hub: hub.name, cause: String(cause) })
      return { hub, isEligible, standings: undefined }
    }
  })
  return Promise.all(asked)
}

function judgeNode(hub: string, { nodeId, kind, facts, quarantine }: NodeStanding, job: JobPlaces) {
  const verdict = decide(job.policy, job.allowed, facts)
  const why = explainVerdict(verdict, job, facts)
  return {
    nodeId,
    hub,
    kind,
    country: countryCode(facts.country),
    evidence: facts.evidence,
    trust: facts.trust,
    verdict,
    sentence: `The node ${why}.${quarantine === null ? '' : ` ${quarantine}`}`,
  }
}

/** The outcome, by the same rules in the same order as for a job. */
function outcomeOf(
  job: JobPlaces,
  ingress: DryRunReply['ingress'],
  network: { readonly facts: readonly NodeStanding['facts'][]; readonly hasHub: boolean },
): DryRunReply['outcome'] {
  const { policy, allowed } = job
  if (ingress.verdict !== 'allow') {
    const { sentence } = ingress
    const needed = neededIngress(policy)
    return { code: 'residency_ingress_denied', rule: ingress.verdict, sentence, needed }
  }
  const refuse = (rule: string, sentence: string, needed: string) =>
    ({ code: 'residency_unsatisfiable', rule, sentence, needed }) as const
  if (allowed === NO_COUNTRY) {
    const needed = `a narrowing that leaves one of ${nameCountries(policy.compute)}`
    return refuse('compute.allow', 'Policy and request have no country in common.', needed)
  }
  if (!network.hasHub) {
    const needed = `a hub in jurisdiction ${policy.storage}`
    return refuse('storage.jurisdiction', `No hub keeps records in ${policy.storage}.`, needed)
  }
  if (network.facts.length === 0) {
    const sentence = 'No node is connected to a hub that may hold the job.'
    return { code: 'no_capacity', rule: null, sentence, needed: neededNode(job) }
  }
  const refusal = nearestRefusal(network.facts, job)
  if (refusal !== undefined) {
    const sentence = `The policy allows none of the connected nodes: ${unsatisfied(refusal, job)}.`
    return refuse(refusal.rule, sentence, neededNode(job))
  }
  const able = network.facts.filter((node) => decide(policy, allowed, node) === 'allow').length
  const sentence = `The job may run on ${able} of ${network.facts.length} connected nodes.`
  return { code: 'allow', rule: null, sentence, needed: null }
}
