/** Runs a built Worker for tests, in plain workerd on a free port with fresh state. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '#shared/base/log.ts'
import { SIMULATED_WORKER_DIR, WORKER_DIR } from '#scripts/build/build.ts'
import { createOperator, type Operator } from '#scripts/stack/operator.ts'
import { startWorkerd, type Workerd } from '#scripts/stack/workerd.ts'
import { openOnce } from '#test/support/open-once.ts'
import { HANG_MS } from '#test/support/poll.ts'

export const OPERATOR_KEY = 'operator-of-this-test'
export const ADMISSION_SECRET = 'the admission secret of this test'

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

export interface TestWorker {
  readonly workerd: Workerd
  readonly operator: Operator
  readonly assetsDir: string
  /** Holds the Worker's state; removed when the Worker is closed. */
  readonly stateDir: string
  /** Calls the API with JSON or a raw body. */
  call(method: string, path: string, options?: CallOptions): Promise<Reply>
  /** Kills the Worker like a power cut, and starts it again on the same state and port, with these variables changed. */
  killAndRestart(changed?: Readonly<Record<string, string>>): Promise<void>
  close(): Promise<void>
}

export interface CallOptions {
  readonly key?: string | undefined
  readonly json?: unknown
  readonly body?: string | Uint8Array<ArrayBuffer> | ReadableStream
  readonly headers?: Readonly<Record<string, string>>
  /** Sends the call to the second isolate of a Worker with a twin. */
  readonly atTwin?: boolean
}

export const BUILDS = { production: WORKER_DIR, development: SIMULATED_WORKER_DIR } as const

export async function startTestWorker(
  build: keyof typeof BUILDS,
  vars: Readonly<Record<string, string>> = {},
  { twin = false }: { readonly twin?: boolean } = {},
): Promise<TestWorker> {
  const dir = await mkdtemp(join(tmpdir(), 'littoral-worker-'))
  const assetsDir = join(dir, 'assets')
  const options = {
    bundleDir: BUILDS[build],
    stateDir: dir,
    assetsDir,
    log: silentLog,
    twin,
    vars: { INGRESS_COUNTRY: 'DE', OPERATOR_KEY, ADMISSION_SECRET, ...vars },
  }
  let workerd = await startWorkerd(options)
  const { url, port } = workerd
  return {
    workerd,
    operator: createOperator(url, OPERATOR_KEY),
    assetsDir,
    stateDir: dir,
    call(method, path, call = {}) {
      const origin = call.atTwin === true ? (workerd.twinUrl ?? 'no twin was started') : url
      return callWorker(`${origin}${path}`, method, call)
    },
    async killAndRestart(changed = {}) {
      await workerd.kill()
      workerd = await startWorkerd({ ...options, port, vars: { ...options.vars, ...changed } })
    },
    async close() {
      await workerd.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** Runs a built Worker for all tests of a file. */
export function useWorker(...how: Parameters<typeof startTestWorker>): TestWorker {
  return openOnce(
    () => startTestWorker(...how),
    (worker) => worker.close(),
  )
}

export async function callWorker(url: string, method: string, call: CallOptions): Promise<Reply> {
  const body = call.json === undefined ? call.body : JSON.stringify(call.json)
  const response = await fetch(url, {
    method,
    headers: {
      ...(call.key === undefined ? {} : { authorization: `Bearer ${call.key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...call.headers,
    },
    ...(body === undefined ? {} : { body, duplex: 'half' as const }),
    redirect: 'manual',
    signal: AbortSignal.timeout(HANG_MS),
  })
  const text = await response.text()
  const isJson = /json/.test(response.headers.get('content-type') ?? '')
  return {
    status: response.status,
    headers: response.headers,
    body: isJson && text !== '' ? (JSON.parse(text) as unknown) : text,
  }
}
