/** Schemas of the description by name, so that clients made from it have types with names. */
import { resolver } from 'hono-openapi'
import type { z } from 'zod'
import * as audit from '#shared/api/audit.ts'
import * as keys from '#shared/api/keys.ts'
import * as models from '#shared/api/models.ts'
import * as network from '#shared/api/network.ts'
import * as policies from '#shared/api/policies.ts'
import { ProblemReply } from '#shared/api/problem.ts'
import { AuditBundle } from '#shared/audit/bundle.ts'
import { EvidenceRecord, SignedAttestation } from '#shared/place/evidence.ts'
import { PolicyDraft } from '#shared/law/policy.ts'
import { ReceiptDocument } from '#shared/receipt/receipt.ts'
import { AdmissionRequest } from '#worker/edge/admission.ts'
import { ChatCompletion, ChatCompletionChunk } from '#worker/api/openai/chat-answer.ts'
import { ChatRequest } from '#worker/api/openai/chat.ts'
import { Completion, CompletionChunk } from '#worker/api/openai/completions-answer.ts'
import { CompletionRequest } from '#worker/api/openai/completions.ts'
import { DryRunRequest } from '#worker/api/policies/dry-run.ts'
import { EmbeddingsRequest, EmbeddingsResponse } from '#worker/api/openai/embeddings.ts'
import * as jobs from '#worker/api/jobs/jobs.ts'
import { JurisdictionsReply } from '#worker/api/audit/compliance.ts'
import { InferRequest, InferResponse } from '#worker/api/oip/oip.ts'
import { ServerMessage } from '#worker/hub/session/messages.ts'
import { RopaReply } from '#worker/api/audit/record-of-processing.ts'
import { KeyRequest, KeyRotation, NewKey } from '#worker/protocols/tenant.ts'
import { QuotaChange } from '#worker/protocols/quota.ts'

const NAMED: Readonly<Record<string, unknown>> = {
  ...audit,
  ...jobs,
  ...keys,
  ...models,
  ...network,
  ...policies,
  ProblemReply,
  AdmissionRequest,
  AuditBundle,
  ChatCompletion,
  ChatCompletionChunk,
  ChatRequest,
  Completion,
  CompletionChunk,
  CompletionRequest,
  DryRunRequest,
  EmbeddingsRequest,
  EmbeddingsResponse,
  EvidenceRecord,
  InferRequest,
  InferResponse,
  JurisdictionsReply,
  KeyRequest,
  KeyRotation,
  NewKey,
  PolicyDraft,
  QuotaChange,
  ReceiptDocument,
  RopaReply,
  ServerMessage,
  SignedAttestation,
}

interface Reference {
  readonly $ref: string
}

export interface NamedSchemas {
  /** @param fallback its name where the schema has none of its own */
  refer(schema: z.ZodType, fallback: string): Reference
  /** The same for what a caller sends, where members that have a default may be left out. */
  referBody(schema: z.ZodType, fallback: string): Reference
  /** All that were referred to. */
  components(): Promise<Record<string, object>>
}

export function createNamedSchemas(): NamedSchemas {
  const used = new Map<string, { readonly schema: z.ZodType; readonly isBody: boolean }>()
  const referAs = (isBody: boolean) => (schema: z.ZodType, fallback: string) => {
    const name = Object.entries(NAMED).find(([, each]) => each === schema)?.[0] ?? fallback
    used.set(name, { schema, isBody })
    return { $ref: `#/components/schemas/${name}` }
  }
  return {
    refer: referAs(false),
    referBody: referAs(true),
    async components() {
      const entries = [...used].toSorted(([a], [b]) => (a < b ? -1 : 1))
      const made = entries.map(async ([name, { schema, isBody }]) => {
        const { schema: described } = await resolver(schema).toOpenAPISchema()
        return [name, forTools(described, isBody)] as const
      })
      return Object.fromEntries(await Promise.all(made))
    },
  }
}

/**
 * A tuple's `items: false` is right, and linters miss the `items` there; its `maxItems` says the same. A member of a body
 * with a `default` is one that must be there to the makers of clients, so the default is told in words.
 */
function forTools(value: unknown, isBody: boolean): object {
  const text = JSON.stringify(value, (name, each: unknown) => {
    if (name === 'items' && each === false) return {}
    if (!isBody || !hasDefault(each)) return each
    const { default: preset, ...rest } = each
    const told = `Default: ${JSON.stringify(preset)}.`
    return { ...rest, description: [each.description, told].filter(Boolean).join(' ') }
  })
  return JSON.parse(text) as object
}

/** A schema with a default; a member that is called so has a schema for its value, and no type beside it. */
function hasDefault(value: unknown): value is { default: unknown; description?: string } {
  if (typeof value !== 'object' || value === null || !('default' in value)) return false
  return ['type', 'anyOf', 'enum', '$ref'].some((word) => word in value)
}
