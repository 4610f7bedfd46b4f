/** The page and the worker watch each other; the worker's side of it, in beats that are counted. */
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
  /** Commands are obeyed one after the other. */
  const settle = () => new Promise<void>((resolve) => setTimeout(resolve))
  return { page, obeyed, silences, beats, settle }
}

test('[C13] a page that misses its beats is silent, so the worker pauses until it hears it', async () => {
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

test('[C13] a page that answers is heard, however long it has nothing else to say', async () => {
  const { page, obeyed, beats, settle } = createPage()
  page.hear(START)
  for (let minute = 0; minute < 60; minute += 1) {
    beats(UNANSWERED_BEATS)
    page.hear(BEAT)
  }
  await settle()
  expect(obeyed).toEqual([START])
})

test('[C13] what its owner paused stays paused when a silent page is heard again', async () => {
  const { page, obeyed, silences, beats, settle } = createPage()
  page.hear(START)
  page.hear(PAUSE)
  beats(UNANSWERED_BEATS * 2)
  page.hear(BEAT)
  await settle()
  expect(obeyed).toEqual([START, PAUSE])
  expect(silences).toEqual([])
})

test('[C13] a pause that is the first word of a page after its silence is obeyed, and lasts', async () => {
  const { page, obeyed, beats, settle } = createPage()
  page.hear(START)
  beats(UNANSWERED_BEATS + 1)
  page.hear(PAUSE)
  page.hear(BEAT)
  await settle()
  expect(obeyed).toEqual([START, PAUSE, PAUSE])
})
