/** Writes `contracts/src/libraries/Hashes.sol` from the layouts: the contracts hash the bytes that TypeScript writes. */
import { writeFileSync } from 'node:fs'
import { toHex } from 'viem'
import { encode, struct, type SolidityField } from '#shared/proof/encoding.ts'
import { HEADER, nameOf, type Layout } from '#shared/proof/layout.ts'
import { NO_DOMAIN } from '#shared/proof/domain.ts'
import { POLICY_LAYOUT } from '#shared/law/compile-policy.ts'
import { RECEIPT_LAYOUT } from '#shared/receipt/receipt.ts'
import { EARNINGS_LAYOUT } from '#shared/receipt/settlement.ts'
import { repositoryPath } from '#scripts/base/paths.ts'

export const ENCODER_PATH = 'contracts/src/libraries/Hashes.sol'

type Fields = ReadonlyMap<string, SolidityField>

interface HashedStruct {
  readonly name: string
  /** Says that the hash is a leaf of an RFC 9162 tree: a zero byte stands before the bytes. */
  readonly isLeaf: boolean
  /** Says that the header names this chain and this contract. Otherwise both are zero. */
  readonly isBound: boolean
  readonly layout: Pick<Layout<unknown>, 'kind' | 'version' | 'fields'>
}

const HASHED: readonly HashedStruct[] = [
  { name: 'Policy', isLeaf: false, isBound: false, layout: POLICY_LAYOUT },
  { name: 'Receipt', isLeaf: true, isBound: true, layout: RECEIPT_LAYOUT },
  { name: 'Earnings', isLeaf: true, isBound: false, layout: EARNINGS_LAYOUT },
]

/** Structs whose name is not their field's. */
const NAMES: Readonly<Record<string, string>> = { receiptKey: 'PublicKey' }

const NOTICES: Readonly<Record<string, string>> = {
  PublicKey: "A P-256 public key: a node's receipt key or a hub's signing key.",
  Policy: 'A published policy version. Names are SHA-256 of their UTF-8 bytes.',
  Place: 'Where a node stands, as its hub saw it at dispatch.',
  Ticket: 'Permission to run one attempt of one job on one node.',
  Receipt: 'The work that a node did under a ticket.',
  Earnings: 'Everything that a receipt key has ever earned.',
}

/** Field names that are words of the language. */
const RESERVED: ReadonlySet<string> = new Set(['storage'])

/** Values in one call of `abi.encodePacked`: more do not fit on the compiler's stack. */
const CHUNK = 8

export function generateEncoder(): void {
  writeFileSync(repositoryPath(ENCODER_PATH), encoderSource())
}

function encoderSource(): string {
  const structs = new Map<string, Fields>()
  for (const { name, layout } of HASHED) collect(structs, name, fieldsOf(layout.fields.solidity))
  const hashed = new Set(HASHED.map(({ name }) => name))
  const inner = [...structs].filter(([name]) => !hashed.has(name))
  return [
    '// SPDX-License-Identifier: Apache-2.0',
    'pragma solidity 0.8.37;',
    '',
    '// Written by `npm run generate` from the layouts in shared/. Do not edit.',
    '',
    ...[...structs].flatMap(([name, fields]) => declaration(name, fields)),
    '/// @title Hashes of everything that is in a Merkle tree or that a batch names',
    "/// @dev Enumerations are their word's index. Country sets are bitmaps over the append-only country table.",
    'library Hashes {',
    '    /// @notice A text may have 255 bytes of UTF-8.',
    '    error TextTooLong(uint256 length);',
    '',
    ...HASHED.flatMap(hashFunction),
    ...inner.flatMap(([name, fields]) => bytesFunction(name, fields)),
    '    /// @dev The length in one byte, then the text.',
    '    function _text(string memory text) private pure returns (bytes memory) {',
    '        uint256 length = bytes(text).length;',
    '        if (length > 255) revert TextTooLong(length);',
    '        // forge-lint: disable-next-line(unsafe-typecast)',
    '        return abi.encodePacked(uint8(length), text);',
    '    }',
    '}',
    '',
  ].join('\n')
}

/** Adds a struct after the structs of its fields. */
function collect(structs: Map<string, Fields>, name: string, fields: Fields): void {
  for (const [field, type] of fields)
    if (typeof type !== 'string') collect(structs, structName(field), type)
  structs.set(name, fields)
}

function declaration(name: string, fields: Fields): string[] {
  return [
    `/// @notice ${NOTICES[name] ?? unknown(name)}`,
    `struct ${name} {`,
    ...[...fields].map(([field, type]) => `    ${typeName(field, type)} ${memberName(field)};`),
    '}',
    '',
  ]
}

function hashFunction({ name, isLeaf, isBound, layout }: HashedStruct): string[] {
  const { kind, version } = layout
  const head = `"${nameOf(kind)}", version ${version}${isBound ? ', this chain, this contract' : ''}`
  const what = isLeaf ? 'The leaf over' : 'SHA-256 of'
  const values = [headerLiteral({ isLeaf, isBound, layout }), ...(isBound ? DOMAIN : [])]
  return [
    `    /// @dev ${what} ${head}, then the fields.`,
    `    function ${lowered(name)}(${name} memory value) internal ${isBound ? 'view' : 'pure'} returns (bytes32) {`,
    `        return sha256(${packed([...values, ...valuesOf(fieldsOf(layout.fields.solidity))])});`,
    '    }',
    '',
  ]
}

// No chain has an id above 2^63 (EIP-2294).
const DOMAIN = ['uint64(block.chainid)', 'address(this)'] as const

/** The bytes before the fields, up to those that only the chain knows. */
function headerLiteral({ isLeaf, isBound, layout }: Omit<HashedStruct, 'name'>): string {
  const { kind, version } = layout
  const { kind: text, version: number, ...place } = HEADER
  const named = encode(struct({ kind: text, version: number }), { kind: nameOf(kind), version })
  const zero = isBound ? new Uint8Array() : encode(struct(place), NO_DOMAIN)
  return `hex"${isLeaf ? '00' : ''}${toHex(named).slice(2)}${toHex(zero).slice(2)}"`
}

function bytesFunction(name: string, fields: Fields): string[] {
  return [
    `    function _${lowered(name)}(${name} memory value) private pure returns (bytes memory) {`,
    `        return ${packed(valuesOf(fields))};`,
    '    }',
    '',
  ]
}

function valuesOf(fields: Fields): string[] {
  return [...fields].map(([field, type]) => {
    const value = `value.${memberName(field)}`
    if (typeof type !== 'string') return `_${lowered(structName(field))}(${value})`
    return type === 'string' ? `_text(${value})` : value
  })
}

function packed(values: readonly string[]): string {
  const chunks = Array.from({ length: Math.ceil(values.length / CHUNK) }, (_, i) =>
    values.slice(i * CHUNK, (i + 1) * CHUNK),
  )
  const calls = chunks.map((chunk) => `abi.encodePacked(\n${indented(chunk, 4)}\n            )`)
  if (calls.length === 1) return `abi.encodePacked(\n${indented(values, 3)}\n        )`
  return `bytes.concat(\n${indented(calls, 3)}\n        )`
}

function indented(lines: readonly string[], depth: number): string {
  return lines.map((line) => `${'    '.repeat(depth)}${line}`).join(',\n')
}

function typeName(field: string, type: SolidityField): string {
  if (typeof type !== 'string') return structName(field)
  // `bytes` stands for what the contracts cannot read: lists and missing values.
  return type === 'bytes' ? unknown(field) : type
}

function structName(field: string): string {
  return NAMES[field] ?? field.charAt(0).toUpperCase() + field.slice(1)
}

function memberName(field: string): string {
  return RESERVED.has(field) ? `${field}_` : field
}

function lowered(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1)
}

function fieldsOf(type: SolidityField): Fields {
  return typeof type === 'string' ? unknown(type) : type
}

function unknown(what: string): never {
  throw new Error(`The generator of the contracts' encoder does not know ${what}.`)
}
