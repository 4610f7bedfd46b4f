/** A JSON header and a payload in one HTTP body between Worker and Hub: u32 big-endian length, JSON, payload. */
import { AppError } from '#shared/base/errors.ts'
import { MIB } from '#shared/base/limits.ts'
import { readRefusal } from './steering.ts'
import { policyHash } from '#shared/law/compile-policy.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import { BoundedMap } from '#shared/base/bounded-map.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import type { DispatchOutcome, DispatchRequest, DispatchResult } from './hub.ts'

/** Payloads of all jobs that one hub holds. */
export const HUB_PAYLOAD_BYTES = 64 * MIB

const ENCODER = new TextEncoder()
const DECODER = new TextDecoder()

export function packEnvelope(header: unknown, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const json = ENCODER.encode(JSON.stringify(header))
  const body = new Uint8Array(4 + json.length + payload.length)
  new DataView(body.buffer).setUint32(0, json.length)
  body.set(json, 4)
  body.set(payload, 4 + json.length)
  return body
}

/** @throws {AppError} invalid_request when the body is shorter than its length field */
export function unpackEnvelope(body: Uint8Array): { header: unknown; payload: Uint8Array } {
  const length =
    body.length < 4 ? Infinity : new DataView(body.buffer, body.byteOffset).getUint32(0)
  if (4 + length > body.length) throw new AppError('invalid_request', 'The envelope is cut short.')
  const json = DECODER.decode(body.subarray(4, 4 + length))
  return { header: JSON.parse(json), payload: body.subarray(4 + length) }
}

/** Where a hub takes jobs. Only objects of the deployment can call it. */
export const DISPATCH_URL = 'http://hub/dispatch'

/** A job as a Worker sends it: without the policy where the hub has it by its hash. */
interface SentDispatch extends Omit<DispatchRequest, 'policy'> {
  readonly policyHash: Bytes32
  readonly policy: CompiledPolicy | null
}

/** Status by which a hub says that it does not have the policy of that hash. */
export const POLICY_UNKNOWN = 428
const POLICIES_KEPT = 1_024

/** Policies that a hub has seen. A policy never changes under its hash. */
export class KnownPolicies {
  readonly #policies = new BoundedMap<Bytes32, CompiledPolicy>(POLICIES_KEPT)

  /** @returns undefined for an unknown hash @throws {AppError} forbidden for a policy that does not have the hash */
  find({ policyHash: hash, policy }: SentDispatch): CompiledPolicy | undefined {
    const known = this.#policies.get(hash)
    if (known !== undefined || policy === null) return known
    if (policy.hash !== hash || policyHash(policy) !== hash)
      throw new AppError('forbidden', `The policy of the job does not have the hash ${hash}.`)
    this.#policies.set(hash, policy)
    return policy
  }
}

export function packDispatch(
  { policy, ...job }: DispatchRequest,
  payload: Uint8Array,
  { isPolicyKnown }: { readonly isPolicyKnown: boolean },
): Uint8Array<ArrayBuffer> {
  const sent: SentDispatch = {
    ...job,
    policyHash: policy.hash,
    policy: isPolicyKnown ? null : policy,
  }
  return packEnvelope(sent, payload)
}

/** The Worker of this deployment wrote and checked it, so it is not parsed again. @returns null for an unknown policy */
export async function readDispatch(
  request: Request,
  policies: KnownPolicies,
): Promise<{ header: DispatchRequest; payload: Uint8Array } | null> {
  const body = new Uint8Array(await request.arrayBuffer())
  if (body.length > HUB_PAYLOAD_BYTES)
    throw new AppError('too_large', 'The job is larger than a hub may hold.')
  const { header, payload } = unpackEnvelope(body)
  const sent = header as SentDispatch
  const policy = policies.find(sent)
  return policy === undefined ? null : { header: { ...sent, policy }, payload }
}

export function writeDispatch({ outcome, payload }: DispatchResult): Response {
  return new Response(packEnvelope(outcome, payload))
}

/** @throws {AppError} the hub's error, when it answered with one */
export async function throwRefusal(response: Response): Promise<void> {
  if (response.ok) return
  throw readRefusal(await response.json())
}

/** The hub is of this deployment, so its outcome is not parsed again. @throws {AppError} the hub's error */
export async function readOutcome(response: Response): Promise<DispatchResult> {
  await throwRefusal(response)
  const { header, payload } = unpackEnvelope(new Uint8Array(await response.arrayBuffer()))
  return { outcome: header as DispatchOutcome, payload }
}
