import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

// EDR_API points the development server at a running edr-server, or at the
// made-up one that `npm run mock` starts.
const api = process.env['EDR_API'] ?? 'http://127.0.0.1:8940'

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: 'dist',
    emptyOutDir: true, // public/.gitkeep is copied back, so that Git's marker stays
    assetsInlineLimit: 0, // data: URLs are outside the page's content security policy
    chunkSizeWarningLimit: 900,
    sourcemap: false,
  },
  server: {
    host: '127.0.0.1',
    port: 5173,
    proxy: { '/api': { target: api, secure: false } },
  },
  test: {
    environment: 'jsdom',
    include: ['test/**/*.test.{ts,tsx}'],
  },
})
