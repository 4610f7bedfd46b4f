/** Checks a session's kernel and buffers once, and turns each step into a job. Pure. */
import { sha256, concatBytes } from 'viem'
import type { FieldFault } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import {
  sliceTensors,
  type KernelBuffer,
  type KernelWork,
  type TensorHeader,
} from '#shared/job/job.ts'
import { decodeBase64, encodeBase64 } from '#shared/base/base64.ts'
import { invalidRequest } from '#worker/body/faults.ts'
import {
  type OpenMessage,
  type SessionBuffer,
  type StepMessage,
  SESSION_STATE_BYTES,
} from './messages.ts'

/** The state buffers' bytes by binding, as they were after `step`; step 0 is the state at opening. */
export interface Checkpoint {
  readonly step: number
  readonly state: ReadonlyMap<number, Uint8Array>
}

export interface SessionPlan {
  readonly open: OpenMessage
  readonly digest: Bytes32
  readonly constants: ReadonlyMap<number, Uint8Array>
  readonly start: Checkpoint
}

export interface StepOptions {
  readonly sessionId: Bytes32
  /** Where to begin if the node does not hold the state. */
  readonly restore: Checkpoint | undefined
  readonly isCheckpoint: boolean
}

/** Bytes of a message or buffer besides its base64, rounded up. */
const AROUND_BYTES = 2_048

/** @throws {AppError} invalid_request with a pointer to each fault */
export function planSession(open: OpenMessage): SessionPlan {
  const faults: FieldFault[] = []
  const constants = new Map<number, Uint8Array>()
  const state = new Map<number, Uint8Array>()
  const seen = new Set<number>()
  let keptBytes = 0
  for (const [index, buffer] of open.buffers.entries()) {
    const at = `/buffers/${index}`
    if (seen.has(buffer.binding))
      faults.push({ pointer: `${at}/binding`, detail: `${buffer.binding} is used twice` })
    seen.add(buffer.binding)
    if (buffer.role === 'input' || buffer.role === 'output') continue
    const bytes = startBytes(buffer)
    if (typeof bytes === 'string') faults.push({ pointer: at, detail: bytes })
    else {
      ;(buffer.role === 'state' ? state : constants).set(buffer.binding, bytes)
      keptBytes += bytes.length
    }
  }
  if (!open.buffers.some((buffer) => isReturned(buffer)))
    faults.push({
      pointer: '/buffers',
      detail: 'no buffer is returned, so steps would have no result',
    })
  if (keptBytes > SESSION_STATE_BYTES) {
    const detail = `keep ${keptBytes} bytes, at most ${SESSION_STATE_BYTES}`
    faults.push({ pointer: '/buffers', detail })
  }
  if (faults.length > 0) throw invalidRequest(faults)
  const digest = sha256(new TextEncoder().encode(open.kernel.wgsl))
  return { open, digest, constants, start: { step: 0, state } }
}

export function heldBytes({ constants, start }: SessionPlan): number {
  const sum = (map: ReadonlyMap<number, Uint8Array>) =>
    [...map.values()].reduce((total, bytes) => total + bytes.length, 0)
  return sum(constants) + sum(start.state)
}

/** Most bytes that the messages about one step may have, base64 and JSON included. */
export function messageBytes({ open, start }: SessionPlan): number {
  const { checkpointData, buffers } = open
  const shown = buffers.filter((buffer) => isReturned(buffer)).map((buffer) => sizeOf(buffer))
  const copied = checkpointData ? [...start.state.values()].map((bytes) => bytes.length) : []
  return [...shown, ...copied].reduce(
    (sum, sizeBytes) => sum + Math.ceil(sizeBytes / 3) * 4 + AROUND_BYTES,
    AROUND_BYTES,
  )
}

/** @throws {AppError} invalid_request when the inputs do not match the plan */
export function workForStep(
  { open, digest, constants }: SessionPlan,
  { step, inputs }: StepMessage,
  { sessionId, restore, isCheckpoint }: StepOptions,
): { readonly work: KernelWork; readonly payload: Uint8Array } {
  const given = readInputs(open, inputs)
  const parts: Uint8Array[] = []
  const buffers = open.buffers.map((buffer): KernelBuffer => {
    const { binding, role } = buffer
    const bytes =
      role === 'input'
        ? given.get(binding)
        : role === 'constant'
          ? constants.get(binding)
          : restore?.state.get(binding)
    const isKept = role === 'state' || role === 'constant'
    const filled = role === 'input' || (isKept && restore !== undefined)
    if (filled && bytes !== undefined) parts.push(bytes)
    return {
      binding,
      access: 'access' in buffer ? buffer.access : 'read_write',
      sizeBytes: sizeOf(buffer),
      filled,
      return: isReturned(buffer) || (role === 'state' && isCheckpoint),
      ...(isKept ? { keep: true } : {}),
    }
  })
  const session = { id: sessionId, step }
  const work: KernelWork = { kind: 'kernel', ...open.kernel, buffers, digest, session }
  return { work, payload: concatBytes(parts) }
}

/** The outputs that the client sees, and the state if it was returned. */
export function readAnswer(
  { open }: SessionPlan,
  { outputs, payload }: { readonly outputs: readonly TensorHeader[]; readonly payload: Uint8Array },
): { readonly shown: { binding: number; data: string }[]; readonly state: Checkpoint['state'] } {
  const slices = sliceTensors(outputs, payload)
  const shown: { binding: number; data: string }[] = []
  const state = new Map<number, Uint8Array>()
  for (const [index, { name }] of outputs.entries()) {
    const binding = Number(name.slice('binding:'.length))
    const bytes = slices[index] ?? new Uint8Array()
    const buffer = open.buffers.find((candidate) => candidate.binding === binding)
    if (buffer?.role === 'state') state.set(binding, bytes.slice())
    if (buffer !== undefined && isReturned(buffer))
      shown.push({ binding, data: encodeBase64(bytes) })
  }
  return { shown, state }
}

export function showState({ state }: Checkpoint): { binding: number; data: string }[] {
  return [...state].map(([binding, bytes]) => ({ binding, data: encodeBase64(bytes) }))
}

function isReturned(buffer: SessionBuffer): boolean {
  return buffer.role === 'output' || (buffer.role === 'state' && buffer.return)
}

function sizeOf(buffer: SessionBuffer): number {
  if ('sizeBytes' in buffer && buffer.sizeBytes !== undefined) return buffer.sizeBytes
  return 'data' in buffer ? (decodeBase64(buffer.data ?? '')?.length ?? 0) : 0
}

/** @returns the bytes, or what is wrong with the buffer */
function startBytes(buffer: SessionBuffer & { role: 'state' | 'constant' }): Uint8Array | string {
  const sizeBytes = buffer.role === 'state' ? buffer.sizeBytes : undefined
  if (buffer.data === undefined)
    return sizeBytes === undefined ? 'needs data or sizeBytes' : new Uint8Array(sizeBytes)
  const bytes = decodeBase64(buffer.data)
  if (bytes === undefined) return 'has data that is not base64'
  if (bytes.length === 0 || bytes.length % 4 !== 0)
    return `has ${bytes.length} bytes, which is not a positive multiple of 4`
  if (sizeBytes !== undefined && sizeBytes !== bytes.length)
    return `has ${bytes.length} bytes of data and sizeBytes ${sizeBytes}`
  return bytes
}

function readInputs(open: OpenMessage, inputs: StepMessage['inputs']): Map<number, Uint8Array> {
  const wanted = new Map(
    open.buffers.flatMap((buffer) =>
      buffer.role === 'input' ? [[buffer.binding, buffer.sizeBytes] as const] : [],
    ),
  )
  const faults: FieldFault[] = []
  const given = new Map<number, Uint8Array>()
  for (const [index, { binding, data }] of inputs.entries()) {
    const bytes = decodeBase64(data)
    const sizeBytes = wanted.get(binding)
    const at = `/inputs/${index}`
    if (sizeBytes === undefined || given.has(binding))
      faults.push({
        pointer: `${at}/binding`,
        detail: `${binding} is not an input, or is given twice`,
      })
    else if (bytes?.length !== sizeBytes)
      faults.push({
        pointer: `${at}/data`,
        detail: `has ${bytes?.length ?? 'unreadable'} bytes, the session was opened with ${sizeBytes}`,
      })
    else given.set(binding, bytes)
  }
  for (const binding of wanted.keys())
    if (!inputs.some((input) => input.binding === binding))
      faults.push({ pointer: '/inputs', detail: `binding ${binding} is missing` })
  if (faults.length > 0) throw invalidRequest(faults)
  return given
}
