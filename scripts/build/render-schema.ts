/** Renders a JSON Schema for people: a line for each member with its type, and its own members below. */
import type { Schema } from './description.ts'
import { html, type Html } from './html.ts'

/** Deeper members are shown by their type alone. */
const MOST_DEPTH = 4

/** Describes a schema in a line: `integer, 0 to 20`, `"json" or "text"`, `array of string`. */
export function describeType(schema: Schema): string {
  const { $ref, items, type } = schema
  if ($ref !== undefined) return nameOf($ref)
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum !== undefined)
    return schema.enum.map((value) => JSON.stringify(value)).join(' or ')
  const variants = schema.anyOf ?? schema.oneOf
  if (variants !== undefined) return [...new Set(variants.map(describeType))].join(' or ')
  if (schema.allOf !== undefined) return schema.allOf.map(describeType).join(' with ')
  if (schema.prefixItems !== undefined)
    return `array of ${schema.prefixItems.map(describeType).join(' and ')}`
  if (type === 'array')
    return `array of ${typeof items === 'object' ? describeType(items) : 'anything'}${sizeOf(schema)}`
  if (type === 'object' && schema.properties === undefined) return mapOf(schema)
  const name = Array.isArray(type) ? type.join(' or ') : (type ?? 'anything')
  return `${name}${schema.format === undefined ? '' : ` (${schema.format})`}${boundsOf(schema)}`
}

/** The last part of a reference to a component. */
export function nameOf($ref: string): string {
  return $ref.slice($ref.lastIndexOf('/') + 1)
}

function mapOf({ additionalProperties }: Schema): string {
  return typeof additionalProperties === 'object' && Object.keys(additionalProperties).length > 0
    ? `object of ${describeType(additionalProperties)}`
    : 'object'
}

function sizeOf({ minItems, maxItems }: Schema): string {
  return rangeOf(minItems, maxItems, ' items')
}

function boundsOf(schema: Schema): string {
  return (
    rangeOf(schema.minimum, schema.maximum) + rangeOf(schema.minLength, schema.maxLength, ' long')
  )
}

function rangeOf(least: number | undefined, most: number | undefined, unit = ''): string {
  // The bounds of JavaScript's integers tell the reader nothing.
  const max = most === Number.MAX_SAFE_INTEGER ? undefined : most
  const min = least === Number.MIN_SAFE_INTEGER ? undefined : least
  if (min === undefined && max === undefined) return ''
  if (max === undefined) return `, ${min} or more${unit}`
  return min === undefined ? `, at most ${max}${unit}` : `, ${min} to ${max}${unit}`
}

/** Renders the members of an object and of its parts; empty where the line above says everything. */
export function renderSchema(schema: Schema, depth = 0): Html {
  if (schema.$ref !== undefined) {
    const name = nameOf(schema.$ref)
    return html`<p><a href="#schema-${name}">${name}</a></p>`
  }
  if (depth > MOST_DEPTH) return html``
  const { properties, items, additionalProperties } = schema
  if (properties !== undefined) return renderMembers(schema, depth)
  if (typeof items === 'object') return renderSchema(items, depth)
  if (typeof additionalProperties === 'object') return renderSchema(additionalProperties, depth)
  const variants = [schema.anyOf, schema.oneOf, schema.allOf, schema.prefixItems].flatMap(
    (each) => each ?? [],
  )
  return html`${variants.map((variant) => renderSchema(variant, depth))}`
}

function renderMembers({ properties = {}, required = [] }: Schema, depth: number): Html {
  const members = Object.entries(properties).map(([name, member]) => {
    const inner = renderSchema(member, depth + 1)
    const text = member.description
    const standard =
      member.default === undefined ? '' : `Default ${JSON.stringify(member.default)}. `
    return html`<div class="member">
      <dt>
        <code>${name}</code>
        <span class="type">${describeType(member)}</span>
        ${required.includes(name) && html`<span class="required">required</span>`}
      </dt>
      <dd>
        ${(text !== undefined || standard !== '') && html`<p>${standard}${text}</p>`}
        ${inner.html !== '' && renderInner(name, member, inner)}
      </dd>
    </div>`
  })
  return html`<dl class="members">${members}</dl>`
}

function renderInner(name: string, { $ref }: Schema, inner: Html): Html {
  if ($ref !== undefined) return inner
  return html`<details>
    <summary>Members of <code>${name}</code></summary>
    ${inner}
  </details>`
}
