/** Builds the API's page at `/docs`: the description as plain HTML, with a form for each route. */
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { repositoryPath } from '#scripts/base/paths.ts'
import { Description } from './description.ts'
import { html, type Html } from './html.ts'
import { withHead } from './page.ts'
import { renderOperation, type Route } from './render-operation.ts'
import { describeType, renderSchema } from './render-schema.ts'

export function buildDocsPage(targetDir: string): void {
  rmSync(targetDir, { recursive: true, force: true })
  mkdirSync(targetDir, { recursive: true })
  const text = readFileSync(repositoryPath('docs/openapi.json'), 'utf8')
  const description = Description.parse(JSON.parse(text))
  const page = readFileSync(repositoryPath('console/docs/index.html'), 'utf8')
  const written = page
    .replace('<!-- contents -->', () => renderContents(description).html)
    .replace('<!-- routes -->', () => renderRoutes(description).html)
  writeFileSync(join(targetDir, 'index.html'), withHead(written, '/docs'))
  const program = readFileSync(repositoryPath('console/docs/docs.ts'), 'utf8')
  writeFileSync(join(targetDir, 'docs.js'), stripTypeScriptTypes(program))
  for (const [from, to] of [
    ['console/docs/docs.css', 'docs.css'],
    ['shared/page/page.css', 'page.css'],
    ['shared/page/mark.svg', 'mark.svg'],
  ] as const) {
    copyFileSync(repositoryPath(from), join(targetDir, to))
  }
}

function groupRoutes({ tags, paths }: Description) {
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): Route => ({ ...operation, method, path })),
  )
  return tags.map(({ name, description }) => ({
    name,
    description,
    id: name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-'),
    routes: routes.filter((route) => route.tags[0] === name),
  }))
}

function renderContents(description: Description): Html {
  const groups = groupRoutes(description).map(
    ({ name, id, routes }) =>
      html`<li>
        <a href="#${id}">${name}</a>
        <ul>
          ${routes.map(
            ({ operationId, method, path }) =>
              html`<li>
                <a href="#${operationId}">${method.toUpperCase()} ${breakable(path)}</a>
              </li>`,
          )}
        </ul>
      </li>`,
  )
  return html`<ul class="contents">
    ${groups}
    <li><a href="#schemas">Schemas</a></li>
  </ul>`
}

/** A long path breaks before a slash. */
function breakable(path: string): Html[] {
  return path.split(/(?=\/)/).map((part) => html`<wbr />${part}`)
}

function renderRoutes(description: Description): Html {
  const { components } = description
  const schemas = Object.entries(components.schemas)
  return html`${groupRoutes(description).map(
    ({ name, id, description: about, routes }) =>
      html`<section>
        <h2 id="${id}">${name}</h2>
        ${about !== '' && html`<p>${about}</p>`}
        ${routes.map((route) => renderOperation(route, components))}
      </section>`,
  )}
  ${
    schemas.length > 0 &&
    html`<section>
      <h2 id="schemas">Schemas</h2>
      ${schemas.map(
        ([name, schema]) =>
          html`<article class="route" id="schema-${name}">
            <h3><code>${name}</code></h3>
            <p class="type">${describeType(schema)}</p>
            ${renderSchema(schema)}
          </article>`,
      )}
    </section>`
  }`
}
