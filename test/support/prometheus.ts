/** A strict reader of Prometheus' text format 0.0.4, which refuses anything unknown. */

export interface ReadSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface ReadFamily {
  readonly type: string
  readonly help: string
  readonly samples: ReadSample[]
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const LINE = new RegExp(`^(${NAME})(?:\\{([^\\n]*)\\})? ([^ ]+)$`)
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/

/** @throws for an unknown line, a repeated family, a sample outside of its family, or a repeated label set */
export function readExposition(text: string): Map<string, ReadFamily> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  const families = new Map<string, ReadFamily>()
  const seen = new Set<string>()
  let current: { readonly name: string; readonly family: ReadFamily } | undefined
  let help: { readonly name: string; readonly text: string } | undefined
  for (const line of text.slice(0, -1).split('\n')) {
    const [, helpName, helpText] = new RegExp(`^# HELP (${NAME}) (.+)$`).exec(line) ?? []
    const [, typeName, type] =
      new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`).exec(line) ?? []
    if (helpName !== undefined && helpText !== undefined) {
      help = { name: helpName, text: helpText }
    } else if (typeName !== undefined && type !== undefined) {
      if (families.has(typeName)) throw new Error(`${typeName} stands here twice`)
      if (help?.name !== typeName) throw new Error(`${typeName} has no help`)
      current = { name: typeName, family: { type, help: help.text, samples: [] } }
      families.set(typeName, current.family)
    } else {
      const sample = readSample(line)
      const key = JSON.stringify([
        sample.name,
        Object.keys(sample.labels)
          .toSorted()
          .map((label) => [label, sample.labels[label]]),
      ])
      if (seen.has(key)) throw new Error(`${line}: the same sample twice`)
      seen.add(key)
      if (current === undefined || !belongs(sample.name, current.name, current.family.type))
        throw new Error(`${line}: outside of its family`)
      current.family.samples.push(sample)
    }
  }
  for (const [name, family] of families) check(name, family)
  return families
}

function readSample(line: string): ReadSample {
  const [, name, labelText = '', valueText] = LINE.exec(line) ?? []
  if (name === undefined || valueText === undefined) throw new Error(`${line}: no sample`)
  const labels: Record<string, string> = {}
  let rest = labelText
  while (rest !== '') {
    const [whole, label, value] = LABEL.exec(rest) ?? []
    if (whole === undefined || label === undefined) throw new Error(`${line}: no label at ${rest}`)
    if (label in labels) throw new Error(`${line}: ${label} twice`)
    labels[label] = (value ?? '').replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c))
    rest = rest.slice(whole.length)
  }
  const value = valueText === '+Inf' ? Infinity : Number(valueText)
  if (Number.isNaN(value)) throw new Error(`${line}: no number`)
  return { name, labels, value }
}

function belongs(sample: string, family: string, type: string): boolean {
  if (type !== 'histogram') return sample === family
  return ['_bucket', '_sum', '_count'].some((suffix) => sample === `${family}${suffix}`)
}

/** Rules beyond the grammar: counters end in `_total`, and buckets grow up to `+Inf`, which equals the count. */
function check(name: string, { type, samples }: ReadFamily): void {
  if ((type === 'counter') !== name.endsWith('_total')) throw new Error(`${name} is a ${type}`)
  if (type === 'counter' && samples.some(({ value }) => !(value >= 0)))
    throw new Error(`${name} counts below 0`)
  if (type !== 'histogram') return
  const series = Map.groupBy(samples, ({ labels }) => {
    const { le: _, ...own } = labels
    return JSON.stringify(own)
  })
  for (const own of series.values()) {
    const buckets = own.filter((sample) => sample.name === `${name}_bucket`)
    const bounds = buckets.map(({ labels }) =>
      labels['le'] === '+Inf' ? Infinity : Number(labels['le']),
    )
    const values = buckets.map(({ value }) => value)
    const grows = (list: readonly number[], least: number) =>
      list.every((value, i) => i === 0 || value - (list[i - 1] ?? 0) >= least)
    if (!grows(bounds, Number.MIN_VALUE) || !grows(values, 0)) throw new Error(`${name}: buckets`)
    const count = own.find((sample) => sample.name === `${name}_count`)?.value
    if (bounds.at(-1) !== Infinity || values.at(-1) !== count) throw new Error(`${name}: count`)
    if (!own.some((sample) => sample.name === `${name}_sum`)) throw new Error(`${name}: sum`)
  }
}
