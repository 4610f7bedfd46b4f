/** Operations of policies, keys, quotas and attestations for the OpenAPI document. */
import { PolicyDraft } from '#shared/law/policy.ts'
import { DryRunRequest } from '#worker/api/policies/dry-run.ts'
import {
  CreatedKeyReply,
  KeyReply,
  KeysReply,
  OwnKeyReply,
  QuotaReply,
  RotatedKeyReply,
} from '#shared/api/keys.ts'
import { AttestationsReply, UnattestedReply } from '#shared/api/network.ts'
import {
  DefaultPolicyReply,
  DryRunReply,
  PoliciesReply,
  PolicyReply,
  PolicyVersionsReply,
  PublishedPolicyReply,
} from '#shared/api/policies.ts'
import { SignedAttestation } from '#shared/place/evidence.ts'
import { KeyRequest, KeyRotation, NewKey } from '#worker/protocols/tenant.ts'
import { QuotaChange } from '#worker/protocols/quota.ts'

export const ACCOUNT_OPERATIONS = [
  {
    method: 'GET',
    path: '/v1/policies',
    summary: "List the tenant's policies",
    security: 'key',
    reply: PoliciesReply,
  },
  {
    method: 'PUT',
    path: '/v1/policies/:id',
    summary: 'Publish the next version of a policy; the id in the body may be left out',
    security: 'key',
    body: PolicyDraft.partial({ id: true }),
    reply: PublishedPolicyReply,
  },
  {
    method: 'POST',
    path: '/v1/policies/:id/retire',
    summary: 'Retire a policy: no new jobs can use it, and its versions stay readable',
    security: 'key',
    reply: PolicyReply,
  },
  {
    method: 'GET',
    path: '/v1/policies/:id',
    summary: 'Get the newest version of a policy',
    security: 'key',
    reply: PolicyReply,
  },
  {
    method: 'GET',
    path: '/v1/policies/:id/versions',
    summary: 'List the versions of a policy, newest first',
    security: 'key',
    reply: PolicyVersionsReply,
  },
  {
    method: 'GET',
    path: '/v1/policies/:id/versions/:version',
    summary: 'Get a version of a policy, as it was published',
    security: 'key',
    reply: PolicyReply,
  },
  {
    method: 'POST',
    path: '/v1/policies/dry-run',
    summary:
      'Test a policy without a job: for each connected node, whether it is allowed, or the rule that refuses it',
    security: 'key',
    body: DryRunRequest,
    reply: DryRunReply,
  },
  {
    method: 'POST',
    path: '/v1/keys',
    summary: 'Make an API key of this tenant; it gets no scope that the calling key lacks',
    security: 'key',
    body: KeyRequest,
    reply: CreatedKeyReply,
    status: 201,
  },
  {
    method: 'GET',
    path: '/v1/keys',
    summary: "List this tenant's keys, without their secrets",
    security: 'key',
    reply: KeysReply,
  },
  {
    method: 'GET',
    path: '/v1/keys/self',
    summary: 'Get the tenant and scopes of the calling key',
    security: 'key',
    reply: OwnKeyReply,
  },
  {
    method: 'POST',
    path: '/v1/keys/:id/rotate',
    summary:
      'Make a new secret for a key; the old one stays valid for the given time, or not at all',
    security: 'key',
    body: KeyRotation,
    reply: RotatedKeyReply,
  },
  {
    method: 'DELETE',
    path: '/v1/keys/:id',
    summary: 'Revoke a key',
    security: 'key',
    query: { last_admin: 'true to revoke the last admin key' },
    reply: KeyReply,
  },
  {
    method: 'POST',
    path: '/v1/policies/:id/default',
    summary: 'Make a policy the default for requests that name none',
    security: 'key',
    reply: DefaultPolicyReply,
  },
  {
    method: 'POST',
    path: '/v1/operator/keys',
    summary: 'Make an API key; the first key of a tenant also creates the tenant',
    security: 'operator',
    body: NewKey,
    reply: CreatedKeyReply,
    status: 201,
  },
  {
    method: 'GET',
    path: '/v1/operator/keys',
    summary: "List a tenant's keys",
    security: 'operator',
    query: { tenant: 'Its name' },
    reply: KeysReply,
  },
  {
    method: 'DELETE',
    path: '/v1/operator/keys/:id',
    summary: 'Revoke a key',
    security: 'operator',
    reply: KeyReply,
  },
  {
    method: 'POST',
    path: '/v1/operator/attestations',
    summary: 'Attest the place of a dedicated node, with a statement signed by an attester',
    security: 'operator',
    status: 201,
    body: SignedAttestation,
    reply: SignedAttestation,
  },
  {
    method: 'GET',
    path: '/v1/operator/attestations',
    summary: 'List the attestations that are valid',
    security: 'operator',
    reply: AttestationsReply,
  },
  {
    method: 'DELETE',
    path: '/v1/operator/attestations/:node',
    summary: 'Withdraw an attestation',
    security: 'operator',
    reply: UnattestedReply,
  },
  {
    method: 'GET',
    path: '/v1/operator/quotas/:tenant',
    summary: "Get a tenant's quota, and how much of it is taken",
    security: 'operator',
    reply: QuotaReply,
  },
  {
    method: 'PUT',
    path: '/v1/operator/quotas/:tenant',
    summary:
      "Set a tenant's quota; a limit that is left out stays as it is, and `none` removes the spending cap",
    security: 'operator',
    body: QuotaChange,
    reply: QuotaReply,
  },
] as const
