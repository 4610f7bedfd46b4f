/** The forms of the API page: each sends a request to this origin and shows the answer. */

const SHOWN_CHARS = 20_000

const key = document.querySelector<HTMLInputElement>('#key')

// A wide page has room for the list beside the routes; on a narrow one it would push them down.
const list = document.querySelector<HTMLDetailsElement>('.side details')
if (list !== null) list.open = matchMedia('(min-width: 60rem)').matches

document.addEventListener('submit', (event) => {
  const form = event.target
  if (!(form instanceof HTMLFormElement) || form.dataset['path'] === undefined) return
  event.preventDefault()
  void send(form)
})

async function send(form: HTMLFormElement): Promise<void> {
  const output = form.querySelector('output')
  const button = form.querySelector('button')
  if (output === null || button === null) return
  button.disabled = true
  output.replaceChildren(paragraph('Waiting for the answer …'))
  const startedMs = performance.now()
  try {
    const response = await fetch(...readRequest(form))
    const text = await response.text()
    const tookMs = Math.round(performance.now() - startedMs)
    output.replaceChildren(
      paragraph(`${response.status} ${response.statusText}, ${tookMs} ms`),
      block([...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n')),
      block(layOut(text)),
    )
  } catch (error) {
    output.replaceChildren(paragraph(`No answer: ${String(error)}`))
  } finally {
    button.disabled = false
  }
}

/** The name of a field says where its value goes: `path:id`, `query:limit`, `header:traceparent`, `body`. */
function readRequest(form: HTMLFormElement): [url: URL, init: RequestInit] {
  const headers = new Headers()
  if (key !== null && key.value !== '') headers.set('authorization', `Bearer ${key.value}`)
  const query = new URLSearchParams()
  let path = form.dataset['path'] ?? ''
  let body: string | undefined
  for (const [field, value] of new FormData(form)) {
    if (typeof value !== 'string' || value === '') continue
    const [where = '', name = ''] = field.split(/:(.*)/s)
    if (where === 'path') path = path.replace(`{${name}}`, encodeURIComponent(value))
    if (where === 'query') query.set(name, value)
    if (where === 'header') headers.set(name, value)
    if (where === 'body') body = value
  }
  if (body !== undefined) headers.set('content-type', 'application/json')
  const url = new URL(path, location.origin)
  url.search = query.toString()
  return [url, { method: form.dataset['method'] ?? 'GET', headers, body: body ?? null }]
}

function layOut(text: string): string {
  let laidOut = text
  try {
    laidOut = JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    // Not JSON: shown unchanged.
  }
  if (laidOut.length <= SHOWN_CHARS) return laidOut
  return `${laidOut.slice(0, SHOWN_CHARS)}\n… ${laidOut.length - SHOWN_CHARS} characters more`
}

function paragraph(text: string): HTMLElement {
  const made = document.createElement('p')
  made.textContent = text
  return made
}

/** Wide text scrolls in its own box, which takes the keyboard focus. */
function block(text: string): HTMLElement {
  const made = document.createElement('pre')
  made.tabIndex = 0
  made.textContent = text
  return made
}
