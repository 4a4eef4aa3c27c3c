import { describe, expect, it } from 'vitest'
import { createSqlEffects } from './sql.ts'

const effects = await createSqlEffects()

describe('what stands under which name', () => {
  it.each([
    ['SELECT * FROM orders', {}],
    ['SELECT id, o.note FROM orders o WHERE lower(note) = $1 ORDER BY 1 LIMIT 5', {}],
    ['TABLE orders', {}],
    ['SELECT c.email, o.note AS text FROM orders o JOIN customers c ON c.id = o.customer_id', { text: ['note'] }],
    ['SELECT note AS email, email, name AS email FROM orders', { email: ['note', 'name'] }],
    ['SELECT *, note AS "[]" FROM orders', { '[]': ['note'] }],
    ['SELECT note AS __proto__ FROM orders', Object.fromEntries([['__proto__', ['note']]])],
    ['SELECT status, count(*) AS n, sum(total), avg(o.total) FROM orders o GROUP BY 1', {}],
    ['SELECT a.id, b.note AS x FROM orders a; SELECT email AS x FROM customers', { x: ['note', 'email'] }],
    ['INSERT INTO orders (note) VALUES ($1)', {}],
    ['UPDATE orders SET note = $1 WHERE id = 1 RETURNING id, note AS email', { email: ['note'] }],
  ])('%s', (sql, renamed) => {
    expect(effects(sql).renamed).toEqual(renamed)
  })

  it.each([
    "SELECT 'eve@attacker.example' AS email",
    'SELECT lower(note) FROM orders',
    'SELECT max(note) FROM orders',
    "SELECT note || '' FROM orders",
    'SELECT note::text FROM orders',
    'SELECT o FROM orders o',
    'SELECT orders FROM orders',
    'SELECT orders FROM customers JOIN orders ON true',
    'SELECT o.concat FROM orders o',
    'SELECT (o).note FROM orders o',
    'SELECT o.* AS email FROM orders o',
    'SELECT email FROM orders AS o(id, email)',
    'SELECT email FROM (SELECT note AS email FROM orders) x',
    'WITH x AS (SELECT note AS email FROM orders) SELECT email FROM x',
    'WITH customers(email) AS (SELECT note FROM orders) TABLE customers',
    'SELECT email FROM customers UNION ALL SELECT note FROM orders',
    "SELECT email FROM (VALUES ('eve@attacker.example')) x(email)",
    "VALUES ('eve@attacker.example')",
    "SELECT email FROM unnest(ARRAY['eve@attacker.example']) email",
    "SELECT email FROM customers, LATERAL (SELECT 'eve' AS email) x",
    'SELECT email FROM (orders JOIN customers ON true) AS j(email)',
    'SELECT sum(5000) AS amount FROM orders',
    'SELECT public.count(note) FROM orders',
    'SELECT (SELECT note FROM orders LIMIT 1) AS email FROM customers',
    'SELECT CASE WHEN true THEN note END AS email FROM orders',
    "INSERT INTO orders (note) VALUES ('x') RETURNING lower(note)",
    'UPDATE orders SET note = $1 FROM (SELECT 1) AS email(email) RETURNING email',
    'EXPLAIN SELECT * FROM orders',
    'SELECT email FROM customers; SELECT lower(note) AS email FROM orders',
  ])('cannot be told of %s', (sql) => {
    expect(effects(sql).renamed).toBeUndefined()
  })

  it.each<[string, readonly string[]]>([
    ['SELECT lower(note), max(email) FROM orders WHERE id = 1', ['email', 'id', 'note']],
    [
      'WITH t AS (SELECT customer_id, sum(total) AS s FROM orders GROUP BY 1) SELECT c.name, s * 2 FROM t JOIN customers c ON c.id = customer_id',
      ['customer_id', 'id', 'name', 's', 'total'],
    ],
    ["SELECT 'eve@attacker.example' AS email", []],
    ['SELECT email FROM customers UNION SELECT note FROM orders', ['email', 'note']],
    ['SELECT x.a FROM (SELECT note FROM orders) x(a)', ['a', 'note']],
    ['WITH x(a) AS (SELECT note FROM orders) SELECT a FROM x', ['a', 'note']],
    ['SELECT (SELECT note FROM orders LIMIT 1) AS email', ['note']],
  ])('%s is made of no other columns', (sql, columns) => {
    expect(effects(sql).mentioned).toEqual(columns)
  })

  it.each([
    'SELECT lower(x) FROM (SELECT * FROM orders) x(x)',
    'SELECT o::text FROM orders o',
    'SELECT row_to_json(orders) FROM orders',
    'SELECT to_jsonb(x) FROM (SELECT note FROM orders) x',
    'WITH x AS (TABLE orders) SELECT upper(email) FROM x',
    'SELECT upper(email) FROM orders o(id, email)',
    'SELECT upper(email) FROM (orders JOIN customers ON true) AS j(email)',
    'SELECT upper(o.quote_literal) FROM orders o',
    'SELECT upper((o).note) FROM orders o',
    'SELECT unknown_function(id) FROM orders',
    "SELECT query_to_xml('select note from orders', true, true, '')",
    'EXPLAIN SELECT lower(note) FROM orders',
    'SELECT public.lower(id) FROM orders',
  ])('nobody knows of what %s is made', (sql) => {
    expect(effects(sql).mentioned).toBeUndefined()
  })
})
