/** The policy editor: a draft as a form or as JSON, a preview of what it changes, and publishing. */
import { AppError, toAppError, type FieldFault } from '#shared/base/errors.ts'
import { PolicyDraft, PolicyId, type Policy } from '#shared/law/policy.ts'
import { assumptions, completePolicy } from '#shared/law/policy-draft.ts'
import { groupNotes } from '#shared/law/region-notes.ts'
import { CURRENT_REGIONS } from '#shared/law/region-groups.ts'
import { nameList, placesLabel } from '../page/countries.ts'
import { h, replace, type Child } from '../page/dom.ts'
import { createWorldMap } from '../page/map.ts'
import { button, noteList } from '../page/parts.ts'
import { diffTable } from './policy-compare.ts'
import { computeCountries, diffPolicies } from './policy-diff.ts'
import { textOf, valueAt, withValue } from './policy-fields.ts'
import { policyForm, type PolicyForm } from './policy-form.ts'
import { policyJson, type PolicyJson } from './policy-json.ts'
import { readVersions } from './policy-page.ts'
import { verdictPanel } from './dry-run.ts'
import { PublishedVersion, type PolicyVersion } from '../page/replies.ts'
import { fill, type ViewContext } from '../page/view.ts'
import { count } from '../page/words.ts'

/** A new draft starts with the default policy of a new tenant. The preview shows the safe defaults of fields that it leaves out. */
const FRESH = {
  id: '',
  compute: { allow: ['EEA'], deny: [] },
  minEvidence: 'observed',
  dataClass: 'personal',
  personalOnPublicNodes: false,
  nodeTrust: 'verified',
  vouchers: ['own', 'operator'],
  verification: 'none',
  network: null,
  retentionDays: 30,
  regions: CURRENT_REGIONS,
}

export async function editPage(context: ViewContext, id?: string): Promise<Child> {
  if (!context.session.can('policy')) {
    throw new AppError('forbidden', 'Publishing policies needs a key with scope policy.')
  }
  const newest = id === undefined ? undefined : (await readVersions(context, id))[0]
  const map = await createWorldMap()
  return new Editor(context, newest, map).element
}

type Mode = 'form' | 'json'

/** Holds the draft and whether it is shown as a form or as JSON. */
class Editor {
  readonly element: HTMLElement
  readonly #context: ViewContext
  readonly #newest: PolicyVersion | undefined
  readonly #map: Awaited<ReturnType<typeof createWorldMap>>
  readonly #writing = h('div', {})
  readonly #summary = h('div', { tabindex: -1 })
  readonly #preview = h('div', { class: 'preview' })
  readonly #outcome = h('div', {})
  readonly #idProblem = h('p', { class: 'problem', id: 'policy-id-problem' })
  #draft: unknown
  #form: PolicyForm | undefined
  #json: PolicyJson | undefined

  constructor(
    context: ViewContext,
    newest: PolicyVersion | undefined,
    map: Awaited<ReturnType<typeof createWorldMap>>,
  ) {
    this.#context = context
    this.#newest = newest
    this.#map = map
    this.#draft = newest?.policy ?? FRESH
    this.element = this.#draw()
    this.#write('form')
    this.#showPreview()
  }

  #draw(): HTMLElement {
    const version = (this.#newest?.version ?? 0) + 1
    return h(
      'form',
      { class: 'editor', novalidate: true, onsubmit: (event) => this.#submit(event) },
      h(
        'p',
        { class: 'lead' },
        this.#newest === undefined
          ? 'A new policy takes effect when a request names it or when you make it the default.'
          : `Publishing creates version ${version}, which applies everywhere within 10 seconds. Version ${version - 1} does not change.`,
      ),
      this.#newest === undefined && this.#idField(),
      this.#modeChoice(),
      this.#summary,
      h(
        'div',
        { class: 'split' },
        h('div', { class: 'card' }, this.#writing),
        h(
          'aside',
          { class: 'card sticky', 'aria-label': 'What the draft means' },
          this.#map.element,
          this.#preview,
        ),
      ),
      h(
        'div',
        { class: 'actions' },
        h('button', { type: 'submit', class: 'button main' }, `Publish version ${version}`),
        button('Dry run this draft', () => this.#dryRun()),
        h('a', { href: this.#home() }, 'Leave without publishing'),
      ),
      this.#outcome,
    )
  }

  #home(): string {
    return this.#newest === undefined ? '#/policies' : `#/policies/${this.#newest.policy.id}`
  }

  #idField(): HTMLElement {
    const input: HTMLInputElement = h('input', {
      id: 'policy-id',
      autocomplete: 'off',
      'aria-describedby': 'policy-id-hint policy-id-problem',
      oninput: () => this.#change(withValue(this.#draft, '/id', input.value.trim())),
    })
    return h(
      'div',
      { class: 'field narrow', 'data-pointer': '/id' },
      h('label', { for: 'policy-id' }, 'Name'),
      input,
      h(
        'p',
        { class: 'hint', id: 'policy-id-hint' },
        'Lower-case letters, digits and dashes, such as eu-only',
      ),
      this.#idProblem,
    )
  }

  #modeChoice(): HTMLElement {
    const radio = (mode: Mode, text: string) => {
      const input: HTMLInputElement = h('input', {
        type: 'radio',
        name: 'mode',
        value: mode,
        checked: mode === 'form',
        onchange: () => this.#switch(mode),
      })
      return h('label', {}, input, h('span', {}, text))
    }
    return h(
      'fieldset',
      { class: 'choice' },
      h('legend', { class: 'visually-hidden' }, 'Edit as'),
      radio('form', 'Form'),
      radio('json', 'JSON'),
    )
  }

  /** Invalid JSON cannot become a form: the editor stays in JSON mode and shows the fault. */
  #switch(mode: Mode): void {
    if (mode === 'form' && this.#json !== undefined) {
      const read = this.#json.read()
      if (read === undefined) {
        const json = this.element.querySelector<HTMLInputElement>('input[value=json]')
        if (json !== null) json.checked = true
        return
      }
      this.#draft = read.draft
    }
    this.#write(mode)
  }

  #write(mode: Mode): void {
    const set = (pointer: string, value: unknown) =>
      this.#change(withoutEmptyIngress(withValue(this.#draft, pointer, value)))
    this.#form = mode === 'form' ? policyForm(this.#draft, set) : undefined
    this.#json =
      mode === 'json' ? policyJson(this.#draft, (draft) => this.#change(draft)) : undefined
    replace(this.#writing, this.#form?.element, this.#json?.element)
    replace(this.#summary)
  }

  #change(draft: unknown): void {
    this.#draft = draft
    this.#showPreview()
  }

  #showPreview(): void {
    const parsed = PolicyDraft.safeParse(withValue(this.#draft, '/id', 'draft'))
    if (!parsed.success) {
      replace(this.#preview, h('p', { class: 'hint' }, 'The draft is incomplete or has errors.'))
      return
    }
    const policy = completePolicy(parsed.data)
    const countries = computeCountries(policy)
    this.#map.update({
      label: `Map: jobs may run in ${nameList(countries, 40)}`,
      shaded: new Set(countries),
      marks: [],
    })
    replace(
      this.#preview,
      h(
        'p',
        {},
        h('strong', {}, `Jobs may run in ${placesLabel(policy.compute)}`),
        `, ${count(countries.length, 'country', 'countries')}`,
      ),
      h('p', { class: 'hint' }, nameList(countries, 12)),
      noteList(groupNotes(policy)),
      assumedList(this.#draft, policy),
      this.#newest !== undefined && [
        h('h2', {}, `Changes since version ${this.#newest.version}`),
        diffTable(
          diffPolicies(this.#newest.policy, { ...policy, id: this.#newest.policy.id }),
          `Version ${this.#newest.version}`,
          'Draft',
        ),
      ],
    )
  }

  #submit(event: Event): void {
    event.preventDefault()
    if (this.#json !== undefined && this.#json.read() === undefined) return
    void this.#publish().catch((error: unknown) => this.#refuse(toAppError(error)))
  }

  async #publish(): Promise<void> {
    this.#showFaults([])
    const id = this.#newest?.policy.id ?? textOf(valueAt(this.#draft, '/id'))
    const named = PolicyId.safeParse(id)
    if (!named.success) {
      const [fault] = named.error.issues
      const detail = id === '' ? 'give the policy a name' : (fault?.message ?? '')
      this.#showFaults([{ pointer: '/id', detail }])
      return
    }
    const { session, say } = this.#context
    const published = await session.api.send(
      { method: 'PUT', path: `/v1/policies/${encodeURIComponent(id)}`, body: this.#draft },
      PublishedVersion,
    )
    const isSame = published.version === this.#newest?.version
    location.hash = `#/policies/${id}`
    say(
      isSame
        ? `No changes: ${id} stays at version ${published.version}.`
        : `Published ${id} version ${published.version}.${published.assumed.map(({ means }) => ` Left out, so ${means}.`).join('')}`,
    )
  }

  #refuse(error: AppError): void {
    const { errors } = error.meta
    this.#showFaults(errors ?? [{ pointer: '', detail: error.detail }])
  }

  /** Lists all faults above the form, each with a link to its field, and moves the focus there. */
  #showFaults(faults: readonly FieldFault[]): void {
    this.#form?.showFaults(faults)
    this.#json?.showFaults(faults)
    const idFault = faults.find(({ pointer }) => pointer === '/id')
    const idInput = this.element.querySelector('#policy-id')
    idInput?.toggleAttribute('aria-invalid', false)
    if (idFault !== undefined) idInput?.setAttribute('aria-invalid', 'true')
    replace(this.#idProblem, idFault?.detail)
    if (faults.length === 0) {
      replace(this.#summary)
      return
    }
    const goTo = ({ pointer }: FieldFault) =>
      pointer === '/id'
        ? document.getElementById('policy-id')?.focus()
        : this.#form?.focusField(pointer)
    replace(
      this.#summary,
      h(
        'section',
        {
          class: 'fault',
          'data-testid': 'field-faults',
          'aria-label': 'Why the draft was refused',
        },
        h(
          'p',
          {},
          h('strong', {}, `The draft was refused. Correct ${count(faults.length, 'field')}:`),
        ),
        h(
          'ul',
          {},
          faults.map((fault) =>
            h(
              'li',
              {},
              fault.pointer !== '' &&
                h(
                  'button',
                  { type: 'button', class: 'to-line', onclick: () => goTo(fault) },
                  fault.pointer,
                ),
              ` ${fault.detail}`,
            ),
          ),
        ),
      ),
    )
    this.#summary.focus()
  }

  /** Shows faults of the draft at the same fields as publishing does. */
  #dryRun(): void {
    this.#showFaults([])
    const draft = withValue(this.#draft, '/id', this.#newest?.policy.id ?? 'draft')
    void fill(this.#outcome, async () => {
      try {
        return await verdictPanel(this.#context, { draft })
      } catch (error) {
        const { errors = [] } = toAppError(error).meta
        if (errors.length === 0) throw error
        this.#showFaults(
          errors.map((fault) => ({ ...fault, pointer: fault.pointer.replace(/^\/draft/, '') })),
        )
        return null
      }
    })
  }
}

/** Removes `ingress` when both of its lists are empty: the form cannot leave it out otherwise. */
function withoutEmptyIngress(draft: unknown): unknown {
  const isEmpty = ['allow', 'deny'].every((list) => {
    const value = valueAt(draft, `/ingress/${list}`)
    return value === undefined || (Array.isArray(value) && value.length === 0)
  })
  return isEmpty ? withValue(draft, '/ingress', undefined) : draft
}

/** Lists the fields that the draft leaves out and the values assumed for them. */
function assumedList(draft: unknown, policy: Policy): Child {
  const assumed = assumptions(draft as Readonly<Record<string, unknown>>, policy)
  if (assumed.length === 0) return null
  return h(
    'section',
    { 'data-testid': 'assumed', 'aria-label': 'Fields left out' },
    h('h2', {}, 'Assumed for fields left out'),
    h(
      'ul',
      { class: 'notes' },
      assumed.map(({ pointer, means }) =>
        h(
          'li',
          {},
          h('code', {}, pointer),
          // Only the server knows where the tenant's records are; its reply says so.
          ` ${pointer === '/storage' ? 'records stay where this tenant’s are kept' : means}`,
        ),
      ),
    ),
  )
}
