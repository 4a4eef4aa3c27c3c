/**
 * @module
 * Every method of the control plane as policies of operators see it: the group that it belongs to, what it touches, and who
 * writes it into the log. A method without a row here does not compile, so that none is forgotten; policies speak of groups,
 * so that a new method needs no new policy.
 */
import type { JsonObject } from './json.ts'

/**
 * `read`: settings and lists, without evidence. `queue`: actions that wait for a person. `evidence`: prompts, arguments and
 * outputs. `answer`: approvals. `stop`: revocation and everything else that only takes away. `author`: grants and manifests.
 * `open`: tasks, and grants that a principal stands behind. `administer`: keys, roles, modes, erasure, and whatever else widens or destroys.
 */
export const CONTROL_GROUPS = ['read', 'queue', 'evidence', 'answer', 'stop', 'author', 'open', 'administer'] as const
export type ControlGroup = (typeof CONTROL_GROUPS)[number]

/** What a call touches, as far as its parameters say: never looked up before policy is asked. */
export interface Touched {
  readonly type: string
  readonly id: string
}

export interface ControlAction {
  readonly group: ControlGroup
  /** The type of what is touched, and the parameters that make its id, joined by `/`. */
  readonly touches: readonly [type: string, ...parameters: readonly string[]]
  /** `itself`: the method writes its act. `reading`: it shows evidence, and is recorded before it does. `no`: nothing changes. */
  readonly logged: 'itself' | 'reading' | 'no'
}

/** A row for each method. */
export const CONTROL_ACTIONS = {
  'key.enrol': { group: 'administer', touches: ['key', 'role', 'name'], logged: 'itself' },
  'key.roles': { group: 'administer', touches: ['operator', 'name'], logged: 'itself' },
  'key.rotate': { group: 'administer', touches: ['system'], logged: 'itself' },
  'key.issuer': { group: 'read', touches: ['system'], logged: 'no' },
  'key.list': { group: 'read', touches: ['system'], logged: 'no' },
  'grant.create': { group: 'author', touches: ['grant'], logged: 'itself' },
  'grant.list': { group: 'read', touches: ['system'], logged: 'no' },
  'grant.show': { group: 'read', touches: ['grant', 'id'], logged: 'no' },
  'grant.open': { group: 'open', touches: ['grant'], logged: 'itself' },
  'grant.take': { group: 'open', touches: ['grant'], logged: 'itself' },
  'task.open': { group: 'open', touches: ['agent', 'actor'], logged: 'itself' },
  'approval.list': { group: 'queue', touches: ['system'], logged: 'no' },
  'approval.show': { group: 'queue', touches: ['approval', 'id'], logged: 'no' },
  'approval.answer': { group: 'answer', touches: ['approval', 'id'], logged: 'itself' },
  revoke: { group: 'stop', touches: ['revocation', 'dimension', 'id'], logged: 'itself' },
  resume: { group: 'administer', touches: ['system'], logged: 'itself' },
  'revocation.list': { group: 'read', touches: ['system'], logged: 'no' },
  'mode.observe': { group: 'administer', touches: ['mode'], logged: 'itself' },
  'mode.enforce': { group: 'stop', touches: ['mode'], logged: 'itself' },
  'mode.list': { group: 'read', touches: ['system'], logged: 'no' },
  'manifest.accept': { group: 'author', touches: ['manifest'], logged: 'itself' },
  'manifest.show': { group: 'read', touches: ['manifest', 'server'], logged: 'no' },
  'agent.restore': { group: 'administer', touches: ['agent', 'name'], logged: 'itself' },
  'break-glass.prepare': { group: 'administer', touches: ['break-glass'], logged: 'itself' },
  'break-glass.list': { group: 'queue', touches: ['system'], logged: 'no' },
  'break-glass.show': { group: 'queue', touches: ['break-glass', 'id'], logged: 'no' },
  'break-glass.sign': { group: 'answer', touches: ['break-glass', 'id'], logged: 'itself' },
  'break-glass.open': { group: 'answer', touches: ['break-glass', 'id'], logged: 'itself' },
  'manifest.reload': { group: 'author', touches: ['system'], logged: 'itself' },
  status: { group: 'read', touches: ['system'], logged: 'no' },
  'log.head': { group: 'read', touches: ['system'], logged: 'no' },
  'log.entries': { group: 'read', touches: ['system'], logged: 'no' },
  'entry.why': { group: 'evidence', touches: ['entry', 'id'], logged: 'reading' },
  'subject.erase': { group: 'administer', touches: ['subject', 'subject'], logged: 'itself' },
  'evidence.sweep': { group: 'administer', touches: ['system'], logged: 'itself' },
  'case.record': { group: 'author', touches: ['entry', 'entry'], logged: 'itself' },
  'case.list': { group: 'read', touches: ['system'], logged: 'no' },
  'case.show': { group: 'evidence', touches: ['entry', 'entry'], logged: 'reading' },
  report: { group: 'read', touches: ['system'], logged: 'no' },
  'entry.show': { group: 'evidence', touches: ['entry', 'id'], logged: 'reading' },
} as const

export type ControlMethod = keyof typeof CONTROL_ACTIONS

/** The row of a method. */
export function controlActionOf(method: ControlMethod): ControlAction {
  return CONTROL_ACTIONS[method]
}

/** What the parameters of a call name; what is missing or no text is empty. */
export function toTouched({ touches: [type, ...names] }: ControlAction, params: JsonObject): Touched {
  const parts = names.map((name) => params[name]).map((value) => (typeof value === 'string' ? value : ''))
  return { type, id: parts.join('/') }
}
