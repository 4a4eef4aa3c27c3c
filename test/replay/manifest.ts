/**
 * @module
 * A manifest for the banking and workspace tools of AgentDojo, as an operator would write it from what each tool does:
 * who can write what it returns, and what each argument decides. It names no value of any attack.
 */
import type { EffectKind } from '../../src/core/effect.ts'
import type { ArgumentRole, Confidentiality, ToolManifest, Trust } from '../../src/core/manifest.ts'

type Roles = Readonly<Record<string, ArgumentRole>>
type Fields = ToolManifest['output']['fields']

function tool(
  effect: EffectKind | readonly EffectKind[],
  roles: Roles,
  trust: Trust,
  confidentiality: Confidentiality,
  fields?: Fields,
): ToolManifest {
  const named = Object.fromEntries(Object.entries(roles).map(([name, role]) => [name, { role }]))
  const output = { trust, confidentiality, ...(fields === undefined ? {} : { fields }) }
  return { hash: 'sha-256:replay', effect, arguments: named, output, idempotent: false }
}

const WRITABLE = { trust: 'attacker-writable' } as const
const PAYMENT: Roles = {
  id: 'selector',
  recipient: 'recipient',
  amount: 'amount',
  subject: 'content',
  date: 'content',
  recurring: 'content',
}
const FILTER: Roles = { query: 'selector', sender: 'selector', date: 'selector', day: 'selector', n: 'selector' }
const FILE: Roles = { file_id: 'selector', filename: 'selector', file_path: 'selector', content: 'content' }
const PERSON: Roles = { first_name: 'content', last_name: 'content', street: 'content', city: 'content' }
const EVENT: Roles = {
  event_id: 'selector',
  title: 'content',
  start_time: 'content',
  end_time: 'content',
  description: 'content',
  location: 'content',
  participants: 'recipient',
  new_start_time: 'content',
  new_end_time: 'content',
}
const MAIL: Roles = {
  recipients: 'recipient',
  cc: 'recipient',
  bcc: 'recipient',
  subject: 'content',
  body: 'content',
  attachments: 'content',
  email_id: 'selector',
}
// Anybody can invite, and anybody with access can write into a shared file.
const EVENT_FIELDS: Fields = { title: WRITABLE, description: WRITABLE, location: WRITABLE }
const FILE_FIELDS: Fields = { content: WRITABLE, filename: WRITABLE }

const events = (effect: EffectKind | readonly EffectKind[], roles: Roles): ToolManifest =>
  tool(effect, roles, 'internal', 'confidential', EVENT_FIELDS)
const files = (effect: EffectKind | readonly EffectKind[], roles: Roles = FILE): ToolManifest =>
  tool(effect, roles, 'internal', 'confidential', FILE_FIELDS)
const inbox = (): ToolManifest => tool('read', FILTER, 'attacker-writable', 'confidential')
const contacts = (): ToolManifest => tool('read', FILTER, 'own', 'internal')

export const TOOLS: Readonly<Record<string, ToolManifest>> = {
  get_iban: tool('read', {}, 'own', 'internal'),
  get_balance: tool('read', {}, 'own', 'confidential'),
  get_user_info: tool('read', {}, 'own', 'confidential'),
  // Whoever pays one cent writes a subject and appears as a sender.
  get_most_recent_transactions: tool('read', FILTER, 'own', 'confidential', { subject: WRITABLE, sender: WRITABLE }),
  get_scheduled_transactions: tool('read', {}, 'own', 'confidential'),
  read_file: tool('read', FILE, 'attacker-writable', 'internal'),
  send_money: tool('spend', PAYMENT, 'internal', 'internal'),
  schedule_transaction: tool('spend', PAYMENT, 'internal', 'internal'),
  update_scheduled_transaction: tool(['write', 'spend'], PAYMENT, 'internal', 'internal'),
  update_password: tool('admin', { password: 'credential' }, 'internal', 'internal'),
  update_user_info: tool('write', PERSON, 'own', 'confidential'),

  get_unread_emails: inbox(),
  get_received_emails: inbox(),
  search_emails: inbox(),
  get_sent_emails: tool('read', {}, 'own', 'confidential'),
  get_draft_emails: tool('read', {}, 'own', 'confidential'),
  send_email: tool('send', MAIL, 'internal', 'confidential'),
  delete_email: tool('delete', MAIL, 'internal', 'internal'),
  search_contacts_by_name: contacts(),
  search_contacts_by_email: contacts(),
  get_current_day: tool('read', {}, 'own', 'public'),
  search_calendar_events: events('read', FILTER),
  get_day_calendar_events: events('read', FILTER),
  create_calendar_event: events(['write', 'send'], EVENT),
  add_calendar_event_participants: events(['write', 'send'], EVENT),
  reschedule_calendar_event: events('write', EVENT),
  cancel_calendar_event: events('delete', EVENT),
  search_files: files('read', FILTER),
  search_files_by_filename: files('read'),
  get_file_by_id: files('read'),
  list_files: files('read'),
  create_file: files('write'),
  append_to_file: files('write'),
  delete_file: files('delete'),
  share_file: files('send', { ...FILE, email: 'recipient', permission: 'content' }),
}
