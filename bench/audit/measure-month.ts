/** Measures the export of a month of jobs from a real Worker, and its verification in a process of its own. */
import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { z } from 'zod'
import { buildWorker } from '#scripts/build/build.ts'
import { registerHubKey } from '#scripts/stack/chain.ts'
import { callApi } from '#scripts/stack/operator.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import { loadSecrets } from '#scripts/stack/secrets.ts'
import { startStack, type Stack, type Tenant } from '#scripts/stack/stack.ts'
import { domainOf } from '#shared/proof/domain.ts'
import { invariant } from '#shared/base/errors.ts'
import { TENANT } from '#test/support/hub/policies.ts'
import { createReceiptMaker, EU_POLICY_TEXT } from '#test/support/hub/receipts.ts'
import type { BenchContext } from '../harness/context.ts'
import { cpuMsOf } from '../harness/cpu-time.ts'
import { measureSection, type Contender, type Section } from '../harness/harness.ts'
import { peakMiB, resetPeak, residentMiB } from '../memory/processes.ts'
import { fillMonth } from './fill-month.ts'

const run = promisify(execFile)

interface Month {
  readonly stack: Stack
  readonly tenant: Tenant
  readonly dir: string
  readonly jobCount: number
  /** Its range of time, as query parameters. */
  readonly time: string
}

export async function measureMonth(
  { dir, log }: Pick<BenchContext, 'dir' | 'log'>,
  jobCount: number,
): Promise<Section> {
  const bundleDir = join(dir, 'month-worker')
  await buildWorker({ simulatedPlaces: false, outDir: bundleDir })
  const stack = await startStack({ dir: join(dir, 'month-stack'), bundleDir, log })
  try {
    const month = await openMonth(stack, { dir, log, jobCount })
    return await measureSection({
      name: `a month of ${jobCount.toLocaleString('en')} jobs`,
      contenders: [
        exported(month, 'bundle', `bundle?${month.time}&policy=${EU_POLICY_TEXT.id}`),
        verified(month, 'bundle'),
        exported(month, 'placements', `export?format=csv&${month.time}&type=job.placed`),
      ],
      comparisons: [],
      rounds: 1,
      warmUps: 0,
    })
  } finally {
    await stack.close()
  }
}

async function openMonth(
  stack: Stack,
  { dir, log, jobCount }: Pick<BenchContext, 'dir' | 'log'> & { readonly jobCount: number },
): Promise<Month> {
  const { url, chain, deployment } = stack
  const tenant = await stack.createTenant(TENANT, ['policy', 'audit'])
  const path = `/v1/policies/${EU_POLICY_TEXT.id}`
  await callApi({ url, key: tenant.apiKey, method: 'PUT', path, body: EU_POLICY_TEXT })
  const domain = domainOf(deployment.chainId, deployment.settlement)
  const maker = await createReceiptMaker(domain)
  await registerHubKey({ rpc: chain.rpc }, deployment, maker.hub.publicKey)
  const { LOG_KEY: seed } = loadSecrets(join(dir, 'month-stack'))
  const stateDir = join(dir, 'month-stack/worker')
  const { consumer } = tenant
  const fromMs = Date.now()
  await stack.restartWorker('close', () =>
    fillMonth({ stateDir, jobCount, maker, consumer, domain, seed, log }),
  )
  const time = `from=${fromMs}&to=${Date.now()}`
  await settled(stack, jobCount)
  return { stack, tenant, dir, jobCount, time }
}

const Network = z.looseObject({ settlement: z.looseObject({ settledReceipts: z.int() }) })
const SETTLE_LOOKS = 1_800

/** Asking for the network's state wakes the Ledger, which then posts. */
async function settled({ url }: Stack, jobCount: number): Promise<void> {
  for (let look = 0; look < SETTLE_LOOKS; look += 1) {
    const answer = await fetch(`${url}/v1/network`, { signal: AbortSignal.timeout(60_000) })
    if (Network.parse(await answer.json()).settlement.settledReceipts >= jobCount) return
    await sleep(1_000)
  }
  throw new Error('the month does not settle')
}

/** Uses the command of the README. */
function exported({ stack, tenant, dir }: Month, name: string, path: string): Contender {
  const file = join(dir, `${name}.export`)
  const authorization = `authorization: Bearer ${tenant.apiKey}`
  const args = ['-sSf', '-H', authorization, `${stack.url}/v1/audit/${path}`, '-o', file]
  return {
    name: `export of ${name}`,
    async run() {
      const { pid } = stack.worker()
      resetPeak(pid)
      const before = residentMiB(pid)
      const cpuMs = cpuMsOf([pid]) ?? NaN
      const startedMs = performance.now()
      const running = run('curl', args)
      let clientMiB = 0
      const watch = setInterval(() => {
        clientMiB = Math.max(clientMiB, peakMiB(running.child.pid ?? 0) || 0)
      }, 100)
      await running.finally(() => clearInterval(watch))
      return {
        seconds: [(performance.now() - startedMs) / 1_000],
        workerdCpuSeconds: [((cpuMsOf([pid]) ?? NaN) - cpuMs) / 1_000],
        mebibytes: [(await stat(file)).size / 2 ** 20],
        workerdMiB: [peakMiB(pid)],
        workerdGrowthMiB: [peakMiB(pid) - before],
        clientMiB: [clientMiB],
      }
    },
  }
}

const Report = z.object({
  code: z.int(),
  seconds: z.number(),
  cpuSeconds: z.number(),
  peakMiB: z.number(),
})

function verified({ stack, dir, jobCount }: Month, name: string): Contender {
  const { chain, deployment, logPublicKey } = stack
  const args = [
    repositoryPath('bench/audit/verify-file.ts'),
    join(dir, `${name}.export`),
    '--rpc',
    chain.rpc,
    '--settlement',
    deployment.settlement,
    '--log-key',
    logPublicKey,
    '--within',
    'EU',
  ]
  return {
    name: `verification of ${name}`,
    async run() {
      const { stdout } = await run(process.execPath, args)
      const { code, seconds, cpuSeconds, peakMiB: peak } = Report.parse(JSON.parse(stdout))
      invariant(code === 0, 'the month is whole')
      const jobsPerSecond = jobCount / seconds
      return {
        seconds: [seconds],
        cpuSeconds: [cpuSeconds],
        jobsPerSecond: [jobsPerSecond],
        peakMiB: [peak],
      }
    },
  }
}
