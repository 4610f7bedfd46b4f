/** What the Worker finds in its environment: bindings typed by their use, and vars read into one config. */
import { z } from 'zod'
import { memoizeByObject } from '#shared/memoize.ts'
import { JURISDICTIONS, type Jurisdiction } from '#shared/policy.ts'
import { countryBit } from '#shared/region.ts'

/** The part of a Durable Object namespace that we use; typed here so that plain Node can run the app. */
export interface ObjectNamespace {
  getByName(name: string): unknown
  jurisdiction(jurisdiction: string): ObjectNamespace
}

export interface WorkerEnv {
  readonly ASSETS: { fetch(request: string | Request): Promise<Response> }
  readonly HUB: ObjectNamespace
  readonly TENANT: ObjectNamespace
  readonly LEDGER: ObjectNamespace
  readonly BATCH: ObjectNamespace
  readonly KERNELS: ObjectNamespace
  readonly HUBS: string
  readonly JURISDICTION: string
  readonly INGRESS_COUNTRY: string
  readonly HUB_ADDRESS: string
  readonly OPERATOR_KEY?: string
  readonly ADMISSION_SECRET?: string
  readonly PROXY_SECRET?: string
  readonly LOG_KEY?: string
}

/** A hub that this deployment runs. */
export interface HubConfig {
  readonly name: string
  readonly jurisdiction: Jurisdiction
}

export interface Config {
  /** Nearest first. */
  readonly hubs: readonly HubConfig[]
  /** `cloudflare` can give every jurisdiction; anything else is the one place that a self-hosted deployment stands in. */
  readonly deployment: 'cloudflare' | Jurisdiction
  /** Bit of the country where TLS ends when nothing nearer says so. */
  readonly ingressCountry: number
  /** Multiaddr of the hubs without their path; empty: derived from the request. */
  readonly hubAddress: string
  readonly operatorKey: string | undefined
  readonly admissionSecret: string | undefined
  readonly proxySecret: string | undefined
  /** Seed of the key that signs audit logs' checkpoints. */
  readonly logKey: string | undefined
}

const Vars = z.object({
  HUBS: z.string().regex(/^[a-z0-9-]{1,64}:[a-z-]+(,[a-z0-9-]{1,64}:[a-z-]+)*$/),
  JURISDICTION: z.enum(['cloudflare', ...JURISDICTIONS]),
})

/** @throws when a var is not one of its words: a deployment that is misconfigured must not answer. */
export const readConfig = memoizeByObject((env: WorkerEnv): Config => {
  const { HUBS, JURISDICTION } = Vars.parse(env)
  const hubs = HUBS.split(',').map((entry) => {
    const [name = '', jurisdiction] = entry.split(':')
    return { name, jurisdiction: z.enum(JURISDICTIONS).parse(jurisdiction) }
  })
  return {
    hubs,
    deployment: JURISDICTION,
    ingressCountry: countryBit(env.INGRESS_COUNTRY || undefined),
    hubAddress: env.HUB_ADDRESS,
    operatorKey: env.OPERATOR_KEY || undefined,
    admissionSecret: env.ADMISSION_SECRET || undefined,
    proxySecret: env.PROXY_SECRET || undefined,
    logKey: env.LOG_KEY || undefined,
  }
})
