/** Builds the compliance console for `/compliance/` under a strict Content-Security-Policy: nothing inline, nothing evaluated. */
import { defineConfig } from 'vite'

export default defineConfig({
  base: '/compliance/',
  build: {
    target: 'es2024',
    // A data: URL would need a wider policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  json: { stringify: true },
})
