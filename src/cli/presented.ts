/**
 * @module
 * An approval as a person reads it: who wants what for whom first, then every argument, its origin, and what speaks against
 * it. Everything goes through the display of untrusted data; nothing is shortened.
 */
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { toDisplay } from '../server/display.ts'
import { toMemberText, toText, toTime } from './command.ts'

/** The text of `approvals show`. Members that are not known here are shown as they are. */
export function toPresented(approval: Json): string {
  const { presented, expires, ...head } = toObject(approval)
  const { action, effect, provenance, findings, reasons, principal, actor, tool, intent, purpose, ...rest } =
    toObject(presented)
  const until = typeof expires === 'number' ? toTime(expires) : ''
  return [
    `approval ${toMemberText(head, 'id')}, ${toMemberText(head, 'status')}, until ${until}`,
    '',
    `agent    ${toText(actor)}`,
    `for      ${toText(principal)}`,
    `tool     ${toText(tool)}`,
    `effect   ${toEffectText(toObject(effect))}`,
    `purpose  ${purpose === undefined ? 'none: nobody attested what this task is for' : toDisplay(purpose)}`,
    `intent   ${intent === undefined ? 'none' : toDisplay(intent)}`,
    `why held ${toItems(reasons).map(toText).join(', ')}`,
    '',
    `action ${toDisplay(action ?? null)}`,
    ...toSection('where its arguments come from', toItems(provenance).map(toOriginText)),
    ...toSection('what speaks against it', toItems(findings).map(toDisplayed)),
    ...(Object.keys(rest).length === 0 ? [] : ['', toDisplay(rest)]),
  ].join('\n')
}

function toEffectText(report: JsonObject): string {
  const { level, beside } = toObject(report['effect'])
  const kinds = [level ?? 'unknown', ...toItems(beside)].map(toText).join(' + ')
  const destinations = toItems(report['destinations']).map(toText).join(', ')
  return [
    kinds,
    report['reversible'] === true ? 'can be undone' : 'cannot be undone',
    report['bounded'] === true ? 'bounded' : 'not bounded',
    `touches ${toItems(report['objects']).map(toText).join(', ')}`,
    ...(destinations === '' ? [] : [`goes to ${destinations}`]),
  ].join('; ')
}

function toOriginText(argument: Json): string {
  const sources = toItems(toObject(argument)['sources']).map(toText).join(', ')
  const [path, role, origin] = ['path', 'role', 'origin'].map((member) => toMemberText(argument, member))
  const label = `${toMemberText(argument, 'trust')}, ${toMemberText(argument, 'confidentiality')}`
  return `${path} (${role}): ${origin}${sources === '' ? '' : ` in ${sources}`}; ${label}`
}

function toDisplayed(value: Json): string {
  return toDisplay(value, '  ')
}

function toSection(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${line}`)]
}

function toItems(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : []
}

function toObject(value: Json | undefined): JsonObject {
  return isJsonObject(value) ? value : {}
}
