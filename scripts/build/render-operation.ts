/** One route of the API: what it does, takes and answers, and a form to try it with. */
import type { Description, Operation, Parameter, Response } from './description.ts'
import { exampleBody } from './examples.ts'
import { html, type Html } from './html.ts'
import { describeType, nameOf, renderSchema } from './render-schema.ts'

export interface Route extends Operation {
  readonly method: string
  readonly path: string
}

export function renderOperation(route: Route, components: Description['components']): Html {
  const { operationId, method, path, summary, description, requestBody, responses } = route
  return html`<article class="route" id="${operationId}">
    <h3>
      <span class="method method-${method}">${method.toUpperCase()}</span>
      <code>${path}</code>
    </h3>
    <p class="summary">${summary}</p>
    ${description !== '' && html`<p>${description}</p>`}
    <details>
      <summary>Request and replies of ${method.toUpperCase()} <code>${path}</code></summary>
      ${renderParameters(route.parameters)}
      ${requestBody !== undefined && renderContent('Body', requestBody.content)}
      ${Object.entries(responses).map(([status, response]) =>
        renderResponse(status, resolveResponse(response, components)),
      )}
    </details>
    ${canTry(route) && renderForm(route, components)}
  </article>`
}

function renderParameters(parameters: readonly Parameter[]): Html | undefined {
  if (parameters.length === 0) return undefined
  return html`<h4>Parameters</h4>
    <dl class="members">
      ${parameters.map(
        ({ name, in: where, required, description, schema }) =>
          html`<div class="member">
            <dt>
              <code>${name}</code> <span class="type">${where}, ${describeType(schema)}</span>
              ${required && html`<span class="required">required</span>`}
            </dt>
            <dd>${description !== '' && html`<p>${description}</p>`}</dd>
          </div>`,
      )}
    </dl>`
}

function renderContent(title: string, content: Response['content']): Html[] {
  return Object.entries(content).map(
    ([type, { schema }]) =>
      html`<h4>${title} <span class="type">${type}</span></h4>
        ${schema !== undefined && renderSchema(schema)}`,
  )
}

function renderResponse(status: string, response: Response): Html {
  const { description, headers, content, 'x-other-media': others } = response
  const title = status === 'default' ? 'Any error' : `Reply ${status}`
  const names = Object.keys(headers)
  return html`<h4>${title}</h4>
    <p>${description}</p>
    ${
      names.length > 0 &&
      html`<p class="headers">
        Headers:
        ${names.map((name) => html`<code title="${headers[name]?.description}">${name}</code> `)}
      </p>`
    }
    ${renderContent('Body', content)} ${renderContent('Body on request', others)}`
}

function resolveResponse(response: Response, { responses }: Description['components']): Response {
  const { $ref } = response
  return $ref === undefined ? response : (responses[nameOf($ref)] ?? response)
}

/** A WebSocket, and bytes that no form can write, are told and not tried here. */
function canTry({ responses, requestBody }: Route): boolean {
  if ('101' in responses) return false
  return requestBody === undefined || 'application/json' in requestBody.content
}

function renderForm(
  { operationId, method, path, parameters, requestBody }: Route,
  { schemas }: Description['components'],
): Html {
  const given = requestBody?.content['application/json']?.schema
  const schema = given?.$ref === undefined ? given : schemas[nameOf(given.$ref)]
  const field = (parameter: Parameter) => {
    const id = `${operationId}-${parameter.name}`
    return html`<div class="field">
      <label for="${id}">${parameter.name}</label>
      <input
        id="${id}"
        name="${parameter.in}:${parameter.name}"
        ${parameter.required && html`required`}
        autocomplete="off"
        spellcheck="false"
      />
    </div>`
  }
  const body = `${operationId}-body`
  return html`<details class="try">
    <summary>Try ${method.toUpperCase()} <code>${path}</code></summary>
    <form data-method="${method.toUpperCase()}" data-path="${path}">
      ${parameters.map(field)}
      ${
        schema !== undefined &&
        html`<div class="field">
          <label for="${body}">Body, JSON</label>
          <textarea id="${body}" name="body" rows="8" spellcheck="false">
${exampleBody(operationId, schema)}</textarea>
        </div>`
      }
      <button type="submit">Send</button>
      <output></output>
    </form>
  </details>`
}
