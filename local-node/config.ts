/** Parses the command line of a local node. */
import { parseArgs } from 'node:util'
import { multiaddr } from '@multiformats/multiaddr'
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import { LIMITS, MIB } from '#shared/base/limits.ts'
import { LEVELS } from '#shared/base/log.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { MODEL_HUB } from '#shared/job/model-source.ts'
import { CountryCode } from '#shared/node/node.ts'
import { isWebSocketAddress } from '#p2p/transports/address.ts'
import {
  DEFAULT_MODELS,
  MODEL_MEMORY_BYTES,
  MODEL_CACHE_BYTES,
} from '#local-node/models/model-store.ts'

const MORE = 'npm run node -- --help says more'

const Mebibytes = z.coerce.number().int().min(1)

const FileAddress = z.string().refine(isFileAddress, 'not a multiaddr of a WebSocket')

const Options = z.strictObject({
  hub: z.url({ protocol: /^https?$/ }),
  region: CountryCode,
  device: z.enum(['auto', 'webgpu', 'cpu']).default('auto'),
  state: z.string().min(1).default('.littoral/node'),
  key: z.string().min(1).optional(),
  'max-jobs': z.coerce.number().int().min(1).max(LIMITS.nodeJobsInFlight).default(2),
  'simulated-place': CountryCode.optional(),
  models: z.string().default('all').transform(readModels),
  'model-memory': Mebibytes.default(MODEL_MEMORY_BYTES / MIB),
  'model-cache': z.string().min(1).default(DEFAULT_MODELS),
  'model-cache-size': Mebibytes.default(MODEL_CACHE_BYTES / MIB),
  'model-hub': z.url({ protocol: /^https?$/ }).default(MODEL_HUB),
  'serve-files': FileAddress.optional(),
  'announce-files': FileAddress.optional(),
  'file-peers': z.enum(['public', 'any']).default('public'),
  log: z.enum(LEVELS).default('info'),
})
export type NodeOptions = z.infer<typeof Options>

/** @throws {AppError} invalid_request naming the option, its value and what it should be */
export function parseOptions(argv: readonly string[], env: NodeJS.ProcessEnv): NodeOptions {
  const values = readFlags(argv)
  const parsed = Options.safeParse({
    key: env.LITTORAL_NODE_KEY,
    'model-hub': env.HF_ENDPOINT,
    ...values,
  })
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const name = String(issue?.path[0])
  throw new AppError(
    'invalid_request',
    `--${name} ${String(values[name] ?? '(missing)')}: ${issue?.message}; ${MORE}`,
  )
}

/** Parses the ids of the models to load at the start. */
function readModels(list: string, context: z.RefinementCtx): readonly string[] {
  const known = MANIFESTS.map(({ id }) => id)
  if (list === 'all') return known
  const ids = list === 'none' ? [] : list.split(',')
  const unknown = ids.find((id) => !known.includes(id))
  if (unknown !== undefined)
    context.addIssue(`there is no model "${unknown}"; there are: ${known.join(', ')}`)
  return ids
}

function isFileAddress(text: string): boolean {
  try {
    return isWebSocketAddress(multiaddr(text))
  } catch {
    return false
  }
}

function readFlags(argv: readonly string[]): Record<string, string | boolean | undefined> {
  const text = { type: 'string' } as const
  const options = Object.fromEntries(Object.keys(Options.shape).map((name) => [name, text]))
  try {
    return parseArgs({ args: [...argv], options }).values
  } catch (cause) {
    const [detail] = String(cause instanceof Error ? cause.message : cause).split('. ')
    throw new AppError('invalid_request', `${detail}; ${MORE}`, { cause })
  }
}
