/** Puts the page's state into words: one heading, one sentence, one button. */
import type { PageState } from './page-state.ts'
import { countryName } from './countries.ts'
import { remedyFor } from './place.ts'

export interface StatusWords {
  readonly phase:
    | 'checking'
    | 'elsewhere'
    | 'idle'
    | 'starting'
    | 'connecting'
    | 'online'
    | 'quarantined'
    | 'waiting'
    | 'recovering'
    | 'pausing'
    | 'paused'
    | 'failed'
  readonly tone: 'quiet' | 'busy' | 'good' | 'warn' | 'bad'
  readonly title: string
  readonly detail: string
  readonly action: 'start' | 'pause'
  readonly button: string
  readonly canAct: boolean
}

export function describeStatus(state: PageState): StatusWords {
  if (state.tab !== 'sole') return describeTab(state)
  if (state.failure !== null) return failed(state, state.failure.detail)
  if (state.wanted === 'off') return idle(state)
  if (state.wanted === 'paused') return state.isResting ? pausing() : paused()
  return describeRunning(state)
}

function describeTab(state: PageState): StatusWords {
  if (state.tab === 'asking')
    return off('checking', 'Looking at this browser', 'One moment.', false)
  if (state.tab === 'insecure')
    return off(
      'failed',
      'Not a secure connection',
      'Browsers give GPUs and keys only to pages that came over HTTPS, or from this computer itself.',
      false,
    )
  return off(
    'elsewhere',
    'Open in another tab',
    'This browser’s node belongs to another tab of this page. Close that one, and this one takes over.',
    false,
  )
}

function idle(state: PageState): StatusWords {
  const choose = state.claim === null
  const needs = choose ? 'Say which country this device is in, then press Start.' : ''
  if (state.gpu.kind === 'unknown')
    return off('checking', 'Looking at this browser', 'One moment.', false)
  if (state.gpu.kind === 'none')
    return {
      ...off('idle', 'No WebGPU here', '', !choose),
      tone: 'warn',
      detail:
        `This browser offers no WebGPU. It can still answer small models on the processor, at a lower rate; kernels need a GPU. ${needs}`.trim(),
    }
  const ready = state.gpu.isSoftware
    ? 'This browser has WebGPU, played by the processor: it works, slowly.'
    : 'This browser has WebGPU. The first start downloads the models.'
  return off('idle', 'Ready to start', choose ? needs : ready, !choose)
}

function failed(state: PageState, detail: string): StatusWords {
  return { ...off('failed', 'Could not run', detail, state.claim !== null), tone: 'bad' }
}

function paused(): StatusWords {
  return off(
    'paused',
    'Paused',
    'Nothing runs here. Jobs that ran were given back: another device that their rules allow takes them, if there is one.',
    true,
  )
}

function pausing(): StatusWords {
  return off(
    'pausing',
    'Pausing',
    'No new job comes. The piece of work that runs now is the last one.',
    false,
  )
}

function describeRunning(state: PageState): StatusWords {
  const { node, download, step } = state
  if (
    node === null ||
    node.phase === 'starting' ||
    node.phase === 'stopped' ||
    node.phase === 'paused'
  ) {
    return on('starting', 'busy', 'Starting', step ?? startingDetail(download !== null))
  }
  if (node.phase === 'connecting')
    return on('connecting', 'busy', 'Connecting', node.detail || 'Looking for the nearest hub.')
  if (node.phase === 'waiting' || node.hub === null)
    return on('waiting', 'warn', 'Waiting to reconnect', `${node.detail} Trying again by itself.`)
  const { name, country, quarantine } = node.hub
  if (quarantine !== null)
    return on(
      'quarantined',
      'bad',
      'Connected, but no work is sent',
      `${quarantine} ${remedyFor(node.hub, state.seen)}`,
    )
  if (node.lost !== null)
    return on(
      'recovering',
      'warn',
      'Online, but not all of it works',
      `${withoutStop(node.lost)}. It is started again and checked; until then its jobs go to others.`,
    )
  const where = country === 'unknown' ? '' : ` for ${countryName(country)}`
  return node.running > 0
    ? on('online', 'good', 'Online, working', `Connected to ${name}${where}.`)
    : on(
        'online',
        'good',
        'Online',
        `Connected to ${name}${where}. Jobs come when somebody nearby needs one.`,
      )
}

function withoutStop(text: string): string {
  return text.replace(/[.\s]+$/, '')
}

function startingDetail(isDownloading: boolean): string {
  return isDownloading
    ? 'Downloading the models, each checked against its hash. This browser keeps them for the next time.'
    : 'Loading the program.'
}

function off(
  phase: StatusWords['phase'],
  title: string,
  detail: string,
  canAct: boolean,
): StatusWords {
  const button =
    phase === 'paused' || phase === 'pausing'
      ? 'Resume'
      : phase === 'failed'
        ? 'Try again'
        : 'Start'
  return { phase, tone: 'quiet', title, detail, action: 'start', button, canAct }
}

function on(
  phase: StatusWords['phase'],
  tone: StatusWords['tone'],
  title: string,
  detail: string,
): StatusWords {
  const button = phase === 'starting' ? 'Cancel' : 'Pause'
  return { phase, tone, title, detail, action: 'pause', button, canAct: true }
}
