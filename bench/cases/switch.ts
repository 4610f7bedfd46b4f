/** Measures a model's first answer: without its files, with its files, and once it is loaded. */
import { join } from 'node:path'
import { parseServerTiming } from '#scripts/start/answer.ts'
import { createLog, silentLog } from '#shared/base/log.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import type { BenchContext } from '../harness/context.ts'
import { openStack } from '../harness/open-stack.ts'
import {
  measureSection,
  type BenchResult,
  type Contender,
  type Section,
} from '../harness/harness.ts'
import { createHttpClient, type HttpCall, type HttpClient } from '../harness/http-client.ts'
import { startOrigin, type Distance } from '../switch/origin.ts'
import { openShelf, startShelfNode } from '../switch/shelf-node.ts'

const MODEL = 'littoral-chat-2m'
const COUNTRY = 'DE'
/** Like a mirror in the same country over a line of 50 Mbit/s. */
const DISTANCE: Distance = { latencyMs: 30, bytesPerSecond: 6 * 2 ** 20 }

export async function measureSwitch(context: BenchContext): Promise<BenchResult> {
  const rounds = context.quick ? 2 : 7
  const distance = `${DISTANCE.latencyMs} ms and ${DISTANCE.bytesPerSecond / 2 ** 20} MiB/s away`
  return {
    name: 'switch',
    title:
      'the first answer of a model that is not here, not loaded, and loaded; downloads beside loads',
    sections: [await measureFirstAnswer(context, rounds), await measureOverlap(context, rounds)],
    includes: INCLUDES,
    notes: [
      `The files come from an origin ${distance}; the chat model has 8 MiB of them, all models together ${totalMiB()} MiB.`,
      'Load is `load` of server-timing: from the hub’s request to load the model until it is ready.',
      'Saved is the sum of all downloads and loads, minus the time that they took side by side.',
    ],
  }
}

const INCLUDES = {
  cold: `a request for ${MODEL} at a node that has no file of it: download, hash, session, golden run, answer`,
  warm: 'the same, its files in the node’s cache from an earlier life',
  loaded: 'the same request once more',
  overlapped:
    'all models of this build preloaded into an empty node in one call, as a node does when it starts',
  'one by one': 'each preloaded when the one before was ready',
}

const COLD_ORDER = ['cold', 'warm', 'loaded'] as const
type Start = (typeof COLD_ORDER)[number]

async function measureFirstAnswer({ dir, log }: BenchContext, rounds: number): Promise<Section> {
  const { stack, url, key } = await openStack({ dir: join(dir, 'switch'), log })
  const origin = await startOrigin(DISTANCE)
  const client = createHttpClient(url, 1)
  try {
    const world = {
      hub: url,
      origin: origin.url,
      dir,
      log: silentLog,
      client,
      call: callFor(key),
    }
    return await measureSection({
      name: `first answer of ${MODEL} through Worker, hub and node`,
      contenders: COLD_ORDER.map((start) => firstAnswer(start, world)),
      comparisons: [
        { of: 'cold', to: 'loaded', metric: 'answerMs' },
        { of: 'warm', to: 'loaded', metric: 'answerMs' },
        { of: 'warm', to: 'cold', metric: 'answerMs' },
        { of: 'warm', to: 'cold', metric: 'loadMs' },
      ],
      rounds,
    })
  } finally {
    client.close()
    await origin.close()
    await stack.close()
  }
}

function callFor(key: string): HttpCall {
  return {
    method: 'POST',
    path: '/v1/chat/completions',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: MODEL,
      messages: [{ role: 'user', content: 'turn on the kitchen light' }],
      max_completion_tokens: 8,
      temperature: 0,
    }),
  }
}

interface World {
  readonly hub: string
  readonly origin: string
  readonly dir: string
  readonly log: typeof silentLog
  readonly client: HttpClient
  readonly call: HttpCall
}

/** Each repetition starts a new node, which joins, answers and leaves. */
function firstAnswer(start: Start, { client, call, ...world }: World): Contender {
  let serial = 0
  const live = async <T>(cacheDir: string, work: () => Promise<T>): Promise<T> => {
    const stateDir = join(world.dir, `switch-state-${start}`)
    const node = await startShelfNode({ ...world, country: COUNTRY, cacheDir, stateDir })
    try {
      return await work()
    } finally {
      await node.close()
    }
  }
  const ask = async () => {
    const startedMs = performance.now()
    const { headers } = await client.send(call)
    const answerMs = performance.now() - startedMs
    const { load = 0, compute = 0 } = parseServerTiming(String(headers['server-timing'] ?? ''))
    return { answerMs: [answerMs], loadMs: [load], computeMs: [compute] }
  }
  return {
    name: start,
    async run() {
      const cacheDir = join(world.dir, `switch-${start}-${(serial += 1)}`)
      if (start === 'cold') return await live(cacheDir, ask)
      // An earlier run of the node fetches the files; `loaded` asks once before.
      if (start === 'warm') await live(cacheDir, ask)
      return await live(cacheDir, async () => {
        if (start === 'loaded') await ask()
        return ask()
      })
    },
  }
}

async function measureOverlap({ dir }: BenchContext, rounds: number): Promise<Section> {
  const origin = await startOrigin(DISTANCE)
  try {
    return await measureSection({
      name: `${MANIFESTS.length} models into an empty node`,
      contenders: (['overlapped', 'one by one'] as const).map((how) =>
        preloading(how, dir, origin.url),
      ),
      comparisons: [{ of: 'overlapped', to: 'one by one', metric: 'readyMs' }],
      rounds,
    })
  } finally {
    await origin.close()
  }
}

function preloading(how: 'overlapped' | 'one by one', dir: string, origin: string): Contender {
  let serial = 0
  return {
    name: how,
    async run() {
      const loads: { fetchMs: number; admitMs: number }[] = []
      const log = createLog({ level: 'info', write: (line) => takeLoad(line, loads) })
      const cacheDir = join(dir, `preload-${how.replaceAll(' ', '-')}-${(serial += 1)}`)
      const opened = await openShelf({ cacheDir, origin, log })
      const { shelf } = opened
      const ids = MANIFESTS.map(({ id }) => id)
      const { signal } = new AbortController()
      const startedMs = performance.now()
      if (how === 'overlapped') await shelf.preload(ids, signal)
      else for (const id of ids) await shelf.preload([id], signal)
      const readyMs = performance.now() - startedMs
      await opened.close()
      if (loads.length < ids.length)
        throw new Error(`${loads.length} of ${ids.length} models were loaded`)
      const sum = (phase: 'fetchMs' | 'admitMs') =>
        loads.reduce((total, load) => total + load[phase], 0)
      const [downloadsMs, loadsMs] = [sum('fetchMs'), sum('admitMs')]
      return {
        readyMs: [readyMs],
        downloadsMs: [downloadsMs],
        loadsMs: [loadsMs],
        savedMs: [downloadsMs + loadsMs - readyMs],
      }
    },
  }
}

/** The shelf logs how long each model's files and its load took. */
function takeLoad(line: string, loads: { fetchMs: number; admitMs: number }[]): void {
  const { event, fetchMs, admitMs } = JSON.parse(line) as Record<string, unknown>
  if (event === 'model.loaded') loads.push({ fetchMs: Number(fetchMs), admitMs: Number(admitMs) })
}

function totalMiB(): number {
  const files = MANIFESTS.flatMap((manifest) => manifest.files)
  const sizes = new Map(files.map(({ sha256, sizeBytes }) => [sha256, sizeBytes]))
  return Math.round(sizes.values().reduce((sum, sizeBytes) => sum + sizeBytes, 0) / 2 ** 20)
}
