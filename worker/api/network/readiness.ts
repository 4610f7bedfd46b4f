/** Reports the readiness of each part of this deployment, with faults in words. */
import type { Jurisdiction } from '#shared/law/policy.ts'
import type { Config } from '#worker/platform/config.ts'
import type { AppContext } from '#worker/gate/context.ts'
import { homeOf, openLedger } from '#worker/protocols/durable-objects.ts'
import type { LedgerHealth } from '#worker/protocols/ledger.ts'
import { countWorking, liveHubs, type LiveHub } from '#worker/dispatch/live-models.ts'
import { firstHubs } from '#worker/summary/hub-region.ts'

export interface Part {
  readonly ready: boolean
  readonly detail: string
}

export interface Readiness {
  readonly ready: boolean
  readonly parts: Readonly<Record<'nodes' | 'hubs' | 'ledger' | 'chain', Part>>
}

/** One ledger and its health; null when it does not answer. */
export interface LedgerState {
  readonly home: Jurisdiction
  readonly health: LedgerHealth | null
}

export interface DeploymentState {
  readonly hubs: readonly LiveHub[]
  readonly ledgers: readonly LedgerState[]
}

export async function readState(c: AppContext): Promise<DeploymentState> {
  const [hubs, ledgers] = await Promise.all([liveHubs(c), readLedgers(c)])
  return { hubs, ledgers }
}

export function readinessOf({ hubs, ledgers }: DeploymentState, config: Config): Readiness {
  const parts = {
    nodes: nodesPart(hubs),
    hubs: hubsPart(hubs, config),
    ledger: ledgerPart(ledgers),
    chain: chainPart(ledgers),
  }
  return { ready: Object.values(parts).every(({ ready }) => ready), parts }
}

/** There is one ledger for each jurisdiction with a hub. */
export async function readLedgers(c: AppContext): Promise<LedgerState[]> {
  const { config } = c.var
  const homes = new Set(config.regions.map(({ jurisdiction }) => homeOf(jurisdiction, config)))
  const asked = [...homes].map(async (home): Promise<LedgerState> => {
    try {
      return { home, health: await openLedger(c.env, home, config).health() }
    } catch (error) {
      c.var.log.error('ledger.silent', { home, cause: String(error) })
      return { home, health: null }
    }
  })
  return Promise.all(asked)
}

function nodesPart(hubs: readonly LiveHub[]): Part {
  const working = countWorking(hubs)
  if (working > 0) return good(`${working} connected`)
  const isEmpty = hubs.every(({ nodes }) => nodes === 0)
  return bad(isEmpty ? 'No node is connected.' : 'Every node is in quarantine.')
}

/** One hub is enough to serve; the first hubs of regions without any are named. */
function hubsPart(live: readonly LiveHub[], config: Config): Part {
  const answering = new Set(live.map(({ name }) => name))
  const isSilent = (region: string) => ![...answering].some((hub) => hub.startsWith(`${region}-`))
  const silent = firstHubs(config.regions.filter(({ name }) => isSilent(name))).map(
    ({ name }) => name,
  )
  const detail =
    silent.length === 0 ? `${answering.size} answer` : `No answer from ${silent.join(', ')}.`
  return { ready: answering.size > 0, detail }
}

function ledgerPart(ledgers: readonly LedgerState[]): Part {
  const silent = ledgers.filter(({ health }) => health === null).map(({ home }) => home)
  if (silent.length > 0) return bad(`No answer from the ledger of ${silent.join(', ')}.`)
  return faultPart(ledgers, isLedgers) ?? good('answers')
}

function chainPart(ledgers: readonly LedgerState[]): Part {
  const fault = faultPart(ledgers, (code) => !isLedgers(code))
  if (fault !== undefined) return fault
  const isPosting = ledgers.some(({ health }) => health?.isPosting === true)
  return good(
    isPosting ? 'takes batches' : 'No chain is configured: receipts are kept, not settled.',
  )
}

function isLedgers(code: string): boolean {
  return code.startsWith('ledger.')
}

function faultPart(
  ledgers: readonly LedgerState[],
  isOfPart: (code: string) => boolean,
): Part | undefined {
  for (const { health } of ledgers)
    if (health?.faultCode != null && isOfPart(health.faultCode))
      return bad(health.fault ?? health.faultCode)
  return undefined
}

function good(detail: string): Part {
  return { ready: true, detail }
}

function bad(detail: string): Part {
  return { ready: false, detail }
}
