/** The tenant's keys: made, rotated, revoked. A new secret is shown once. */
import { z } from 'zod'
import {
  CreatedKeyReply,
  KeysReply,
  RotatedKeyReply,
  SCOPES,
  type KeyReply,
  type Scope,
} from '#shared/api/keys.ts'
import { toAppError } from '#shared/base/errors.ts'
import { confirmDialog } from './page/dialog.ts'
import { h, replace, type Child } from './page/dom.ts'
import { button, paged, table, tag, time } from './page/parts.ts'
import { faultPanel, fill, type View, type ViewContext } from './page/view.ts'
import { whenUtc } from './page/words.ts'

const PAGE_KEYS = 25
const OVERLAP_SECONDS = 600

const SCOPE_MEANS: Readonly<Record<Scope, string>> = {
  infer: 'sends jobs',
  policy: 'publishes policies',
  audit: 'reads and exports the log',
  admin: 'does what policy and audit do, makes keys, erases jobs',
  node: 'vouches for nodes',
}

export const keysView: View = {
  path: 'keys',
  label: 'Keys',
  needs: ['admin'],
  title: () => 'Keys',
  render(context) {
    const shown = h('div', {})
    const list = h('div', {})
    const reload = () => void fill(list, () => keyList(context, { shown, reload }), context.signal)
    reload()
    return [
      h(
        'p',
        { class: 'lead' },
        'A key in a sensor’s firmware should send jobs and nothing else. What you change here holds everywhere within 10 seconds.',
      ),
      shown,
      list,
      newKeyForm(context, { shown, reload }),
    ]
  },
}

interface Places {
  /** Where a new secret is shown. */
  readonly shown: HTMLElement
  readonly reload: () => void
}

async function keyList(context: ViewContext, places: Places): Promise<Child> {
  const { keys } = await context.session.api.get('/v1/keys', KeysReply, context.signal)
  const newestFirst = keys.toSorted(
    (a, b) => Number(isLive(b)) - Number(isLive(a)) || b.createdAtMs - a.createdAtMs,
  )
  return paged(newestFirst, PAGE_KEYS, (page) => keyTable(page, context, places))
}

function keyTable(keys: readonly KeyReply[], context: ViewContext, places: Places): HTMLElement {
  const own = context.session.key.id
  return table<KeyReply>(
    'Keys, those that live first',
    [
      {
        head: 'Key',
        cell: ({ id, name }) => [
          name !== '' && [h('strong', {}, name), ' '],
          h('code', { class: 'key-id' }, id),
          id === own && [' ', tag('this one', 'quiet')],
        ],
      },
      { head: 'May', cell: ({ scopes }) => scopes.join(', ') },
      { head: 'Made', cell: ({ createdAtMs }) => time(createdAtMs) },
      {
        head: 'Last used',
        cell: ({ lastUsedAtMs }) => (lastUsedAtMs === null ? 'never' : time(lastUsedAtMs)),
      },
      {
        head: 'State',
        cell: (key) => stateOf(key),
      },
      {
        head: 'Change',
        cell: (key) =>
          isLive(key)
            ? h(
                'div',
                { class: 'row-actions' },
                button('Rotate', () => rotate(key, context, places)),
                button('Revoke', () => revoke(key, context, places), 'danger'),
              )
            : '–',
      },
    ],
    keys,
  )
}

function isLive({ revokedAtMs, expiresAtMs }: KeyReply): boolean {
  return revokedAtMs === null && (expiresAtMs === null || expiresAtMs > Date.now())
}

function stateOf(key: KeyReply): Child {
  const { revokedAtMs, expiresAtMs } = key
  if (revokedAtMs !== null) return [tag('revoked', 'bad'), ' ', time(revokedAtMs)]
  if (expiresAtMs === null) return tag('live', 'good')
  return isLive(key)
    ? [tag('live', 'good'), ' until ', time(expiresAtMs)]
    : [tag('expired', 'bad'), ' ', time(expiresAtMs)]
}

function rotate({ id }: KeyReply, { session }: ViewContext, { shown, reload }: Places): void {
  confirmDialog({
    title: 'Rotate this key?',
    body: [
      h('p', {}, h('code', {}, id), ' gets a new secret, which is shown once.'),
      h(
        'p',
        {},
        `The secret before works for ${OVERLAP_SECONDS / 60} minutes more, so that devices can be given the new one.`,
      ),
    ],
    confirm: 'Rotate',
    async act() {
      const path = `/v1/keys/${id}/rotate`
      const body = { overlapSeconds: OVERLAP_SECONDS }
      const rotated = await session.api.send({ method: 'POST', path, body }, RotatedKeyReply)
      const until = rotated.formerUntilMs
      showSecret(
        shown,
        rotated,
        until === null ? undefined : `The one before works until ${whenUtc(until)}.`,
      )
      reload()
    },
  })
}

function revoke({ id, scopes }: KeyReply, { session, say }: ViewContext, { reload }: Places): void {
  const isOwn = id === session.key.id
  const last = h('input', { type: 'checkbox', id: 'last-admin' })
  confirmDialog({
    title: 'Revoke this key for ever?',
    body: [
      h(
        'p',
        {},
        h('code', {}, id),
        ` (${scopes.join(', ')}) stops working everywhere within 10 seconds. It cannot be taken back.`,
      ),
      isOwn &&
        h(
          'p',
          { class: 'fault' },
          'It is the key that you are signed in with: you will be signed out.',
        ),
      scopes.includes('admin') &&
        h(
          'p',
          { class: 'field switch' },
          last,
          h(
            'label',
            { for: 'last-admin' },
            'Also when it is the last admin key: only the operator can make keys then',
          ),
        ),
    ],
    confirm: 'Revoke',
    isDanger: true,
    async act() {
      const path = `/v1/keys/${id}${last.checked ? '?last_admin=true' : ''}`
      await session.api.send({ method: 'DELETE', path }, z.unknown())
      say(`${id} is revoked.`)
      reload()
    },
  })
}

function newKeyForm({ session }: ViewContext, { shown, reload }: Places): HTMLElement {
  const problem = h('div', {})
  const grantable = SCOPES.filter((scope) => session.can(scope))
  const boxes = grantable.map((scope) => ({
    scope,
    box: h('input', { type: 'checkbox', id: `scope-${scope}`, checked: scope === grantable[0] }),
  }))
  const name = h('input', { id: 'key-name', autocomplete: 'off', maxlength: 64 })
  const expires = h('input', { id: 'key-expires', type: 'date' })
  const submit = (event: Event) => {
    event.preventDefault()
    replace(problem)
    const scopes = boxes.filter(({ box }) => box.checked).map(({ scope }) => scope)
    const expiresAtMs = expires.value === '' ? session.key.expiresAtMs : Date.parse(expires.value)
    const body = { scopes, name: name.value.trim(), expiresAtMs }
    session.api
      .send({ method: 'POST', path: '/v1/keys', body }, CreatedKeyReply)
      .then((created) => {
        showSecret(shown, created)
        reload()
      })
      .catch((error: unknown) => replace(problem, faultPanel(toAppError(error))))
  }
  return h(
    'form',
    { class: 'card', onsubmit: submit, 'aria-labelledby': 'new-key' },
    h('h2', { id: 'new-key' }, 'New key'),
    h('div', { class: 'field narrow' }, h('label', { for: 'key-name' }, 'Name'), name),
    h(
      'div',
      { class: 'field narrow' },
      h('label', { for: 'key-expires' }, 'Ends at the start of (UTC)'),
      expires,
      h('p', { class: 'hint' }, expiryHint(session.key.expiresAtMs)),
    ),
    h(
      'fieldset',
      { class: 'scopes' },
      h('legend', {}, 'It may'),
      boxes.map(({ scope, box }) =>
        h(
          'div',
          { class: 'field switch' },
          box,
          h('label', { for: `scope-${scope}` }, h('code', {}, scope), `: ${SCOPE_MEANS[scope]}`),
        ),
      ),
    ),
    grantable.length < SCOPES.length &&
      h(
        'p',
        { class: 'hint' },
        `A key cannot give what it does not have: ${SCOPES.filter((scope) => !grantable.includes(scope)).join(', ')}.`,
      ),
    problem,
    h('button', { type: 'submit', class: 'button main' }, 'Make a key'),
  )
}

/** No key lives longer than the one that makes it. */
function expiryHint(ownExpiresAtMs: number | null): string {
  return ownExpiresAtMs === null
    ? 'Left empty: it lives until it is revoked.'
    : `Left empty: it ends with the key that you are signed in with, at ${whenUtc(ownExpiresAtMs)}.`
}

function showSecret(host: HTMLElement, { id, key }: CreatedKeyReply, note?: string): void {
  const copied = h('span', { role: 'status', class: 'quiet' })
  const copy = button('Copy', () => {
    navigator.clipboard.writeText(key).then(
      () => replace(copied, 'Copied.'),
      () => replace(copied, 'This browser does not let the page copy: select it by hand.'),
    )
  })
  const panel = h(
    'section',
    { class: 'card secret', tabindex: -1, 'aria-label': 'The new secret' },
    h(
      'p',
      {},
      h('strong', {}, 'The secret of '),
      h('code', {}, id),
      h('strong', {}, ' is shown now and never again.'),
    ),
    h('p', {}, h('code', { class: 'secret-text', 'data-testid': 'secret' }, key)),
    note !== undefined && h('p', {}, note),
    h(
      'p',
      { class: 'actions' },
      copy,
      button('I have it', () => replace(host)),
      copied,
    ),
  )
  replace(host, panel)
  panel.focus()
}
