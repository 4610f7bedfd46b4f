/** Measures a long chat answer token by token: through Worker, hub and node, and from the same runtime called directly. */
import { PROVIDERS, type Provider } from '#shared/job/job.ts'
import type { TextInput } from '#shared/job/text.ts'
import type { BenchContext } from '../harness/context.ts'
import { cpuMsOf } from '../harness/cpu-time.ts'
import { startDirect, type DirectProcess } from '../chat/direct-process.ts'
import { timeStream } from '../chat/event-client.ts'
import {
  measureSection,
  type BenchResult,
  type Contender,
  type Figure,
  type Section,
} from '../harness/harness.ts'
import { createHttpClient, type HttpCall, type HttpClient } from '../harness/http-client.ts'
import type { Running } from '../harness/live-stack.ts'
import { childrenOf } from '../memory/processes.ts'
import { summarize } from '../harness/statistics.ts'

const MODEL = 'littoral-chat-2m'
const ANSWERS_A_REPETITION = 3

interface LongAnswer {
  readonly name: string
  readonly content: string
  readonly format: TextInput['format']
  readonly maxTokens: number
}

const READINGS = {
  name: 'JSON of a schema',
  content: 'Give readings',
  format: {
    type: 'json_schema',
    schema: {
      type: 'object',
      properties: {
        readings: { type: 'array', items: { type: 'integer' }, minItems: 200, maxItems: 200 },
      },
      required: ['readings'],
      additionalProperties: false,
    },
  },
} as const

/**
 * Greedy prompts whose answers are known to reach their limit: a shorter answer would measure the way there, not the tokens.
 * JSON has two lengths: the fixed cost of a request weighs twice as much in the shorter one.
 */
const ANSWERS: readonly LongAnswer[] = [
  {
    name: 'free text',
    content: 'Explain quantum physics in the style of Shakespeare.',
    format: { type: 'text' },
    maxTokens: 256,
  },
  { ...READINGS, maxTokens: 256 },
  { ...READINGS, maxTokens: 128 },
]

export async function measureChat({ quick, stack }: BenchContext): Promise<BenchResult> {
  const running = await stack.running()
  const direct = startDirect()
  const client = createHttpClient(running.url, 1)
  try {
    const provider = await providerOf(client, running)
    const sections: Section[] = []
    for (const answer of ANSWERS)
      sections.push(await measureAnswer(answer, { running, direct, provider, client, quick }))
    return {
      name: 'chat',
      title: `tokens a second of a long answer of ${MODEL}, and the time to its first token`,
      sections,
      includes: INCLUDES,
      notes: [
        'Tokens a second are those of the whole request, from its first byte to the end of the answer, receipt included.',
        'The first token added is the time to the first text through the network, minus that of the direct run in the same repetition.',
      ],
    }
  } finally {
    client.close()
    direct.close()
  }
}

const INCLUDES = {
  direct:
    'tokenizer, template, decoding and detokenizing in one process; no queue, no node, no network',
  network:
    'HTTP client → Worker → hub → node → engine process, server-sent events all the way back',
}

interface Ends {
  readonly running: Running
  readonly direct: DirectProcess
  readonly provider: Provider
  readonly client: HttpClient
  readonly quick: boolean
}

async function measureAnswer(answer: LongAnswer, ends: Ends): Promise<Section> {
  const first: { direct: number[]; network: number[] } = { direct: [], network: [] }
  const warmUps = 1
  const section = await measureSection({
    name: `${answer.name}, ${answer.maxTokens} tokens`,
    contenders: [directRun(answer, ends, first.direct), networkRun(answer, ends, first.network)],
    comparisons: [
      { of: 'network', to: 'direct', metric: 'tokensPerSecond' },
      { of: 'network', to: 'direct', metric: 'afterFirstTokensPerSecond' },
      { of: 'network', to: 'direct', metric: 'engineCpuMs' },
    ],
    rounds: ends.quick ? 2 : 9,
    warmUps,
  })
  const added = first.network.map((ms, round) => ms - (first.direct[round] ?? Number.NaN))
  const figure: Figure = {
    contender: 'network',
    metric: 'firstTokenAddedMs',
    ...summarize(added.slice(warmUps * ANSWERS_A_REPETITION)),
  }
  return { ...section, figures: [...section.figures, figure] }
}

interface Measured {
  readonly tokens: number
  readonly firstTokenMs: number
  readonly totalMs: number
}

function samplesOf({ tokens, firstTokenMs, totalMs }: Measured) {
  return {
    tokensPerSecond: [(tokens / totalMs) * 1000],
    afterFirstTokensPerSecond: [((tokens - 1) / (totalMs - firstTokenMs)) * 1000],
    firstTokenMs: [firstTokenMs],
  }
}

type Once = () => Promise<Record<string, readonly number[]>>

/** A repetition takes several answers: their median depends less on other load of the machine. */
async function severalTimes(once: Once): Promise<Record<string, number[]>> {
  const samples: Record<string, number[]> = {}
  for (let answer = 0; answer < ANSWERS_A_REPETITION; answer++)
    for (const [metric, values] of Object.entries(await once()))
      (samples[metric] ??= []).push(...values)
  return samples
}

function directRun(answer: LongAnswer, { direct, provider }: Ends, first: number[]): Contender {
  const input: TextInput = {
    messages: [{ role: 'user', content: answer.content }],
    temperature: 0,
    topP: 1,
    seed: null,
    stop: [],
    logprobs: null,
    format: answer.format,
  }
  return {
    name: 'direct',
    run: () =>
      severalTimes(async () => {
        const before = cpuMs([direct.pid])
        const ask = { model: MODEL, provider, input, maxTokens: answer.maxTokens }
        const timing = await direct.time(ask)
        checkLength(answer, timing)
        first.push(timing.firstTokenMs)
        return { ...samplesOf(timing), engineCpuMs: [cpuMs([direct.pid]) - before] }
      }),
  }
}

function networkRun(answer: LongAnswer, { client, running }: Ends, first: number[]): Contender {
  const call = chatCall(running, answer.content, {
    temperature: 0,
    max_completion_tokens: answer.maxTokens,
    stream: true,
    stream_options: { include_usage: true },
    response_format: openaiFormat(answer.format),
  })
  const enginePids = childrenOf(running.nodePid)
  const cpuOf = () => ({
    worker: cpuMs([running.workerdPid]),
    node: cpuMs([running.nodePid]),
    engine: cpuMs(enginePids),
  })
  return {
    name: 'network',
    run: () =>
      severalTimes(async () => {
        const before = cpuOf()
        const timing = await timeStream(client, call)
        const after = cpuOf()
        checkLength(answer, timing)
        first.push(timing.firstTokenMs)
        return {
          ...samplesOf(timing),
          tokensAnEvent: [timing.tokens / timing.events],
          workerCpuMs: [after.worker - before.worker],
          nodeCpuMs: [after.node - before.node],
          engineCpuMs: [after.engine - before.engine],
        }
      }),
  }
}

/** NaN where the kernel gives no CPU time; ratios of NaN are left out. */
function cpuMs(pids: readonly number[]): number {
  return cpuMsOf(pids) ?? Number.NaN
}

function checkLength({ name, maxTokens }: LongAnswer, { tokens }: Measured): void {
  if (tokens < maxTokens)
    throw new Error(`"${name}" ended after ${tokens} of ${maxTokens} tokens; choose another prompt`)
}

function openaiFormat(format: TextInput['format']): object {
  if (format.type !== 'json_schema') return format
  return { type: 'json_schema', json_schema: { name: 'readings', schema: format.schema } }
}

function chatCall({ apiKey }: Running, content: string, options: object): HttpCall {
  const body = { model: MODEL, messages: [{ role: 'user', content }], ...options }
  return {
    method: 'POST',
    path: '/v1/chat/completions',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  }
}

/** The provider of the node's engine; direct runs must use the same one. */
async function providerOf(client: HttpClient, running: Running): Promise<Provider> {
  const { headers } = await client.send(chatCall(running, 'Hello', { max_completion_tokens: 4 }))
  const name = headers['x-littoral-provider']
  const provider = PROVIDERS.find((known) => known === name)
  if (provider === undefined) throw new Error(`the node ran ${MODEL} on ${String(name)}`)
  return provider
}
