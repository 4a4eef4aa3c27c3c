/**
 * @module
 * An installation on a disk that is served, stopped, copied, cut and served again, with an agent of it at hand.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { callControl } from '../../src/client/index.ts'
import { serveInstallation, type Serving } from '../../src/config/listen.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { LogEntry } from '../../src/core/entry.ts'
import type { JsonObject } from '../../src/index.ts'
import { isJsonObject, parseJson } from '../../src/index.ts'
import { signBytes } from '../../src/crypto/keys.ts'
import { toApprovalMessage } from '../../src/server/approvals.ts'
import { connectAgent, type Agent } from './agent.ts'
import { prepareInstallation, toEntries, type Name, type Prepared } from './installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from './recording-upstream.ts'

export interface Stage {
  readonly prepared: Prepared
  readonly upstream: RecordingUpstream
  /** Serves the folder `dir`, by default that of the installation, until the stage is closed. */
  serve(dir?: string): Promise<Serving>
  agent(serving: Serving, txn: string, name?: Name): Promise<Agent>
  close(): Promise<void>
}

/** With the keys of people in `keys/`, as `init` leaves them. */
export async function createStage(grant: JsonObject = {}): Promise<Stage> {
  const upstream = await startRecordingUpstream()
  const prepared = await prepareInstallation({ upstream, grant })
  for (const name of ['operator', 'approver', 'host', 'agent'] as const)
    writeFileSync(join(prepared.dir, 'keys', `${name}.jwk`), JSON.stringify(prepared.jwks[name]), { mode: 0o600 })
  const closers: (() => Promise<void>)[] = [async () => upstream.close(), async () => prepared.remove()]
  return {
    prepared,
    upstream,
    async serve(dir = prepared.dir) {
      const config = await loadConfig(join(dir, 'unbearer.yaml'))
      const serving = await serveInstallation(config, { version: 'test', report: () => undefined })
      closers.push(async () => serving.close().catch(() => undefined))
      return serving
    },
    async agent({ origin }, txn, name = 'agent') {
      const agent = await connectAgent({ origin, key: prepared.keys[name], txn })
      closers.push(async () => agent.close().catch(() => undefined))
      return agent
    },
    async close() {
      for (const close of closers.splice(0).toReversed()) await close()
    },
  }
}

/** Calls the control plane as `name`. */
export async function control(
  { prepared }: Stage,
  { origin }: Serving,
  name: Name,
  method: string,
  params: JsonObject,
): Promise<JsonObject> {
  const answer = await callControl({ url: origin, key: prepared.keys[name], method, params })
  return isJsonObject(answer) ? answer : {}
}

export async function openTask(
  stage: Stage,
  serving: Serving,
  purpose: string,
  actor: Name = 'agent',
): Promise<string> {
  const { txn } = await control(stage, serving, 'host', 'task.open', { purpose, principal: 'alice', actor })
  return typeof txn === 'string' ? txn : ''
}

export async function approve(stage: Stage, serving: Serving, ticket: string): Promise<void> {
  const shown = await serving.composed.services.approvals.show(ticket)
  const signature = signBytes(stage.prepared.keys.approver, toApprovalMessage(shown, 'approved')).toString('base64url')
  await control(stage, serving, 'approver', 'approval.answer', { id: ticket, verdict: 'approved', signature })
}

export async function readLog({ composed: { store } }: Serving): Promise<readonly LogEntry[]> {
  return toEntries(await store.log.entries(0, await store.log.size()))
}

/** The values of the control entries that say `act`, oldest first. */
export async function readActs(serving: Serving, act: string): Promise<readonly JsonObject[]> {
  const found: JsonObject[] = []
  for (const entry of await readLog(serving)) {
    if (entry.kind !== 'control' || entry.act !== act) continue
    const bytes = await serving.composed.store.evidence(entry.id)
    const opened = bytes === undefined ? {} : parseJson(bytes, { numbers: 'any' })
    const values = isJsonObject(opened) ? opened['values'] : {}
    const detail = isJsonObject(values) ? values['detail'] : {}
    found.push({ by: entry.by, ...(isJsonObject(detail) ? detail : {}) })
  }
  return found
}
