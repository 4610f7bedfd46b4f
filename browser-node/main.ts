/** The volunteer's page: checks what the browser can do, starts and pauses the node, and shows its reports. */
import '#shared/base/strict-csp.ts'
import { toAppError } from '#shared/base/errors.ts'
import { createSigner } from '#shared/proof/signature.ts'
import { watchEarnings } from './ui/earnings.ts'
import { createNodeLink } from './node-link.ts'
import {
  applyEnd,
  applyOtherKey,
  applyPause,
  applyReport,
  applyStart,
  INITIAL_STATE,
  type NewsReport,
  type PageState,
} from './ui/page-state.ts'
import type { NodeView } from './node/protocol.ts'
import { becomeSoleTab } from './sole-tab.ts'
import { withStorage } from './node/storage.ts'
import { observedCountry, simulatedPlace, suggestClaim } from './suggest-claim.ts'
import { createAwake } from './ui/awake.ts'
import { fillCountries } from './ui/countries.ts'
import { element } from './ui/elements.ts'
import { probeGpu } from './ui/gpu.ts'
import { createHistory } from './ui/history.ts'
import { readNodeId } from './ui/key-file.ts'
import { createKeyPanel } from './ui/key-panel.ts'
import { createPanel } from './ui/panel.ts'

const CHART_EVERY_MS = 5_000
/** Phases in which the node has no job. */
const OFFLINE: readonly NodeView['phase'][] = ['starting', 'stopped', 'paused']
/** How often a node that hangs is restarted before it has been online. */
const MOST_SILENCES = 3
const SILENT = 'The node stopped responding several times, so it was shut down.'

function runPage(): void {
  const { origin, search } = self.location
  const simulated = simulatedPlace(search)
  const panel = createPanel()
  const awake = createAwake()
  const history = createHistory()
  const toggle = element('toggle', HTMLButtonElement)
  const country = element('country', HTMLSelectElement)
  let state: PageState = INITIAL_STATE
  let askEarnings = () => {}
  let silences = 0
  const keys = createKeyPanel({
    onBrought(nodeId) {
      link.end()
      change(applyOtherKey(state, nodeId))
      askEarnings()
    },
  })

  const change = (next: PageState) => {
    state = next
    panel.show(state)
    keys.setRunning(state.wanted === 'on' || state.isResting)
    awake.set(state.node?.phase === 'online' && state.wanted === 'on')
  }
  const drawHistory = () => panel.showMinutes(history.minutes(Date.now()))
  const onReport = (report: NewsReport) => {
    const finished = report.type === 'node' ? newJobs(state.node, report.node) : 0
    if (finished > 0) {
      history.add(finished, Date.now())
      drawHistory()
    }
    const before = state.node
    change(applyReport(state, report))
    if (before === null && state.node !== null) askEarnings()
    if (before?.hub?.quarantine == null && state.node?.hub?.quarantine != null) void lookWhereSeen()
    if (state.node?.phase === 'online') silences = 0
  }
  const lookWhereSeen = async () =>
    change({ ...state, seen: await observedCountry(origin, simulated) })
  const onSilent = () => {
    silences += 1
    change(applyEnd(state))
    if (silences <= MOST_SILENCES && state.claim !== null) start(state.claim)
    else onReport({ type: 'failed', code: 'internal', detail: SILENT })
  }
  const link = createNodeLink({ onReport, onSilent })

  const start = (claim: string) => {
    void keys.askToKeep()
    change(applyStart(state))
    link.send({ type: 'start', claim, simulatedPlace: simulated })
  }
  const pause = () => {
    // Before the node is online it has no jobs to return, only work to stop.
    const isStarting = OFFLINE.includes(state.node?.phase ?? 'starting')
    if (isStarting) link.end()
    else link.send({ type: 'pause' })
    change(isStarting ? { ...applyEnd(state), wanted: 'off' } : applyPause(state))
  }
  toggle.addEventListener('click', () => {
    if (state.wanted === 'on') pause()
    else if (state.claim !== null) start(state.claim)
  })
  self.addEventListener('pagehide', () => (state.wanted === 'on' ? pause() : undefined))
  country.addEventListener('change', () => {
    change({ ...state, claim: country.value || null })
    void withStorage((storage) => storage.keep('claim', country.value))
  })
  setInterval(drawHistory, CHART_EVERY_MS)
  drawHistory()
  fillCountries(country)
  change(state)

  prepare({ origin, simulated, read: () => state, change })
    .then((isSole) => {
      if (isSole) askEarnings = watchEarnings(origin, { readKey, onEarnings: panel.showEarnings })
    })
    .catch((error: unknown) => {
      const { code, detail } = toAppError(error)
      change({ ...state, tab: 'sole', failure: { code, detail } })
    })
}

interface Preparing {
  readonly origin: string
  readonly simulated: string | null
  readonly read: () => PageState
  readonly change: (next: PageState) => void
}

/** Checks this browser and its country. @returns whether this tab may be the node */
async function prepare({ origin, simulated, read, change }: Preparing): Promise<boolean> {
  if (!self.isSecureContext) {
    change({ ...read(), tab: 'insecure' })
    return false
  }
  await becomeSoleTab(() => change({ ...read(), tab: 'elsewhere' }))
  change({ ...read(), tab: 'sole' })
  const gpu = await probeGpu()
  change({ ...read(), gpu })
  const seen = await observedCountry(origin, simulated)
  const { ownId, suggested } = await withStorage(async (storage) => ({
    ownId: (await readNodeId(storage)) ?? null,
    suggested: await suggestClaim({ simulated, seen, storage }),
  }))
  change({ ...read(), ownId, seen, claim: read().claim ?? suggested })
  return true
}

/** Counts the jobs that one node finished between two reports. */
function newJobs(before: NodeView | null, after: NodeView): number {
  const known = before?.jobsDone ?? 0
  return after.jobsDone >= known ? after.jobsDone - known : after.jobsDone
}

async function readKey() {
  const keys = await withStorage((storage) => storage.readReceiptKey())
  return keys === undefined ? undefined : (await createSigner(keys)).publicKey
}

runPage()
