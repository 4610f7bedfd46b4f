/** Builds the volunteer's page for `/contribute/` under a strict Content-Security-Policy: nothing inline, nothing evaluated. */
import { defineConfig } from 'vite'

export default defineConfig({
  base: '/contribute/',
  build: {
    target: 'es2024',
    // A data: URL would need a wider policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // ONNX Runtime's loader and libp2p, each one chunk that no visitor waits for before Start.
    chunkSizeWarningLimit: 1200,
  },
  worker: { format: 'es' },
})
