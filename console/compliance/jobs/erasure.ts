/** Erasing a job: what goes, what stays, and the proof that it is gone. */
import type { LogEntry } from '#shared/audit/entries.ts'
import { commitDetail } from '#shared/audit/entries.ts'
import { commitment } from '#shared/receipt/receipt.ts'
import { isIncluded, readHead } from '#shared/verify/log.ts'
import { sha256, stringToBytes } from 'viem'
import { confirmDialog } from '../page/dialog.ts'
import { h, type Child } from '../page/dom.ts'
import { button, hash, saveFile, sign, time } from '../page/parts.ts'
import { finding, SIGN_OF, type Finding } from './finding.ts'
import { ErasureReply } from '#shared/api/audit.ts'
import type { ViewContext } from '../page/view.ts'
import { count, whenUtc } from '../page/words.ts'

export function erasureButton(context: ViewContext, id: string): Child {
  const { session, say } = context
  if (!session.can('admin')) {
    return h(
      'span',
      { class: 'quiet' },
      'Erasing it takes a key with scope ',
      h('code', {}, 'admin'),
      '.',
    )
  }
  const ask = () =>
    confirmDialog({
      title: 'Erase this job for ever?',
      body: [
        h(
          'p',
          {},
          'Gone: its receipt, the salt that ties its inputs and outputs to you, and the details of its entries in the log. The proof on this page can then no longer be made.',
        ),
        h('p', {}, h('strong', {}, 'What stays:')),
        h(
          'ul',
          {},
          h(
            'li',
            {},
            'a line for each of its entries: when, what kind, a hash that links to nobody;',
          ),
          h(
            'li',
            {},
            'one new entry that proves the erasure, naming the job only by a salted hash;',
          ),
          h(
            'li',
            {},
            'the operator’s account of it, for settlement: job id, policy, country and amount;',
          ),
          h('li', {}, 'the receipt’s hash under the batch’s root on the chain;'),
          h('li', {}, 'entries that the law keeps: six years for phi;'),
          h('li', {}, 'bundles that somebody downloaded before.'),
        ),
      ],
      confirm: 'Erase',
      isDanger: true,
      async act() {
        const path = `/v1/jobs/${encodeURIComponent(id)}`
        const erased = await session.api.send({ method: 'DELETE', path }, ErasureReply)
        say('The job is erased.')
        showErasure(erased)
      },
    })
  return button('Erase this job', ask, 'danger')
}

/** Takes the place of the view: the job that it showed is no more. */
function showErasure(erased: ErasureReply): void {
  const body = document.querySelector('#view .body')
  if (body === null) return
  const heading = h('h2', { tabindex: -1 }, 'Erased, and the proof of it')
  body.replaceChildren(drawErasure(erased, heading))
  heading.focus()
}

function drawErasure(erased: ErasureReply, heading: HTMLElement): HTMLElement {
  const { subject, salt, sequence, entries, receipts, held, entry } = erased
  const save = () =>
    saveFile(
      `erasure-${subject}.json`,
      new Blob([JSON.stringify(erased, null, 2)], { type: 'application/json' }),
    )
  return h(
    'section',
    { class: 'card', 'data-testid': 'erasure' },
    heading,
    h(
      'p',
      {},
      `${count(entries.length, 'entry', 'entries')} and ${count(receipts, 'receipt')} of `,
      hash(subject),
      ' were erased ',
      time(entry.atMs),
      '.',
    ),
    held.length > 0 &&
      h(
        'p',
        { class: 'note' },
        `${count(held.length, 'entry', 'entries')} must be kept by law until ${whenUtc(Math.max(...held.map(({ untilMs }) => untilMs)))}.`,
      ),
    h(
      'ul',
      { class: 'findings' },
      checkErasure(erased).map(({ result, text }) =>
        h('li', { class: `finding-${SIGN_OF[result]}` }, sign(SIGN_OF[result]), text),
      ),
    ),
    h(
      'p',
      { class: 'note' },
      'Keep this file. Only its salt, ',
      hash(salt),
      `, shows that entry ${sequence} is about this job; nobody else has it.`,
    ),
    h(
      'div',
      { class: 'actions' },
      button('Download the proof of erasure', save, 'main'),
      h('a', { class: 'button', href: '#/audit' }, 'To the audit log'),
    ),
  )
}

/** That the entry in the log is about this job, says what was erased, and is in the log. */
function checkErasure({
  subject,
  salt,
  commitment: job,
  entry,
  proof,
  checkpoint,
}: ErasureReply): Finding[] {
  const named = commitment(salt, sha256(stringToBytes(subject)))
  return [
    finding(named === job, 'The salt and the job’s id make the name that stands in the log'),
    finding(opens(entry, job), `Entry ${entry.sequence} (${entry.type}) names it so`),
    inLog(entry, proof, checkpoint),
  ]
}

function opens({ opening, commitment: of, type }: LogEntry, job: string): boolean {
  if (opening === null || type !== 'job.erased') return false
  return opening.detail['job'] === job && commitDetail(opening.salt, opening.detail) === of
}

function inLog(entry: LogEntry, proof: ErasureReply['proof'], checkpoint: string | null): Finding {
  const head = checkpoint === null ? undefined : readHead(checkpoint)?.head
  if (head === undefined || proof === null)
    return {
      result: 'open',
      text: 'This deployment signs no checkpoints, so its place in the log is not shown',
    }
  const isThere = isIncluded({ ...entry, proof }, head)
  return finding(isThere, `It is leaf ${entry.sequence} of the signed log of ${head.size} entries`)
}
