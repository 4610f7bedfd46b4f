/** Messages of `/v1/sessions`: JSON both ways, bytes in base64. */
import { z } from 'zod'
import { Bytes32, NodeId } from '#shared/base/ids.ts'
import { KernelFeature, WgslIdentifier } from '#shared/job/job.ts'
import { LIMITS, MIB } from '#shared/base/limits.ts'
import { list, members, oneOf, whole } from '#shared/base/quick-check.ts'

/** One session's checkpoint. */
export const SESSION_STATE_BYTES = 4 * MIB
/** Most steps between two checkpoints. */
const SESSION_CHECKPOINT_EVERY = 1_000

const Binding = z.int().min(0).max(15)
const Count = z.int().min(1).max(65_535)
const SizeBytes = z.int().min(4).max(SESSION_STATE_BYTES).multipleOf(4)
const Data = z.base64()
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/
const isData = (value: unknown) =>
  typeof value === 'string' && value.length % 4 === 0 && BASE64.test(value)
/** Address space in the kernel: `var<storage, read>` or `var<uniform>`. */
const ReadAccess = z.enum(['read', 'uniform']).default('read')

/** `state` and `constant` stay on the node between steps; a constant is never written. `input` comes with each step. */
export const SessionBuffer = z.discriminatedUnion('role', [
  z.strictObject({
    role: z.literal('state'),
    binding: Binding,
    data: Data.optional(),
    /** Size in zeroes, if no `data` is given. */
    sizeBytes: SizeBytes.optional(),
    /** True if each step's result includes it. */
    return: z.boolean().default(false),
  }),
  z.strictObject({ role: z.literal('constant'), binding: Binding, access: ReadAccess, data: Data }),
  z.strictObject({
    role: z.literal('input'),
    binding: Binding,
    access: ReadAccess,
    sizeBytes: SizeBytes,
  }),
  z.strictObject({ role: z.literal('output'), binding: Binding, sizeBytes: SizeBytes }),
])
export type SessionBuffer = z.infer<typeof SessionBuffer>

export const OpenMessage = z.strictObject({
  type: z.literal('open'),
  kernel: z.strictObject({
    wgsl: z.string().min(1).max(LIMITS.wgslBytes),
    entryPoint: WgslIdentifier,
    workgroups: z.tuple([Count, Count, Count]),
    requires: z.array(KernelFeature).max(LIMITS.kernelFeatures).optional(),
  }),
  buffers: z.array(SessionBuffer).min(1).max(LIMITS.kernelBuffers),
  /** Steps between two copies of the state. A lost node costs at most this many. */
  checkpointEvery: z.int().min(1).max(SESSION_CHECKPOINT_EVERY).default(16),
  /** True if the client gets the copies too, so that it can open a new session from one. */
  checkpointData: z.boolean().default(false),
})
export type OpenMessage = z.infer<typeof OpenMessage>

/** Number of the server's messages received so far. */
const Received = z.int().min(0)

export const StepMessage = z.strictObject({
  type: z.literal('step'),
  /** Starts at 1 and rises by one. */
  step: z.int().min(1),
  inputs: z.array(z.strictObject({ binding: Binding, data: Data })).max(LIMITS.kernelBuffers),
  received: Received.optional(),
})
export type StepMessage = z.infer<typeof StepMessage>

/** For a client that has no step to send. */
const AckMessage = z.strictObject({ type: z.literal('ack'), received: Received })

export const ClientMessage = z.discriminatedUnion('type', [OpenMessage, StepMessage, AckMessage])
export type ClientMessage = z.infer<typeof ClientMessage>

/** A step as nearly every message of a session is one. */
export const isUsualStep = members(
  {
    type: oneOf(['step']),
    step: whole(1),
    inputs: list(members({ binding: whole(0, 15), data: isData }), 0, LIMITS.kernelBuffers),
  },
  { received: whole(0) },
)

const BufferData = z.array(z.strictObject({ binding: z.int(), data: z.base64() }))

export const ServerMessage = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('opened'), session: Bytes32 }),
  z.strictObject({
    type: z.literal('result'),
    step: z.int(),
    outputs: BufferData,
    receipt: Bytes32,
    node: NodeId,
    region: z.string(),
    evidence: z.string(),
    computeMs: z.number(),
    networkMs: z.number(),
  }),
  /** Steps up to this one survive the loss of the node, so the client may forget them. */
  z.strictObject({ type: z.literal('checkpoint'), step: z.int(), state: BufferData.optional() }),
  /** The node is lost. The client sends the steps from `resumeFrom` again, for another allowed node. */
  z.strictObject({ type: z.literal('moved'), resumeFrom: z.int(), reason: z.string() }),
  z.strictObject({
    type: z.literal('error'),
    step: z.int().nullable(),
    error: z.looseObject({ code: z.string(), message: z.string() }),
  }),
])
export type ServerMessage = z.infer<typeof ServerMessage>
