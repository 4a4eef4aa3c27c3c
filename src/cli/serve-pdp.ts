/**
 * @module
 * `unbearer serve --pdp`: an AuthZEN PDP out of a folder of Cedar policies and a file of entities.
 */
import type { Config } from '../config/load.ts'
import type { JsonObject } from '../core/json.ts'
import { usageError, type Answer, type Call, type Option } from './command.ts'
import { waitForSignal } from './signals.ts'
import { version } from './version.ts'

export const PDP_OPTIONS: readonly Option[] = [
  { name: 'pdp', about: 'be an AuthZEN PDP, without a gateway' },
  { name: 'policies', value: 'DIR', about: 'with --pdp: the folder with *.cedar' },
  { name: 'entities', value: 'FILE.ndjson', about: 'with --pdp: one {"type", "id", "properties"} a line' },
  { name: 'listen', value: 'ADDR', about: 'with --pdp, without --config: ADDRESS:PORT (default: 127.0.0.1:8700)' },
  { name: 'tls-cert', value: 'FILE.pem', about: 'with --pdp, without --config: the certificate chain' },
  { name: 'tls-key', value: 'FILE.pem', about: 'with --pdp, without --config: its private key' },
  {
    name: 'trust-claims',
    about: 'with --pdp, for fixtures only: what a PEP sends in `properties` and `context` counts as known',
  },
]

type Report = (where: string, fault: unknown) => void
type ServingPdp = Awaited<ReturnType<typeof import('../config/serve-pdp.ts').servePdp>>

/** Serves until a signal. Throws `InputError` for options that do not go together. */
export async function servePdpCall(call: Call, report: Report): Promise<Answer> {
  const [policies, entities] = [call.need('policies'), call.need('entities')]
  const { loadConfig } = await import('../config/load.ts')
  const { servePdp } = await import('../config/serve-pdp.ts')
  const path = call.text('config')
  const config = path === undefined ? undefined : await loadConfig(path)
  const listening = config === undefined ? await toListening(call) : assertOwn(call, config)
  const stopped = waitForSignal()
  const trustClaims = call.flag('trust-claims')
  const given = { policies, entities, listening, trustClaims, report }
  const serving = await servePdp({ ...given, ...(config === undefined ? {} : { config }) })
  warn(serving, trustClaims)
  process.stdout.write(`${call.json ? JSON.stringify(toStarted(serving, trustClaims)) : toBlock(serving)}\n`)
  await stopped
  await serving.close()
  return { exit: 0 }
}

function assertOwn(call: Call, config: Config): Config {
  const foreign = ['listen', 'tls-cert', 'tls-key'].find((name) => call.text(name) !== undefined)
  if (foreign !== undefined) throw usageError(`\`--${foreign}\` stands in the configuration, leave one of both away`)
  return config
}

async function toListening(call: Call) {
  const { parseListen } = await import('../config/load.ts')
  const [cert, key] = [call.text('tls-cert'), call.text('tls-key')]
  if ((cert === undefined) !== (key === undefined)) throw usageError('`--tls-cert` and `--tls-key` go together')
  const listen = parseListen(call.text('listen') ?? '127.0.0.1:8700', cert !== undefined)
  if (cert === undefined || key === undefined) return { listen }
  const { createSecret } = await import('../config/secrets.ts')
  return { listen, tls: { cert: createSecret({ file: cert }, {}), key: createSecret({ file: key }, {}) } }
}

/** Said at every start, also with `--json`. */
function warn({ authentication, origin }: ServingPdp, trustClaims: boolean): void {
  if (authentication === 'none') {
    process.stderr.write(
      `WARNING authentication: none. Every process of this machine may ask ${origin}, and every entry says so.\n`,
    )
  }
  if (trustClaims) {
    process.stderr.write(
      'WARNING --trust-claims: whoever asks chooses the attributes that decide. For fixtures only, never in front of anything.\n',
    )
  }
}

function toStarted(serving: ServingPdp, trustClaims: boolean): JsonObject {
  const { origin, authentication, policy, actions, entities, vkey } = serving
  return { origin, authentication, trustClaims, policy, actions: [...actions], entities, log: { vkey } }
}

function toBlock({ origin, authentication, policy, actions, entities, vkey }: ServingPdp): string {
  return [
    `unbearer ${version} is an AuthZEN PDP at ${origin}/access/v1/evaluation`,
    `  authentication  ${authentication}`,
    `  policies        ${policy}`,
    `  entities        ${entities}`,
    `  actions         ${actions.length === 0 ? 'none is named by a policy, so that an action search finds none' : actions.join(', ')}`,
    `  log             verify with ${vkey}`,
  ].join('\n')
}
