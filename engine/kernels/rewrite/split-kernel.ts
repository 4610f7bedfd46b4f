/** Rewrites a kernel so that any box of its workgroups can be dispatched alone, with the same results. */
import type { AssertDeclaration, ModuleDeclaration, Parameter } from '../parse/syntax.ts'
import { applyEdits, type Edit } from './edits.ts'
import { freshPrefix } from './fresh-prefix.ts'
import type { KernelReport } from './inspect-kernel.ts'
import type { MeteredKernel } from './meter-kernel.ts'
import { WGSL_DEPTH } from '#engine/kernels/parse/cursor.ts'

export interface SplitKernel {
  readonly source: string
  /** Whether its workgroups may be dispatched in several parts. */
  readonly isSplit: boolean
  /**
   * Whether the source has a uniform block at `@group(1) @binding(1)`: first workgroup, first invocation and
   * workgroups of the whole dispatch, three words and one of padding each.
   */
  readonly hasPart: boolean
}

/** For each built-in value, the block's member that is added to it or replaces it. */
const MEMBERS = new Map([
  ['workgroup_id', { member: 'group', isAdded: true }],
  ['global_invocation_id', { member: 'invocation', isAdded: true }],
  ['num_workgroups', { member: 'groups', isAdded: false }],
])
/** The device counts these over the whole dispatch, so such a kernel is not split. */
const WHOLE = new Set(['workgroup_index', 'global_invocation_index'])

export function splitKernel(report: KernelReport, kernel: MeteredKernel): SplitKernel {
  const whole = { source: kernel.source, isSplit: false, hasPart: false }
  const { module, entry } = report
  const { parameters, body } = entry.declaration
  const named: Named = new Map(
    module.declarations.flatMap((each) => (each.kind === 'assert' ? [] : [[each.name, each]])),
  )
  // A kernel may redefine the name of the address space that the block needs.
  if (named.has('uniform')) return whole
  const inputs = parameters.map((parameter) => ({ parameter, fields: fieldsOf(parameter, named) }))
  const fields = inputs.flatMap((input) => input.fields)
  if (fields.some(({ builtin }) => WHOLE.has(builtin))) return whole
  const [first] = fields.filter(({ builtin }) => MEMBERS.has(builtin))
  if (first === undefined) return { ...whole, isSplit: true }
  const prefix = freshPrefix(module.identifiers)
  const head = inputs.map((input) => movedText(input, prefix))
  const renames = inputs.flatMap(({ parameter }, index) =>
    head[index] === '' ? [] : [{ at: parameter.nameAt, text: `${prefix}_p_` }],
  )
  const edits: Edit[] = [...kernel.edits, ...renames, { at: body.start + 1, text: head.join('') }]
  const type = report.source.slice(first.type.start, first.type.end)
  const members = ['group', 'invocation', 'groups'].map((member) => `${member}: ${type}`).join(', ')
  const source = [
    applyEdits(kernel.plain, edits),
    ...kernel.tail,
    `struct ${prefix}_Part { ${members} }`,
    `@group(1) @binding(1) var<uniform> ${prefix}_part: ${prefix}_Part;`,
  ].join('\n')
  return { source, isSplit: true, hasPart: true }
}

type Named = ReadonlyMap<string, Exclude<ModuleDeclaration, AssertDeclaration>>

interface Field {
  readonly builtin: string
  readonly type: Parameter['type']
  /** Member of a structure; undefined for the parameter itself. */
  readonly member: string | undefined
}

/** Lists the built-in values that a parameter brings, itself or as members of its structure. */
function fieldsOf(parameter: Parameter, named: Named): Field[] {
  const builtin = builtinOf(parameter)
  if (builtin !== undefined) return [{ builtin, type: parameter.type, member: undefined }]
  return membersOf(parameter.type, named).flatMap((member) => {
    const found = builtinOf(member)
    return found === undefined ? [] : [{ builtin: found, type: member.type, member: member.name }]
  })
}

function builtinOf({ attributes }: Pick<Parameter, 'attributes'>): string | undefined {
  const [value] = attributes.find(({ name }) => name === 'builtin')?.args ?? []
  return value?.kind === 'name' ? value.name : undefined
}

/** Lists the members of a structure, also through aliases; else none. The compiler refuses circles. */
function membersOf(type: Parameter['type'], named: Named): readonly Parameter[] {
  let found = type.kind === 'name' ? named.get(type.name) : undefined
  for (let layers = 0; found?.kind === 'alias' && layers < WGSL_DEPTH; layers += 1)
    found = found.type.kind === 'name' ? named.get(found.type.name) : undefined
  return found?.kind === 'struct' ? found.members : []
}

/** Computes the original parameter from the renamed one. */
function movedText(
  {
    parameter: { name },
    fields,
  }: { readonly parameter: Parameter; readonly fields: readonly Field[] },
  prefix: string,
): string {
  const moved = fields.flatMap(({ builtin, member }) => {
    const how = MEMBERS.get(builtin)
    return how === undefined ? [] : [{ ...how, field: member === undefined ? '' : `.${member}` }]
  })
  const given = `${prefix}_p_${name}`
  const valueOf = ({ member, isAdded, field }: (typeof moved)[number]) =>
    `${isAdded ? `${given}${field} + ` : ''}${prefix}_part.${member}`
  const [only] = moved
  if (only === undefined) return ''
  if (only.field === '') return ` let ${name} = ${valueOf(only)};`
  const copy = `${prefix}_s_${name}`
  const members = moved.map((each) => ` ${copy}${each.field} = ${valueOf(each)};`).join('')
  return ` var ${copy} = ${given};${members} let ${name} = ${copy};`
}
