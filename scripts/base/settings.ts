/** Every var and secret of the Worker, its purpose, and whether it is required. */

export interface Setting {
  readonly name: string
  readonly kind: 'var' | 'secret'
  /** Feature that needs it; null for an optional setting. */
  readonly without: string | null
  readonly purpose: string
}

/** The chain's settings go together; `CHAIN_RPC` switches settlement on. */
const CHAIN_SETTINGS = ['CHAIN_RPC', 'CHAIN_ID', 'SETTLEMENT_ADDRESS', 'POSTER_KEY'] as const

export const SETTINGS: readonly Setting[] = [
  {
    name: 'OPERATOR_KEY',
    kind: 'secret',
    without: 'no API key can be made',
    purpose: 'bearer secret of /v1/operator: makes and revokes API keys; 32 random bytes in hex',
  },
  {
    name: 'ADMISSION_SECRET',
    kind: 'secret',
    without: 'no node can join and no API key is valid',
    purpose: 'signs the admission tokens of nodes and marks API keys; 32 random bytes in hex',
  },
  {
    name: 'HUB_REGIONS',
    kind: 'var',
    without: 'there is no hub',
    purpose:
      'regions of hubs as name:jurisdiction*most, nearest first, such as us:us*4,eu:eu*8; name:jurisdiction@lat/lon/km has an anchor',
  },
  {
    name: 'JURISDICTION',
    kind: 'var',
    without: 'nothing can be stored',
    purpose: '`cloudflare`, or the jurisdiction of a self-hosted machine',
  },
  {
    name: 'INGRESS_COUNTRY',
    kind: 'var',
    without: null,
    purpose: 'self-hosting: country where TLS ends (alpha-2); without it all requests are refused',
  },
  {
    name: 'HUB_ADDRESS',
    kind: 'var',
    without: null,
    purpose: 'multiaddr that nodes dial, when it differs from the address of the request',
  },
  {
    name: 'ATTESTERS',
    kind: 'var',
    without: null,
    purpose: 'public keys of attesters, separated by commas; npm run attest -- key makes one',
  },
  {
    name: 'PROXY_SECRET',
    kind: 'secret',
    without: null,
    purpose: 'self-hosting: proves that x-littoral-country comes from your proxy',
  },
  {
    name: 'CHAIN_RPC',
    kind: 'var',
    without: null,
    purpose: 'JSON-RPC endpoint for settlement; without it receipts are kept and not settled',
  },
  { name: 'CHAIN_ID', kind: 'var', without: null, purpose: 'chain id behind CHAIN_RPC' },
  {
    name: 'SETTLEMENT_ADDRESS',
    kind: 'var',
    without: null,
    purpose: 'address of the Settlement contract',
  },
  {
    name: 'PUBLIC_RPC',
    kind: 'var',
    without: null,
    purpose: 'public JSON-RPC endpoint, which the console checks proofs against',
  },
  {
    name: 'POSTER_KEY',
    kind: 'secret',
    without: null,
    purpose: 'private key that posts batches; never the contract owner’s',
  },
  {
    name: 'LOG_KEY',
    kind: 'secret',
    without: null,
    purpose:
      'signs the checkpoints of audit logs; without it logs are kept but cannot be read; 0x and 32 random bytes in hex',
  },
  { name: 'BATCH_SECONDS', kind: 'var', without: null, purpose: 'seconds between two batches' },
]

export type SettingSource = 'environment' | 'wrangler.toml' | 'Cloudflare'

export interface SettingsReport {
  /** One or two lines for each setting. */
  readonly lines: readonly string[]
  readonly missing: readonly string[]
}

/** Lists the settings that are present and missing. A chain needs all of its settings. */
export function reportSettings(
  findSource: (setting: Setting) => SettingSource | undefined,
): SettingsReport {
  const sources = new Map(SETTINGS.map((setting) => [setting.name, findSource(setting)]))
  const hasChain = sources.get('CHAIN_RPC') !== undefined
  const lines: string[] = []
  const missing: string[] = []
  for (const { name, kind, without, purpose } of SETTINGS) {
    const source = sources.get(name)
    const isOfChain = CHAIN_SETTINGS.some((setting) => setting === name)
    const isMissing = source === undefined && (without !== null || (hasChain && isOfChain))
    if (isMissing) missing.push(name)
    const state = source ?? (isMissing ? 'MISSING' : 'not set')
    lines.push(`${state.padEnd(14)} ${kind.padEnd(7)} ${name.padEnd(19)} ${purpose}`)
    if (isMissing && without !== null) lines.push(`${' '.repeat(42)} without it ${without}`)
  }
  return { lines, missing }
}
