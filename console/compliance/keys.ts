/** The tenant's keys: creating, rotating and revoking them. A new secret is shown once. */
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
import { hint, lead, paragraph } from './page/blocks.ts'
import { field, switchField } from './page/controls.ts'
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
  admin: 'includes policy and audit, creates keys, erases jobs',
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
      lead(
        'Give a key in a sensor’s firmware the scope infer and no other. A change here takes effect everywhere within 10 seconds.',
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
    'Keys, active ones first',
    [
      {
        head: 'Key',
        cell: ({ id, name }) => [
          name !== '' && [h('strong', {}, name), ' '],
          h('code', { class: 'key-id' }, id),
          id === own && [' ', tag('your key', 'quiet')],
        ],
      },
      { head: 'Scopes', cell: ({ scopes }) => scopes.join(', ') },
      { head: 'Created', cell: ({ createdAtMs }) => time(createdAtMs) },
      {
        head: 'Last used',
        cell: ({ lastUsedAtMs }) => (lastUsedAtMs === null ? 'never' : time(lastUsedAtMs)),
      },
      {
        head: 'State',
        cell: (key) => stateOf(key),
      },
      {
        head: 'Actions',
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
  if (expiresAtMs === null) return tag('active', 'good')
  return isLive(key)
    ? [tag('active', 'good'), ' until ', time(expiresAtMs)]
    : [tag('expired', 'bad'), ' ', time(expiresAtMs)]
}

function rotate({ id }: KeyReply, { session }: ViewContext, { shown, reload }: Places): void {
  confirmDialog({
    title: 'Rotate this key?',
    body: [
      paragraph(h('code', {}, id), ' gets a new secret, which is shown once.'),
      paragraph(
        `The old secret works for another ${OVERLAP_SECONDS / 60} minutes, so that you can give devices the new one.`,
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
        until === null ? undefined : `The old secret works until ${whenUtc(until)}.`,
      )
      reload()
    },
  })
}

function revoke({ id, scopes }: KeyReply, { session, say }: ViewContext, { reload }: Places): void {
  const isOwn = id === session.key.id
  const last = h('input', { type: 'checkbox', id: 'last-admin' })
  confirmDialog({
    title: 'Revoke this key?',
    body: [
      paragraph(
        h('code', {}, id),
        ` (${scopes.join(', ')}) stops working everywhere within 10 seconds. This cannot be undone.`,
      ),
      isOwn &&
        h('p', { class: 'fault' }, 'You are signed in with this key. You will be signed out.'),
      scopes.includes('admin') &&
        switchField(
          last,
          'Revoke it even if it is the last admin key. After that, only the operator can create keys.',
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
    field('Name', name),
    field('Expires on (at 00:00 UTC)', expires, hint(expiryHint(session.key.expiresAtMs))),
    h(
      'fieldset',
      { class: 'scopes' },
      h('legend', {}, 'Scopes'),
      boxes.map(({ scope, box }) =>
        switchField(box, h('code', {}, scope), `: ${SCOPE_MEANS[scope]}`),
      ),
    ),
    grantable.length < SCOPES.length &&
      hint(
        `Your key cannot grant scopes that it does not have: ${SCOPES.filter((scope) => !grantable.includes(scope)).join(', ')}.`,
      ),
    problem,
    h('button', { type: 'submit', class: 'button main' }, 'Create key'),
  )
}

/** A key cannot outlive the key that created it. */
function expiryHint(ownExpiresAtMs: number | null): string {
  return ownExpiresAtMs === null
    ? 'If empty, the key is valid until it is revoked.'
    : `If empty, it expires with the key that you are signed in with, at ${whenUtc(ownExpiresAtMs)}.`
}

function showSecret(host: HTMLElement, { id, key }: CreatedKeyReply, note?: string): void {
  const copied = h('span', { role: 'status', class: 'quiet' })
  const copy = button('Copy', () => {
    navigator.clipboard.writeText(key).then(
      () => replace(copied, 'Copied.'),
      () => replace(copied, 'This browser blocks copying. Select the text and copy it yourself.'),
    )
  })
  const panel = h(
    'section',
    { class: 'card secret', tabindex: -1, 'aria-label': 'The new secret' },
    paragraph(
      h('strong', {}, 'Copy the secret of '),
      h('code', {}, id),
      h('strong', {}, ' now. It is not shown again.'),
    ),
    paragraph(h('code', { class: 'secret-text', 'data-testid': 'secret' }, key)),
    note !== undefined && paragraph(note),
    h(
      'p',
      { class: 'actions' },
      copy,
      button('I have saved it', () => replace(host)),
      copied,
    ),
  )
  replace(host, panel)
  panel.focus()
}
