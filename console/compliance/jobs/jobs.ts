/** The view of jobs: recent jobs, the proof of one, the check of a bundle file. */
import { z } from 'zod'
import type { LogEntry } from '#shared/audit/entries.ts'
import { parseDetail } from '#shared/audit/entries.ts'
import { toAppError } from '#shared/base/errors.ts'
import { parseStrict } from '#shared/base/strict-json.ts'
import { card, hint, paragraph } from '../page/blocks.ts'
import { field } from '../page/controls.ts'
import { h, type Child } from '../page/dom.ts'
import { erasureButton } from './erasure.ts'
import { describePlace } from '../log/audit-words.ts'
import { button, emptyNote, hash, saveJson, table, time } from '../page/parts.ts'
import { EntriesReply } from '#shared/api/audit.ts'
import { faultPanel, fill, type View, type ViewContext } from '../page/view.ts'

const RECENT = 25
/** A bundle of a thousand entries is about 8 MB. */
const FILE_BYTES = 64 * 1024 * 1024

export const jobsView: View = {
  path: 'jobs',
  label: 'Jobs and proofs',
  needs: ['audit'],
  title: ([id]) => (id === undefined || id === '' ? 'Jobs and their proofs' : 'Proof of a job'),
  render(context) {
    const [id = ''] = context.params
    return id === '' ? listPage(context) : jobPage(context, id)
  },
}

function listPage(context: ViewContext): Child {
  const recent = h('div', {})
  void fill(recent, () => recentJobs(context), context.signal)
  const proof = h('div', { class: 'stack', 'data-testid': 'file-proof' })
  const file: HTMLInputElement = h('input', {
    type: 'file',
    id: 'bundle-file',
    accept: '.json,application/json',
    onchange: () => void fill(proof, () => readFile(context, file.files?.[0]), context.signal),
  })
  return [
    findForm(),
    card('recent', 'Recent jobs', recent),
    card(
      'from-file',
      'Check a bundle from a file',
      hint(
        'The file stays in this browser. If the file was changed, the step that no longer holds turns red.',
      ),
      field('Bundle', file),
      proof,
    ),
  ]
}

function findForm(): HTMLElement {
  const input = h('input', {
    id: 'job-id',
    size: 44,
    autocomplete: 'off',
    spellcheck: 'false',
    placeholder: 'job_…',
  })
  return h(
    'form',
    {
      class: 'filters',
      onsubmit: (event) => {
        event.preventDefault()
        const id = input.value.trim()
        if (id !== '') location.hash = `#/jobs/${encodeURIComponent(id)}`
      },
    },
    field('Job', input),
    h('button', { type: 'submit', class: 'button main' }, 'Show proof'),
  )
}

async function recentJobs({ session, signal }: ViewContext): Promise<Child> {
  const path = `/v1/audit/events?type=job.placed&limit=${RECENT}`
  const { data } = await session.api.get(path, EntriesReply, signal)
  const open = data.filter(({ opening }) => opening !== null)
  if (open.length === 0) {
    return emptyNote('No job has run yet.', 'The first job appears here as soon as it is answered.')
  }
  return table<LogEntry>(
    'Recent jobs, newest first',
    [
      { head: 'Time', cell: ({ atMs }) => time(atMs) },
      {
        head: 'Job',
        cell: (entry) => {
          const { jobId } = placed(entry)
          return h('a', { href: `#/jobs/${jobId}`, title: jobId }, hash(jobId))
        },
      },
      { head: 'Where', cell: (entry) => describePlace(placed(entry).place) },
    ],
    open,
  )
}

function placed({ opening }: LogEntry) {
  return parseDetail('job.placed', opening?.detail)
}

async function jobPage(context: ViewContext, id: string): Promise<Child> {
  const { session, signal } = context
  const path = `/v1/jobs/${encodeURIComponent(id)}/proof`
  // Kept unparsed: the download is what was checked.
  const document = await session.api.get(path, z.unknown(), signal)
  const save = () => saveJson(`proof-${id}.json`, document)
  const { drawProof } = await import('./proof-page.ts')
  return [
    paragraph('Job ', h('code', { class: 'long' }, id)),
    h(
      'div',
      { class: 'actions' },
      button('Download the bundle', save, 'main'),
      h('a', { class: 'button', href: `#/audit?job=${id}` }, 'Log entries'),
      erasureButton(context, id),
    ),
    await drawProof(context, document),
  ]
}

async function readFile(context: ViewContext, file: File | undefined): Promise<Child> {
  if (file === undefined) return null
  if (file.size > FILE_BYTES)
    return h('p', { class: 'fault' }, 'The file is larger than 64 MB, so it is not a bundle.')
  try {
    const document = parseStrict(await file.text())
    const { drawProof } = await import('./proof-page.ts')
    return await drawProof(context, document)
  } catch (error) {
    return faultPanel(toAppError(error))
  }
}
