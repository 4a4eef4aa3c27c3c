import { defineConfig } from 'vitest/config'

const isSoak = process.env['UNBEARER_SOAK'] === '1'

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    setupFiles: isSoak ? ['test/support/soak-setup.ts'] : [],
    testTimeout: isSoak ? 1_200_000 : 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
})
