/** Simulates a day of a thousand hubs with the Worker's own choice of hubs, and times one choice among them. */
import { countryBit } from '#shared/law/region.ts'
import type { BenchContext } from '../harness/context.ts'
import {
  measureSection,
  type BenchResult,
  type Contender,
  type Samples,
} from '../harness/harness.ts'
import { StillFleet } from '../scale/copy.ts'
import type { Day, Piece } from '../scale/record.ts'
import { simulateDay, type DayPlan } from '../scale/simulation.ts'

const CAPACITY = 500
const DAY: DayPlan = {
  seed: 1,
  hubs: 1_000,
  capacity: CAPACITY,
  pieces: 12,
  seconds: 16,
  settleSeconds: 8,
  isolates: 12,
  requests: 50,
}
/** Small hubs, where a node more or less decides: old summaries cost the most calls there. */
const SMALL: Partial<DayPlan> = { hubs: 40, pieces: 8, seconds: 6, settleSeconds: 6 }
const FEW_SEATS = [20, 100]
const QUICK: Partial<DayPlan> = { hubs: 100, pieces: 8, seconds: 8, settleSeconds: 6 }

export async function measureScale({ quick }: BenchContext): Promise<BenchResult> {
  const plan: DayPlan = quick ? { ...DAY, ...QUICK } : DAY
  const day = await simulateDay(plan)
  const once = { comparisons: [], rounds: 1, warmUps: 0 }
  const fleet = await StillFleet.open(plan.hubs, CAPACITY)
  const { isolate, bytes } = await fleet.isolate()
  const rounds = quick ? 3 : 9
  const turns = quick ? 2_000 : 20_000
  return {
    name: 'scale',
    title: 'many hubs, chosen from summaries of different ages',
    sections: [
      await measureSection({
        ...once,
        name: `a day of about ${plan.hubs} hubs with ${CAPACITY} seats, in ${plan.pieces} pieces of ${plan.seconds} s; a sample is a piece`,
        contenders: [given('requests', requestFigures(day)), given('registries', newsFigures(day))],
      }),
      await measureSection({
        ...once,
        name: 'nodes of that day; a sample is a node, or a region in a piece, or a hub',
        contenders: [given('nodes', nodeFigures(day))],
      }),
      await measureSection({
        ...once,
        name: 'a day of about 40 hubs with few seats; a sample is a piece',
        contenders: await Promise.all(
          FEW_SEATS.slice(0, quick ? 1 : undefined).map(async (capacity) => {
            const small = await simulateDay({ ...DAY, ...SMALL, capacity })
            return given(`${capacity} seats`, requestFigures(small))
          }),
        ),
      }),
      await measureSection({
        ...once,
        name: `an isolate's copy of ${fleet.hubs} hubs`,
        contenders: [
          given('copy', {
            'heap bytes': [await fleet.copyBytes()],
            'bytes of a whole reading': [bytes],
          }),
        ],
      }),
      await measureSection({
        name: `CPU of this process among ${fleet.hubs} hubs`,
        contenders: [
          timed('choice of a hub', turns, (turn) => {
            const request = fleet.requests[turn % fleet.requests.length]
            return request === undefined ? '' : fleet.choose(isolate, request)
          }),
          timed('first choice after news', turns / 20, (turn) => {
            fleet.forgetLists(isolate.view.table)
            const request = fleet.requests[turn % fleet.requests.length]
            return request === undefined ? '' : fleet.choose(isolate, request)
          }),
          timed('hub for a new node', turns / 20, () =>
            fleet.place(isolate, countryBit('US'), CAPACITY),
          ),
          timed('publication at a registry', turns / 20, () => {
            fleet.publishAgain()
            return 'published'
          }),
        ],
        comparisons: [],
        rounds,
      }),
    ],
    includes: {
      requests: 'the calls that `chooseHubs` asks for until a hub takes the request',
      registries: 'the real publishers, summaries as bytes, registries and readings',
      nodes: 'the real `placeNode` and `surplusNodes`; a node that is sent away asks again',
      copy: 'a `HubView` that has read all, with the lists for every kind of request',
    },
    notes: notesOf(day, plan),
  }
}

function notesOf({ pieces, moved }: Day, plan: DayPlan): string[] {
  const answered = sum(pieces, 'answered')
  const most = Math.max(...pieces.map(({ nodes }) => nodes))
  const least = Math.min(...pieces.map(({ nodes }) => nodes))
  return [
    `First hub, whole day: ${((100 * sum(pieces, 'answeredByFirst')) / answered).toFixed(3)} % of ${answered} answered requests; ${sum(pieces, 'requests') - answered} found no node.`,
    `${least} to ${most} nodes by hour; ${sum(pieces, 'admissions')} joined while it was counted, ${moved} were sent to another hub, drains included.`,
    `${plan.isolates} isolates in as many regions, each with up to ${plan.requests} requests a second by the local hour; one is replaced in each piece. All registries restart in every eighth piece, and one hub of each region drains.`,
    'Nodes are counts by country and sort in their hub. The rest of the load is drawn as taken slots, 30 to 80 % by the local hour.',
    'A node stays three hours on average. Between two pieces the nodes change by the hours between them within seconds, and are not counted.',
    'First work: jobs of 5 s arrive at the hub as its load says, and a free slot gets its share of them. A node with work that its hub had not waits for a reading first.',
    'Seeded: apart from heap and CPU, the figures do not depend on the machine.',
  ]
}

function sum(pieces: readonly Piece[], key: keyof Piece): number {
  return pieces.reduce((all, piece) => all + piece[key], 0)
}

function requestFigures({ pieces }: Day): Samples {
  const each = (read: (piece: Piece) => number) => pieces.map(read)
  return {
    'hub calls a request': each(({ hubCalls, requests }) => hubCalls / requests),
    'first hub %': each((piece) => (100 * piece.answeredByFirst) / piece.answered),
    'wait for a slot %': each(({ waits, answered }) => (100 * waits) / answered),
    'bytes read a request': each(({ readBytes, requests }) => readBytes / requests),
    'readings a request': each(({ readings, requests }) => readings / requests),
  }
}

function newsFigures({ pieces }: Day): Samples {
  const each = (read: (piece: Piece) => number) => pieces.map(read)
  return {
    'publications a second': each(({ publications, seconds }) => publications / seconds),
    'bytes of a publication': each((piece) => piece.publishedBytes / piece.publications),
    'readings a second of an isolate': each(
      (piece) => piece.readings / piece.seconds / DAY.isolates,
    ),
    'bytes a second of an isolate': each((piece) => piece.readBytes / piece.seconds / DAY.isolates),
    'bytes of a reading': each(({ readBytes, readings }) => readBytes / readings),
    'admissions a second': each(({ admissions, seconds }) => admissions / seconds),
    'hubs tried after the first': each((piece) => piece.secondTries / piece.admissions),
  }
}

function nodeFigures({
  knownMs,
  firstWorkMs,
  spreadPercent,
  openedPercent,
  drainedMs,
}: Day): Samples {
  return Object.fromEntries(
    Object.entries({
      'until an isolate knows itMs': knownMs,
      'until its first workMs': firstWorkMs,
      'furthest hub from the mean %': spreadPercent,
      'new hub, nodes of the mean %': openedPercent,
      'until a draining hub is emptyMs': drainedMs,
    }).filter(([, values]) => values.length > 0),
  )
}

function given(name: string, samples: Samples): Contender {
  return { name, run: () => Promise.resolve(samples) }
}

function timed(name: string, turns: number, once: (turn: number) => string): Contender {
  return {
    name,
    run() {
      const before = process.cpuUsage()
      for (let turn = 0; turn < turns; turn += 1)
        if (once(turn) === '') throw new Error(`${name} found no hub`)
      const took = process.cpuUsage(before)
      return Promise.resolve({ 'cpu µs': [(took.user + took.system) / turns] })
    },
  }
}
