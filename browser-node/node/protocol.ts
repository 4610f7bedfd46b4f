/** What the page and its node worker say to each other; both sides check what they hear. */
import { z } from 'zod'
import { COUNTRIES } from '#shared/law/region.ts'
import { MicroUsd } from '#shared/receipt/money.ts'

const Country = z.enum(COUNTRIES)
/** Characters of one sentence that travels. */
export const MAX_TEXT = 4096
const Text = z.string().max(MAX_TEXT)
const Count = z.int().min(0)

/** Each side says this often that it lives, and watches the other. */
export const BEAT_MS = 2_000

/** page → worker */
export const Command = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('start'),
    claim: Country,
    /** A made-up place for development; production servers ignore it. */
    simulatedPlace: Country.nullable(),
  }),
  /** Give running jobs back and leave the network; the device and the models stay loaded. */
  z.strictObject({ type: z.literal('pause') }),
  /** The page lives; sent for each beat of the worker. */
  z.strictObject({ type: z.literal('beat') }),
])
export type Command = z.infer<typeof Command>

/** A job as the page lists it: what kind, never what was in it. */
export const JobRow = z.strictObject({
  jobId: z.string().max(64),
  work: z.string().max(128),
  provider: z.string().max(16),
  computeMs: z.number().min(0),
  amountMicroUsd: MicroUsd,
  finishedAtMs: z.int(),
})
export type JobRow = z.infer<typeof JobRow>

export const NODE_PHASES = [
  'starting',
  'connecting',
  'online',
  'waiting',
  'paused',
  'stopped',
] as const

/** The hub that the node is at, and how it sees the node. */
export const HubView = z.strictObject({
  name: z.string().max(64),
  /** Alpha-2 code, or `unknown`. */
  country: z.string().max(16),
  evidence: z.string().max(32),
  source: z.string().max(32),
  quarantine: Text.nullable(),
})
export type HubView = z.infer<typeof HubView>

/** The node as the page shows it. */
export const NodeView = z.strictObject({
  phase: z.enum(NODE_PHASES),
  detail: Text,
  nodeId: z.string().max(128),
  claim: z.string().max(16),
  adapter: z.strictObject({ name: z.string().max(128), isSoftware: z.boolean() }),
  models: z.array(z.strictObject({ id: z.string().max(64), provider: z.string().max(16) })).max(64),
  /** Submitted kernels of any text within the limits, or how many of the project's list. */
  kernels: z.union([z.literal('any'), Count]),
  /** Why a part of what this device could do is not offered now. */
  lost: Text.nullable(),
  running: Count,
  jobsDone: Count,
  jobsFailed: Count,
  signedMicroUsd: MicroUsd,
  unacknowledged: Count,
  lastJobs: z.array(JobRow).max(64),
  lastFailure: z
    .strictObject({ whose: z.enum(['customer', 'node']), code: z.string().max(64), detail: Text })
    .nullable(),
  hub: HubView.nullable(),
})
export type NodeView = z.infer<typeof NodeView>

/** worker → page */
export const Report = z.discriminatedUnion('type', [
  /** What was fetched of the models; `total` is known from the manifests. */
  z.strictObject({ type: z.literal('download'), loadedBytes: Count, totalBytes: Count }),
  /** What the engine does once files are there: compiling, checking known answers. */
  z.strictObject({ type: z.literal('preparing'), step: Text }),
  /** Models that this device does not run, and why; the whole list each time. */
  z.strictObject({
    type: z.literal('left-out'),
    models: z.array(z.strictObject({ id: z.string().max(64), detail: Text })).max(64),
  }),
  z.strictObject({ type: z.literal('node'), node: NodeView }),
  /** After a pause: nothing runs here any more. */
  z.strictObject({ type: z.literal('rested') }),
  /** What this browser keeps for the page was cleared: work has stopped, and the keys are in the worker's memory only. */
  z.strictObject({ type: z.literal('storage-lost') }),
  /** The worker lives, whatever it does. */
  z.strictObject({ type: z.literal('beat') }),
  /** The node cannot start; the worker is spent. */
  z.strictObject({ type: z.literal('failed'), code: z.string().max(64), detail: Text }),
])
export type Report = z.infer<typeof Report>
