/** Shows the page's state in the node panel. */
import { formatUsd } from '#shared/receipt/money.ts'
import type { Earnings } from './earnings.ts'
import type { PageState } from './page-state.ts'
import type { NodeView } from '../node/protocol.ts'
import { describePeak, drawChart } from './chart.ts'
import { element, setText } from './elements.ts'
import { describeFailure } from './failure.ts'
import { showJobs } from './jobs.ts'
import { describePlace } from './place.ts'
import { describeStatus } from './status.ts'

const html = (testId: string) => element(testId, HTMLElement)

export function createPanel() {
  const toggle = element('toggle', HTMLButtonElement)
  const country = element('country', HTMLSelectElement)
  let shown: PageState | undefined
  return {
    show(state: PageState) {
      const words = describeStatus(state)
      const status = html('status')
      status.dataset['phase'] = words.phase
      status.dataset['tone'] = words.tone
      setText(html('state'), words.title)
      setText(html('state-detail'), words.detail)
      document.title = `${words.title} · Littoral`
      setText(toggle, words.button)
      toggle.dataset['action'] = words.action
      toggle.disabled = !words.canAct
      country.disabled = words.action === 'pause' || state.tab !== 'sole'
      country.value = state.claim ?? ''
      showDownload(state.download)
      showLeftOut(state.leftOut)
      setText(html('adapter'), adapterText(state))
      if (state.node !== shown?.node || state.seen !== shown.seen) showNode(state)
      setText(html('node-id'), state.node?.nodeId ?? state.ownId ?? 'created at the first start')
      shown = state
    },
    showEarnings: (earnings: Earnings | undefined) => {
      const amount = (value: string | undefined) =>
        value === undefined ? 'unknown' : formatUsd(BigInt(value))
      const asOf = earnings === undefined ? '' : `as of ${new Date().toLocaleTimeString()}`
      for (const name of ['pending-as-of', 'settled-as-of']) setText(html(name), asOf)
      setText(html('pending'), amount(earnings?.pendingMicroUsd))
      setText(html('settled'), amount(earnings?.settledMicroUsd))
    },
    showMinutes(minutes: readonly number[]) {
      drawChart(element('chart', SVGElement), minutes)
      setText(html('chart-peak'), describePeak(minutes))
    },
  }
}

function showNode({ node, seen }: PageState): void {
  const hub = node?.hub ?? null
  setText(html('running'), String(node?.running ?? 0))
  setText(html('jobs-done'), (node?.jobsDone ?? 0).toLocaleString())
  setText(html('signed'), formatUsd(BigInt(node?.signedMicroUsd ?? 0)))
  setText(html('abilities'), node === null ? '–' : describeAbilities(node))
  setText(html('hub'), hub?.name ?? '–')
  setText(html('place'), hub === null ? '–' : describePlace(hub, seen))
  showJobs(html('jobs'), node?.lastJobs ?? [])
  showFailure(node?.lastFailure ?? null)
}

function showFailure(lastFailure: NodeView['lastFailure']): void {
  const failure = html('last-failure')
  failure.hidden = lastFailure === null
  failure.dataset['whose'] = lastFailure?.whose ?? ''
  setText(failure, lastFailure === null ? '' : describeFailure(lastFailure))
}

function showDownload(download: PageState['download']): void {
  html('download').hidden = download === null
  if (download === null) return
  const { loadedBytes, totalBytes } = download
  const bar = html('download').querySelector('progress')
  if (bar !== null) bar.value = totalBytes === 0 ? 1 : loadedBytes / totalBytes
  const [loaded, total] = [loadedBytes, totalBytes].map((bytes) => (bytes / 1e6).toFixed(1))
  setText(html('download-text'), `${loaded} of ${total} MB`)
}

function showLeftOut(models: PageState['leftOut']): void {
  const list = html('left-out')
  if (list.parentElement !== null) list.parentElement.hidden = models.length === 0
  setText(list, models.map(({ id, detail }) => `${id}: ${detail}`).join(' · '))
}

function adapterText({ node, gpu }: PageState): string {
  const adapter = node?.adapter ?? (gpu.kind === 'adapter' ? gpu : undefined)
  if (adapter === undefined) return gpu.kind === 'none' ? 'none: no WebGPU' : '–'
  return adapter.isSoftware ? `${adapter.name} (software)` : adapter.name
}

function describeAbilities({ models, kernels }: NodeView): string {
  const parts = models.map(({ id, provider }) => `${id} (${provider})`)
  if (kernels === 'any') parts.push('WGSL kernels')
  else if (kernels > 0) parts.push(kernels === 1 ? '1 listed kernel' : `${kernels} listed kernels`)
  return parts.length === 0 ? 'nothing' : parts.join(', ')
}
