/** Everything the page knows, as one value; every change of it is one pure function. */
import type { NodeView, Report } from '../node/protocol.ts'

/** What the browser offers to compute with, before any node runs. */
export type Gpu =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'none' }
  | { readonly kind: 'adapter'; readonly name: string; readonly isSoftware: boolean }

export interface Failure {
  readonly code: string
  readonly detail: string
}

export interface Download {
  readonly loadedBytes: number
  readonly totalBytes: number
}

/** A model that this device does not run, and why. */
export interface LeftOut {
  readonly id: string
  readonly detail: string
}

export interface PageState {
  /** Whether this tab may be the node: one tab of a browser at a time. */
  readonly tab: 'asking' | 'insecure' | 'sole' | 'elsewhere'
  readonly gpu: Gpu
  /** Alpha-2 code that the owner chose or the network suggested. */
  readonly claim: string | null
  /** Alpha-2 code of the country that the network sees this connection in. */
  readonly seen: string | null
  /** What the owner last asked for. */
  readonly wanted: 'off' | 'on' | 'paused'
  /** A pause was asked for, and what runs has not yet come to its end. */
  readonly isResting: boolean
  readonly download: Download | null
  readonly step: string | null
  readonly leftOut: readonly LeftOut[]
  /** Public id of the node whose key this browser keeps. */
  readonly ownId: string | null
  readonly node: NodeView | null
  readonly failure: Failure | null
}

/** What changes the page. */
export type NewsReport = Exclude<Report, { readonly type: 'beat' }>

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

const STORAGE_LOST: Failure = {
  code: 'storage_lost',
  detail:
    'What this browser keeps for this page was cleared while the node was at work, so the work was stopped. This tab still holds the node’s key: press Try again to keep it here once more. Once this tab is closed, only a key file brings it back.',
}

/** @param report all but beats, which say nothing of a state */
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

/** While the node tries again, what its last attempt came to stays in view. */
function keepReason(before: NodeView | null, after: NodeView): NodeView {
  if (before === null || after.phase !== 'connecting' || after.detail !== '') return after
  const { phase, detail } = before
  return { ...after, detail: phase === 'waiting' ? `${detail} Trying again now.` : detail }
}

export function applyStart(state: PageState): PageState {
  return { ...state, wanted: 'on', isResting: false, failure: null, download: null, step: null }
}

/** The worker goes on holding the device; the network is left, and what runs ends with its piece. */
export function applyPause(state: PageState): PageState {
  return { ...state, wanted: 'paused', isResting: true, download: null, step: null }
}

/** The worker is gone, and with it what it reported as going on. */
export function applyEnd(state: PageState): PageState {
  const node: NodeView | null =
    state.node === null ? null : { ...state.node, phase: 'stopped', running: 0, hub: null }
  return { ...state, node, isResting: false, download: null, step: null }
}

/** The key of this browser is another one: what was shown was the other node's. */
export function applyOtherKey(state: PageState, ownId: string): PageState {
  return { ...state, ownId, node: null, wanted: 'off', isResting: false, failure: null }
}
