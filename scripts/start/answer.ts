/** Formats an answered request for `npm start`. */

export interface Answered {
  readonly request: string
  readonly answer: string
  readonly node: string
  readonly region: string
  readonly evidence: string
  readonly provider: string
  readonly adapter: string
  readonly receipt: string
  readonly policy: string
  /** Milliseconds by phase: edge, queue, network, compute. */
  readonly timing: Readonly<Record<string, number>>
}

/** `edge;dur=1.2, queue;dur=0` → `{ edge: 1.2, queue: 0 }` (https://www.w3.org/TR/server-timing/). */
export function parseServerTiming(header: string): Record<string, number> {
  const phases = header.split(',').map((part) => {
    const [name = '', ...parameters] = part.split(';').map((piece) => piece.trim())
    const duration = parameters.find((parameter) => parameter.startsWith('dur='))
    return [name, Number(duration?.slice('dur='.length) ?? 0)] as const
  })
  return Object.fromEntries(phases.filter(([name]) => name !== ''))
}

export function formatAnswer(answered: Answered): string {
  const { timing } = answered
  const split = Object.entries(timing).map(([phase, ms]) => `${phase} ${ms.toFixed(1)} ms`)
  const rows: [string, string][] = [
    ['answer', answered.answer],
    ['policy', answered.policy],
    ['node', answered.node],
    ['region', `${answered.region}   evidence ${answered.evidence}`],
    ['ran on', `${answered.provider}   ${answered.adapter}`],
    ['time', split.join('   ')],
    ['receipt', answered.receipt],
  ]
  return [
    `\n${answered.request}`,
    ...rows.map(([name, value]) => `  ${name.padEnd(8)} ${value}`),
  ].join('\n')
}
