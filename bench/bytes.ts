/**
 * @module
 * `npm run bench:bytes`: how many bytes one action leaves in the store, by what they are. Reads and writes of `calls.ts` in
 * turn, each a permitted action with its outcome, in one task.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'

import { compose } from '../src/config/compose.ts'
import { loadConfig } from '../src/config/load.ts'
import { importKey } from '../src/crypto/keys.ts'
import { isJsonObject, RefusedError, UnavailableError, type Caller } from '../src/index.ts'
import { BODY_BYTES, EFFECTS, toCall } from './calls.ts'
import { readObject, toAccessRequest } from './in-process.ts'
import { createInstallation } from './installation.ts'
import { callTool } from './tool.ts'

const ACTIONS = 500
const CACHE = fileURLToPath(new URL('../node_modules/.cache', import.meta.url))

/** Bytes by what they are; `file` is the whole database. */
type Sizes = Readonly<Record<string, number>>

const PARTS: Readonly<Record<string, string>> = {
  'entries of the log': 'SELECT sum(length(bytes) + length(id)) AS n FROM entry',
  'nodes of its tree': 'SELECT sum(length(hash)) AS n FROM node',
  'evidence, sealed': 'SELECT sum(length(bytes) + length(id) + length(subject)) AS n FROM evidence',
  'observations, for provenance':
    "SELECT sum(length(value)) AS n FROM record WHERE CAST(key AS TEXT) LIKE 'observation/%'",
  'other records': "SELECT sum(length(value)) AS n FROM record WHERE CAST(key AS TEXT) NOT LIKE 'observation/%'",
}

function measure(path: string): Sizes {
  const db = new DatabaseSync(path)
  try {
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    const parts = Object.entries(PARTS).map(([name, sql]) => [name, Number(db.prepare(sql).get()?.['n'] ?? 0)] as const)
    return { ...Object.fromEntries(parts), 'the file, with indexes and free space': statSync(path).size }
  } finally {
    db.close()
  }
}

async function act(config: string, agent: Awaited<ReturnType<typeof createInstallation>>['agents'][number]) {
  const composed = await compose(await loadConfig(config), (where, fault) =>
    process.stderr.write(`bench: ${where}: ${fault instanceof Error ? fault.message : String(fault)}\n`),
  )
  try {
    const key = importKey({ ...agent.key })
    const task = await composed.services.tasks.find(agent.txn)
    if (task === undefined) throw new UnavailableError('there is no task')
    const caller: Caller = {
      actor: { type: 'agent', id: 'agent-0', jkt: key.jkt },
      proof: { grade: 'signature', bodyBound: true, jkt: key.jkt },
      task,
    }
    for (let seq = 0; seq < ACTIONS; seq += 1) {
      const { params } = readObject(Buffer.from(toCall(EFFECTS[seq % 2] ?? 'read', seq)))
      if (!isJsonObject(params)) throw new UnavailableError('the call has no parameters')
      const enforced = await composed.pep.enforce(
        toAccessRequest(composed.pep.newId(), caller, params),
        async (given) => {
          const redemption = await given.redeem(given.body)
          if (!redemption.ok) throw new RefusedError(redemption.reason, 'the credential was not redeemed')
          return { output: await callTool(given.body) }
        },
      )
      if (enforced.kind === 'refused') throw new UnavailableError(`an action was refused: ${enforced.refusal.reason}`)
    }
  } finally {
    await composed.close()
  }
}

const dir = mkdtempSync(join(CACHE, 'bytes-'))
try {
  const { config, agents } = await createInstallation(join(dir, 'installation'), 1)
  const [agent] = agents
  if (agent === undefined) throw new UnavailableError('there is no agent')
  const path = join(dir, 'installation', 'state', 'unbearer.db')
  const before = measure(path)
  await act(config, agent)
  const after = measure(path)
  const rows = Object.keys(after).map((name) => {
    const bytes = Math.round(((after[name] ?? 0) - (before[name] ?? 0)) / ACTIONS)
    return `${String(bytes).padStart(7)}  ${name}`
  })
  process.stdout.write(`bytes an action (${ACTIONS} permitted actions of ${BODY_BYTES} bytes, with their outcomes)\n\n`)
  process.stdout.write(`${rows.join('\n')}\n`)
} finally {
  rmSync(dir, { recursive: true, force: true })
}
