import { describe, expect, it } from 'vitest'
import { createSqlEffects } from './sql.ts'

const effects = await createSqlEffects()

describe('a change', () => {
  it.each([
    "status = 'shipped'",
    "country = 'DE'",
    'tenant_id = 1',
    "country_code = 'DE' AND active = 1",
    "deleted_at = '2026-01-01'",
    'a = 1',
    "type_name IN ('x')",
  ])('of all that %s is not bounded', (where) => {
    expect(effects(`UPDATE t SET a = 1 WHERE ${where}`).bounded).toBe(false)
    expect(effects(`DELETE FROM t WHERE ${where}`).bounded).toBe(false)
  })

  it.each([
    'id = 1',
    'order_id = 7 AND product_id = 3',
    'tenant_id = 1 AND id = 2',
    "email = 'ada@example.org'",
    'sku = $1',
    "name = 'Widget'",
    '"orderId" = 7',
    "t.order_number IN ('A1', 'A2')",
  ])('of what %s names is', (where) => {
    expect(effects(`UPDATE t SET a = 1 WHERE ${where}`).bounded).toBe(true)
  })
})
