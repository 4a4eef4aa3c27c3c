/**
 * @module
 * The same set of N policies for every engine: one that permits what a grant covers, and N − 1 that each forbid one tool above
 * an amount. A request that is permitted has made the engine look at all of them.
 */

const numbers = (count: number): readonly number[] => Array.from({ length: count - 1 }, (_, index) => index)

export function toCedar(count: number): string {
  return [
    '@id("covered") permit (principal, action, resource) when { context.grant.covered };',
    ...numbers(count).map(
      (n) =>
        `@id("rule-${n}") forbid (principal, action, resource) when { resource.tool == "tool-${n}" && context.time > ${n} };`,
    ),
  ].join('\n')
}

export function toRego(count: number): string {
  return [
    'package bench',
    'decision := {"allow": true, "policies": {"covered"}} if { count(forbids) == 0; input.context.grant.covered }',
    'decision := {"allow": false, "policies": forbids} if count(forbids) > 0',
    'forbids contains "none" if false',
    ...numbers(count).map(
      (n) =>
        `forbids contains "rule-${n}" if { input.resource.properties.tool == "tool-${n}"; input.context.time > ${n} }`,
    ),
  ].join('\n')
}

function toCerbosRule(name: string, effect: string, expr: string) {
  return { name, actions: ['*'], roles: ['*'], effect, condition: { match: { expr } } }
}

/** JSON is YAML. The document stands in the attributes, as in `examples/policies`. */
export function toCerbos(count: number): string {
  const rules = [
    toCerbosRule('covered', 'EFFECT_ALLOW', 'R.attr.context.grant.covered == true'),
    ...numbers(count).map((n) =>
      toCerbosRule(
        `rule-${n}`,
        'EFFECT_DENY',
        `R.attr.resource.properties.tool == "tool-${n}" && R.attr.context.time > ${n}`,
      ),
    ),
  ]
  const resourcePolicy = { resource: 'agent_action', version: 'default', rules }
  return JSON.stringify({ apiVersion: 'api.cerbos.dev/v1', resourcePolicy })
}
