/** Messages between the page and its node worker; both sides validate them. */
import { z } from 'zod'
import { COUNTRIES } from '#shared/law/region.ts'
import { MicroUsd } from '#shared/receipt/money.ts'

const Country = z.enum(COUNTRIES)
/** Characters of one text in a message. */
export const MAX_TEXT = 4096
const Text = z.string().max(MAX_TEXT)
const Count = z.int().min(0)

/** How often each side signals that it is alive. */
export const BEAT_MS = 2_000

/** page → worker */
export const Command = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('start'),
    claim: Country,
    /** A simulated place for development; production servers ignore it. */
    simulatedPlace: Country.nullable(),
  }),
  /** Returns running jobs and leaves the network; the device and the models stay loaded. */
  z.strictObject({ type: z.literal('pause') }),
  /** Answers each beat of the worker. */
  z.strictObject({ type: z.literal('beat') }),
])
export type Command = z.infer<typeof Command>

/** A job as the page lists it: its kind, never its contents. */
export const JobRow = z.strictObject({
  jobId: z.string().max(64),
  work: z.string().max(128),
  provider: z.string().max(16),
  computeMs: z.number().min(0),
  amountMicroUsd: MicroUsd,
  finishedAtMs: z.int(),
})
export type JobRow = z.infer<typeof JobRow>

/** The node's hub, and the place that the hub concluded for the node. */
export const HubView = z.strictObject({
  name: z.string().max(64),
  /** Alpha-2 code, or `unknown`. */
  country: z.string().max(16),
  evidence: z.string().max(32),
  source: z.string().max(32),
  quarantine: Text.nullable(),
})
export type HubView = z.infer<typeof HubView>

export const NodeView = z.strictObject({
  phase: z.enum(['starting', 'connecting', 'online', 'waiting', 'paused', 'stopped']),
  detail: Text,
  nodeId: z.string().max(128),
  claim: z.string().max(16),
  adapter: z.strictObject({ name: z.string().max(128), isSoftware: z.boolean() }),
  models: z.array(z.strictObject({ id: z.string().max(64), provider: z.string().max(16) })).max(64),
  /** `any` submitted kernel within the limits, or the number of the project's own kernels. */
  kernels: z.union([z.literal('any'), Count]),
  /** Why a part of the engine is not offered now. */
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
  z.strictObject({ type: z.literal('download'), loadedBytes: Count, totalBytes: Count }),
  /** The engine's step after the download: it compiles and checks known answers. */
  z.strictObject({ type: z.literal('preparing'), step: Text }),
  /** All models that this device does not run, and why. */
  z.strictObject({
    type: z.literal('left-out'),
    models: z.array(z.strictObject({ id: z.string().max(64), detail: Text })).max(64),
  }),
  z.strictObject({ type: z.literal('node'), node: NodeView }),
  /** After a pause: all work has ended. */
  z.strictObject({ type: z.literal('rested') }),
  /** This site's stored data was cleared: work has stopped, and only the worker's memory still holds the keys. */
  z.strictObject({ type: z.literal('storage-lost') }),
  z.strictObject({ type: z.literal('beat') }),
  /** The node cannot start, and the worker cannot be used again. */
  z.strictObject({ type: z.literal('failed'), code: z.string().max(64), detail: Text }),
])
export type Report = z.infer<typeof Report>
