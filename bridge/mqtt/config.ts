/** Command line of `littoral mqtt`. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import { canLoop, canPublishTo } from './request.ts'

export const USAGE = `Answers the messages of an MQTT topic through a Littoral endpoint.

  npm run mqtt -- --broker mqtt://localhost:1883 --from 'sensors/+/text' --to 'answers/{topic}' \\
    --url https://edge.example --path /v1/embeddings --body '{"model":"littoral-embed-400k","input":"$text"}'

  --broker URL       mqtt, mqtts, ws or wss
  --from FILTER      topics to take messages from, at QoS 1
  --to TOPIC         where the answers go; {topic} is the message's own topic   [littoral/{topic}]
  --url URL          the Littoral endpoint
  --path PATH        the route to call, such as /v1/embeddings or /v2/models/NAME/infer
  --body JSON        the request; @FILE reads it from a file. "$text", "$json" and "$base64" stand for the payload
  --key KEY          API key with scope infer   [LITTORAL_API_KEY]
  --policy ID        residency policy of every request
  --mqtt-version N   4 (MQTT 3.1.1) or 5   [4]
  --client-id ID     the broker keeps this client's messages while it is away   [littoral-bridge]
  --username NAME, --password WORD   for the broker   [MQTT_USERNAME, MQTT_PASSWORD]
  --ca FILE          PEM: the authority that the broker's certificate comes from
  --cert FILE, --cert-key FILE       PEM: this client's certificate and its key, for brokers that want one
  --state FILE       messages that are not answered yet   [.littoral/mqtt.db]
  --concurrency N    requests at once, 1 to 64   [8]`

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
  const given = {
    key: env['LITTORAL_API_KEY'],
    username: env['MQTT_USERNAME'],
    password: env['MQTT_PASSWORD'],
    ...readFlags(argv),
  }
  const parsed = Options.safeParse(given)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw refuse(`--${String(issue?.path[0])}: ${issue?.message}`)
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

function readPem(option: string, path: string): Buffer {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (cause) {
    throw refuse(`--${option} ${path} cannot be read: ${String(cause)}`)
  }
  if (!bytes.includes('-----BEGIN ')) throw refuse(`--${option} ${path} is not PEM`)
  return bytes
}

function readTemplate(body: string): unknown {
  const text = body.startsWith('@') ? readFileSync(body.slice(1), 'utf8') : body
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
    return parseArgs({ args: [...argv], options, strict: true }).values
  } catch (cause) {
    throw refuse(cause instanceof Error ? cause.message : String(cause))
  }
}

function refuse(detail: string): AppError {
  return new AppError('invalid_request', `${detail}\n\n${USAGE}`)
}
