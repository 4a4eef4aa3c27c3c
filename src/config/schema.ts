/**
 * @module
 * The shape of `unbearer.yaml` as it is written: every key, its default, what it means and what an attacker gains from it.
 * `docs/reference/config.md` and `config.schema.json` are made from this file and a test compares them.
 */
import { z } from 'zod'

import { BESIDE, LEVELS, type EffectKind } from '../core/effect.ts'
import type { JsonObject } from '../core/json.ts'
import type { EvidenceClass } from '../core/retention.ts'
import { DURATION_PATTERN, isDuration } from './durations.ts'
import { audienceShape, type AudienceShape } from './audience.ts'
import { engineShape, type EngineShape } from './engine-schema.ts'
import { eventsShape, type EventsShape } from './events.ts'
import { about, secret, text, type SecretShape } from './schema-parts.ts'
import { upstreamOauthShape, type UpstreamOauthShape } from './upstream-oauth.ts'
import { trustShape, type TrustShape } from './trust.ts'

export interface UpstreamShape {
  readonly name: string
  readonly kind: 'mcp'
  readonly command?: readonly string[] | undefined
  readonly url?: string | undefined
  readonly secrets: Readonly<Record<string, SecretShape>>
  readonly oauth?: UpstreamOauthShape | undefined
  readonly mode?: 'observe' | 'enforce' | undefined
}

export interface ModeRuleShape {
  readonly upstream?: string | undefined
  readonly tool?: string | undefined
  readonly actor?: string | undefined
  readonly effect?: EffectKind | undefined
  readonly mode: 'observe' | 'enforce'
}

/** The file with its defaults filled in; paths and durations are still text. */
export interface ConfigShape {
  readonly issuer: string
  readonly listen: string
  readonly origin?: string | undefined
  readonly tls?:
    | {
        readonly cert: SecretShape
        readonly key: SecretShape
        readonly ca?: string | undefined
        readonly clientCertificates: boolean
      }
    | undefined
  readonly deployment: 'same-user' | { readonly agentUid: number }
  readonly mode: 'observe' | 'enforce'
  readonly modes: readonly ModeRuleShape[]
  readonly store: string
  readonly audit: { readonly head: string; readonly checkpointKey: SecretShape }
  readonly evidence: {
    readonly masterKey: SecretShape
    readonly retention: Readonly<Record<EvidenceClass, string>>
  }
  readonly keys: { readonly issuer: SecretShape; readonly rotate: string }
  readonly engine: readonly EngineShape[]
  readonly operators: { readonly policies?: string | undefined }
  readonly manifests: string
  readonly upstreams: readonly UpstreamShape[]
  readonly audiences: readonly AudienceShape[]
  readonly trust: TrustShape
  readonly events: EventsShape
  readonly limits: {
    readonly deadline: string
    readonly approvalsPerTask: number
    readonly approvalsPerActor: number
    readonly asksPerTask: number
    readonly decisionsPerMinute: number
    readonly underWayPerActor: number
    readonly reserveBytes: number
    readonly disk: string
    readonly suspend: { readonly after: number; readonly within: string; readonly reasons: readonly string[] }
    readonly messageBytes: number
    readonly answer: string
  }
  readonly credential: { readonly ttl: string }
  readonly anomaly: { readonly falsePositivesPerTask: number }
}

/** One thing that is wrong with the shape; `path` is as in `upstreams[0].mode`. */
export interface ShapeProblem {
  readonly path: string
  readonly message: string
}

const duration = z
  .string()
  .regex(new RegExp(DURATION_PATTERN), 'is not a duration, write a whole number with a unit such as `30s` or `8h`')
  .refine(isDuration, 'must be longer than zero')
const kept = z
  .string()
  .regex(new RegExp(`${DURATION_PATTERN}|^forever$`), 'must be `forever` or a whole number with a unit such as `90d`')
  .refine((given) => given === 'forever' || isDuration(given), 'must be longer than zero')
  .default('forever')
const mode = z.enum(['observe', 'enforce'], 'must be `observe` or `enforce`')

const upstream = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, 'must be lower case letters, digits, `-` and `_`, at most 64')
    .meta(
      about(
        'The name in grants, policies, manifests and the URL `/mcp/<name>`.',
        'Renaming an upstream detaches it from its grants and manifest: its tools become unknown, which denies.',
      ),
    ),
  kind: z.literal('mcp').meta(about('The plane. Only `mcp` is built.', 'Nothing.')),
  command: z
    .array(text)
    .min(1)
    .optional()
    .meta(
      about(
        'Starts a stdio server; it runs in the folder of the configuration with `secrets` as its environment.',
        'Code execution as the user of the gateway, with the secrets of the upstream.',
      ),
    ),
  url: z
    .string()
    .regex(/^https?:\/\/[^\s@]+$/, 'must be an http or https URL without user information')
    .optional()
    .meta(
      about(
        'The endpoint of a streamable HTTP server; `secrets` are sent as headers.',
        'Every action that is permitted, and the secrets, go to a server of the attacker.',
      ),
    ),
  secrets: z
    .record(z.string().regex(/^[A-Za-z][A-Za-z0-9_-]*$/, 'must be the name of a variable or a header'), secret)
    .default({})
    .meta(
      about(
        'What the upstream needs and the agent must never hold: name to place. With `command` the name is an environment variable, with `url` a header.',
        'The power of the upstream credential, without any decision.',
      ),
    ),
  oauth: upstreamOauthShape
    .optional()
    .meta(
      about(
        'With `url`: tokens for the upstream, obtained and renewed by the gateway. Default: none.',
        'See its keys.',
      ),
    ),
  mode: mode
    .optional()
    .meta(
      about(
        'The mode of this upstream. Default: the mode above. `observe` counts only while an act of an operator says so too (`unbearer mode observe`).',
        'Nothing by `observe` alone. With an act as well: everything that identity, parsing, revocation and single use do not stop.',
      ),
    ),
})

const modeRule = z.strictObject({
  upstream: text.optional().meta(about('Only this upstream, or group of tools of a host.', 'See `modes`.')),
  tool: text.optional().meta(about('Only this tool of `upstream`.', 'See `modes`.')),
  actor: text.optional().meta(about('Only this agent, by name or thumbprint.', 'See `modes`.')),
  effect: z
    .enum([...LEVELS, ...BESIDE], 'must be an effect of the lattice, for example `read`')
    .optional()
    .meta(
      about(
        'With `enforce`: what does at least this. With `observe`: what does at most this, and nothing beside.',
        'See `modes`.',
      ),
    ),
  mode: mode.meta(about('The mode of what fits all of the above.', 'See `modes`.')),
})

const shape = z.strictObject({
  issuer: z
    .string()
    .regex(/^https?:\/\/[^\s?#@]+$/, 'must be an http or https URL without query, fragment or user information')
    .meta(
      about(
        'The `iss` of everything that is issued. Fixed at `init`; changing it makes all earlier credentials foreign.',
        'Nothing without the issuer key: verifiers compare it with what they were told out of band.',
      ),
    ),
  listen: z
    .string()
    .default('127.0.0.1:8700')
    .meta(
      about(
        'Address and port. Anything but loopback needs `tls`.',
        'A wider listener can be reached from other machines: more places from which to try stolen keys, and to learn that it exists.',
      ),
    ),
  origin: z
    .string()
    .optional()
    .meta(
      about(
        'The origin under which clients reach the listener, when it is not the address itself. Signatures cover it. Default: made from `listen`.',
        'A foreign origin here makes signatures that were meant for that other place acceptable at this one.',
      ),
    ),
  tls: z
    .strictObject({
      cert: secret.meta(about('Certificate chain, PEM.', 'Clients that trust it talk to the attacker.')),
      key: secret.meta(
        about('Private key of the certificate, PEM.', 'Reading and changing of traffic, in a place between.'),
      ),
      ca: text
        .optional()
        .meta(
          about(
            'The file with the authority that commands beside this configuration trust, and no other. Default: those of the system, and the certificate itself.',
            'Answering commands in the place of the gateway, with another certificate.',
          ),
        ),
      clientCertificates: z
        .boolean()
        .default(false)
        .meta(
          about(
            'Asks clients for a certificate. One of the key of an agent proves the agent for its connection, and its sessions are bound to it (RFC 8705); who signed it does not count.',
            'Nothing without the key of an agent. With a stolen one no more than signatures with it give.',
          ),
        ),
    })
    .optional()
    .meta(
      about('TLS of the listener. Default: none, loopback only.', 'Without it traffic off this machine is readable.'),
    ),
  deployment: z
    .union(
      [
        z.literal('same-user'),
        z.strictObject({
          agentUid: z.int().min(1).meta(about('The user id of the agent; not ours, not root.', 'As for `deployment`.')),
        }),
      ],
      'must be `same-user` or `{ agentUid: N }`',
    )
    .meta(
      about(
        'Whether the agent runs as the same operating-system user. Declared, and checked at start against user ids and file modes. With `same-user` every receipt says advisory.',
        'With `same-user` an agent can read the keys and the state, run the tool itself or approve itself.',
      ),
    ),
  mode: mode
    .default('enforce')
    .meta(
      about(
        '`enforce` blocks; `observe` only records what would have been blocked, and accepts requests without proof on loopback. `observe` counts only while an act of an operator says so too (`unbearer mode observe`; `init` signs the first); otherwise it is enforced.',
        'Nothing by `observe` alone. With an act as well: intent, scope, context, anomaly and policy are suspended.',
      ),
    ),
  modes: z
    .array(modeRule)
    .max(200)
    .default([])
    .meta(
      about(
        'Modes of parts. Where any rule that fits says `enforce`, it is enforced, whatever an operator signs. A rule that says `observe` counts only while an act of an operator says so too.',
        'Taking an `enforce` away gives acts of operators their way; it observes nothing by itself.',
      ),
    ),
  store: z
    .string()
    .regex(/^(sqlite:.+|memory:)$/, 'must be `sqlite:PATH` or `memory:`')
    .default('sqlite:./state/unbearer.db')
    .meta(
      about(
        'Where state and log live. `memory:` forgets everything at the end of the process: for trials only.',
        'Whoever writes the file can forget keys, grants and burns; the log cannot be rewritten past the head kept outside.',
      ),
    ),
  audit: z
    .strictObject({
      head: text
        .default('./head/unbearer.head')
        .meta(
          about(
            'The file outside the store that keeps the last signed head. Best on another disk, owned by another user.',
            'With the store as well: presenting a shorter or another log at the next start.',
          ),
        ),
      checkpointKey: secret
        .default({ file: './keys/log.jwk' })
        .meta(
          about(
            'Signs checkpoints of the log. Not the issuer key.',
            'Signing another history, where no witness has seen this one.',
          ),
        ),
    })
    .prefault({})
    .meta(about('The log.', 'See its keys.')),
  evidence: z
    .strictObject({
      masterKey: secret
        .default({ file: './keys/evidence.key' })
        .meta(
          about(
            'The key that wraps the key of each subject, under which evidence is sealed: 32 bytes in base64url, made by `unbearer init` or at the first start. Back it up apart from the store; without it no evidence can be read, and nothing starts.',
            'With a copy of the store: every prompt, argument and output that is kept, and was kept when the copy was made.',
          ),
        ),
      retention: z
        .strictObject({
          permits: kept.meta(
            about(
              'How long the evidence of permitted and rewritten actions is kept: request, arguments, findings.',
              'Short: what a permitted action was about can no longer be shown, nor the decision replayed.',
            ),
          ),
          refusals: kept.meta(
            about(
              'How long the evidence of denied, deferred and challenged actions is kept.',
              'Short: attempts are forgotten before anybody looks at them.',
            ),
          ),
          outputs: kept.meta(
            about(
              'How long what tools returned is kept.',
              'Long: more to find for whoever gets store and key. Short: nobody can show what an agent was told.',
            ),
          ),
          acts: kept.meta(
            about(
              'How long the details of acts of operators, hosts and the system are kept: grants, tasks with their purpose, approvals, revocations.',
              'Short: who was given what can no longer be shown, only that something was done.',
            ),
          ),
        })
        .prefault({})
        .meta(
          about(
            'How long evidence is kept, by what it is evidence of. The log itself is not shortened.',
            'See its keys.',
          ),
        ),
    })
    .prefault({})
    .meta(about('The evidence beside the log.', 'See its keys.')),
  keys: z
    .strictObject({
      issuer: secret
        .default({ file: './keys/issuer.jwk' })
        .meta(
          about(
            'Signs session and action credentials.',
            'Issuing credentials for any action, though not burning them twice.',
          ),
        ),
      rotate: duration
        .default('30d')
        .meta(about('The age from which `doctor` asks for a new issuer key.', 'A stolen key stays useful for longer.')),
    })
    .prefault({})
    .meta(about('Our own keys.', 'See its keys.')),
  engine: z
    .array(engineShape)
    .min(1)
    .default([{ kind: 'cedar', policies: './policies' }])
    .meta(about('The policy engines; all of them must permit.', 'Taking an engine away takes its refusals away.')),
  operators: z
    .strictObject({
      policies: text
        .optional()
        .meta(
          about(
            'The folder with the `*.cedar` files that say which operator may call what. Default: those that come with this package.',
            'Calling what the roles of a captured key do not cover. Enrolling operators stays with admins.',
          ),
        ),
    })
    .prefault({})
    .meta(about('Who may do what on the control plane.', 'See its keys.')),
  manifests: text
    .default('./manifests')
    .meta(
      about(
        'The folder with one tool manifest per server.',
        'None without the signature of an operator: an unsigned manifest is not in force.',
      ),
    ),
  upstreams: z.array(upstream).default([]).meta(about('The servers behind the gateway.', 'See its keys.')),
  audiences: z
    .array(audienceShape)
    .default([])
    .meta(about('Resource servers for which action credentials are issued at `/token`.', 'See its keys.')),
  trust: trustShape
    .prefault({ issuers: [] })
    .meta(about('Whose word counts for principals, beside that of operators.', 'See its keys.')),
  events: eventsShape
    .prefault({ receive: [], send: [] })
    .meta(
      about('Security events (CAEP): whose end what principals do, and who is told of revocations.', 'See its keys.'),
    ),
  limits: z
    .strictObject({
      deadline: duration
        .default('50ms')
        .meta(
          about(
            'The most that a decision may take; later is a defer.',
            'Short: everything is deferred. Long: slow engines hold requests.',
          ),
        ),
      approvalsPerTask: z
        .int()
        .min(1)
        .max(100)
        .default(3)
        .meta(
          about('How many approvals of one task may be open.', 'Flooding people until they approve without reading.'),
        ),
      approvalsPerActor: z
        .int()
        .min(1)
        .max(10_000)
        .default(30)
        .meta(
          about('How many approvals of one agent may be open, over all of its tasks.', 'As for `approvalsPerTask`.'),
        ),
      asksPerTask: z
        .int()
        .min(1)
        .max(1_000)
        .default(20)
        .meta(
          about(
            'How many approvals may be asked for in one task within an hour, whatever became of them.',
            'Asking again with a letter changed until somebody says yes.',
          ),
        ),
      decisionsPerMinute: z
        .int()
        .min(1)
        .max(10_000_000)
        .default(60_000)
        .meta(
          about(
            'How many decisions one agent may ask for within a minute; all callers without a proof share one count. More are deferred and counted, and not entered one by one.',
            'Filling the disk, and the time of the gateway, with the decisions of a captured agent.',
          ),
        ),
      underWayPerActor: z
        .int()
        .min(1)
        .max(100_000)
        .default(1_000)
        .meta(about('How many actions of one agent may be under way at once.', 'Memory.')),
      reserveBytes: z
        .int()
        .min(0)
        .default(67_108_864)
        .meta(
          about(
            'While less than this is left on the disk of the store, decisions are deferred, so that revocations, answers of approvers and restores still find room. 0 reserves nothing.',
            'A full disk denies everything, and what is revoked then is in force but not recorded.',
          ),
        ),
      disk: duration
        .default('10s')
        .meta(
          about(
            'How long the disk may take to record something; later it counts as not recorded, and nothing is released.',
            'Long: whoever waits is told late.',
          ),
        ),
      suspend: z
        .strictObject({
          after: z
            .int()
            .min(3)
            .max(100_000)
            .default(200)
            .meta(
              about('After so many refusals an agent is suspended.', 'High: trying out for longer what is permitted.'),
            ),
          within: duration.default('10m').meta(about('Refusals count for so long.', 'Short: trying slowly.')),
          reasons: z
            .array(
              z.enum(['identity', 'intent', 'scope', 'context', 'anomaly', 'policy'], 'must be a family of reasons'),
            )
            .default(['identity', 'scope', 'context'])
            .meta(
              about(
                'Which refusals count. An empty list suspends nobody.',
                'What does not count can be tried for ever.',
              ),
            ),
        })
        .prefault({})
        .meta(
          about(
            'Suspends an agent that is refused again and again; `unbearer agents restore NAME` gives it its way again. Only requests that its own key proved count.',
            'Low numbers: whoever feeds the agent bad instructions stops it.',
          ),
        ),
      messageBytes: z
        .int()
        .min(1024)
        .max(67_108_864)
        .default(4_194_304)
        .meta(about('The largest message in either direction.', 'Memory: many large messages at once.')),
      answer: duration
        .default('10m')
        .meta(
          about(
            'The most that a tool server may take to answer a call, whatever it says meanwhile; then the call is given up, the server is told, and whether it was done counts as not known.',
            'Long: a server that never answers holds calls, their memory and their places.',
          ),
        ),
    })
    .prefault({})
    .meta(about('Limits.', 'See its keys.')),
  credential: z
    .strictObject({
      ttl: duration
        .default('30s')
        .meta(
          about(
            'How long an action credential lives, at most `60s`.',
            'More time to use a stolen credential once, with the stolen key.',
          ),
        ),
    })
    .prefault({})
    .meta(about('The action credential.', 'See its keys.')),
  anomaly: z
    .strictObject({
      falsePositivesPerTask: z
        .number()
        .gt(0)
        .lt(1)
        .default(0.01)
        .meta(
          about(
            'How many false alarms a task may expect.',
            'Low: unusual behaviour of a captured agent stays unremarked.',
          ),
        ),
    })
    .prefault({})
    .meta(about('The verifier of behaviour.', 'See its keys.')),
})

/**
 * The shape of a parsed YAML value, or what is wrong with it. Does not look for unknown keys by name (see `load.ts`),
 * does not resolve paths and reads no secret.
 */
export function parseShape(value: unknown): ConfigShape | readonly ShapeProblem[] {
  const parsed = shape.safeParse(value)
  if (parsed.success) return parsed.data
  return parsed.error.issues.map(({ path, message }) => ({ path: toPath(path), message: toMessage(message) }))
}

function toMessage(message: string): string {
  const said = message.replace(/^Invalid input: /, '')
  return said.charAt(0).toLowerCase() + said.slice(1)
}

/** `upstreams[0].mode` */
function toPath(parts: readonly PropertyKey[]): string {
  return parts.reduce<string>(
    (path, part) =>
      typeof part === 'number' ? `${path}[${part}]` : path === '' ? String(part) : `${path}.${String(part)}`,
    '',
  )
}

/** The JSON Schema (2020-12) of the file as a person writes it. */
export function toConfigSchema(): JsonObject {
  const made: unknown = z.toJSONSchema(shape, { io: 'input' })
  if (!isObject(made)) throw new TypeError('not an object')
  return { ...made, title: 'unbearer.yaml' }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null
}
