/**
 * Countries of Cloudflare's data centres, by the IATA code in `request.cf.colo`: the place where
 * TLS ends. The main ones, as of 2026-11, from https://www.cloudflarestatus.com (codes) and IATA
 * (countries). An unlisted data centre is an unknown place, which no policy's ingress allows, so it
 * fails closed.
 */
import { countryBit, UNKNOWN_COUNTRY } from '#shared/law/region.ts'

const COLOS_BY_COUNTRY: Readonly<Record<string, string>> = {
  AE: 'DXB',
  AM: 'EVN',
  AR: 'EZE COR NQN',
  AT: 'VIE',
  AU: 'SYD MEL BNE PER ADL CBR HBA',
  BE: 'BRU',
  BG: 'SOF',
  BH: 'BAH',
  BR: 'GRU GIG FOR POA CNF CWB BSB SSA REC FLN VCP',
  CA: 'YYZ YUL YVR YYC YOW YWG YXE YHZ',
  CH: 'ZRH GVA',
  CL: 'SCL',
  CO: 'BOG MDE CLO BAQ',
  CR: 'SJO',
  CY: 'LCA',
  CZ: 'PRG',
  DE: 'FRA MUC HAM DUS TXL BER STR',
  DK: 'CPH',
  DO: 'SDQ',
  EC: 'UIO GYE',
  EE: 'TLL',
  EG: 'CAI',
  ES: 'MAD BCN',
  FI: 'HEL',
  FR: 'CDG MRS LYS BOD',
  GB: 'LHR MAN EDI',
  GE: 'TBS',
  GR: 'ATH SKG',
  HK: 'HKG',
  HR: 'ZAG',
  HU: 'BUD',
  ID: 'CGK DPS JOG',
  IE: 'DUB ORK',
  IL: 'TLV HFA',
  IN: 'BOM DEL MAA BLR HYD CCU AMD COK PNQ',
  IS: 'KEF',
  IT: 'MXP FCO PMO',
  JO: 'AMM',
  JP: 'NRT KIX FUK OKA',
  KE: 'NBO MBA',
  KR: 'ICN',
  KZ: 'ALA NQZ',
  LT: 'VNO',
  LU: 'LUX',
  LV: 'RIX',
  MA: 'CMN',
  MD: 'KIV',
  MX: 'QRO GDL MEX',
  MY: 'KUL JHB',
  NG: 'LOS',
  NL: 'AMS',
  NO: 'OSL',
  NZ: 'AKL CHC',
  PA: 'PTY',
  PE: 'LIM',
  PH: 'MNL CEB',
  PL: 'WAW',
  PT: 'LIS',
  QA: 'DOH',
  RO: 'OTP',
  RS: 'BEG',
  SA: 'RUH JED DMM',
  SE: 'ARN GOT',
  SG: 'SIN',
  SI: 'LJU',
  SK: 'BTS',
  TH: 'BKK CNX',
  TR: 'IST ADB',
  TW: 'TPE KHH',
  UA: 'KBP',
  US:
    'ABQ ANC ATL AUS BNA BOS BUF CLE CLT CMH CVG DEN DFW DTW EWR FSD HNL IAD IAH IND JAX LAS LAX MCI MEM MIA MSP ' +
    'OKC OMA ONT ORD ORF PDX PHL PHX PIT RDU RIC SAN SAT SEA SFO SJC SLC SMF STL TLH TPA',
  VN: 'SGN HAN DAD',
  ZA: 'JNB CPT DUR',
}

const COUNTRY_OF_COLO: ReadonlyMap<string, number> = new Map(
  Object.entries(COLOS_BY_COUNTRY).flatMap(([country, colos]) =>
    colos.split(' ').map((colo) => [colo, countryBit(country)] as const),
  ),
)

/** The country bit of a data centre; unknown for an unlisted one. */
export function coloCountry(colo: string | undefined): number {
  return colo === undefined ? UNKNOWN_COUNTRY : (COUNTRY_OF_COLO.get(colo) ?? UNKNOWN_COUNTRY)
}
