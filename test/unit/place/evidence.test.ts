import { beforeAll, describe, expect, it } from 'vitest'
import {
  concludeEvidence,
  type EvidenceInputs,
  ECHO_TTL_MS,
} from '#shared/place/conclude-evidence.ts'
import {
  EvidenceRecord,
  evidenceHash,
  isAttestedBy,
  isSignedByAnchor,
  placeOf,
  signAttestation,
  type SignedAttestation,
} from '#shared/place/evidence.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { countrySet, countryBit, isSubset, onlyCountry } from '#shared/law/region.ts'
import { createSigner, generateSigningKey, type Signer } from '#shared/proof/signature.ts'
import { createEchoMaker, NOW_MS, seenIn, type EchoMaker } from '#test/support/hub/evidence.ts'

let maker: EchoMaker
let attester: Signer
beforeAll(async () => {
  maker = await createEchoMaker()
  attester = await createSigner(await generateSigningKey(false))
})

function conclude(change: Partial<EvidenceInputs> = {}, nowMs = NOW_MS): EvidenceRecord {
  const inputs = {
    nodeId: maker.nodeId,
    hub: 'hub-frankfurt',
    claim: 'DE',
    observation: seenIn('DE'),
    echoes: [],
    attestation: null,
  }
  return concludeEvidence({ ...inputs, ...change }, nowMs)
}

/** A node in Frankfurt on a good line. */
const near = () =>
  Promise.all([maker.echo('frankfurt', 1.2), maker.echo('amsterdam', 7), maker.echo('warsaw', 18)])

function attest(change: Partial<SignedAttestation['statement']> = {}): Promise<SignedAttestation> {
  const times = { issuedAtMs: NOW_MS - 1_000, expiresAtMs: NOW_MS + 60_000 }
  const subject = { version: 1, nodeId: maker.nodeId, country: 'DE' } as const
  const statement = { ...subject, ...times, ...change }
  return signAttestation(statement, attester)
}

describe('observed', () => {
  it('is a claim whose country the edge sees, with the reason in words', () => {
    const record = conclude()
    expect(record.class).toBe('observed')
    expect(record.possible).toBe(onlyCountry(countryBit('DE')))
    expect(record.reasons.join(' ')).toContain('comes from DE, as the edge sees it')
    expect(EvidenceRecord.parse(record)).toEqual(record)
  })

  it.each([
    ['Tor', seenIn(null, { network: 'tor', asn: null }), 'Tor'],
    ['a hosting network', seenIn('DE', { network: 'hosting', asn: 24_940 }), 'AS24940'],
    ['a connection that nobody saw', seenIn(null, { network: 'unknown', asn: null }), 'Nobody saw'],
  ])('is not given for %s: the claim stays declared, with the reason', (_, observation, reason) => {
    const record = conclude({ observation })
    expect(record.class).toBe('declared')
    expect(record.source).toBe('none')
    expect(record.reasons.join(' ')).toContain(reason)
  })
})

describe('contradicted', () => {
  it('is a claim of another country than the connection comes from', () => {
    const record = conclude({ observation: seenIn('US') })
    expect(record.class).toBe('contradicted')
    expect(record.reasons[0]).toContain('claims DE, but its connection comes from US')
  })

  it('is a claim that one short round trip to a far anchor refutes, whatever else supports it', async () => {
    const echoes = [...(await near()), await maker.echo('ashburn', 2)]
    const attestation = await attest()
    const record = conclude({ echoes, attestation })
    expect(record.class).toBe('contradicted')
    expect(record.reasons[0]).toMatch(/answered anchor hub-ashburn in 2\.00 ms.* DE is at least 6,/)
  })

  it('never follows from a long round trip', async () => {
    for (const rttMs of [300, 3_000]) {
      const names = ['frankfurt', 'amsterdam', 'warsaw'] as const
      const echoes = await Promise.all(names.map((name) => maker.echo(name, rttMs)))
      const record = conclude({ echoes })
      expect(record.class).toBe('observed')
      expect(record.reasons.join(' ')).toContain('costs nothing')
    }
  })

  it('gives the node the benefit of an anchor’s error', async () => {
    const place = { lat: 39.04, lon: -77.49, slackKm: 7_000, isSimulated: false }
    const record = conclude({ echoes: [await maker.echo('ashburn', 2, { place })] })
    expect(record.class).toBe('observed')
  })
})

describe('bounded', () => {
  it('does not follow from one anchor that signs under three names', async () => {
    const echoes = await Promise.all([
      maker.echo('frankfurt', 1.2),
      maker.echo('amsterdam', 7, {}, 'frankfurt'),
      maker.echo('warsaw', 18, {}, 'frankfurt'),
    ])
    const record = conclude({ echoes })
    expect(record.class).toBe('observed')
    expect(record.reasons.join(' ')).toContain('1 of the 3 anchors')
  })

  it('leaves nothing outside the EEA for a node in Frankfurt', async () => {
    const record = conclude({ echoes: await near() })
    expect(record.class).toBe('bounded')
    expect(isSubset(record.possible, countrySet(['EEA']))).toBe(true)
    expect(isSubset(onlyCountry(countryBit('DE')), record.possible)).toBe(true)
    expect(record.reasons.join(' ')).toContain('hub-frankfurt 1.20 ms (180 km')
  })

  it('leaves Switzerland possible after a slightly longer round trip', async () => {
    const [, amsterdam, warsaw] = await near()
    const frankfurt = await maker.echo('frankfurt', 2.1)
    const echoes = [frankfurt, amsterdam, warsaw].filter((echo) => echo !== undefined)
    const { possible } = conclude({ echoes })
    expect(isSubset(onlyCountry(countryBit('CH')), possible)).toBe(true)
    expect(isSubset(onlyCountry(countryBit('US')), possible)).toBe(false)
  })

  it('needs the node’s own hub and two more anchors', async () => {
    const echoes = await near()
    expect(conclude({ echoes: echoes.slice(0, 2) }).class).toBe('observed')
    expect(conclude({ echoes, hub: 'hub-lisbon' }).class).toBe('observed')
    const twice = [...echoes.slice(0, 2), await maker.echo('amsterdam', 6)]
    expect(conclude({ echoes: twice }).class).toBe('observed')
  })

  it('is refused to a node that nobody sees, unless the circles leave only its country', async () => {
    const observation = seenIn('DE', { network: 'hosting' })
    const some = await near()
    expect(conclude({ echoes: some, observation }).class).toBe('declared')
    const tight = [...some, await maker.echo('frankfurt', 0.4)]
    const record = conclude({ echoes: tight, observation })
    expect(record.class).toBe('bounded')
    expect(record.possible).toBe(onlyCountry(countryBit('DE')))
  })

  it('is refused to a node whose transport answers long before its key', async () => {
    const relayed = await Promise.all([
      maker.echo('frankfurt', 95, { transportRttMs: 2 }),
      maker.echo('amsterdam', 12),
      maker.echo('warsaw', 18),
    ])
    const record = conclude({ echoes: relayed })
    expect(record).toMatchObject({ class: 'observed', relaySuspected: true })
    expect(record.reasons.join(' ')).toContain('relay_suspected')
  })

  it('ends with its oldest echo; expired and future echoes do not count', async () => {
    const old = NOW_MS - ECHO_TTL_MS + 60_000
    const [frankfurt, amsterdam] = await near()
    const stale = await maker.echo('warsaw', 18, { measuredAtMs: old })
    const echoes = [frankfurt, amsterdam, stale].filter((echo) => echo !== undefined)
    expect(conclude({ echoes })).toMatchObject({ class: 'bounded', expiresAtMs: NOW_MS + 60_000 })
    expect(conclude({ echoes }, NOW_MS + 60_001).class).toBe('observed')
    const ahead = NOW_MS - LIMITS.clockSkewMs - 1
    expect(conclude({ echoes }, ahead).class).toBe('observed')
  })

  it('ignores echoes of another node', async () => {
    const other = await createEchoMaker()
    const [, amsterdam, warsaw] = await near()
    const echoes = [await other.echo('frankfurt', 1), amsterdam, warsaw]
    const record = conclude({ echoes: echoes.filter((echo) => echo !== undefined) })
    expect(record.class).toBe('observed')
  })
})

describe('attested', () => {
  it("follows from an operator's statement, makes the node dedicated, and ends with the statement", async () => {
    const record = conclude({ attestation: await attest(), observation: seenIn(null) })
    const expiresAtMs = NOW_MS + 60_000
    expect(record).toMatchObject({ class: 'attested', source: 'operator', expiresAtMs })
    const place = placeOf(record, { trust: 'public', voucher: null })
    expect(place).toMatchObject({ trust: 'dedicated', evidence: 'attested' })
    expect(conclude({ attestation: await attest() }, NOW_MS + 60_000).class).toBe('observed')
  })

  it.each([
    ['another country', { country: 'FR' }],
    ['a future time', { issuedAtMs: NOW_MS + LIMITS.clockSkewMs + 1 }],
    ['a past time', { expiresAtMs: NOW_MS }],
  ])('is refused for %s', async (_, change) => {
    const record = conclude({ attestation: await attest(change) })
    expect(record.class).toBe('observed')
    expect(record.reasons.join(' ')).toContain('Not attested')
  })
})

describe('signatures', () => {
  it('are valid only for what was signed', async () => {
    const echo = await maker.echo('frankfurt', 1)
    expect(await isSignedByAnchor(echo)).toBe(true)
    const statement = { ...echo.statement, minRttMs: 0.5 }
    expect(await isSignedByAnchor({ ...echo, statement })).toBe(false)

    const attestation = await attest()
    expect(await isAttestedBy(attestation, [attester.publicKey])).toBe(true)
    const stranger = await createSigner(await generateSigningKey(false))
    expect(await isAttestedBy(attestation, [stranger.publicKey])).toBe(false)
    const moved = { ...attestation, statement: { ...attestation.statement, country: 'US' } }
    expect(await isAttestedBy(moved, [attester.publicKey])).toBe(false)
  })

  it('cover the record by its hash in the ticket', () => {
    const record = conclude()
    const other = { ...record, observation: { ...record.observation, asn: 3_321 } }
    expect(evidenceHash(other)).not.toBe(evidenceHash(record))
    const place = placeOf(record, { trust: 'verified', voucher: null })
    expect(place).toMatchObject({ trust: 'verified', evidenceHash: evidenceHash(record) })
  })
})
