/** Command line of a local node. */
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { AppError } from '#shared/errors.ts'
import { LIMITS } from '#shared/limits.ts'
import { CountryCode } from '#shared/node.ts'

export const USAGE = `A Littoral node on this machine.

  npm run node -- --hub https://edge.example --region DE

  --hub URL         the Worker to join
  --region CC       country where this machine stands (ISO 3166-1 alpha-2); only a claim, the edge checks it
  --device D        auto (default) | webgpu | cpu
  --state DIR       keys and unacknowledged receipts   [.littoral/node]
  --key KEY         API key with scope node: makes this a verified node   [LITTORAL_NODE_KEY]
  --max-jobs N      jobs at once, 1 to ${LIMITS.nodeJobsInFlight}   [2]
  --simulated-place CC   development builds of the Worker only: the place that the edge would see`

const Options = z.strictObject({
  hub: z.url({ protocol: /^https?$/ }),
  region: CountryCode,
  device: z.enum(['auto', 'webgpu', 'cpu']).default('auto'),
  state: z.string().min(1).default('.littoral/node'),
  key: z.string().min(1).optional(),
  'max-jobs': z.coerce.number().int().min(1).max(LIMITS.nodeJobsInFlight).default(2),
  'simulated-place': CountryCode.optional(),
})
export type NodeOptions = z.infer<typeof Options>

/** @throws {AppError} invalid_request naming the option, its value and what it should be */
export function parseOptions(argv: readonly string[], env: NodeJS.ProcessEnv): NodeOptions {
  const text = { type: 'string' } as const
  const options = Object.fromEntries(Object.keys(Options.shape).map((name) => [name, text]))
  const values = readFlags(argv, options)
  const parsed = Options.safeParse({ key: env.LITTORAL_NODE_KEY, ...values })
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const name = String(issue?.path[0])
  throw new AppError(
    'invalid_request',
    `--${name} ${String(values[name] ?? '(missing)')}: ${issue?.message}\n\n${USAGE}`,
  )
}

type TextOptions = Record<string, { readonly type: 'string' }>

function readFlags(
  argv: readonly string[],
  options: TextOptions,
): Record<string, string | boolean | undefined> {
  try {
    return parseArgs({ args: [...argv], options, strict: true }).values
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new AppError('invalid_request', `${detail}\n\n${USAGE}`, { cause })
  }
}
