/** The worker's side of the mutual watch between page and worker, counted in beats. */
import { expect, test } from 'vitest'
import { heedPage, UNANSWERED_BEATS } from '../../../browser-node/node/heed-page.ts'
import type { Command } from '../../../browser-node/node/protocol.ts'

const START: Command = { type: 'start', claim: 'AT', simulatedPlace: null }
const PAUSE: Command = { type: 'pause' }
const BEAT: Command = { type: 'beat' }

function createPage() {
  const obeyed: Command[] = []
  const silences: number[] = []
  const page = heedPage({
    obey: async (command) => void obeyed.push(command),
    onSilent: (beats) => silences.push(beats),
  })
  const beats = (count: number) => {
    for (let beat = 1; beat <= count; beat += 1) page.beat()
  }
  /** Lets queued commands run. */
  const settle = () => new Promise<void>((resolve) => setTimeout(resolve))
  return { page, obeyed, silences, beats, settle }
}

test('[C13] the worker pauses while the page misses its beats', async () => {
  const { page, obeyed, silences, beats, settle } = createPage()
  page.hear(START)
  beats(UNANSWERED_BEATS)
  await settle()
  expect(obeyed).toEqual([START])
  beats(10)
  await settle()
  expect(obeyed).toEqual([START, PAUSE])
  expect(silences).toEqual([UNANSWERED_BEATS + 1])
  page.hear(BEAT)
  page.hear(BEAT)
  await settle()
  expect(obeyed).toEqual([START, PAUSE, START])
  beats(UNANSWERED_BEATS + 1)
  await settle()
  expect(obeyed).toEqual([START, PAUSE, START, PAUSE])
})

test('[C13] a page that only answers beats is not silent', async () => {
  const { page, obeyed, beats, settle } = createPage()
  page.hear(START)
  for (let minute = 0; minute < 60; minute += 1) {
    beats(UNANSWERED_BEATS)
    page.hear(BEAT)
  }
  await settle()
  expect(obeyed).toEqual([START])
})

test('[C13] a node that its owner paused stays paused when a silent page returns', async () => {
  const { page, obeyed, silences, beats, settle } = createPage()
  page.hear(START)
  page.hear(PAUSE)
  beats(UNANSWERED_BEATS * 2)
  page.hear(BEAT)
  await settle()
  expect(obeyed).toEqual([START, PAUSE])
  expect(silences).toEqual([])
})

test('[C13] a pause that is the first message after a silence is obeyed and lasts', async () => {
  const { page, obeyed, beats, settle } = createPage()
  page.hear(START)
  beats(UNANSWERED_BEATS + 1)
  page.hear(PAUSE)
  page.hear(BEAT)
  await settle()
  expect(obeyed).toEqual([START, PAUSE, PAUSE])
})
