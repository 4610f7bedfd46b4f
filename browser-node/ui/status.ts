/** Describes the page's state by a heading, a sentence and a button. */
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

const CHECKING = off('checking', 'Checking this browser', 'One moment.', false)

function describeTab(state: PageState): StatusWords {
  if (state.tab === 'asking') return CHECKING
  if (state.tab === 'insecure')
    return off(
      'failed',
      'Not a secure connection',
      'Browsers offer the GPU and keys only to pages loaded over HTTPS or from this computer.',
      false,
    )
  return off(
    'elsewhere',
    'Open in another tab',
    'This browser’s node belongs to another tab. Close that tab to use this one.',
    false,
  )
}

function idle(state: PageState): StatusWords {
  const choose = state.claim === null
  const needs = choose ? 'Choose the country this device is in, then press Start.' : ''
  if (state.gpu.kind === 'unknown') return CHECKING
  if (state.gpu.kind === 'none') {
    const detail = `This browser has no WebGPU. It can still run small models on the CPU, more slowly. Kernels need a GPU. ${needs}`
    return { ...off('idle', 'No WebGPU here', detail.trim(), !choose), tone: 'warn' }
  }
  const ready = state.gpu.isSoftware
    ? 'WebGPU runs on the CPU in this browser. It works, but slowly.'
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
    'No job runs here. Running jobs went back to the hub, which gives them to another allowed device if there is one.',
    true,
  )
}

function pausing(): StatusWords {
  return off(
    'pausing',
    'Pausing',
    'No new jobs are accepted. The current piece of work is the last one.',
    false,
  )
}

function describeRunning(state: PageState): StatusWords {
  const { node, download, step } = state
  if (node === null || ['starting', 'stopped', 'paused'].includes(node.phase))
    return on('starting', 'busy', 'Starting', step ?? startingDetail(download !== null))
  if (node.phase === 'connecting')
    return on('connecting', 'busy', 'Connecting', node.detail || 'Looking for the nearest hub.')
  if (node.phase === 'waiting' || node.hub === null)
    return on('waiting', 'warn', 'Waiting to reconnect', `${node.detail} Retrying automatically.`)
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
      'Online, partly unavailable',
      `${node.lost.replace(/[.\s]+$/, '')}. It restarts automatically. Until then its jobs go to other devices.`,
    )
  const where = country === 'unknown' ? '' : ` for ${countryName(country)}`
  return node.running > 0
    ? on('online', 'good', 'Online, working', `Connected to ${name}${where}.`)
    : on(
        'online',
        'good',
        'Online',
        `Connected to ${name}${where}. Jobs arrive when a device nearby needs an answer.`,
      )
}

function startingDetail(isDownloading: boolean): string {
  return isDownloading
    ? 'Downloading the models and checking each against its hash. This browser keeps them for the next start.'
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
