/** The volunteer's page: asks the browser what it can do, starts and pauses the node, shows what it says. */
import './strict-csp.ts'
import { toAppError } from '#shared/errors.ts'
import { createSigner } from '#shared/signature.ts'
import { watchEarnings } from './earnings.ts'
import { createNodeLink } from './node-link.ts'
import {
  applyEnd,
  applyPause,
  applyReport,
  applyStart,
  INITIAL_STATE,
  type NewsReport,
  type PageState,
} from './page-state.ts'
import type { NodeView } from './protocol.ts'
import { becomeSoleTab } from './sole-tab.ts'
import { openStorage, type NodeStorage } from './storage.ts'
import { simulatedPlace, suggestClaim } from './suggest-claim.ts'
import { createAwake } from './ui/awake.ts'
import { fillCountries } from './ui/countries.ts'
import { element } from './ui/elements.ts'
import { probeGpu } from './ui/gpu.ts'
import { createHistory } from './ui/history.ts'
import { createPanel } from './ui/panel.ts'

const CHART_EVERY_MS = 5_000
/** Phases in which the node holds no job. */
const OFFLINE: readonly NodeView['phase'][] = ['starting', 'stopped', 'paused']
/** Times that a node which hung is started again before it was online. */
const MOST_SILENCES = 3
const SILENT = 'The node’s program fell silent again and again, so it was stopped.'

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
  const kept = openStorage()

  const change = (next: PageState) => {
    state = next
    panel.show(state)
    awake.set(state.node?.phase === 'online' && state.wanted === 'on')
  }
  const drawHistory = () => panel.showMinutes(history.minutes(Date.now()))
  const onReport = (report: NewsReport) => {
    const finished = report.type === 'node' ? newJobs(state.node, report.node) : 0
    if (finished > 0) {
      history.add(finished, Date.now())
      drawHistory()
    }
    const wasMade = state.node !== null
    change(applyReport(state, report))
    if (!wasMade && state.node !== null) askEarnings()
    if (state.node?.phase === 'online') silences = 0
  }
  const onSilent = () => {
    silences += 1
    change(applyEnd(state))
    if (silences <= MOST_SILENCES && state.claim !== null) start(state.claim)
    else onReport({ type: 'failed', code: 'internal', detail: SILENT })
  }
  const link = createNodeLink({ onReport, onSilent })

  const start = (claim: string) => {
    void navigator.storage.persist()
    change(applyStart(state))
    link.send({ type: 'start', claim, simulatedPlace: simulated })
  }
  const pause = () => {
    // Before the node is on the network there is nothing to give back, only work to stop.
    const isStarting = OFFLINE.includes(state.node?.phase ?? 'starting')
    if (isStarting) link.end()
    else link.send({ type: 'pause' })
    change(isStarting ? { ...applyEnd(state), wanted: 'off' } : applyPause(state))
  }
  toggle.addEventListener('click', () => {
    if (state.wanted === 'on') pause()
    else if (state.claim !== null) start(state.claim)
  })
  self.addEventListener('pagehide', () => {
    if (state.wanted === 'on') pause()
  })
  country.addEventListener('change', () => {
    change({ ...state, claim: country.value || null })
    void kept.then((storage) => storage.keep('claim', country.value))
  })
  setInterval(drawHistory, CHART_EVERY_MS)
  drawHistory()
  fillCountries(country, navigator.language)
  change(state)

  const prepare = async () => {
    if (!self.isSecureContext) return change({ ...state, tab: 'insecure' })
    await becomeSoleTab(() => change({ ...state, tab: 'elsewhere' }))
    change({ ...state, tab: 'sole' })
    change({ ...state, gpu: await probeGpu() })
    const storage = await kept
    const suggested = await suggestClaim({ origin, simulated, storage })
    change({ ...state, claim: state.claim ?? suggested })
    askEarnings = watchEarnings(origin, {
      readKey: () => readKey(storage),
      onEarnings: (earnings) => panel.showEarnings(earnings),
    })
  }
  prepare().catch((error: unknown) => {
    const { code, detail } = toAppError(error)
    change({ ...state, tab: 'sole', failure: { code, detail } })
  })
}

/** Jobs that were finished between two reports of one node. */
function newJobs(before: NodeView | null, after: NodeView): number {
  const known = before?.jobsDone ?? 0
  return after.jobsDone >= known ? after.jobsDone - known : after.jobsDone
}

async function readKey(storage: NodeStorage) {
  const keys = await storage.readReceiptKey()
  return keys === undefined ? undefined : (await createSigner(keys)).publicKey
}

runPage()
