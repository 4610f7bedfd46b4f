/** Parses the command line of `littoral mqtt`. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import { fileFault } from '#shared/base/file-fault.ts'
import { canLoop, canPublishTo } from './request.ts'

/** Values of these options must not appear in error messages. */
const SECRET: ReadonlySet<string> = new Set(['key', 'password'])

const Options = z.strictObject({
  broker: z.url({ protocol: /^(mqtts?|wss?)$/ }),
  from: z.string().min(1),
  to: z.string().min(1).default('littoral/{topic}'),
  url: z.url({ protocol: /^https?$/ }),
  path: z.string().regex(/^\/v[12]\//, 'a route of the API, such as /v1/embeddings'),
  body: z.string().min(1),
  key: z.string().min(1),
  policy: z.string().optional(),
  'mqtt-version': z.enum(['4', '5']).default('4'),
  'client-id': z.string().min(1).default('littoral-bridge'),
  username: z.string().optional(),
  password: z.string().optional(),
  ca: z.string().optional(),
  cert: z.string().optional(),
  'cert-key': z.string().optional(),
  state: z.string().min(1).default('.littoral/mqtt.db'),
  concurrency: z.coerce.number().int().min(1).max(64).default(8),
})
type Given = z.infer<typeof Options>
export type MqttOptions = Omit<Given, 'body' | 'ca' | 'cert' | 'cert-key'> & {
  readonly template: unknown
  readonly ca: Buffer | undefined
  readonly certificate: { readonly cert: Buffer; readonly key: Buffer } | undefined
}

/** @throws {AppError} invalid_request naming the option, its value and what it should be */
export function parseOptions(argv: readonly string[], env: NodeJS.ProcessEnv): MqttOptions {
  const flags = readFlags(argv)
  const given = {
    key: env['LITTORAL_API_KEY'],
    username: env['MQTT_USERNAME'],
    password: env['MQTT_PASSWORD'],
    ...flags,
  }
  const parsed = Options.safeParse(given)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const name = String(issue?.path[0])
    const value = flags[name] ?? '(missing)'
    throw refuse(`--${name}${SECRET.has(name) ? '' : ` ${String(value)}`}: ${issue?.message}`)
  }
  const { body, ca, cert, 'cert-key': certKey, ...options } = parsed.data
  if (!canPublishTo(options.to))
    throw refuse(`--to ${options.to}: a topic to publish to has no + or #`)
  if (canLoop(options.from, options.to))
    throw refuse(
      `--to ${options.to}: --from ${options.from} takes these answers as messages again; choose a topic outside of it`,
    )
  return {
    ...options,
    template: readTemplate(body),
    ca: ca === undefined ? undefined : readPem('ca', ca),
    certificate: readCertificate(cert, certKey),
  }
}

function readCertificate(
  cert: string | undefined,
  key: string | undefined,
): MqttOptions['certificate'] {
  if (cert === undefined && key === undefined) return undefined
  if (cert === undefined) throw refuse('--cert-key: give its certificate by --cert, too')
  if (key === undefined) throw refuse('--cert: give its private key by --cert-key, too')
  return { cert: readPem('cert', cert), key: readPem('cert-key', key) }
}

function readGiven(option: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw refuse(`--${option} ${path} ${fileFault(cause)}`)
  }
}

function readPem(option: string, path: string): Buffer {
  const bytes = readGiven(option, path)
  if (!bytes.includes('-----BEGIN ')) throw refuse(`--${option} ${path} is not PEM`)
  return bytes
}

function readTemplate(body: string): unknown {
  const text = body.startsWith('@') ? readGiven('body', body.slice(1)).toString('utf8') : body
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    throw refuse(`--body is not JSON: ${String(cause)}`)
  }
}

function readFlags(argv: readonly string[]): Record<string, string | boolean | undefined> {
  const text = { type: 'string' } as const
  const options = Object.fromEntries(Object.keys(Options.shape).map((name) => [name, text]))
  try {
    return parseArgs({ args: [...argv], options }).values
  } catch (cause) {
    const [detail = ''] = String(cause instanceof Error ? cause.message : cause).split('. ')
    throw refuse(detail)
  }
}

function refuse(detail: string): AppError {
  return new AppError('invalid_request', `${detail}; npm run mqtt -- --help says more`)
}
