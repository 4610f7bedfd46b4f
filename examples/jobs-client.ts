/** A client of `/v1/jobs` that needs only fetch: submit, follow the events, fetch the results, acknowledge. */

export interface Endpoint {
  readonly url: string
  readonly key: string
}

/** The members of an item that the examples read. */
export interface BatchItem {
  readonly index: number
  readonly status: string
  readonly node: string | null
  readonly region: string | null
}

export interface BatchStatus {
  readonly id: string
  readonly status: string
  readonly counts: { readonly total: number; readonly done: number; readonly failed: number }
  readonly countries: Readonly<Record<string, number>>
  readonly nodes: readonly { readonly nodeId: string; readonly items: number }[]
  readonly units: number
  readonly amountMicroUsd: string
  readonly createdAtMs: number
  readonly finishedAtMs: number | null
  readonly waiting: { readonly detail: string } | null
  readonly failures: readonly { readonly index: number; readonly detail: string }[]
}

export interface BatchRun {
  readonly status: BatchStatus
  /** In the order in which they ended. */
  readonly items: readonly BatchItem[]
  /** Outputs of each item, concatenated, by index. */
  readonly results: ReadonlyMap<number, Uint8Array>
  /** Bytes of the reduction, if one was asked for. */
  readonly reduced: Uint8Array | undefined
}

export interface RunOptions {
  /** Called when an item ends. */
  readonly onItem?: (item: BatchItem, done: number) => void
}

const BINARY = 'application/octet-stream'

/** Runs a batch to its end, then has it erased. @throws Error with the detail of the first failed item */
export async function runBatch(
  endpoint: Endpoint,
  body: object,
  options: RunOptions = {},
): Promise<BatchRun> {
  const created = await call(endpoint, '/v1/jobs', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const { id } = (await created.json()) as { id: string }
  const items: BatchItem[] = []
  const status = await follow(endpoint, id, (item) => {
    items.push(item)
    options.onItem?.(item, items.length)
  })
  if (status.status !== 'done') {
    const [first] = status.failures
    throw new Error(`batch ${id} ${status.status}: ${first?.detail ?? status.waiting?.detail}`)
  }
  const results = await fetchResults(endpoint, id)
  const reduced = 'reduce' in body ? await fetchReduced(endpoint, id) : undefined
  await call(endpoint, `/v1/jobs/${id}/acknowledge`, { method: 'POST' })
  return { status, items, results, reduced }
}

/** Reads the events to the end; resumes a broken stream after the last event that was read. */
async function follow(
  endpoint: Endpoint,
  id: string,
  onItem: (item: BatchItem) => void,
): Promise<BatchStatus> {
  let last = '0'
  for (let breaks = 0; breaks < 100; breaks += 1) {
    const headers = { 'last-event-id': last }
    try {
      const response = await call(endpoint, `/v1/jobs/${id}/events`, { headers })
      for await (const event of readEvents(response)) {
        last = event.id ?? last
        if (event.name === 'item') onItem(JSON.parse(event.data) as BatchItem)
        if (event.name === 'end') return JSON.parse(event.data) as BatchStatus
      }
    } catch (error) {
      if (error instanceof Refused && error.status < 500) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
  throw new Error(`the events of ${id} broke off too often`)
}

interface ServerEvent {
  readonly id: string | undefined
  readonly name: string
  readonly data: string
}

async function* readEvents(response: Response): AsyncGenerator<ServerEvent> {
  if (response.body === null) return
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body) {
    text += decoder.decode(chunk as Uint8Array, { stream: true })
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
      const data = field('data')
      if (data !== undefined) yield { id: field('id'), name: field('event') ?? 'message', data }
    }
  }
}

/** A page is a sequence of frames: u32 index, u32 length, bytes. */
async function fetchResults(endpoint: Endpoint, id: string): Promise<Map<number, Uint8Array>> {
  const results = new Map<number, Uint8Array>()
  let after: string | null = '-1'
  while (after !== null) {
    const path = `/v1/jobs/${id}/results?limit=1000&after=${after}`
    const response = await call(endpoint, path, { headers: { accept: BINARY } })
    const bytes = new Uint8Array(await response.arrayBuffer())
    const view = new DataView(bytes.buffer)
    for (let at = 0; at < bytes.length;) {
      const length = view.getUint32(at + 4, true)
      results.set(view.getUint32(at, true), bytes.slice(at + 8, at + 8 + length))
      at += 8 + length
    }
    after = response.headers.get('x-littoral-next')
  }
  return results
}

async function fetchReduced(endpoint: Endpoint, id: string): Promise<Uint8Array> {
  const path = `/v1/jobs/${id}/results/reduced`
  const response = await call(endpoint, path, { headers: { accept: BINARY } })
  return new Uint8Array(await response.arrayBuffer())
}

class Refused extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

async function call({ url, key }: Endpoint, path: string, init: RequestInit): Promise<Response> {
  const headers = new Headers(init.headers)
  headers.set('authorization', `Bearer ${key}`)
  const response = await fetch(`${url}${path}`, { ...init, headers })
  if (response.ok) return response
  const { detail } = (await response.json().catch(() => ({}))) as { detail?: string }
  throw new Refused(response.status, `${path}: ${response.status} ${detail ?? ''}`)
}
