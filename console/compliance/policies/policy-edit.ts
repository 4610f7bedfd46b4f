/** The policy editor: a draft as a form or as JSON, a preview of what it changes, and publishing. */
import { AppError, toAppError, type FieldFault } from '#shared/base/errors.ts'
import { PolicyId } from '#shared/law/policy.ts'
import { CURRENT_REGIONS } from '#shared/law/region-groups.ts'
import { lead, list, paragraph } from '../page/blocks.ts'
import { choice, field } from '../page/controls.ts'
import { h, replace, type Child } from '../page/dom.ts'
import { button, textButton } from '../page/parts.ts'
import { textOf, valueAt, withValue } from './policy-fields.ts'
import { policyForm, type PolicyForm } from './policy-form.ts'
import { policyJson, type PolicyJson } from './policy-json.ts'
import { policyPreview, type PolicyPreview } from './policy-preview.ts'
import { readVersions } from './policy-page.ts'
import { verdictPanel } from './dry-run.ts'
import { PublishedPolicyReply, type PolicyReply } from '#shared/api/policies.ts'
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
  return new Editor(context, newest, await policyPreview(newest)).element
}

const MODES = [
  ['form', 'Form'],
  ['json', 'JSON'],
] as const

/** Holds the draft and whether it is shown as a form or as JSON. */
class Editor {
  readonly element: HTMLElement
  readonly #context: ViewContext
  readonly #newest: PolicyReply | undefined
  readonly #writing = h('div', {})
  readonly #summary = h('div', { tabindex: -1 })
  readonly #preview: PolicyPreview
  readonly #mode = choice('Edit as', MODES, (mode) => this.#switch(mode))
  readonly #outcome = h('div', {})
  readonly #idProblem = h('p', { class: 'problem', id: 'policy-id-problem' })
  #draft: unknown
  #form: PolicyForm | undefined
  #json: PolicyJson | undefined

  constructor(context: ViewContext, newest: PolicyReply | undefined, preview: PolicyPreview) {
    this.#context = context
    this.#newest = newest
    this.#preview = preview
    this.#draft = newest?.policy ?? FRESH
    this.element = this.#draw()
    this.#mode.show('form')
    this.#write('form')
    this.#preview.show(this.#draft)
  }

  #draw(): HTMLElement {
    const version = (this.#newest?.version ?? 0) + 1
    return h(
      'form',
      { class: 'editor', novalidate: true, onsubmit: (event) => this.#submit(event) },
      lead(
        this.#newest === undefined
          ? 'A new policy takes effect when a request names it or when you make it the default.'
          : `Publishing creates version ${version}, which applies everywhere within 10 seconds. Version ${version - 1} does not change.`,
      ),
      this.#newest === undefined && this.#idField(),
      this.#mode.element,
      this.#summary,
      h(
        'div',
        { class: 'split' },
        h('div', { class: 'card' }, this.#writing),
        this.#preview.element,
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
    const hint = 'Lower-case letters, digits and dashes, such as eu-only'
    return field(
      'Name',
      input,
      h('p', { class: 'hint', id: 'policy-id-hint' }, hint),
      this.#idProblem,
    )
  }

  /** Invalid JSON cannot become a form: the editor stays in JSON mode and shows the fault. */
  #switch(mode: string): void {
    if (mode === 'form' && this.#json !== undefined) {
      const read = this.#json.read()
      if (read === undefined) {
        this.#mode.show('json')
        return
      }
      this.#draft = read.draft
    }
    this.#write(mode)
  }

  #write(mode: string): void {
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
    this.#preview.show(draft)
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
      PublishedPolicyReply,
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
    const goTo = (pointer: string) =>
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
        paragraph(
          h('strong', {}, `The draft was refused. Correct ${count(faults.length, 'field')}:`),
        ),
        list(
          faults.map(({ pointer, detail }) => [
            pointer !== '' && textButton(pointer, () => goTo(pointer)),
            ` ${detail}`,
          ]),
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
