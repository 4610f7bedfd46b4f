/** The API page: Swagger UI over this origin's own description, in the light or dark of the system. */

/** The part of Swagger UI's global that is used here. */
interface SwaggerUi {
  (options: Readonly<Record<string, unknown>>): unknown
  readonly presets: { readonly apis: unknown }
}

declare const SwaggerUIBundle: SwaggerUi

const dark = matchMedia('(prefers-color-scheme: dark)')
const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches)
dark.addEventListener('change', follow)
follow()

SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#api',
  presets: [SwaggerUIBundle.presets.apis],
  layout: 'BaseLayout',
  deepLinking: true,
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  // A key lives as long as the page.
  persistAuthorization: false,
  // Nothing is asked of anybody else's server.
  validatorUrl: null,
  queryConfigEnabled: false,
})
