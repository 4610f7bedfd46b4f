/** Takes a CPU profile of another process through its V8 inspector: of workerd, or of Node after SIGUSR1. */
import { z } from 'zod'
import { openInspector } from '../harness/inspector.ts'

const TIMEOUT_MS = 30_000
const SAMPLE_EVERY_US = 200

/** https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile */
export const CpuProfile = z.looseObject({
  nodes: z.array(
    z.looseObject({
      id: z.int(),
      callFrame: z.looseObject({ functionName: z.string(), lineNumber: z.int() }),
      children: z.array(z.int()).optional(),
    }),
  ),
  samples: z.array(z.int()),
  timeDeltas: z.array(z.number()),
})
export type CpuProfile = z.infer<typeof CpuProfile>

const Targets = z.array(z.looseObject({ webSocketDebuggerUrl: z.string() })).min(1)

export interface Profiling {
  stop(): Promise<CpuProfile>
}

/** Starts sampling the first isolate behind an inspector's address. */
export async function startProfile(address: string): Promise<Profiling> {
  const answer = await fetch(`http://${address}/json/list`, {
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })
  const [target] = Targets.parse(await answer.json())
  const { call, close } = await openInspector(target?.webSocketDebuggerUrl ?? '')
  await call('Profiler.enable')
  await call('Profiler.setSamplingInterval', { interval: SAMPLE_EVERY_US })
  await call('Profiler.start')
  return {
    async stop() {
      const { profile } = z.looseObject({ profile: CpuProfile }).parse(await call('Profiler.stop'))
      close()
      return profile
    },
  }
}
