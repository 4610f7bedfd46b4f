/** The page's whole state as one value, changed only by pure functions. */
import type { Adapter } from '#shared/job/job.ts'
import type { NodeView, Report } from '../node/protocol.ts'

/** The browser's offer before any node runs. */
export type Gpu =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'none' }
  | ({ readonly kind: 'adapter' } & Adapter)

/** All reports but beats, which change nothing on the page. */
export type NewsReport = Exclude<Report, { readonly type: 'beat' }>
type ReportOf<Type> = Extract<Report, { readonly type: Type }>

export interface PageState {
  /** Whether this tab may be the node: one tab of a browser at a time. */
  readonly tab: 'asking' | 'insecure' | 'sole' | 'elsewhere'
  readonly gpu: Gpu
  /** Alpha-2 code that the owner chose or the network suggested. */
  readonly claim: string | null
  /** Alpha-2 code of the country that the network observes for this connection. */
  readonly seen: string | null
  /** The owner's last request. */
  readonly wanted: 'off' | 'on' | 'paused'
  /** A pause was requested, but some work has not ended yet. */
  readonly isResting: boolean
  readonly download: Omit<ReportOf<'download'>, 'type'> | null
  readonly step: string | null
  readonly leftOut: ReportOf<'left-out'>['models']
  /** Public id of the node whose key this browser keeps. */
  readonly ownId: string | null
  readonly node: NodeView | null
  readonly failure: Omit<ReportOf<'failed'>, 'type'> | null
}

export const INITIAL_STATE: PageState = {
  tab: 'asking',
  gpu: { kind: 'unknown' },
  claim: null,
  seen: null,
  wanted: 'off',
  isResting: false,
  download: null,
  step: null,
  leftOut: [],
  ownId: null,
  node: null,
  failure: null,
}

const STORAGE_LOST = {
  code: 'storage_lost',
  detail:
    'This site’s stored data was cleared while the node was working, so the node stopped. This tab still holds the node’s key: press Try again to store it again. After this tab is closed, only a key file can restore it.',
}

export function applyReport(state: PageState, report: NewsReport): PageState {
  switch (report.type) {
    case 'download': {
      const { loadedBytes, totalBytes } = report
      return { ...state, download: { loadedBytes, totalBytes }, step: null }
    }
    case 'preparing':
      return { ...state, step: report.step }
    case 'left-out':
      return { ...state, leftOut: report.models }
    case 'node':
      return { ...state, node: keepReason(state.node, report.node), download: null, step: null }
    case 'rested':
      return { ...state, isResting: false }
    case 'storage-lost':
      return { ...state, wanted: 'off', failure: STORAGE_LOST }
    case 'failed': {
      const { code, detail } = report
      return { ...applyEnd(state), wanted: 'off', failure: { code, detail } }
    }
  }
}

/** Keeps the outcome of the last attempt visible while the node tries again. */
function keepReason(before: NodeView | null, after: NodeView): NodeView {
  if (before === null || after.phase !== 'connecting' || after.detail !== '') return after
  const { phase, detail } = before
  return { ...after, detail: phase === 'waiting' ? `${detail} Trying again now.` : detail }
}

export function applyStart(state: PageState): PageState {
  return { ...state, wanted: 'on', isResting: false, failure: null, download: null, step: null }
}

/** Applies a pause: the worker keeps the device and leaves the network. Running work ends with its current piece. */
export function applyPause(state: PageState): PageState {
  return { ...state, wanted: 'paused', isResting: true, download: null, step: null }
}

/** Applies the end of the worker, and with it of all activity that it reported. */
export function applyEnd(state: PageState): PageState {
  const node: NodeView | null =
    state.node === null ? null : { ...state.node, phase: 'stopped', running: 0, hub: null }
  return { ...state, node, isResting: false, download: null, step: null }
}

/** Applies a change of this browser's key: the page forgets what it showed of the old node. */
export function applyOtherKey(state: PageState, ownId: string): PageState {
  return { ...state, ownId, node: null, wanted: 'off', isResting: false, failure: null }
}
