/** The view of nodes: each with the evidence of its place. */
import { EVIDENCE_CLASSES, type EvidenceClass } from '#shared/law/policy.ts'
import { byName, countryName } from '../page/countries.ts'
import { lead, quiet } from '../page/blocks.ts'
import { field, select } from '../page/controls.ts'
import { h, replace, type Child } from '../page/dom.ts'
import { nodeEvidence } from './evidence.ts'
import { emptyNote, hash, paged, tag, type Tone } from '../page/parts.ts'
import type { NetworkNode } from '#shared/api/network.ts'
import { readNodes } from '../page/read-nodes.ts'
import type { View, ViewContext } from '../page/view.ts'
import { count } from '../page/words.ts'

const PAGE_NODES = 20

export const nodesView: View = {
  path: 'nodes',
  label: 'Nodes',
  needs: ['policy', 'audit', 'infer'],
  title: () => 'Nodes and the evidence of their places',
  render,
}

async function render(context: ViewContext): Promise<Child> {
  const { session, signal } = context
  const nodes = await readNodes(session.api, signal)
  if (nodes.length === 0) {
    return emptyNote(
      'No node is connected.',
      'A job sent now would fail with no_capacity. Nodes come from ',
      h('a', { href: '/contribute' }, 'volunteers’ tabs'),
      ' and from local nodes.',
    )
  }
  const list = h('div', {})
  const countries = byName([...new Set(nodes.map(({ country }) => country))])
  const countryChoice = select(
    'node-country',
    [['', 'Every country'], ...countries.map((code) => [code, countryName(code)] as const)],
    { onChange: () => draw() },
  )
  const classChoice = select(
    'node-class',
    [['', 'Every class'], ...EVIDENCE_CLASSES.map((name) => [name, name] as const)],
    { onChange: () => draw() },
  )
  const draw = () => {
    const [country, evidence] = [countryChoice.value, classChoice.value]
    const shown = nodes.filter(
      (node) =>
        (country === '' || node.country === country) &&
        (evidence === '' || node.evidence === evidence),
    )
    replace(
      list,
      shown.length === 0
        ? emptyNote('No node matches.', 'Choose another country or class.')
        : paged(shown, PAGE_NODES, (page) =>
            h(
              'div',
              { class: 'stack' },
              page.map((node) => nodeCard(context, node)),
            ),
          ),
    )
  }
  draw()
  return [
    lead(
      'Each node claims a country. This page shows the evidence for that claim. A short round trip proves that a node is near an anchor. A long one proves nothing and does not count against the node.',
    ),
    h(
      'div',
      { class: 'filters' },
      field('Country', countryChoice),
      field('Evidence', classChoice),
      quiet(count(nodes.length, 'node')),
    ),
    list,
  ]
}

const TONES: Readonly<Record<EvidenceClass, Tone>> = {
  contradicted: 'bad',
  declared: 'warn',
  observed: 'plain',
  bounded: 'good',
  attested: 'good',
}

function nodeCard(context: ViewContext, node: NetworkNode): HTMLElement {
  const { nodeId, country, evidence, quarantine, trust, kind, adapter, rttMs } = node
  const models = node.models.map(({ id, provider }) => `${id} (${provider})`).join(', ')
  return h(
    'article',
    { class: 'card node', 'data-testid': 'node' },
    h(
      'h2',
      {},
      countryName(country),
      ' ',
      tag(evidence, TONES[evidence]),
      node.source === 'simulated' && [' ', tag('simulated', 'warn')],
      quarantine !== null && [' ', tag('in quarantine', 'bad')],
    ),
    quiet('Node ', hash(nodeId), `, ${kind}, ${trust}`),
    quarantine !== null && h('p', { class: 'fault' }, quarantine),
    nodeEvidence(context, node),
    quiet(
      `${adapter.name}${adapter.isSoftware ? ' (software)' : ''}; ${rttMs.toFixed(0)} ms from its hub; ${count(node.jobsDone, 'job')} done${models === '' ? '' : `; ${models}`}`,
    ),
  )
}
