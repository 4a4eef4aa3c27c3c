/**
 * @module
 * `unbearer init`: everything that a first `serve` needs, in one folder, overwriting nothing.
 */
import { randomBytes } from 'node:crypto'
import { join, resolve } from 'node:path'

import type { Deployment } from '../config/load.ts'
import { ConfigError } from '../core/errors.ts'
import { usageError, type Answer, type Call, type Command } from './command.ts'
import { FOLDERS, isThere, writeInstallation } from './new-installation.ts'

export const initCommand: Command = {
  words: 'init',
  usage: '[--dir DIR] [--deployment same-user | --agent-uid N] [--issuer URL]',
  summary: 'write a configuration, keys and folders',
  about: [
    'Writes DIR/unbearer.yaml, keys (mode 0600), state, head, manifests and the policies that ship, and enrols one operator,',
    'one approver and one host. It starts in `observe`: everything is decided and recorded, little is blocked, so that the',
    'first weeks only watch: it signs an act of the operator that ends after 30 days, from when on it enforces unless',
    'somebody signs again (`unbearer mode observe`). Overwrites nothing.',
    '',
    '`--deployment same-user` (the default) is honest about an agent that runs as you: it could read the keys, so everything',
    'is advisory. `--agent-uid N` declares that the agent runs as another user; that is then compared at every start.',
  ].join('\n'),
  example: 'unbearer init --dir ./unbearer --agent-uid 1001',
  options: [
    { name: 'dir', value: 'DIR', about: 'where to (default: the current folder)' },
    { name: 'deployment', value: 'same-user', about: 'the agent runs as this user; everything is advisory' },
    { name: 'agent-uid', value: 'N', about: 'the agent runs as this other user' },
    { name: 'issuer', value: 'URL', about: 'the name of this installation in credentials (default: a random one)' },
  ],
  operands: [0, 0],
  run: init,
}

async function init(call: Call): Promise<Answer> {
  const dir = resolve(call.text('dir') ?? '.')
  const deployment = parseDeployment(call)
  await assertFree(dir)
  const issuer = call.text('issuer') ?? `https://unbearer-${randomBytes(5).toString('hex')}.invalid`
  // A folder of that name is common, this package has one; its policies would be taken for ours.
  const policies = (await isThere(join(dir, 'policies'))) ? 'unbearer-policies' : 'policies'
  const text = toYaml(issuer, deployment, policies)
  const config = await writeInstallation({ dir, text, policies, observe: true })
  const at = call.text('dir') === undefined ? '' : ` --config ${join(call.text('dir') ?? '', 'unbearer.yaml')}`
  const json = { dir, config: join(dir, 'unbearer.yaml'), issuer, deployment: toJson(deployment), mode: config.mode }
  return { exit: 0, json, text: toText(dir, deployment, at, policies) }
}

function parseDeployment(call: Call): Deployment {
  const [declared, uid] = [call.text('deployment'), call.text('agent-uid')]
  if (declared !== undefined && uid !== undefined) throw usageError('give either `--deployment` or `--agent-uid`')
  if (declared !== undefined && declared !== 'same-user') throw usageError('`--deployment` knows only `same-user`')
  if (uid === undefined) return 'same-user'
  if (!/^[1-9][0-9]{0,9}$/.test(uid)) throw usageError('`--agent-uid` is a number from 1')
  return { agentUid: Number(uid) }
}

async function assertFree(dir: string): Promise<void> {
  for (const name of ['unbearer.yaml', ...FOLDERS, 'unbearer-policies']) {
    if (await isThere(join(dir, name)))
      throw new ConfigError(
        `\`${join(dir, name)}\` is there already, and \`init\` overwrites nothing; choose another \`--dir\``,
      )
  }
}

function toJson(deployment: Deployment): string | { readonly agentUid: number } {
  return deployment === 'same-user' ? deployment : { agentUid: deployment.agentUid }
}

function toYaml(issuer: string, deployment: Deployment, policies: string): string {
  const declared = deployment === 'same-user' ? 'same-user' : `{ agentUid: ${deployment.agentUid} }`
  return `# Every key, its default and what an attacker gains from it: docs/reference/config.md of the package.
# A key that is not known refuses to start.

# The name of this installation in everything that it signs. A name, not an address; do not change it.
issuer: ${issuer}

listen: 127.0.0.1:8700

# Whether the agent runs as the user of this gateway. Compared with user ids and file modes at every start.
deployment: ${declared}

# observe: decide and record, block little; it counts while an operator says so too. \`init\` has signed that for 30 days.
# enforce: block. Change it once the log shows what would be blocked, or a part at a time:
# modes: [{ effect: delete, mode: enforce }, { upstream: orders, tool: refund, mode: enforce }]
mode: observe

store: sqlite:./state/unbearer.db
audit: { head: ./head/unbearer.head, checkpointKey: { file: ./keys/log.jwk } }
keys: { issuer: { file: ./keys/issuer.jwk }, rotate: 30d }

# Prompts, arguments and outputs are sealed under a key for each subject; this key opens those. Keep a copy of it elsewhere.
# retention: how long, by kind; \`forever\` is possible. The log itself stays whole.
evidence:
  masterKey: { file: ./keys/evidence.key }
  retention: { outputs: 30d, permits: 90d, refusals: 365d, acts: forever }

engine: [{ kind: cedar, policies: ./${policies} }]
# Which operator may call what. Roles are given with \`operators enrol --role\`.
operators: { policies: ./${policies}/operators }
manifests: ./manifests

# The servers behind the gateway. Their secrets stay here: { env: NAME } or { file: PATH }, never a value.
upstreams: []
#  - name: orders
#    kind: mcp
#    command: [npx, -y, some-server]
#    secrets: { TOKEN: { env: ORDERS_TOKEN } }
#  - name: crm
#    kind: mcp
#    url: http://127.0.0.1:9000/mcp

limits: { deadline: 50ms, approvalsPerTask: 3, messageBytes: 4194304 }
credential: { ttl: 30s }
anomaly: { falsePositivesPerTask: 0.01 }
`
}

function toText(dir: string, deployment: Deployment, at: string, policies: string): string {
  const means =
    deployment === 'same-user'
      ? [
          'deployment: same-user. An agent that runs as you can read these keys and go around the gateway; every receipt',
          'says advisory. Run the agent as another user and start with `--agent-uid N` to have more than that.',
        ]
      : [
          `deployment: agentUid ${deployment.agentUid}. The agent runs as that user and must not reach this folder; user ids and`,
          'file modes are compared at every start. Give the agent its own key only, from `agents enrol --new`.',
        ]
  return [
    `Wrote ${dir}:`,
    '  unbearer.yaml   the configuration, in observe mode',
    '  keys/           issuer, log, evidence, operator, approver, host: readable by you only; back them up',
    `  ${`${policies}/`.padEnd(15)} Cedar, yours to edit`,
    '  manifests/      what each tool does, once you have accepted it',
    '  state/ head/    the store with the log, and the head of the log: best on another disk',
    '',
    ...means,
    '',
    'Next:',
    '  1. in unbearer.yaml, add what it guards: MCP servers under `upstreams`, HTTP services that take its credentials under',
    '     `audiences`; tools inside your own process need neither (guides of LangChain and the AI SDK)',
    `  2. unbearer tools scan${at} …                 draft what its tools do; read it, then \`tools accept\``,
    `  3. unbearer agents enrol${at} my-agent --new ./my-agent.jwk`,
    `  4. unbearer grant create${at} -f grant.yaml   what the agent may do, and for whom`,
    `  5. unbearer serve${at}`,
  ].join('\n')
}
