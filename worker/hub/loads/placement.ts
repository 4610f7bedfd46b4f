/** Chooses the node to load a model: the same filter as for jobs, then the cheapest load. Pure. */
import type { Bytes32, TenantId } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { decide, type NodeFacts } from '#shared/law/decide.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import type { CountrySet } from '#shared/law/region.ts'
import { invariant } from '#shared/base/errors.ts'

/** After this time an unfinished load no longer keeps jobs from trying another node. */
export const MODEL_PATIENCE_MS = 15_000
invariant(MODEL_PATIENCE_MS < LIMITS.modelFetchMs, 'A slow load does not block the model.')

export interface PlacementView {
  readonly nodeId: string
  readonly facts: NodeFacts
  /** Digests of models that it has loaded, and that it says it can load. */
  readonly warm: ReadonlySet<Bytes32>
  readonly loadable: ReadonlySet<Bytes32>
  /** Digests that this hub has asked it to load, with the time. No reply has come yet. */
  readonly loading: ReadonlyMap<Bytes32, number>
  /** True if its GPU is emulated on the CPU. */
  readonly isSoftware: boolean
  readonly inFlight: number
  readonly rttMs: number
  /** Until when it is not asked for this model again after a failed load; 0 for never failed. */
  readonly backoffUntilMs: number
}

export interface PlacementJob {
  readonly tenant: TenantId
  readonly policy: CompiledPolicy
  readonly allowed: CountrySet
  readonly digest: Bytes32
  readonly tried: ReadonlySet<string>
  /** The only node that may take it; null for any. */
  readonly nodeId: string | null
}

export type Placement =
  | { readonly kind: 'load'; readonly nodeId: string }
  | { readonly kind: 'join'; readonly nodeId: string }
  | { readonly kind: 'none' }

/** Tells whether a node may be asked. The same rules apply as for the job itself. */
export function mayLoad(node: PlacementView, job: PlacementJob, nowMs: number): boolean {
  return (
    decide(job.policy, job.allowed, node.facts) === 'allow' &&
    !job.tried.has(node.nodeId) &&
    (job.nodeId === null || job.nodeId === node.nodeId) &&
    !node.warm.has(job.digest) &&
    (node.loading.has(job.digest) || node.loadable.has(job.digest)) &&
    node.backoffUntilMs <= nowMs
  )
}

/** Runs one load of a model at a time. Other jobs join it until it takes too long. */
export function place(
  nodes: readonly PlacementView[],
  job: PlacementJob,
  nowMs: number,
): Placement {
  const able = nodes.filter((node) => mayLoad(node, job, nowMs))
  const begun = able
    .filter((node) => node.loading.has(job.digest))
    .toSorted((a, b) => sinceMs(b, job) - sinceMs(a, job))[0]
  const isSlow = begun !== undefined && nowMs - sinceMs(begun, job) >= MODEL_PATIENCE_MS
  const [best] = able.filter((node) => !node.loading.has(job.digest)).toSorted(compareNodes)
  if (best !== undefined && (begun === undefined || isSlow))
    return { kind: 'load', nodeId: best.nodeId }
  return begun === undefined ? { kind: 'none' } : { kind: 'join', nodeId: begun.nodeId }
}

function sinceMs(node: PlacementView, { digest }: PlacementJob): number {
  return node.loading.get(digest) ?? 0
}

/** Prefers a real GPU, then the fewest loads, jobs and loaded models, then the nearest node. */
function compareNodes(a: PlacementView, b: PlacementView): number {
  return (
    Number(a.isSoftware) - Number(b.isSoftware) ||
    a.loading.size - b.loading.size ||
    a.inFlight - b.inFlight ||
    a.warm.size - b.warm.size ||
    a.rttMs - b.rttMs ||
    (a.nodeId < b.nodeId ? -1 : 1)
  )
}
