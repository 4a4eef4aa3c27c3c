import { describe, expect, it } from 'vitest'

import { createTelemetry } from './telemetry.ts'

describe('the text of the metrics', () => {
  it('has one line for each series, under one type', async () => {
    const telemetry = createTelemetry()
    telemetry.count('x_total', { reason: 'b' })
    telemetry.count('x_total', { reason: 'a' })
    telemetry.count('x_total', { reason: 'a' })
    telemetry.gauge('g', async () => 3)
    expect(await telemetry.text()).toBe(
      '# TYPE x_total counter\nx_total{reason="a"} 2\nx_total{reason="b"} 1\n# TYPE g gauge\ng 3\n',
    )
  })

  it('counts stages into cumulative buckets', async () => {
    const telemetry = createTelemetry()
    for (const milliseconds of [0.2, 3, 4_000]) telemetry.time('gather', milliseconds)
    const text = await telemetry.text()
    const at = (le: string): string | undefined =>
      new RegExp(`le="${le.replace('+', '\\+')}"\\} (\\d+)`).exec(text)?.[1]
    expect([at('0.1'), at('0.25'), at('5'), at('1000'), at('+Inf')]).toEqual(['0', '1', '2', '2', '3'])
  })

  it('does not let a label write a line', async () => {
    const telemetry = createTelemetry()
    telemetry.count('x_total', { reason: 'a"} 1\nevil 1\\' })
    const lines = (await telemetry.text()).split('\n')
    expect(lines).toEqual(['# TYPE x_total counter', 'x_total{reason="a_} 1_evil 1_"} 1', ''])
  })

  it('says of a gauge that cannot be read that it is no number', async () => {
    const telemetry = createTelemetry()
    telemetry.gauge('g', () => {
      throw new RangeError('gone')
    })
    expect(await telemetry.text()).toContain('\ng NaN\n')
  })
})
