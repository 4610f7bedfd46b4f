/** Draws findings, and says how each result looks. */
import type { LineResult } from '#shared/verify/line.ts'
import { h } from '../page/dom.ts'
import { sign, type Sign, type Tone } from '../page/parts.ts'
import type { Finding } from './finding.ts'

interface Look {
  readonly sign: Sign
  readonly tone: Tone
  readonly words: string
}

export const LOOKS: Readonly<Record<LineResult, Look>> = {
  passed: { sign: 'passed', tone: 'good', words: 'verified' },
  absent: { sign: 'open', tone: 'quiet', words: 'not part of this deployment' },
  simulated: { sign: 'warned', tone: 'warn', words: 'simulated place' },
  open: { sign: 'open', tone: 'quiet', words: 'not checked' },
  pending: { sign: 'open', tone: 'quiet', words: 'not settled yet' },
  missing: { sign: 'warned', tone: 'warn', words: 'MISSING' },
  failed: { sign: 'failed', tone: 'bad', words: 'FAILED' },
}

export function findingList(findings: readonly Finding[]): HTMLElement {
  const drawn = findings.map(({ result, text }) => {
    const { sign: kind, words } = LOOKS[result]
    const label = result === 'passed' ? '' : h('strong', {}, `${words}: `)
    return h('li', { class: `finding-${kind}` }, sign(kind), h('span', {}, label, text))
  })
  return h('ul', { class: 'findings' }, drawn)
}
