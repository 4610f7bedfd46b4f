/** A stack in a folder of its own for one test file, with a client's calls. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog } from '#shared/base/log.ts'
import { publishDefault } from '#scripts/stack/operator.ts'
import { openOnce } from '#test/support/open-once.ts'
import { callWorker, type CallOptions, type Reply } from './worker.ts'
import { startStack, type Stack, type StackOptions, type Tenant } from '#scripts/stack/stack.ts'

export interface TestStack extends Stack {
  readonly dir: string
  /** POSTs JSON with a tenant's key; resolves for any status. */
  post(
    tenant: Tenant,
    path: string,
    body: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer>
  get(tenant: Tenant, path: string): Promise<Answer>
  delete(tenant: Tenant, path: string): Promise<Answer>
  /** Publishes a policy and makes it the tenant's default. */
  pin(tenant: Tenant, policy: Record<string, unknown>): Promise<void>
}

export interface Answer extends Reply {
  readonly body: Record<string, unknown>
}

export async function createTestStack(options: Partial<StackOptions> = {}): Promise<TestStack> {
  const dir = await mkdtemp(join(tmpdir(), 'littoral-'))
  const log = createLog({ level: process.env.LITTORAL_TEST_LOG === undefined ? 'error' : 'debug' })
  const stack = await startStack({ dir, log, ...options })
  const call = async (
    { apiKey: key }: Tenant,
    path: string,
    method: string,
    options: CallOptions,
  ) => (await callWorker(`${stack.url}${path}`, method, { ...options, key })) as Answer
  return {
    ...stack,
    dir,
    // Most tests need no other model, and loading all of them takes long. Tests count the jobs that a node has begun.
    startNode: ({ options: flags = ['--models', 'littoral-embed-400k'], ...node }) =>
      stack.startNode({ ...node, options: [...flags, '--log', 'debug'] }),
    post: (tenant, path, body, headers = {}) => call(tenant, path, 'POST', { json: body, headers }),
    get: (tenant, path) => call(tenant, path, 'GET', {}),
    delete: (tenant, path) => call(tenant, path, 'DELETE', {}),
    pin: ({ apiKey: key }, policy) => publishDefault({ url: stack.url, key }, policy),
    async close() {
      await stack.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

interface UseStackOptions extends Partial<StackOptions> {
  readonly scopes: readonly string[]
  /** Published in this order; the last is the tenant's default. @default `openPolicy('EU')` */
  readonly policies?: readonly Record<string, unknown>[]
}

/** Runs a stack with one tenant for all tests of a file. */
export function useStack({ scopes, policies, ...options }: UseStackOptions): {
  readonly stack: TestStack
  readonly tenant: Tenant
} {
  const stack = openOnce(
    () => createTestStack(options),
    (opened) => opened.close(),
  )
  const tenant = openOnce(async () => {
    const created = await stack.createTenant('acme', scopes)
    for (const policy of policies ?? [openPolicy('EU')]) await stack.pin(created, policy)
    return created
  })
  return { stack, tenant }
}

/** A policy for public data in these regions, tabs included. */
export function openPolicy(...allow: string[]): Record<string, unknown> {
  return {
    id: `open-${allow.join('-').toLowerCase()}`,
    ingress: { allow: ['WORLD'] },
    compute: { allow },
    dataClass: 'public',
    minEvidence: 'observed',
  }
}
