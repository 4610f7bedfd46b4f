/** Erases a job: asks first, and shows the proof of the erasure after. */
import type { LogEntry } from '#shared/audit/entries.ts'
import { commitDetail } from '#shared/audit/entries.ts'
import { commitment } from '#shared/receipt/receipt.ts'
import { isIncluded, readHead } from '#shared/verify/log.ts'
import { sha256, stringToBytes } from 'viem'
import { confirmDialog } from '../page/dialog.ts'
import { list, paragraph, remark } from '../page/blocks.ts'
import { h, type Child } from '../page/dom.ts'
import { button, hash, saveJson, time } from '../page/parts.ts'
import { findingList } from './finding-list.ts'
import { finding, type Finding } from './finding.ts'
import { ErasureReply } from '#shared/api/audit.ts'
import type { ViewContext } from '../page/view.ts'
import { count, whenUtc } from '../page/words.ts'

export function erasureButton(context: ViewContext, id: string): Child {
  const { session, say } = context
  if (!session.can('admin')) {
    return h(
      'span',
      { class: 'quiet' },
      'To erase this job, you need a key with scope ',
      h('code', {}, 'admin'),
      '.',
    )
  }
  const ask = () =>
    confirmDialog({
      title: 'Erase this job?',
      body: [
        paragraph(
          'This erases its receipt, the salt that links its inputs and outputs to you, and the details of its log entries. After that, the proof on this page cannot be produced any more. This cannot be undone.',
        ),
        paragraph(h('strong', {}, 'What stays:')),
        list([
          'a line for each of its entries: time, kind, and a hash that links to nobody;',
          'one new entry that proves the erasure and names the job only by a salted hash;',
          'the operator’s record for settlement: job id, policy, country and amount;',
          'the receipt’s hash under the batch’s root on the chain;',
          'entries that the law requires to be kept: six years for phi;',
          'bundles that somebody has already downloaded.',
        ]),
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

/** Replaces the view: the job that it showed is erased. */
function showErasure(erased: ErasureReply): void {
  const body = document.querySelector('#view .body')
  if (body === null) return
  const heading = h('h2', { tabindex: -1 }, 'Proof of erasure')
  body.replaceChildren(drawErasure(erased, heading))
  heading.focus()
}

function drawErasure(erased: ErasureReply, heading: HTMLElement): HTMLElement {
  const { subject, salt, sequence, entries, receipts, held, entry } = erased
  const save = () => saveJson(`erasure-${subject}.json`, erased)
  return h(
    'section',
    { class: 'card', 'data-testid': 'erasure' },
    heading,
    paragraph(
      `${count(entries.length, 'entry', 'entries')} and ${count(receipts, 'receipt')} of `,
      hash(subject),
      ' were erased ',
      time(entry.atMs),
      '.',
    ),
    held.length > 0 &&
      remark(
        `${count(held.length, 'entry', 'entries')} must be kept by law until ${whenUtc(Math.max(...held.map(({ untilMs }) => untilMs)))}.`,
      ),
    findingList(checkErasure(erased)),
    remark(
      'Keep this file. Only its salt ',
      hash(salt),
      ` shows that entry ${sequence} is about this job. Nobody else has the salt.`,
    ),
    h(
      'div',
      { class: 'actions' },
      button('Download the proof of erasure', save, 'main'),
      h('a', { class: 'button', href: '#/audit' }, 'Open the audit log'),
    ),
  )
}

/** Checks that the entry is about this job, says what was erased, and is in the log. */
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
    finding(named === job, 'The salt and the job id give the hash that the log names'),
    finding(opens(entry, job), `Entry ${entry.sequence} (${entry.type}) contains that hash`),
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
      text: 'This deployment signs no checkpoints, so inclusion in the log was not checked',
    }
  const isThere = isIncluded({ ...entry, proof }, head)
  return finding(
    isThere,
    `The entry is leaf ${entry.sequence} of the signed log, which has ${head.size} entries`,
  )
}
